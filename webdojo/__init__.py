"""WebDojo: browser environments and an asynchronous RL trainer for web agents."""

from webdojo.envs.registration import register_when_loaded

__version__ = "0.1.0"

register_when_loaded()

"""WebDojo: browser environments and an asynchronous RL trainer for web agents."""

__version__ = "0.1.0"

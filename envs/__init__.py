"""Browser environments: Chromium, pages, actions, observations and the Gymnasium face."""

from webdojo.envs.registration import register_when_loaded

register_when_loaded()

"""Browser environments: Chromium, pages, actions, observations and the Gymnasium face."""

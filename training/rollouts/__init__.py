"""Everlasting asynchronous rollouts."""

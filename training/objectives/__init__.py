"""Policy-gradient objectives as small pure functions."""

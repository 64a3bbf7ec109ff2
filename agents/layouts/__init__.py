"""Prompt layouts: how an observation becomes a prompt, and a response an action."""

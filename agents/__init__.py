"""Agents: prompts, inference engines, and the policies that act through them."""

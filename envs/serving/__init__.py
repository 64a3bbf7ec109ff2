"""Environments for other machines: the server behind ``webdojo serve`` and what it speaks.

``webdojo.envs.remote`` is the other end.
"""

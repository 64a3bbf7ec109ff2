"""The command line. Each module holds one command and imports what is heavy when it runs."""

from webdojo.cli.app import main

__all__ = ["main"]

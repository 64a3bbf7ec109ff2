"""The one error a person is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend: the message says what is wrong, where, and what to do.

    The command line prints it as one sentence and exits with status 2.
    """

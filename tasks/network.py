"""How far pages are let out: to this machine alone, or to every host that a task names."""

from __future__ import annotations

import os
from typing import Literal, cast
from urllib.parse import urlsplit

from webdojo.tasks.errors import UserError
from webdojo.tasks.sites.server import DOMAIN

VARIABLE = "WEBDOJO_NETWORK"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
Network = Literal["loopback", "open"]


def network() -> Network:
    """What the environment says; raises UserError if it says neither of the two."""
    found = os.environ.get(VARIABLE) or "loopback"
    if found not in ("loopback", "open"):
        raise UserError(f"{VARIABLE} is {found!r}: set it to loopback or open, or leave it unset")
    return cast(Network, found)


def is_near(host: str) -> bool:
    """Whether a host is this machine, or a site that WebDojo serves on it."""
    return host in LOOPBACK or host.endswith(DOMAIN)


def check_reach(url: str) -> None:
    """Raise UserError if pages are not let out as far as ``url``."""
    if network() == "loopback" and not is_near(urlsplit(url).hostname or ""):
        raise UserError(
            f"{url} lies outside this machine, where no page is let out to; set {VARIABLE}=open to"
            " play on the live web"
        )

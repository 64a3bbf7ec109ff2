"""Where imported tasks begin: addresses on the web, and nothing on this disk."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def web_address(url: str) -> str:
    """The address itself; raises ValueError if it is none of the web, such as a file's."""
    parts = urlsplit(url)  # raises ValueError too
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r} is no web address: it begins with http:// or https://")
    if not re.fullmatch(r"[\w.:-]+", parts.hostname or ""):
        raise ValueError(f"{url!r} is no web address: it names no host")
    _ = parts.port  # raises ValueError too
    return url

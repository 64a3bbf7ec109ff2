"""Where a page may go: the origins that its task names, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from webdojo.envs.addresses import is_public
from webdojo.tasks.network import is_near

DEFAULT_PORTS = {"http": 80, "https": 443}
SAME_AS = {"ws": "http", "wss": "https"}
INSIDE_SCHEMES = frozenset({"about", "blob", "data"})
"""Addresses that reach nothing outside the page that names them."""


class Origins:
    """The origins and folders that an episode may reach.

    ``http://host:8000`` allows every address of that origin; ``file:///folder/`` allows what lies
    in that folder; ``*`` allows the whole public web, for tasks on live sites: this machine and the
    private networks around it are no part of that. Nothing else is reachable.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._origins: set[tuple[str, str, int]] = set()
        self._folders: set[str] = set()
        addresses = set(allowed)
        self._whole_web = "*" in addresses
        for address in addresses - {"*"}:
            self._add(address, whole_file=True)

    def add_page(self, url: str) -> None:
        """Allow the origin of a page; of a file, the folder that it lies in."""
        self._add(url, whole_file=False)

    def allows(self, url: str) -> bool:
        """Whether a page may load or open this address."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        if parts.scheme in INSIDE_SCHEMES:
            return True
        if parts.scheme == "file":
            path = _path(parts.path)
            return not parts.netloc and any(
                path == folder.rstrip("/") or path.startswith(folder) for folder in self._folders
            )
        origin = _origin(url)
        return origin is not None and (
            origin in self._origins or (self._whole_web and _may_be_public(origin[1]))
        )

    def allows_connection(self, host: str, port: int) -> bool:
        """Whether one of the origins lives there."""
        return self._names(host, port) or (self._whole_web and _may_be_public(host))

    def allows_address(self, host: str, port: int, address: str) -> bool:
        """Whether a host that is allowed may be at this address.

        Whoever owns a name can let it lead to this machine: only where the task itself names the
        host it may be anywhere.
        """
        return self._names(host, port) or is_public(address)

    @property
    def web(self) -> list[str]:
        """The http and https origins among them, as ``location.origin`` writes them."""
        return sorted(
            f"{scheme}://{host}" + ("" if port == DEFAULT_PORTS[scheme] else f":{port}")
            for scheme, host, port in self._origins
        )

    def __str__(self) -> str:
        return ", ".join([*self.web, *(f"file://{folder}" for folder in sorted(self._folders))])

    def _names(self, host: str, port: int) -> bool:
        return any((host, port) == (there, number) for _, there, number in self._origins)

    def _add(self, url: str, *, whole_file: bool) -> None:
        parts = urlsplit(url)
        if parts.scheme == "file":
            path = _path(parts.path)
            is_folder = parts.path.endswith("/")
            if is_folder:
                path = path.rstrip("/") + "/"
            elif not whole_file:
                path = path.rpartition("/")[0] + "/"
            self._folders.add(path)
        elif (origin := _origin(url)) is not None:
            self._origins.add(origin)


def _origin(url: str) -> tuple[str, str, int] | None:
    parts = urlsplit(url)
    scheme = SAME_AS.get(parts.scheme, parts.scheme)
    try:
        port = parts.port or DEFAULT_PORTS.get(scheme)
    except ValueError:
        return None
    if scheme not in DEFAULT_PORTS or port is None or not parts.hostname:
        return None
    return scheme, parts.hostname, port


def _may_be_public(host: str) -> bool:
    """Whether an address is public; of a name only its owner knows where it leads."""
    try:
        ip_address(host)
    except ValueError:
        return not is_near(host.rstrip("."))
    return is_public(host)


def _path(path: str) -> str:
    return normpath(unquote(path))

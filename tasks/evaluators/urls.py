"""Addresses: the same place, in whatever order its query is written."""

from __future__ import annotations

import re
from collections import Counter
from typing import ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import field_validator, model_validator

from webdojo.tasks.evaluators.evaluator import Evaluator, Evidence, Match, Verdict
from webdojo.tasks.evaluators.normalise import shown

_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 4096
_BYTES = "surrogateescape"
"""Bytes that are no UTF-8 (%ff) stay what they are, and differ."""


class Url(Match):
    """The address: scheme and host in any case, query in any order, no fragment.

    A value that starts with ``/`` is compared by path and query alone, whatever the host.
    ``ignore`` names query parameters that do not count. ``fragment`` says that what follows ``#``
    counts too, such as the place in an application of one page; a value with one that does not
    count is refused.
    Example: ``Url(value="https://shop.example/cart?id=3", ignore=("utm_source",))``.
    """

    kind: ClassVar[str] = "url"
    value: str
    ignore: tuple[str, ...] = ()
    fragment: bool = False

    @field_validator("value")
    @classmethod
    def _is_one(cls, value: str) -> str:
        if _parts(f"http://host{value}" if value.startswith("/") else value) is None:
            told = ", and a space as %20" if " " in value else ""
            raise ValueError(f"{value!r} is no address: write https://host/path, or /path{told}")
        return value

    @model_validator(mode="after")
    def _counts(self) -> Url:
        parts = _parts(f"http://host{self.value}" if self.value.startswith("/") else self.value)
        if parts is not None and parts[3] and not self.fragment:
            raise ValueError(
                f"{self.value!r}: what follows # does not count; leave it out, or say that it does:"
                f' {{ type = "url", value = "{self.value}", fragment = true }}'
            )
        return self

    def mismatch(self, found: object) -> str:
        """Another place."""
        wanted = self._key(self.value)
        here = self._key(found.strip()) if isinstance(found, str) else None
        if here is None or wanted is None:
            return f"{shown(found)} is no address"
        if self.value.startswith("/"):
            wanted, here = wanted[1:], here[1:]
        return "" if here == wanted else f"{shown(found)} is not {self.value!r}"

    def _key(self, url: str) -> tuple[object, ...] | None:
        parts = _parts(url if not url.startswith("/") else "http://host" + url)
        if parts is None:
            return None
        origin, path, query, fragment = parts
        counted = Counter(pair for pair in query if pair[0] not in self.ignore)
        return origin, path, frozenset(counted.items()), fragment if self.fragment else ""


class PageUrl(Evaluator):
    """The first tab shows this address.

    Example: ``PageUrl(is_at=Url(value="/orders?page=2"))``; in a file ``is_at = "/orders"``.
    """

    kind: ClassVar[str] = "page_url"
    is_at: Url

    @field_validator("is_at", mode="before")
    @classmethod
    def _written_out(cls, value: object) -> object:
        if isinstance(value, str):
            return {"value": value}
        if isinstance(value, dict):
            return {key: value[key] for key in value if key != "type"}
        return value

    async def judge(self, evidence: Evidence) -> Verdict:
        """Compare the address that the page is at now."""
        reason = self.is_at.mismatch(evidence.page.url)
        return Verdict(not reason, reason and f"the page: {reason}")


def address_key(url: str) -> tuple[object, ...] | None:
    """What two writings of one address have in common; None for what is no address."""
    parts = _parts(url)
    return None if parts is None else (parts[0], parts[1], frozenset(Counter(parts[2]).items()))


_Parts = tuple[tuple[str, str, int | None], str, list[tuple[str, str]], str]


def _parts(url: str) -> _Parts | None:
    """Origin, path, query and fragment in one form; None for what is no address."""
    if len(url) > LONGEST_URL or re.search(r"[\s\\\x00-\x1f\ud800-\udfff]", url):
        return None
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme.lower(), parts.port
    except ValueError:
        return None
    # What stands before an @ is no part of the place, but is there to be taken for it.
    if (
        scheme not in (*_PORTS, "file")
        or "@" in parts.netloc
        or not (parts.hostname or scheme == "file")
    ):
        return None
    try:
        host = (parts.hostname or "").rstrip(".").encode("idna").decode()
    except UnicodeError:
        return None
    origin = (scheme, host, _PORTS.get(scheme) if port is None else port)
    query = parse_qsl(parts.query, keep_blank_values=True, errors=_BYTES)
    return origin, _path(parts.path), query, unquote(parts.fragment, errors=_BYTES)


def _path(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        # Each segment is decoded by itself, so that an encoded slash stays what it is.
        plain = quote(unquote(segment, errors=_BYTES), safe="", errors=_BYTES)
        if plain == "..":
            kept = kept[:-1]
        elif plain not in ("", "."):
            kept.append(plain)
    return "/" + "/".join(kept)

"""What the fields of a posted form hold."""

from __future__ import annotations

from email import message_from_bytes
from urllib.parse import parse_qsl

Form = dict[str, str | list[str]]
"""Names and values; a name that comes more than once has a list."""


def read_form(body: bytes, content_type: str, *, name_empty_files: bool = False) -> Form | None:
    """The fields in a request's body; None if it is no form.

    A file's field holds what is in the file, or, with ``name_empty_files`` and nothing in it, its
    name.
    """
    if content_type.startswith("application/x-www-form-urlencoded"):
        return read_query(body.decode(errors="replace"))
    if content_type.startswith("multipart/form-data"):
        return _multipart(body, content_type, name_empty_files)
    return None


def read_query(text: str) -> Form:
    """The fields of a query, ``a=1&b=2``."""
    return _collect(parse_qsl(text, keep_blank_values=True))


def _multipart(body: bytes, content_type: str, name_empty_files: bool) -> Form:
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    pairs = []
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            file = part.get_filename("") if name_empty_files else ""
            pairs.append((name, content.decode(errors="replace") or file))
    return _collect(pairs)


def _collect(pairs: list[tuple[str, str]]) -> Form:
    found: Form = {}
    for name, value in pairs:
        if name not in found:
            found[name] = value
            continue
        before = found[name]
        found[name] = [*before, value] if isinstance(before, list) else [before, value]
    return found

"""A folder of files as a site: pages out, forms in."""

from __future__ import annotations

import json
import mimetypes
from pathlib import Path
from typing import Any
from urllib.parse import quote

from webdojo.tasks.sites.asgi import Receive, Scope, Send, read_body, respond
from webdojo.tasks.sites.forms import read_form, read_query

LONGEST_BODY = 1 << 20
MOST_REQUESTS = 10_000


class StaticSite:
    """Files of one folder, for one episode.

    A GET gives the file, of a folder its ``index.html``, under an address with a last slash. A POST
    gives the file too, and its fields are kept, so that a form needs no program:
    ``<form method="post" action="thanks.html">``. Its state is
    ``{"requests": [{"method", "path", "query", "form" or "json"}, …]}``, in which only pages and
    what was posted stand.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._requests: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method, path = scope["method"], scope["path"]
        if (method, path) == ("GET", "/state"):
            state = json.dumps({"requests": self._requests}).encode()
            await respond(send, 200, state, "application/json")
            return
        file = file_of(self._folder, path)
        if method not in ("GET", "HEAD", "POST"):
            await respond(send, 405, b"method not allowed", "text/plain")
            return
        body = await read_body(receive, LONGEST_BODY)
        if body is None:
            await respond(send, 413, b"too much", "text/plain")
            return
        if file is None:
            await respond(send, 404, b"not found", "text/plain")
            return
        if method != "POST" and _is_folder(self._folder, path) and not path.endswith("/"):
            # Or the links of its index.html would lead from the folder above.
            await _redirect(send, f"/{quote(path.lstrip('/'))}/", scope.get("query_string", b""))
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        if (kind == "text/html" or method == "POST") and len(self._requests) < MOST_REQUESTS:
            self._requests.append(_record(scope, body))
        if kind.startswith("text/") or kind.endswith(("javascript", "json")):
            kind += "; charset=utf-8"
        await respond(send, 200, b"" if method == "HEAD" else file.read_bytes(), kind)


def file_of(folder: Path, path: str) -> Path | None:
    """The file that a path names, of a folder its ``index.html``; None if none lies in there."""
    folder = folder.resolve()
    try:
        file = (folder / path.lstrip("/")).resolve()
        if file.is_dir():
            file = file / "index.html"
        inside = file.is_relative_to(folder) and file.is_file()
    except (OSError, ValueError):
        return None
    return file if inside else None


def _is_folder(folder: Path, path: str) -> bool:
    return (folder / path.lstrip("/")).is_dir()


async def _redirect(send: Send, path: str, query: bytes) -> None:
    location = path.encode() + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _record(scope: Scope, body: bytes) -> dict[str, Any]:
    query = read_query(scope.get("query_string", b"").decode(errors="replace"))
    record = {"method": scope["method"], "path": scope["path"], "query": query}
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    kind = headers.get(b"content-type", "")
    if (form := read_form(body, kind)) is not None:
        record["form"] = form
    elif kind.startswith("application/json"):
        try:
            record["json"] = json.loads(body)
        except (ValueError, RecursionError):
            record["json"] = None
    return record

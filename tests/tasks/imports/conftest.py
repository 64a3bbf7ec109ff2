"""A shop on this machine and a scripted judge, for the task sets of others."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from local_pages import Page, served
from mug_shop import PAGES
from scripted_endpoint import ScriptedEndpoint


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """A real web server on this machine."""

    def answer(request: BaseHTTPRequestHandler) -> Page:
        status, body = PAGES.get(request.path.partition("?")[0], (404, ""))
        headers = {"Location": "/thanks"} if status == 302 else {}
        if request.path.startswith("/api/"):
            headers["Set-Cookie"] = "said=Red%20mug%20added; Path=/"
        return status, body.replace("PORT", str(request.server.server_address[1])), headers

    with served(answer) as address:
        yield address


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    served = ScriptedEndpoint()
    monkeypatch.setenv("WEBDOJO_JUDGE_URL", served.url)
    monkeypatch.setenv("WEBDOJO_JUDGE_MODEL", "scripted")
    yield served
    served.close()

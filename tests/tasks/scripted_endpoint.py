"""A chat endpoint that answers by a script: the protocol is real, the model is not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = str | int | dict[str, Any]
"""What the model says, an HTTP status to fail with, or a whole body."""
Script = Callable[[str, dict[str, Any]], Reply]
"""Given the question's key (``relevant``, ``holds`` …) and the request."""


def yes(key: str, request: dict[str, Any]) -> Reply:
    """Affirms everything that can be."""
    return json.dumps({"reason": "so it is", key: not is_impossible(request)})


@dataclass
class ScriptedEndpoint:
    """Serves ``POST /v1/chat/completions`` on this machine until closed."""

    script: Script = yes
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/chat/completions"
                request = json.loads(body)
                endpoint.requests.append(request)
                endpoint.authorizations.append(self.headers.get("Authorization"))
                reply = endpoint.script(key_of(request), request)
                status, content = 200, reply
                if isinstance(reply, int):
                    status, content = reply, {"error": "scripted"}
                elif isinstance(reply, str):
                    content = {
                        "choices": [
                            {
                                "message": {"role": "assistant", "content": reply},
                                "finish_reason": "stop",
                            }
                        ],
                        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
                    }
                told = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def asked(self, key: str) -> list[dict[str, Any]]:
        return [request for request in self.requests if key_of(request) == key]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def key_of(request: dict[str, Any]) -> str:
    """The key that the verdict is asked for under."""
    return str(question_of(request).rsplit('": true or false', 1)[0].rsplit('"', 1)[1])


def question_of(request: dict[str, Any]) -> str:
    return str(request["messages"][1]["content"][-1]["text"])


def material_of(request: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = json.loads(request["messages"][1]["content"][0]["text"])
    return found


def is_impossible(request: dict[str, Any]) -> bool:
    """Whether it asks for the fact that no answer bears out."""
    return re.search(r"The answer says the number \d{8}\.", question_of(request)) is not None


def images_of(request: dict[str, Any]) -> list[str]:
    return [part["image_url"]["url"] for part in request["messages"][1]["content"][1:-1]]

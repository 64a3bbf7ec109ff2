"""The web application: the desk's requests over HTTP and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from webdojo.envs.serving.desk import Desk
from webdojo.envs.serving.guard import Guard
from webdojo.envs.serving.protocol import MAX_REQUEST, RequestError, error_data
from webdojo.envs.serving.session import Session
from webdojo.tasks.sites.asgi import Application

SESSION_HEADER = "X-Session-ID"
TRY_AGAIN, POLICY = 1013, 1008
"""WebSocket's codes for a server that is full and a session that has outstayed its welcome."""
STATUS = {
    "INVALID_JSON": 400,
    "UNKNOWN_TYPE": 400,
    "VALIDATION_ERROR": 422,
    "SESSION_ERROR": 409,
    "CAPACITY_REACHED": 503,
    "EXECUTION_ERROR": 500,
}
Body = dict[str, Any]


def build_app(desk: Desk, key: str | None) -> Application:
    """The ASGI application: OpenEnv's paths, with images under ``/images``."""
    routes = [
        Route("/health", _health),
        Route("/schema", _told(desk, _schema)),
        Route("/state", _told(desk, _state)),
        Route("/reset", _told(desk, _reset), methods=["POST"]),
        Route("/step", _told(desk, _step), methods=["POST"]),
        Route("/close", _told(desk, _close), methods=["POST"]),
        Route("/images/{name}", _told(desk, _image)),
        WebSocketRoute("/ws", lambda socket: _Conversation(desk, socket).run()),
    ]
    return Guard(Starlette(routes=routes), key)


async def _health(request: Request) -> Response:
    return _json({"status": "healthy"})


async def _schema(desk: Desk, request: Request) -> Response:
    return _json(desk.schema(request.query_params.get("task")))


async def _state(desk: Desk, request: Request) -> Response:
    return _json(desk.find(_session_id(request, {})).state)


async def _reset(desk: Desk, request: Request) -> Response:
    body = await _body(request)
    session_id = _session_id(request, body)
    body.pop("session_id", None)
    if session_id is not None:
        return _json(await desk.reset(desk.find(session_id), body))
    session = desk.open()
    try:
        return _json(await desk.reset(session, body))
    except BaseException:
        await desk.close(session)
        raise


async def _step(desk: Desk, request: Request) -> Response:
    body = await _body(request)
    session = desk.find(_session_id(request, body))
    if "action" not in body:
        raise RequestError("VALIDATION_ERROR", "action: it is missing", "UserError")
    return _json(await desk.step(session, body["action"]))


async def _close(desk: Desk, request: Request) -> Response:
    await desk.close(desk.find(_session_id(request, await _body(request))))
    return _json({"closed": True})


async def _image(desk: Desk, request: Request) -> Response:
    found = desk.image(request.path_params["name"])
    if found is None:
        message = "no such image: only the latest ones of open sessions are kept"
        return _json({"message": message, "code": "SESSION_ERROR"}, 404)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(found[0], media_type=f"image/{found[1]}", headers=headers)


def _told(
    desk: Desk, answer: Callable[[Desk, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Answer a request, or say what is wrong with it."""

    async def told(request: Request) -> Response:
        try:
            with desk.connected():
                return await answer(desk, request)
        except RequestError as error:
            return _json(error_data(error), STATUS[error.code])
        except _TooLongError:
            message = f"the request is longer than {MAX_REQUEST} bytes"
            return _json({"message": message, "code": "VALIDATION_ERROR"}, 413)

    return told


class _TooLongError(Exception):
    pass


async def _body(request: Request) -> Body:
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > MAX_REQUEST:
            raise _TooLongError
    return _object(bytes(text)) if text.strip() else {}


def _object(text: bytes | str) -> Body:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError("INVALID_JSON", f"no JSON: {str(error)[:200]}") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        message = f"a JSON object is wanted, not {type(read).__name__}"
        raise RequestError("VALIDATION_ERROR", message, "UserError")
    return read


def _session_id(request: Request, body: Body) -> str | None:
    named = request.headers.get(SESSION_HEADER) or body.get("session_id")
    return None if named is None else str(named)


def _json(content: Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    if status == STATUS["CAPACITY_REACHED"]:
        headers["Retry-After"] = "5"
    # Escaped: pages hold text that is no valid Unicode.
    return Response(json.dumps(content), status, headers, media_type="application/json")


class _Conversation:
    """One client on a WebSocket: its session begins with its first reset and ends with it."""

    def __init__(self, desk: Desk, socket: WebSocket) -> None:
        self._desk = desk
        self._socket = socket
        self._session: Session | None = None
        self._sent_image = ""
        """Name of the image that the client has got last."""

    async def run(self) -> None:
        await self._socket.accept()
        try:
            with self._desk.connected():
                await self._converse()
        except RequestError as full:
            await self._tell(full)
            await self._socket.close(TRY_AGAIN)

    async def _converse(self) -> None:
        heard = asyncio.create_task(self._socket.receive())
        try:
            while await self._quiet(heard):
                message = heard.result()
                if message["type"] == "websocket.disconnect":
                    return
                heard = asyncio.create_task(self._socket.receive())
                if not await self._answered(message, heard):
                    return
        except WebSocketDisconnect:
            pass
        finally:
            heard.cancel()
            if self._session is not None:
                await self._desk.close(self._session)

    async def _quiet(self, heard: asyncio.Task[Any]) -> bool:
        """Wait for the next message; false if it takes too long, which the client is told."""
        ended = asyncio.create_task(self._session.ended.wait()) if self._session else None
        waiting = {heard, ended} if ended else {heard}
        timeout_s = None if ended else self._desk.limits.idle_s
        try:
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if ended:
                ended.cancel()
        if heard.done():
            return True
        why = f"closed: nothing was asked for {self._desk.limits.idle_s:g} s"
        await self._tell(RequestError("SESSION_ERROR", f"the session was {why}"))
        await self._socket.close(POLICY, why)
        return False

    async def _answered(self, message: Any, next_one: asyncio.Task[Any]) -> bool:
        """Answer a message; false if there is nobody to answer to any more."""
        work = asyncio.create_task(self._answer(message))
        try:
            await asyncio.wait({work, next_one}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and next_one.result()["type"] == "websocket.disconnect":
                return False
            return await work
        except RequestError as error:
            await self._tell(error)
            return True
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})

    async def _answer(self, message: Any) -> bool:
        asked = _object(message.get("text") or message.get("bytes") or b"")
        kind, data = asked.get("type"), asked.get("data")
        if kind == "close":
            await self._socket.close()
            return False
        if kind == "reset":
            await self._observed(await self._reset(data))
        elif kind == "step":
            await self._observed(await self._desk.step(self._open(), data))
        elif kind == "state":
            state = self._session.state if self._session else {"episode_id": None, "step_count": 0}
            await self._send({"type": "state", "data": state})
        elif kind == "schema":
            task_id = data.get("task") if isinstance(data, dict) else None
            schema = self._desk.schema(None if task_id is None else str(task_id))
            await self._send({"type": "schema", "data": schema})
        elif kind == "render":
            picture = await self._desk.picture(self._open())
            await self._send({"type": "picture", "data": picture})
            await self._show(picture["screenshot"])
        else:
            raise RequestError("UNKNOWN_TYPE", f"unknown message type {str(kind)[:40]!r}")
        return True

    async def _reset(self, data: Any) -> Body:
        if self._session is None:
            self._session = self._desk.open()
        return await self._desk.reset(self._session, data)

    def _open(self) -> Session:
        if self._session is None:
            raise RequestError("SESSION_ERROR", "no episode: call reset first", "RuntimeError")
        return self._session

    async def _observed(self, answer: Body) -> None:
        await self._send({"type": "observation", "data": answer})
        await self._show(answer["observation"]["screenshot"])

    async def _show(self, reference: Body | None) -> None:
        """Send an image that the client has not got."""
        session = self._open()
        if reference is None or not session.frames or reference["sha256"] == self._sent_image:
            return
        self._sent_image = reference["sha256"]
        await self._socket.send_bytes(session.images[self._sent_image][0])

    async def _tell(self, error: RequestError) -> None:
        await self._send({"type": "error", "data": error_data(error)})

    async def _send(self, message: Body) -> None:
        if self._session is not None:
            self._session.used_s = time.monotonic()
        await self._socket.send_text(json.dumps(message))

"""How long a client may take to ask: whoever only holds a connection open keeps nobody else out."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 10.0
"""Real time in which a request must be there, head and body."""
MOST_WAITING = 256
"""Connections on which no request is complete; one more, and the oldest of them is cut."""


class PatientProtocol(H11Protocol):
    """Uvicorn's HTTP, with a deadline for requests and a bound on connections that ask nothing.

    Whether a client knows the key shows with its request. Until then its connection counts against
    this bound alone, and when that is reached makes room for whoever comes next.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._wait()
        waiting = {
            one: one._deadline.when()
            for one in self.connections
            if isinstance(one, PatientProtocol) and one._deadline is not None
        }
        if len(waiting) > MOST_WAITING:
            min(waiting, key=waiting.__getitem__).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        asked = self.cycle is not None and not self.cycle.response_complete
        complete = asked and not self.cycle.more_body
        if complete or self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._wait_no_more()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

"""Connections that nobody can hold for nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from testlytics.service.answers import Failed, Said

CONNECTIONS = 512
"""How many there are at once; one more is closed unread."""

HEADERS_S = 20.0
"""How long a request may take until its headers are there, and the rest of a refused body."""

WRITE_S = 30.0
"""How long an answer may wait for the client to read on."""

IDLE_S = 15
"""How long a connection may be idle between two requests. Shorter than `HEADERS_S`."""


class Protocol(H11Protocol):
    """HTTP/1.1 with bounds on how long a client may do nothing, or next to nothing."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*given, **named)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        for timer in (self._reading, self._writing):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that it does again."""
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of all errors."""
        said = Said(slug="http-invalid", message=msg, hint="HTTP/1.1 was expected.")
        body = msgspec.json.encode(Failed(1, said))
        head = (
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _watch(self) -> None:
        """Bound the time in which no request is under way, however much comes meanwhile."""
        cycle: RequestResponseCycle | None = self.cycle
        is_busy = cycle is not None and not cycle.response_complete
        if is_busy and self._reading is not None:
            self._reading.cancel()
            self._reading = None
        elif not is_busy and self._reading is None and not self.transport.is_closing():
            self._reading = self.loop.call_later(HEADERS_S, self.transport.abort)

"""HTTP/1.1 as uvicorn reads it, with an end to what comes before a body: alone it would keep whatever arrives, and wait
for the rest as long as the connection lasts."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from chatterbox_plus.api.errors import error_of_status
from chatterbox_plus.api.middleware import SECURITY_HEADERS, new_request_id

MAX_HEAD_BYTES = 64 * 2**10  # of a request line and its headers; proxies and other servers take 8 to 64 KiB
MAX_HEADERS = 200
HEAD_S = 30.0  # from the connection, or a head's first byte, until it is complete
_quiet = logging.getLogger("uvicorn.error.websocket")
_quiet.setLevel(logging.WARNING)  # it would write down addresses, with the keys that are in some
_TOO_LARGE = "The head of the request is too large."
_log = logging.getLogger(__name__)


class SocketProtocol(WebSocketsSansIOProtocol):
    """WebSockets as uvicorn speaks them, with the log that the app writes instead of its own."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = self.conn.logger = _quiet
        self.conn.debug = False

    async def run_asgi(self) -> None:
        await super().run_asgi()
        if not self.writable.is_set():  # the client has stopped reading: to close properly would take forever
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # A head that HTTP takes may be too much for a WebSocket: uvicorn would neither answer nor hang up.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()


class Protocol(HttpToolsProtocol):
    """Refuses and closes when so much comes without being part of a body: a head, a chunk's extensions, trailers.

    Hangs up on who takes too long to say what they want, or goes on sending a body that was answered already. What is
    no HTTP is told so as every other error is.
    """

    _crowded = False
    _unread = 0  # bytes since the last head, piece of a body or message was complete
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unread += len(data)
        if self._patience is None and (self.cycle is None or self.cycle.response_complete):
            self._wait_for_head()
        super().data_received(data)
        if self._unread > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, _TOO_LARGE)

    def send_400_response(self, msg: str) -> None:
        if self._crowded:
            self._refuse(431, _TOO_LARGE)
        else:
            self._refuse(400, msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            self._crowded = True
            raise ValueError(_TOO_LARGE)  # the parser gives up
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unread = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

    def _refuse(self, status: int, message: str) -> None:
        """Answers in place of the application, which never sees the request, and closes."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # in the middle of another answer nothing can be said
            return
        name, address = new_request_id(), getattr(self, "url", b"")  # as far as it was read
        scope: Scope = {"type": "http", "path": address.decode("latin-1"), "state": {"request_id": name}}
        answer = error_of_status(scope, status, message)
        answer.headers.update({**SECURITY_HEADERS, "X-Request-ID": name, "Connection": "close"})
        head = [
            b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
            *(b"%s: %s" % header for header in [*self.server_state.default_headers, *answer.raw_headers]),
        ]
        _log.warning("[%s] %d: %s", name, status, message)
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(answer.body))
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

"""HTTP/1.1 as uvicorn reads it, with an end to what comes before a body: alone it would keep whatever arrives, and wait
for the rest as long as the connection lasts."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 2**10  # of a request line and its headers; proxies and other servers take 8 to 64 KiB
MAX_HEADERS = 200
HEAD_S = 30.0  # from the connection, or a head's first byte, until it is complete
_TOO_LARGE = "The head of the request is too large."


class Protocol(HttpToolsProtocol):
    """Refuses and closes when so much comes without being part of a body: a head, a chunk's extensions, trailers.

    Hangs up on who takes too long to say what they want, or goes on sending a body that was answered already.
    """

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
            self.logger.warning("Too large a head of a request.")
            self.send_400_response(_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError(_TOO_LARGE)  # the parser gives up, and the answer is 400
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

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

"""HTTP/1.1 as uvicorn reads it, with an end to what comes before a body: alone it would keep whatever arrives."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 2**10  # of a request line and its headers; proxies and other servers take 8 to 64 KiB
MAX_HEADERS = 200
_TOO_LARGE = "The head of the request is too large."


class Protocol(HttpToolsProtocol):
    """Refuses and closes when so much comes without being part of a body: a head, a chunk's extensions, trailers."""

    _unread = 0  # bytes since the last head, piece of a body or message was complete

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unread += len(data)
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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

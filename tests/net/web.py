"""A web server on loopback whose every answer is written down by the test, and what the machine's sockets were told."""

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chatterbox_plus.net.addresses import address_of, is_public

Answer = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request. `left`: set when the server is closed; answers that hang wait for it."""

    protocol_version = "HTTP/1.1"
    web: "Web"
    left: threading.Event

    def do_GET(self) -> None:
        self.web.seen.append(self.path)
        self.web.headers.append(dict(self.headers))
        self.web.pages[self.path.partition("?")[0]](self)
        self.close_connection = True

    def answer(self, body: bytes = b"", status: int = 200, length: int | None = None, **headers: str) -> None:
        """length: the announced one; -1 announces none."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            return super().finish_request(request, client_address)
        with self.tls.wrap_socket(request, server_side=True) as secure:
            return super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the client may go at any time: that is what is tested


@dataclass
class Web:
    """pages: path -> what answers it. seen, headers: of every request so far."""

    host: str
    pages: dict[str, Answer] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    secure: Callable[[ssl.SSLContext], None] = lambda context: None  # from the next connection on

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def page(self, path: str, body: bytes = b"", **answer: Any) -> str:
        """Answers always the same; the URL."""
        self.pages[path] = lambda visit: visit.answer(body, **answer)
        return self.url(path)

    def redirect(self, path: str, to: str, status: int = 302) -> str:
        return self.page(path, status=status, Location=to)


@contextmanager
def web_server(host: str = "127.0.0.1") -> Iterator[Web]:
    """host: an address of loopback. Raises OSError where there is no IPv6."""
    left = threading.Event()
    handler = type("Handler", (Visit,), {"left": left})
    six = ":" in host
    server = type("Server", (_Server,), {"address_family": socket.AF_INET6 if six else socket.AF_INET})(
        (host, 0), handler
    )
    web = handler.web = Web(f"{f'[{host}]' if six else host}:{server.server_address[1]}")
    web.secure = lambda context: setattr(server, "tls", context)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    try:
        yield web
    finally:
        left.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Wire:
    """What every socket of this process was told to connect to while it was watched."""

    addresses: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def private(self) -> list[tuple[Any, ...]]:
        return [address for address in self.addresses if not is_public(address_of(address[0]))]


_watching: list[Wire] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watching and args[0].family in (socket.AF_INET, socket.AF_INET6):
        for wire in _watching:
            wire.addresses.append(args[1])


sys.addaudithook(_hook)  # the interpreter itself tells of every connect, whoever makes it; it cannot be taken back


@contextmanager
def watched() -> Iterator[Wire]:
    wire = Wire()
    _watching.append(wire)
    try:
        yield wire
    finally:
        _watching.remove(wire)

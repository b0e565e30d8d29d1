"""The application behind a real socket, in a thread of the test's own process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI

from chatterbox_plus.api.app import create_app
from chatterbox_plus.api.middleware import max_json_bytes
from chatterbox_plus.api.protocol import Protocol, SocketProtocol
from chatterbox_plus.settings import Paths, Settings

TIMEOUT_S = 20  # of every request: a test that needs longer has failed


@dataclass(frozen=True)
class LiveServer:
    """Where it listens, and a short way to ask it."""

    port: int
    app: FastAPI

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=TIMEOUT_S, **kwargs)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.ask("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> requests.Response:
        return self.ask("POST", path, json=json, **kwargs)

    def raw(self, request: bytes) -> socket.socket:
        """A connection on which these bytes have been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        connection.sendall(request)
        return connection


@contextmanager
def serve(settings: Settings, studio: Any = None) -> Iterator[LiveServer]:
    """The server, answering; stopped at the end. Settings that name no data folder get one of their own."""
    if settings.paths == Paths():
        with TemporaryDirectory(prefix="chatterbox-") as folder, serve(_at(settings, folder), studio) as running:
            yield running
        return
    # asyncio turns Nagle's algorithm off only where the protocol is named: else every small answer takes 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    app = create_app(settings, studio)
    config = uvicorn.Config(
        app,
        http=Protocol,
        ws=SocketProtocol,
        ws_max_size=max_json_bytes(settings.api.max_text_length),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    started = threading.Event()
    config.loaded or config.load()
    thread = threading.Thread(target=_run, args=(server, listener, started), name="server")
    thread.start()
    assert started.wait(TIMEOUT_S)
    try:
        yield LiveServer(listener.getsockname()[1], app)
    finally:
        server.should_exit = True
        thread.join(TIMEOUT_S)
        listener.close()
    assert not thread.is_alive()


def _at(settings: Settings, folder: str) -> Settings:
    return settings.model_copy(update={"paths": Paths(data_dir=Path(folder))})


def _run(server: uvicorn.Server, listener: socket.socket, started: threading.Event) -> None:
    original = server.startup

    async def startup(sockets: Any = None) -> None:
        await original(sockets=sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    server.run(sockets=[listener])

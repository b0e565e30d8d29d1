"""A client of the WebSocket that speaks, as tests need one."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.api.live_server import TIMEOUT_S, LiveServer

PATH = "/v1/audio/speech/stream"
START = {"type": "start", "model": "tts-1", "voice": "alloy", "seed": 7}


def opened(server: LiveServer, path: str = PATH, **more: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=TIMEOUT_S, close_timeout=TIMEOUT_S, **more)


def say(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        socket.send(json.dumps(message))


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@dataclass
class Stream:
    """What came so far."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    audio: bytes = b""
    order: list[str] = field(default_factory=list)  # types, "audio" among them

    def of(self, type: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type]

    @property
    def words(self) -> list[dict[str, Any]]:
        return [word for passage in self.of("words") for word in passage["words"]]


def listen(socket: ClientConnection, until: str = "done", stream: Stream | None = None) -> Stream:
    """What comes, to the next message of that type."""
    stream = stream or Stream()
    while True:
        listen_once(socket, stream)
        if stream.order[-1] == until:
            return stream


def listen_once(socket: ClientConnection, stream: Stream) -> None:
    came = socket.recv(TIMEOUT_S)
    if isinstance(came, bytes):
        stream.audio += came
        stream.order.append("audio")
    else:
        stream.messages.append(json.loads(came))
        stream.order.append(stream.messages[-1]["type"])


def spoken(server: LiveServer, *pieces: str, **fields: Any) -> Stream:
    with opened(server) as socket:
        say(socket, {**START, **fields}, *map(text, pieces), {"type": "end"})
        return listen(socket)


def closed(socket: ClientConnection) -> int:
    """The code it was closed with; nothing more may come before."""
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(TIMEOUT_S)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def empties(server: LiveServer) -> bool:
    """Whether all that was called off leaves the house."""
    return comes_true(lambda: not server.app.state.api.studio.busy)


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether something does that the server says to nobody."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def list_until_closed(socket: ClientConnection) -> list[str | bytes]:
    rest: list[str | bytes] = []
    with suppress(ConnectionClosed):
        rest.extend(socket)
    return rest

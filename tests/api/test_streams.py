"""What happens when somebody leaves, or something breaks, in the middle."""

import asyncio
import itertools
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from starlette.requests import Request
from starlette.types import Message

from chatterbox_plus.api.bridge import READ_AHEAD, Bridge, Cancel
from chatterbox_plus.settings import Api, Settings
from chatterbox_plus.synthesis.results import LiveAudio
from tests.api.fake_studio import WAIT_S, FakeStudio, live_audio
from tests.api.live_server import LiveServer, serve

TTS, LIVE, OPENAI = "/api/v1/tts", "/api/v1/tts?response_mode=live", "/v1/audio/speech"


def request(path: str, body: dict[str, object], headers: str = "") -> bytes:
    data = json.dumps(body).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{kind}\r\n".encode() + data


@pytest.mark.parametrize("path", [TTS, TTS + "?response_mode=url", LIVE])
@pytest.mark.parametrize("headers", ["", "Connection: close\r\n"])
def test_a_client_that_leaves_stops_its_work(path: str, headers: str, server: LiveServer, studio: FakeStudio) -> None:
    connection = server.raw(request(path, {"text": "block"}, headers))
    assert studio.entered.acquire(timeout=WAIT_S)
    connection.close()
    assert studio.left.acquire(timeout=WAIT_S)


def test_a_listener_that_leaves_stops_the_stream(server: LiveServer, studio: FakeStudio) -> None:
    while studio.closed.acquire(blocking=False):
        pass
    connection = server.raw(request(LIVE, {"text": "endless"}))
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    connection.close()
    assert studio.closed.acquire(timeout=WAIT_S)


def test_a_listener_that_stops_reading_holds_nothing_for_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Else a single client could keep an engine from everybody. What it got must not look whole."""
    studio = FakeStudio(tmp_path)
    with serve(Settings(api=Api(request_timeout_seconds=0.2)), studio) as server:
        connection = server.raw(request(LIVE, {"text": "endless"}))
        assert studio.closed.acquire(timeout=WAIT_S)
        last = b""
        while received := connection.recv(2**20):
            last = (last + received)[-5:]
        connection.close()
        assert last != b"0\r\n\r\n"
        assert server.post(TTS, {"text": "next"}).status_code == 200
    said = [record for record in caplog.records if "the listener stopped reading" in record.getMessage()]
    assert len(said) == 1


def test_a_stream_that_is_never_sent_ends_by_itself() -> None:
    closed = threading.Event()

    def make(live: LiveAudio) -> Iterator[bytes]:
        yield from itertools.repeat(b"chunk")

    async def forget() -> None:
        bridge = Bridge(1, 0.1)
        await bridge.open(
            Request({"type": "http"}, never), lambda cancel, _: live_audio(make, cancel, release=closed.set)
        )
        assert await asyncio.to_thread(closed.wait, WAIT_S)
        bridge.close()

    asyncio.run(forget())


def test_audio_is_not_made_faster_than_it_is_taken() -> None:
    """A listener who stops reading stops the engine too: memory stays flat."""
    made = 0

    def make(live: LiveAudio) -> Iterator[bytes]:
        nonlocal made
        for _ in range(300):
            made += 1
            yield b"chunk"

    async def listen() -> None:
        bridge = Bridge(1, WAIT_S)
        stream = await bridge.open(Request({"type": "http"}, never), lambda cancel, _: live_audio(make, cancel))
        taken = 0
        async for _ in stream.chunks():
            taken += 1
            assert made <= taken + READ_AHEAD + 1
        stream.stop()
        bridge.close()
        assert taken == 300

    asyncio.run(listen())


async def never() -> Message:
    return await asyncio.get_running_loop().create_future()


def test_stopping_releases_a_stream_that_nobody_reads() -> None:
    """Its thread waits for the listener, not for the engine."""
    closed = threading.Event()

    def make(live: LiveAudio) -> Iterator[bytes]:
        yield from itertools.repeat(b"chunk")

    async def stop() -> None:
        bridge = Bridge(1, WAIT_S)
        await bridge.open(
            Request({"type": "http"}, never), lambda cancel, _: live_audio(make, cancel, release=closed.set)
        )
        bridge.stop()
        assert await asyncio.to_thread(closed.wait, WAIT_S)
        bridge.close()

    asyncio.run(stop())


def test_closing_does_not_wait_for_work_that_does_not_listen() -> None:
    begun, go = threading.Event(), threading.Event()

    def work(cancel: Cancel) -> bool:
        begun.set()
        return go.wait(WAIT_S)

    async def close() -> None:
        bridge = Bridge(1, WAIT_S)
        deaf = asyncio.create_task(bridge.run(Request({"type": "http"}, never), work))
        assert await asyncio.to_thread(begun.wait, WAIT_S)
        bridge.close()
        go.set()
        assert await deaf

    asyncio.run(close())


def test_a_connection_that_cannot_be_watched_ends_the_work() -> None:
    """Nobody would hear that the client left."""

    async def broken() -> Message:
        raise LookupError("the connection's own")

    async def ask() -> None:
        bridge = Bridge(1, WAIT_S)

        def work(cancel: Cancel) -> bool:
            return cancel.wait(WAIT_S)

        with pytest.raises(LookupError, match="the connection's own"):
            await bridge.run(Request({"type": "http"}, broken), work)
        bridge.close()

    asyncio.run(ask())


def test_the_first_bytes_leave_before_the_rest_is_made(server: LiveServer, studio: FakeStudio) -> None:
    studio.go.clear()
    with requests.post(server.url + LIVE, json={"text": "slow"}, stream=True, timeout=WAIT_S) as answer:
        chunks = answer.iter_content(chunk_size=None)
        assert next(chunks) == b"slow"
        studio.go.set()
        assert b"".join(chunks) == b" and sure"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LIVE, {"text": "break"}),
        (OPENAI, {"model": "m", "input": "break", "voice": "alloy"}),
        (OPENAI, {"model": "m", "input": "break", "voice": "alloy", "stream_format": "sse"}),
    ],
)
def test_a_broken_stream_is_not_a_clean_end(
    path: str, body: dict[str, str], server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a recording must never look whole."""
    with requests.post(server.url + path, json=body, stream=True, timeout=WAIT_S) as answer:
        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018 - reading is the point
    assert any("the engine died" in record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)


def test_health_answers_while_requests_hang(server: LiveServer, studio: FakeStudio) -> None:
    hanging = [server.raw(request(TTS, {"text": "block"})) for _ in range(5)]
    for _ in hanging:
        assert studio.entered.acquire(timeout=WAIT_S)
    assert server.get("/api/v1/health").json()["status"] == "healthy"
    for connection in hanging:
        connection.close()
    for _ in hanging:
        assert studio.left.acquire(timeout=WAIT_S)


def test_parallel_requests_each_get_their_own_text(server: LiveServer) -> None:
    texts = [f"text number {n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda text: server.post(TTS, {"text": text, "export_formats": ["wav"]}).content, texts)
    assert list(answers) == [text.encode() + b"wav" for text in texts]


def test_one_connection_serves_request_after_request(server: LiveServer) -> None:
    with requests.Session() as session:
        for text in ("one", "two"):
            body = {"text": text, "export_formats": ["wav"]}
            assert session.post(server.url + LIVE, json=body, timeout=WAIT_S).content == text.encode()
            assert session.post(server.url + TTS, json=body, timeout=WAIT_S).content == text.encode() + b"wav"

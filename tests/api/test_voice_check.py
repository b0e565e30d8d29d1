"""A recording is judged before it is a voice, and nothing of it stays."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer
from tests.api.shelf import RATE, tone

CHECK, VOICE = "/api/v1/voice/check", "/api/v1/voice"


def send(server: LiveServer, path: str = CHECK, called: str = "a.wav", content: bytes = b"", **more: Any) -> Any:
    part = more.pop("part", "voice_file")
    return server.post(path, files={part: (called, content or tone())}, **more)


def stored(studio: FakeStudio) -> list[Path]:
    return [path for path in studio.library.voices.root.parent.rglob("*") if path.is_file()]


def test_it_says_what_an_upload_would_say(server: LiveServer, studio: FakeStudio) -> None:
    before = stored(studio)
    told = send(server, part="audio_file").json()
    assert (told["filename"], told["duration_seconds"], told["sample_rate"], told["channels"]) == (
        "a.wav", 0.5, RATE, 1,
    )  # fmt: skip
    assert told["file_size_bytes"] == len(tone())
    assert stored(studio) == before
    assert send(server, VOICE, "kept.wav").json()["quality"] == told["quality"]


@pytest.mark.parametrize(
    ("called", "content", "status"),
    [("a.txt", tone(), 400), ("a.wav", b"no audio", 400), ("a.wav", tone(0.1), 400)],
)
def test_what_no_voice_can_be_made_of_is_refused(
    server: LiveServer, studio: FakeStudio, called: str, content: bytes, status: int
) -> None:
    before = stored(studio)
    assert send(server, called=called, content=content).status_code == status
    assert stored(studio) == before


def test_a_recording_is_needed(server: LiveServer) -> None:
    assert requests.post(server.url + CHECK, timeout=20).status_code == 422
    assert server.post(CHECK, files={"name": (None, "x")}).status_code == 422

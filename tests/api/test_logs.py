"""Every line of the log belongs to a request, wherever it was written, and holds nothing that a client said."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.logs import LogFormat, dress
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.results import SpeechResult
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import serve

SPOKEN = "xylophone"
SECRET = "hush-hush"
TTS = "/api/v1/tts"


class Talkative(FakeStudio):
    """Writes to the log from the thread it works in."""

    def speak(self, options: SpeechOptions, **more: Any) -> SpeechResult:
        logging.getLogger("chatterbox_plus.studio").info("in %s", threading.current_thread().name)
        return super().speak(options, **more)


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The log as it is written, in the format that the test's parameter names."""
    format: LogFormat = request.param
    stream, logger = io.StringIO(), logging.getLogger("chatterbox_plus")
    handler, before = logging.StreamHandler(stream), logger.level
    dress(handler, format)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.mark.parametrize("lines", ["json"], indirect=True)
def test_every_line_of_a_request_carries_its_id_across_threads(tmp_path: Path, lines: io.StringIO) -> None:
    with serve(Settings(), Talkative(tmp_path)) as server:
        for name in ("one", "two"):
            server.post(TTS, {"text": SPOKEN}, headers={"X-Request-ID": name})
        server.post(TTS, {"text": "boom"}, headers={"X-Request-ID": "three"})
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert {line["request_id"] for line in told if line["message"].startswith("in studio")} == {"one", "two", "three"}
    [bug] = [line for line in told if line["level"] == "error"]
    assert bug["request_id"] == "three"
    assert "ZeroDivisionError" in bug["exception"]
    [access] = [line for line in told if line["request_id"] == "one" and "status" in line]
    assert (access["method"], access["route"], access["path"], access["status"]) == ("POST", TTS, TTS, 200)
    assert access["duration_ms"] > 0
    assert access["timestamp"].endswith("Z")


@pytest.mark.parametrize("lines", ["text"], indirect=True)
def test_a_line_of_text_names_its_request_and_nothing_that_was_said(tmp_path: Path, lines: io.StringIO) -> None:
    with serve(Settings(), FakeStudio(tmp_path)) as server:
        server.post(f"{TTS}?token={SECRET}", {"text": SPOKEN}, headers={"X-Request-ID": "one", "x-api-key": SECRET})
        server.post(TTS, {"text": "fail"}, headers={"X-Request-ID": "two"})
        server.get("/a%0Ab")
    log = lines.getvalue()
    assert "[one] POST /api/v1/tts 200" in log
    assert "[two] GENERATION_ERROR: the engine failed" in log
    assert SPOKEN not in log
    assert SECRET not in log
    assert "GET /a?b 404" in log, "one request writes one line"

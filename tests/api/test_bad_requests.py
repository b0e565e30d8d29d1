"""Every wrong request is answered with its documented status and shape, and tells nothing about the machine."""

import json
import logging
from pathlib import Path

import pytest

from tests.api.bad_requests import BAD, Bad
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer

ENVELOPE = {"success", "error", "error_message", "error_code", "detail", "request_id", "timestamp"}


def test_the_table_is_long_enough() -> None:
    assert len(BAD) >= 60
    assert len({bad.why for bad in BAD}) == len(BAD)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.why)
def test_is_refused_as_documented(
    bad: Bad, server: LiveServer, studio: FakeStudio, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = server.ask(bad.method, bad.path, **bad.kwargs)
    body = answer.json()
    assert answer.status_code == bad.status, body
    if bad.path.startswith("/v1/"):
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert body["error"]["code"] == bad.code
        message = body["error"]["message"]
    else:
        assert set(body) == ENVELOPE
        assert body["error_code"] == bad.code
        assert body["request_id"] == answer.headers["X-Request-ID"]
        assert isinstance(body["detail"], list) == (answer.status_code == 422)
        message = body["error"]
    assert message
    for secret in (str(studio.library.outputs.root.parent), str(Path(__file__).parents[2]), "Traceback"):
        assert secret not in answer.text
    assert not caplog.records, "a wrong request is not the server's error"


@pytest.mark.parametrize("bad", [b for b in BAD if b.status == 422 and "json" in b.kwargs], ids=lambda bad: bad.why)
def test_a_422_has_an_entry_for_each_wrong_field(bad: Bad, server: LiveServer) -> None:
    """Older clients read detail[0].msg."""
    detail = server.ask(bad.method, bad.path, **bad.kwargs).json()["detail"]
    assert all({"type", "loc", "msg"} <= set(entry) <= {"type", "loc", "msg", "input"} for entry in detail)


def test_a_wrong_value_is_repeated_only_when_it_is_short(server: LiveServer) -> None:
    short = server.post("/api/v1/tts", {"text": "Hi.", "seed": "lucky"}).json()
    long = server.post("/api/v1/tts", {"text": "Hi.", "seed": "lucky" * 1000})
    assert short["detail"][0]["input"] == "lucky"
    assert len(long.text) < 1000


def test_a_bug_tells_only_the_log(server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    answer = server.post("/api/v1/tts", {"text": "boom"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.exc_info


def test_a_full_house_says_when_to_come_back(server: LiveServer) -> None:
    for path, body in (
        ("/api/v1/tts", {"text": "full"}),
        ("/v1/audio/speech", {"model": "m", "input": "full", "voice": ""}),
    ):
        answer = server.post(path, body)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_nothing_in_an_error_breaks_json(server: LiveServer) -> None:
    answer = server.ask(
        "POST", "/api/v1/tts", data='{"text": "\\ud800", "seed": 1e999}', headers={"Content-Type": "application/json"}
    )
    assert json.loads(answer.content)["error_code"] == "VALIDATION_ERROR"

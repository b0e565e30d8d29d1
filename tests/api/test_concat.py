"""POST /api/v1/concat, and the three ways of writing its body."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from chatterbox_plus.api.concat_body import parse
from chatterbox_plus.errors import InvalidOption
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer

CONCAT = "/api/v1/concat"
NUMBER, TWICE = ": a silence needs duration_ms, a number", " has one value in processing and another beside it"
RANGE = "Silence duration must be between 50ms and 10s:"
A, B = {"type": "server_file", "filename": "a.wav"}, {"type": "server_file", "source": "p/b.wav"}
SECOND = {"type": "silence", "duration_ms": 1000, "notation": "(1s)"}


def segments(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [segment.model_dump() for segment in parse(body)[0].segments]


@pytest.fixture
def stored(outputs: Path) -> None:
    (outputs / "p").mkdir(exist_ok=True)
    for name in ("a.wav", "p/b.wav"):
        (outputs / name).write_bytes(b"x")


FILE_A, FILE_B = {"type": "server_file", "filename": "a.wav"}, {"type": "server_file", "filename": "p/b.wav"}


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        ({"segments": [A, B]}, [FILE_A, FILE_B]),
        ({"files": ["a.wav", "p/b.wav"]}, [FILE_A, FILE_B]),
        ({"segments": ["a.wav", "p/b.wav"]}, [FILE_A, FILE_B]),
        ({"segments": [{"filename": "a.wav"}, {"source": "p/b.wav", "filename": "p/b.wav"}]}, [FILE_A, FILE_B]),
        ({"files": ["(1s)", "a.wav"]}, [SECOND, FILE_A]),
        ({"segments": ["a.wav"]}, [FILE_A]),
        ({"segments": [A, {"type": "silence", "source": "(1s)"}]}, [FILE_A, SECOND]),
        ({"segments": [A, {"type": "silence", "filename": " (1s) "}]}, [FILE_A, SECOND]),
        ({"segments": [A, {"type": "silence", "duration_ms": 1000}]}, [FILE_A, {**SECOND, "notation": "(1000ms)"}]),
        ({"segments": ["a.wav", "(0.5s)"]}, [FILE_A, {**SECOND, "duration_ms": 500, "notation": "(0.5s)"}]),
        ({"segments": ["a.wav", "(50ms)"]}, [FILE_A, {**SECOND, "duration_ms": 50, "notation": "(50ms)"}]),
        ({"segments": ["a.wav", "(10s)"]}, [FILE_A, {**SECOND, "duration_ms": 10_000, "notation": "(10s)"}]),
        ({"segments": ["(1s"]}, [{"type": "server_file", "filename": "(1s"}]),
        ({"segments": ["(take 1).wav"]}, [{"type": "server_file", "filename": "(take 1).wav"}]),
        ({"files": None, "segments": ["a.wav"]}, [FILE_A]),
    ],
)
def test_a_body_means(body: dict[str, Any], meaning: list[dict[str, Any]]) -> None:
    assert segments(body) == meaning


@pytest.mark.parametrize(
    "extra",
    [
        {"crossfade_ms": 100, "normalize_levels": False},
        {"processing": {"crossfade_ms": 100, "normalize_levels": False}},
        {"crossfade_ms": 100, "processing": {"normalize_levels": False, "crossfade_ms": 100}},
    ],
)
def test_options_may_be_flat_or_in_processing(extra: dict[str, Any]) -> None:
    options, mode = parse({"segments": ["a.wav"], **extra})
    assert (options.crossfade_ms, options.normalize_levels, mode) == (100, False, None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"files": ["a.wav", "(15s)"]}, f"{RANGE} (15s)"),
        ({"files": ["a.wav", "(49ms)"]}, f"{RANGE} (49ms)"),
        ({"files": ["a.wav", "(1 s)"]}, "Not a silence: (1 s). Write (1.5s) or (500ms)"),
        ({"segments": [A, {"type": "silence", "duration_ms": True}]}, f"segments.1{NUMBER}"),
        ({"segments": [A, {"type": "silence", "duration_ms": float("nan")}]}, f"{RANGE} (nanms)"),
        ({"segments": [[]] * 1001}, "segments must have at most 1000 items, not 1001"),
        ({"segments": [A, ["b.wav"]]}, "segments.1 must be a name or an object"),
        ({"segments": [A], "response_mode": 3}, "response_mode must be stream, url or live"),
        ({"segments": [A], "trim": True, "processing": {"trim": 1}}, f"trim{TWICE}"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_told_what_is_wrong(body: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(body)
    assert caught.value.message == message


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(RequestValidationError) as caught:
        parse({"segments": ["a.wav"], "crossfade_ms": 9000, "processing": {"pause_duration_ms": -1}})
    assert {error["loc"] for error in caught.value.errors()} == {
        ("body", "crossfade_ms"),
        ("body", "pause_duration_ms"),
    }


@pytest.mark.usefixtures("stored")
def test_the_first_format_is_streamed_whatever_else_is_made(server: LiveServer) -> None:
    """The guide saves the body of a request for wav and mp3 as .wav."""
    answer = server.post(CONCAT, {"segments": [A, B], "export_formats": ["wav", "mp3"]})
    assert (answer.content, answer.headers["Content-Type"]) == (b"joinedwav", "audio/wav")
    assert answer.headers["X-Alternative-Formats"].startswith("mp3:/outputs/")


@pytest.mark.usefixtures("stored")
def test_url_mode_names_the_files(server: LiveServer) -> None:
    body = server.post(CONCAT + "?response_mode=url", {"files": ["a.wav", "p/b.wav"], "output_filename": "mine"}).json()
    assert body["output_files"] == ["mine.wav"]
    assert body["files"][0]["url"] == "/outputs/mine.wav"
    assert body["file_count"] == 2
    assert body["total_duration_seconds"] == 3.0
    assert body["metadata"] == body["generation_info"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("query", "in_body", "kind"),
    [
        ("", "url", "application/json"),
        ("?response_mode=stream", "url", "audio/wav"),
        ("?response_mode=url", "stream", "application/json"),
        ("", None, "audio/wav"),
    ],
)
def test_the_mode_may_be_in_the_body_and_the_query_wins(
    query: str, in_body: str | None, kind: str, server: LiveServer
) -> None:
    answer = server.post(CONCAT + query, {"files": ["a.wav", "p/b.wav"], "response_mode": in_body})
    assert answer.headers["Content-Type"] == kind


@pytest.mark.usefixtures("stored")
def test_live_and_another_return_format(server: LiveServer) -> None:
    assert server.post(CONCAT + "?response_mode=live", {"segments": [A]}).content == b"joined live"
    assert server.post(CONCAT + "?return_format=mp3", {"segments": [A]}).content == b"joinedmp3"


@pytest.mark.usefixtures("stored")
def test_a_name_outside_latin_1_survives_the_headers(server: LiveServer) -> None:
    answer = server.post(CONCAT, {"segments": [A], "output_filename": 'přílohä "1"', "project": "проект"})
    assert answer.status_code == 200
    assert "filename*=UTF-8''p%C5%99%C3%ADloh%C3%A4%20" in answer.headers["Content-Disposition"]


@pytest.mark.usefixtures("stored")
def test_what_is_only_to_be_heard_is_not_stored(server: LiveServer, studio: FakeStudio) -> None:
    answer = server.post(CONCAT + "?keep=false&return_format=mp3", {"segments": [A]})
    assert (answer.content, answer.headers["Content-Type"]) == (b"joined live", "audio/mpeg")
    assert studio.calls[-1].more["keep"] is False
    assert server.post(CONCAT + "?response_mode=live", {"segments": [A]}).status_code == 200
    assert studio.calls[-1].more["keep"] is True


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("query", "in_body"), [("&response_mode=url", None), ("", "stream")])
def test_no_file_is_made_of_what_is_not_to_be_stored(query: str, in_body: str | None, server: LiveServer) -> None:
    answer = server.post(f"{CONCAT}?keep=false{query}", {"segments": [A], "response_mode": in_body})
    assert answer.status_code == 422
    assert "keep" in answer.json()["error"]

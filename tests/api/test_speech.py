"""POST /api/v1/tts: the three ways of answering, and what each says about the audio."""

from pathlib import Path

import pytest

from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer

TTS = "/api/v1/tts"


@pytest.mark.parametrize("mode", ["", "?response_mode=stream", "?response_mode=file", "?response_mode=DOWNLOAD"])
def test_stream_mode_sends_the_finished_file(mode: str, server: LiveServer, outputs: Path) -> None:
    answer = server.post(TTS + mode, {"text": "hello", "export_formats": ["mp3", "wav", "flac"]})
    assert (answer.status_code, answer.content) == (200, b"hellomp3")
    headers = answer.headers
    assert headers["Content-Type"] == "audio/mpeg"
    assert headers["Content-Length"] == "8"
    name = headers["Content-Disposition"].removeprefix('attachment; filename="').removesuffix('"')
    assert (outputs / name).is_file()
    assert headers["X-Generation-Seed"] == "42"
    assert headers["X-Processing-Time"] == "0.250"
    assert headers["X-Audio-Duration"] == "1.500"
    assert headers["X-Chatterbox-Model"] == "fake"
    assert headers["X-Request-ID"]
    others = dict(item.split(":") for item in headers["X-Alternative-Formats"].split("|"))
    assert list(others) == ["wav", "flac"]
    assert server.get(others["flac"]).content == b"helloflac"


def test_one_format_has_no_alternatives_and_no_complaints_no_notes(server: LiveServer) -> None:
    headers = server.post(TTS, {"text": "hello", "export_formats": ["WAV"]}).headers
    assert not {"X-Alternative-Formats", "X-Chatterbox-Notes"} & set(headers)


def test_a_body_that_is_no_json_is_told_so(server: LiveServer) -> None:
    answer = server.ask("POST", TTS, data='{"text": ', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (422, "The body is not valid JSON")


def test_another_return_format_is_made_too(server: LiveServer) -> None:
    answer = server.post(TTS + "?return_format=FLAC", {"text": "hello", "export_formats": ["wav"]})
    assert answer.content == b"helloflac"
    assert answer.headers["X-Alternative-Formats"].startswith("wav:/outputs/")


def test_url_mode_answers_links(server: LiveServer) -> None:
    body = server.post(TTS + "?response_mode=url", {"text": "hello", "project": "a b/ü", "seed": 7}).json()
    assert body["success"] is True
    assert body["generation_seed_used"] == 7
    assert body["processing_time_seconds"] == 0.25
    assert [file["format"] for file in body["output_files"]] == ["wav", "mp3"]
    first = body["output_files"][0]
    assert first["path"] == f"outputs/a b/ü/{first['filename']}"
    assert first["url"].isascii()
    assert server.get(first["url"]).content == b"hellowav"
    assert "words" not in body


def test_word_times_come_when_asked_for(server: LiveServer) -> None:
    body = server.post(TTS + "?response_mode=url", {"text": "hello there", "timestamps": True}).json()
    assert body["words"] == [{"text": "hello", "start_s": 0.0, "end_s": 0.5, "char_start": 0, "char_end": 5}]
    assert body["words_estimated"] is False


def test_an_unknown_field_is_ignored_and_remarked_on(server: LiveServer) -> None:
    odd = {"text": "hello", "colour\r\nX-Evil: 1": "red"}
    assert "colour" in server.post(TTS, odd).headers["X-Chatterbox-Notes"]
    assert "X-Evil" not in server.post(TTS, odd).headers
    assert len(server.post(TTS + "?response_mode=url", odd).json()["notes"]) == 1


def test_live_mode_sends_the_first_format_in_chunks(server: LiveServer, studio: FakeStudio) -> None:
    answer = server.post(TTS + "?response_mode=live", {"text": "hello", "export_formats": ["flac", "wav"]})
    assert answer.content == b"hello"
    assert answer.headers["Content-Type"] == "audio/flac"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    assert answer.headers["X-Generation-Seed"] == "42"
    notes = answer.headers["X-Chatterbox-Notes"]
    assert notes.isascii()
    assert "live mode makes only flac" in notes
    assert studio.calls[-1].more == {"format": None, "keep": True, "speed": None, "any_model": False}


def test_what_fails_before_the_first_byte_is_an_error_reply(server: LiveServer) -> None:
    answer = server.post(TTS + "?response_mode=live", {"text": "fail"})
    assert (answer.status_code, answer.json()["error_code"]) == (500, "GENERATION_ERROR")

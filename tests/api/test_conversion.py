"""POST /api/v1/vc: as JSON about stored files, and as a form that brings its own."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer

VC = "/api/v1/vc"
BIG = b"RIFF" + bytes(3 * 2**20)  # more than a form keeps in memory


@pytest.fixture
def stored(studio: FakeStudio) -> str:
    (studio.library.inputs.root / "in.wav").write_bytes(b"stored")
    return "in.wav"


def test_json_names_stored_files(stored: str, server: LiveServer, studio: FakeStudio) -> None:
    body = {"input_audio_source": stored, "target_voice_source": "speaker1.wav", "chunk_sec": 30, "project": "p"}
    answer = server.post(VC + "?response_mode=url", body).json()
    assert answer["message"] == "Voice conversion completed successfully"
    assert [file["format"] for file in answer["output_files"]] == ["wav", "mp3"]
    assert answer["output_files"][0]["url"].startswith("/outputs/p/")
    assert studio.calls[-1].options.chunk_sec == 30


def test_the_guides_upload(server: LiveServer, studio: FakeStudio) -> None:
    answer = server.post(
        VC,
        files={"input_audio": ("my input.WAV", BIG)},
        data={"target_voice_source": "speaker1.wav", "chunk_sec": 30, "overlap_sec": 0.1},
    )
    assert (answer.status_code, answer.content) == (200, b"convertedwav")
    call = studio.calls[-1]
    assert call.more == {"source": BIG, "source_name": "my input.WAV"}
    assert (call.options.chunk_sec, call.options.overlap_sec) == (30, 0.1)


@pytest.mark.parametrize(
    "sent",
    [["flac,mp3"], [" FLAC , mp3,"], ['["flac", "mp3"]'], ["flac", "mp3"], ["flac", '["mp3"]']],
)
def test_formats_in_a_form_may_be_written_in_any_way(sent: list[str], server: LiveServer, studio: FakeStudio) -> None:
    fields: list[tuple[str, Any]] = [("export_formats", item) for item in sent]
    answer = server.post(
        VC, files={"input_audio": ("a.wav", b"x")}, data=[("target_voice_source", "speaker1.wav"), *fields]
    )
    assert answer.content == b"convertedflac"
    assert studio.calls[-1].options.export_formats == ("flac", "mp3")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("true", True), ("1", True), ("YES", True), ("on", True), ("off", False), ("0", False), ("no", False)],
)
def test_switches_in_a_form(word: str, meaning: bool, server: LiveServer, studio: FakeStudio) -> None:
    fields = {"target_voice_source": "speaker1.wav", "disable_watermark": word}
    assert server.post(VC, files={"input_audio": ("a.wav", b"x")}, data=fields).status_code == 200
    assert studio.calls[-1].options.disable_watermark is meaning


def test_the_voice_can_be_sent_along(stored: str, server: LiveServer, studio: FakeStudio) -> None:
    answer = server.post(VC, files={"target_voice": ("../me.mp3", b"voice")}, data={"input_audio_source": stored})
    assert answer.status_code == 200
    call = studio.calls[-1]
    assert call.more == {"target": b"voice"}
    assert (call.options.target_voice_source, call.options.input_audio_source) == ("me.mp3", stored)


def test_live_conversion_reads_the_upload_and_leaves_nothing(server: LiveServer, studio: FakeStudio) -> None:
    while studio.closed.acquire(blocking=False):
        pass
    fields = {"target_voice_source": "speaker1.wav", "export_formats": "mp3"}
    answer = server.post(VC + "?response_mode=live", files={"input_audio": ("a.wav", BIG)}, data=fields)
    assert (answer.content, answer.headers["Content-Type"]) == (b"converted live", "audio/mpeg")
    assert studio.calls[-1].more["source"] == BIG
    assert studio.closed.acquire(timeout=5)
    assert not list((studio.library.outputs.root.parent / "temp").iterdir())


def test_uploads_are_gone_after_the_request(server: LiveServer, studio: FakeStudio) -> None:
    temp: Path = studio.library.outputs.root.parent / "temp"
    for voice in ("speaker1.wav", "nobody.wav"):  # whether it works or not
        server.post(VC, files={"input_audio": ("a.wav", BIG)}, data={"target_voice_source": voice})
        assert not list(temp.iterdir())

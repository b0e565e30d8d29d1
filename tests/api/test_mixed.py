"""POST /api/v1/concat/mixed: every rule of the form, in the words of the contract."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.settings import Api, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

MIXED = "/api/v1/concat/mixed"
STORED, SILENCE = {"type": "server_file", "source": "intro.wav"}, {"type": "silence", "source": "(1s)"}
FIRST, SECOND = {"type": "upload", "index": 0}, {"type": "upload", "index": 1}
WAV = ("a.wav", b"sound a", "audio/wav")
MB = 2**20


def send(
    server: LiveServer, body: Any, files: list[tuple[str, ...] | Any] | None = None, query: str = "", **more: Any
) -> requests.Response:
    text = body if isinstance(body, str) else json.dumps(body)
    parts = [("uploaded_files", file) for file in files or []] or [("unused", ("", b""))]
    return server.post(MIXED + query, data={"request_json": text}, files=parts, **more)


def refused(answer: requests.Response, status: int) -> str:
    body = answer.json()
    assert (answer.status_code, body["success"]) == (status, False)
    return str(body["error"])


def test_files_and_uploads_are_joined_in_order(server: LiveServer, studio: FakeStudio) -> None:
    """The uploads are those that the indices mean, whatever the order of the segments."""
    files = [WAV, ("b.mp3", b"sound b", "audio/mpeg")]
    answer = send(server, {"segments": [SECOND, STORED, SILENCE, FIRST], "export_formats": ["wav", "mp3"]}, files)
    assert (answer.status_code, answer.content) == (200, b"joinedwav")
    assert answer.headers["X-Alternative-Formats"].startswith("mp3:/outputs/")
    call = studio.calls[-1]
    assert call.more["uploads"] == [("a.wav", b"sound a"), ("b.mp3", b"sound b")]
    assert [segment.type for segment in call.options.segments] == ["upload", "server_file", "silence", "upload"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "Invalid JSON in request: it cannot be read at character 1"),
        ("[" * 100_000, "Invalid JSON in request: it is nested too deeply"),
        ("9" * 5000, "Invalid JSON in request: it cannot be read"),
        ([1], "Invalid request format: send a JSON object"),
        ({}, "Invalid request format: segments is missing"),
        ({"segments": "a.wav"}, "Invalid request format: segments must be a list"),
        ({"segments": []}, "Invalid request format: At least one audio file is needed"),
        ({"segments": [SILENCE]}, "Invalid request format: At least one audio file is needed"),
        ({"segments": [STORED, {"type": "music"}]},
         "Invalid request format: segments.1: type must be server_file, upload or silence"),
        ({"segments": [{"type": "server_file"}]},
         "Invalid request format: segments.0: a server_file needs its filename"),
        ({"segments": [STORED, {"type": "upload"}]}, "Upload segments must specify index field"),
        ({"segments": [STORED, {"type": "upload", "index": None}]}, "Upload segments must specify index field"),
        ({"segments": [STORED, {"type": "silence", "source": "(15s)"}]},
         "Invalid request format: Silence duration must be between 50ms and 10s: (15s)"),
        ({"segments": [STORED], "crossfade_ms": 9000},
         "Invalid request format: crossfade_ms: Input should be less than or equal to 5000"),
        ({"segments": [STORED], "export_formats": []},
         "Invalid request format: export_formats: at least one format is needed"),
        ({"segments": [STORED], "output_filename": "\0"},
         "Invalid request format: A name cannot hold a NUL character."),
    ],
)  # fmt: skip
def test_whatever_is_wrong_in_the_json_is_400(body: Any, message: str, server: LiveServer) -> None:
    assert refused(send(server, body), 400) == message


@pytest.mark.parametrize("index", [-1, 1.5, True, "0", [], 10**30])
def test_an_index_is_a_whole_number(index: Any, server: LiveServer) -> None:
    answer = send(server, {"segments": [{"type": "upload", "index": index}]}, [WAV])
    assert "index must be a whole number" in refused(answer, 400)


@pytest.mark.parametrize(
    ("segments", "files", "message"),
    [
        ([FIRST, SECOND], 1, "Expected 2 uploaded files, got 1"),
        ([FIRST], 2, "Expected 1 uploaded files, got 2"),
        ([STORED], 1, "Expected 0 uploaded files, got 1"),
        ([FIRST], 0, "Expected 1 uploaded files, got 0"),
        ([FIRST, {"type": "upload", "index": 2}], 3, "Upload indices must run from 0 without holes: 1 is missing"),
        ([SECOND], 1, "Upload indices must run from 0 without holes: 0 is missing"),
    ],
)
def test_indices_and_files_must_agree(segments: list[Any], files: int, message: str, server: LiveServer) -> None:
    assert refused(send(server, {"segments": segments}, [WAV] * files), 400) == message


def test_one_upload_may_be_used_twice(server: LiveServer) -> None:
    assert send(server, {"segments": [FIRST, SILENCE, FIRST]}, [WAV]).status_code == 200


@pytest.mark.parametrize("mode", ["stream", "url", "live"])
def test_a_stored_file_that_is_missing_is_404(mode: str, server: LiveServer) -> None:
    answer = send(server, {"segments": [{"type": "server_file", "source": "x.wav"}]}, query=f"?response_mode={mode}")
    assert refused(answer, 404) == "Server file not found: x.wav"


def test_no_name_leads_elsewhere(server: LiveServer) -> None:
    for name in ("../reference_audio/a.wav", "/etc/passwd", "C:\\a.wav"):
        refused(send(server, {"segments": [{"type": "server_file", "source": name}]}), 403)
        refused(send(server, {"segments": [STORED], "output_filename": name}), 403)


@pytest.mark.parametrize(
    ("file", "status"),
    [
        (("a.flac", b"x", "application/octet-stream"), 200),
        (("recording", b"x", "audio/x-whatever; rate=8000"), 200),
        (("a.webm", b"x", "video/webm"), 200),
        (("a.txt", b"x", "text/plain"), 400),
        (("recording", b"x", "application/octet-stream"), 400),
        (("a.wav", b"", "audio/wav"), 400),
    ],
)
def test_a_file_is_audio_by_its_type_or_its_name(file: tuple[str, bytes, str], status: int, server: LiveServer) -> None:
    assert send(server, {"segments": [FIRST]}, [file]).status_code == status


@pytest.mark.parametrize("form", [{"data": {"other": "1"}}, {"files": {"uploaded_files": WAV}}, {"json": {}}, {}])
def test_without_request_json_it_is_422(form: dict[str, Any], server: LiveServer) -> None:
    answer = server.post(MIXED, **form)
    assert refused(answer, 422) == "request_json: Field required"
    assert answer.json()["detail"][0]["loc"] == ["body", "request_json"]


def test_a_form_without_files_may_be_urlencoded(server: LiveServer) -> None:
    answer = server.post(MIXED, data={"request_json": json.dumps({"segments": [STORED, "intro.wav"]})})
    assert (answer.status_code, answer.content) == (200, b"joinedwav")
    many = server.post(MIXED, data=[("request_json", "{}")] * 500)
    assert refused(many, 400) == "The form has more than 400 fields"


def test_text_is_no_file(server: LiveServer) -> None:
    body = {"request_json": json.dumps({"segments": [FIRST]}), "uploaded_files": "sound"}
    assert refused(server.post(MIXED, data=body), 400) == "uploaded_files must be a file"


@pytest.mark.parametrize(
    ("query", "in_body", "kind"),
    [
        ("", None, "audio/wav"),
        ("?response_mode=url", None, "application/json"),
        ("?response_mode=url", "stream", "application/json"),
        ("?response_mode=live", None, "audio/wav"),
        ("?return_format=mp3", None, "audio/mpeg"),
        ("?response_mode=live&return_format=flac", None, "audio/flac"),
    ],
)
def test_all_modes_and_formats(query: str, in_body: str | None, kind: str, server: LiveServer) -> None:
    body = {"segments": [STORED, FIRST]} | ({"response_mode": in_body} if in_body else {})
    answer = send(server, body, [WAV], query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)


@pytest.mark.parametrize("query", ["?response_mode=loud", "?return_format=ogg"])
def test_other_modes_and_formats_are_422(query: str, server: LiveServer) -> None:
    refused(send(server, {"segments": [STORED]}, query=query), 422)


def test_options_may_be_flat_or_in_processing(server: LiveServer, studio: FakeStudio) -> None:
    send(server, {"segments": [STORED, FIRST], "crossfade_ms": 40, "processing": {"trim": True}}, [WAV])
    options = studio.calls[-1].options
    assert (options.crossfade_ms, options.trim) == (40, True)


def test_a_silence_switches_natural_pauses_off(server: LiveServer, studio: FakeStudio) -> None:
    pauses = {"pause_duration_ms": 600, "pause_variation_ms": 100}
    answer = send(server, {"segments": [STORED, SILENCE, FIRST, STORED], **pauses}, [WAV], "?response_mode=url").json()
    assert studio.calls[-1].options.pause_duration_ms == 0
    note = "pause_duration_ms had no effect: a silence segment switches natural pauses off"
    assert note in answer["notes"]
    assert answer["metadata"]["generation_info"]["manual_silence_mode"] is True
    live = send(server, {"segments": [STORED, SILENCE], **pauses}, query="?response_mode=live")
    assert note in live.headers["X-Chatterbox-Notes"]
    send(server, {"segments": [STORED, FIRST], **pauses}, [WAV])
    assert studio.calls[-1].options.pause_duration_ms == 600


def test_a_name_gets_the_time(server: LiveServer) -> None:
    body = {"segments": [STORED], "output_filename": "my final.v2.wav"}
    (name,) = send(server, body, query="?response_mode=url").json()["output_files"]
    stem, _, time_ms = name.removesuffix(".wav").rpartition("_")
    assert stem == "my final.v2"
    assert len(time_ms) == 13
    assert time_ms.isdecimal()


def test_url_mode_tells_what_was_done(server: LiveServer) -> None:
    answer = send(server, {"segments": [FIRST, SILENCE, STORED]}, [WAV], "?response_mode=url").json()
    assert answer["message"] == "Audio concatenation completed successfully"
    assert answer["output_files"] == [answer["files"][0]["filename"]]
    assert isinstance(answer["processing_time_seconds"], float)
    metadata = answer["metadata"]
    assert (metadata["type"], metadata["status"]) == ("concat", "success")
    named = [(item["segment_index"], item["type"]) for item in metadata["processing_metadata"]]
    assert named == [(0, "upload"), (1, "silence"), (2, "server_file")]
    assert metadata["processing_metadata"][0]["index"] == 0
    assert metadata["processing_metadata"][1] == {
        "segment_index": 1, "type": "silence", "source": "(1s)", "duration_ms": 1000,
    }  # fmt: skip
    assert metadata["processing_metadata"][2]["source"] == "intro.wav"
    info = metadata["generation_info"]
    assert info == {
        "audio_segment_count": 2, "silence_segment_count": 1, "upload_count": 1, "crossfade_applied": False,
        "normalization_applied": True, "trim_applied": False, "manual_silence_mode": True, "natural_pauses_added": 0,
        "files_trimmed": 0, "total_silence_removed_ms": 0,
    }  # fmt: skip
    assert info.items() <= answer["generation_info"].items()


def test_nothing_of_an_upload_stays(server: LiveServer, studio: FakeStudio) -> None:
    for query in ("?response_mode=url", "?response_mode=live", "?response_mode=stream"):
        send(server, {"segments": [FIRST]}, [WAV], query)
    refused(send(server, {"segments": [FIRST]}, [WAV, WAV]), 400)
    temp = studio.library.outputs.root.parent / "temp"
    assert not [path for path in temp.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def strict(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(Settings(api=Api(max_upload_mb=1, max_request_mb=3)), studio) as running:
        yield running


def test_every_file_has_its_limit_and_the_request_has_one(strict: LiveServer) -> None:
    whole = ("a.wav", bytes(MB), "audio/wav")
    assert send(strict, {"segments": [FIRST, SECOND]}, [whole, whole]).status_code == 200
    answer = send(strict, {"segments": [FIRST, SECOND]}, [WAV, ("b.wav", bytes(MB + 1), "audio/wav")])
    assert refused(answer, 413) == "uploaded_files is larger than 1 MB, the most a file may have"
    four = [{"type": "upload", "index": index} for index in range(4)]
    answer = send(strict, {"segments": four}, [whole] * 4 + [WAV])
    assert "The request is larger than 3 MB" in refused(answer, 413)


def test_what_is_sent_can_be_heard_without_being_stored(server: LiveServer, studio: FakeStudio) -> None:
    answer = send(server, {"segments": [STORED, FIRST]}, [WAV], query="?keep=false")
    assert answer.content == b"joined live"
    assert studio.calls[-1].more["keep"] is False
    assert send(server, {"segments": [STORED]}, query="?keep=false&response_mode=url").status_code == 422

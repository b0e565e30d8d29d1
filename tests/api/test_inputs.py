"""Conversion inputs over HTTP, row by row of the contract's section 10."""

from typing import Any

import pytest
import requests

from chatterbox_plus.library.store import Store
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer
from tests.api.shelf import RATE, clear, files, lay, tone

INPUT, INPUTS = "/api/v1/vc_input", "/api/v1/vc_inputs"
OLD, NEW = {"created_date": "2025-06-01T00:00:00Z"}, {"created_date": "2025-06-02T00:00:00Z"}


@pytest.fixture(autouse=True)
def inputs(studio: FakeStudio) -> Store:
    clear(studio.library.inputs)
    return studio.library.inputs


def send(server: LiveServer, called: str = "i.wav", content: bytes | None = None, **fields: Any) -> requests.Response:
    sent = {"vc_input_file": (called, tone() if content is None else content)}
    return server.post(INPUT, files=sent, data=fields)


def listed(server: LiveServer, query: str = "") -> list[str]:
    return [file["path"] for file in server.get(f"{INPUTS}?{query}").json()["files"]]


def test_an_upload_is_an_input_that_a_request_can_name(server, inputs):
    body = send(server, text="What is said", project="team/x").json()
    assert (body["success"], body["message"]) == (True, "VC input 'i.wav' uploaded successfully")
    assert body["filename"] == "i.wav"
    told = body["metadata"]
    assert (told["path"], told["filename"], told["folder_path"]) == ("team/x/i.wav", "i.wav", "team/x")
    assert (told["text"], told["format"], told["sample_rate"]) == ("What is said", "wav", RATE)
    assert (told["duration_seconds"], told["file_size_bytes"]) == (0.5, len(tone()))
    assert told["created_date"] == told["upload_date"]
    assert server.get(INPUTS).json()["files"] == [told]
    details = server.get(f"{INPUTS}/team%2Fx%2Fi.wav").json()
    assert (details["metadata"], details["path"]) == (told, "team/x/i.wav")
    assert files(inputs) == ["team/x/i.wav", "team/x/i.wav.json"]


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"called": "a.txt"}, 400, "UNSUPPORTED_FORMAT"),
        ({"content": b""}, 400, "INVALID_AUDIO"),
        ({"content": b"garbage" * 100}, 400, "INVALID_AUDIO"),
        ({"folder_path": "../x"}, 403, "PERMISSION_DENIED"),
        ({"overwrite": "x"}, 422, "VALIDATION_ERROR"),
        ({"text": "x" * 20_001}, 422, "VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_an_input_is_refused_and_leaves_nothing(server, studio, inputs, sent, status, code):
    answer = send(server, **sent)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert files(inputs) == []
    assert not list(studio.library.temp.iterdir())


def test_a_short_sound_is_an_input_though_no_voice(server):
    assert send(server, content=tone(0.1)).status_code == 200


def test_a_taken_name_is_409_unless_it_is_to_be_overwritten(server, inputs):
    first = send(server, text="one").json()["metadata"]
    assert send(server).status_code == 409
    again = send(server, content=tone(1.0), overwrite="true").json()["metadata"]
    assert (again["text"], again["duration_seconds"], again["created_date"]) == (None, 1.0, first["created_date"])
    assert again["upload_date"] > first["upload_date"]
    assert files(inputs) == ["i.wav", "i.wav.json"]


LISTS = [
    ("", ["p/b.wav", "p1/c.wav", "a.wav"]),
    ("search=ONCE", ["a.wav"]),
    ("search=p1", ["p1/c.wav"]),
    ("search=b.wav", ["p/b.wav"]),
    ("folder=p", ["p/b.wav"]),
    ("project=p1", ["p1/c.wav"]),
    ("filenames=a.wav,c.wav", ["p1/c.wav", "a.wav"]),
    ("sort_order=asc", ["a.wav", "p/b.wav", "p1/c.wav"]),
    ("sort_by=filename&sort_order=asc", ["a.wav", "p/b.wav", "p1/c.wav"]),
    ("sort_by=file_size", ["p1/c.wav", "p/b.wav", "a.wav"]),
    ("sort_by=duration&sort_order=asc", ["a.wav", "p/b.wav", "p1/c.wav"]),
]


def fill(inputs: Store) -> None:
    lay(inputs, "a.wav", tone(0.1), text="Once upon a time", **OLD)
    lay(inputs, "p/b.wav", tone(0.2), **NEW)
    lay(inputs, "p1/c.wav", tone(0.3), **NEW)


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_filters_and_orders(server, inputs, query, expected):
    fill(inputs)
    assert listed(server, query) == expected


def test_a_list_has_both_shapes(server, inputs):
    fill(inputs)
    body = server.get(f"{INPUTS}?page_size=2").json()
    assert (body["count"], body["total_files"], body["total_pages"], body["has_next"]) == (2, 3, 2, True)
    assert body["pagination"]["total_files"] == 3
    assert body["files"][0].keys() >= {
        "filename", "created_date", "file_size_bytes", "duration_seconds", "format", "text", "folder_path",
    }  # fmt: skip


def test_folders(server, inputs):
    fill(inputs)
    body = server.get(f"{INPUTS}/folders").json()
    assert [(folder["path"], folder["file_count"]) for folder in body["folders"]] == [("root", 1), ("p", 1), ("p1", 1)]
    assert (body["total_files"], body["total_voices"], body["total_folders"]) == (3, 3, 3)


def test_one_is_deleted(server, inputs):
    fill(inputs)
    assert server.ask("DELETE", f"{INPUT}/p/b.wav").status_code == 400
    body = server.ask("DELETE", f"{INPUT}/p%2Fb.wav?confirm=1").json()
    assert (body["deleted_files"], body["deleted_count"]) == (["p/b.wav", "p/b.wav.json"], 1)
    assert body["message"] == "VC input 'b.wav' deleted successfully"
    assert server.ask("DELETE", f"{INPUT}/p/b.wav?confirm=1").status_code == 404
    assert (inputs.root / "p").is_dir(), "a single delete leaves folders alone"


@pytest.mark.parametrize(("query", "expected"), [case for case in LISTS if "sort" not in case[0]])
def test_a_bulk_delete_takes_what_the_list_shows_and_empty_folders(server, inputs, query, expected):
    fill(inputs)
    body = server.ask("DELETE", f"{INPUTS}?confirm=true&{query or 'all=true'}").json()
    assert sorted(path for path in body["deleted_files"] if path.endswith(".wav")) == sorted(expected)
    gone = {path.rpartition("/")[0] for path in expected} - {""}
    assert body["deleted_folders"] == sorted(gone)
    assert (f"cleaned up {len(gone)} empty folder(s)" in body["message"]) == bool(gone)
    assert {path.name for path in inputs.root.iterdir() if path.is_dir()} == {"p", "p1"} - gone


def test_a_namesake_in_another_folder_is_not_touched(server, inputs):
    """Bug of the original: deleting the folder client_work removed the root's i1.wav and kept the target."""
    lay(inputs, "i1.wav")
    lay(inputs, "client_work/i1.wav")
    server.ask("DELETE", f"{INPUTS}?confirm=true&folder=client_work")
    assert files(inputs) == ["i1.wav"]


def test_a_bulk_delete_without_filter_is_refused(server, inputs):
    fill(inputs)
    for query in ("confirm=true", "", "all=true"):
        assert server.ask("DELETE", f"{INPUTS}?{query}").status_code == 400
    assert len(listed(server)) == 3

"""Outputs listed, described and deleted over HTTP, row by row of the contract's section 11."""

import io
import json
import sys
import zipfile
from typing import Any

import pytest
import requests

from chatterbox_plus.library.store import Store
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer
from tests.api.shelf import clear, files, lay

OUTPUT, OUTPUTS = "/api/v1/output", "/api/v1/outputs"
SAID = {"text": "Hello.", "temperature": 0.75}


@pytest.fixture(autouse=True)
def outputs(studio: FakeStudio) -> Store:
    store = studio.library.outputs
    clear(store)
    generation(store, "tts_1", "book/ch1", ("wav", "mp3"), "tts", "2025-06-22T10:00:00Z", parameters=SAID)
    generation(store, "vc_1", "book", ("wav",), "vc", "2025-06-23T10:00:00Z", source_files=["in.wav"])
    generation(store, "final", "", ("flac",), "concat", "2025-06-24T10:00:00Z")
    lay(store, "book2/loose.wav", b"x" * 10)
    return store


def generation(
    store: Store, stem: str, folder: str, formats: tuple[str, ...], kind: str, when: str, **more: Any
) -> None:
    """What the server leaves of a generation."""
    for n, format in enumerate(formats):
        lay(store, f"{folder}/{stem}.{format}".lstrip("/"), b"x" * (100 + n))
    named = {format: f"{stem}.{format}" for format in formats}
    info = {"duration_seconds": 2.5, "processing_time_seconds": 0.5}
    sidecar = {"type": kind, "parameters": {}, "generation_info": info, "files": named, "timestamp": when, **more}
    (store.root / folder / f"{stem}.json").write_text(json.dumps(sidecar))


def listed(server: LiveServer, query: str = "") -> list[str]:
    return [file["path"] for file in server.get(f"{OUTPUTS}?{query}").json()["files"]]


ALL = ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav", "book/vc_1.wav", "book2/loose.wav", "final.flac"]


def test_an_item_says_how_it_was_made_and_in_which_formats(server):
    body = server.get(f"{OUTPUTS}?filenames=tts_1.wav").json()
    formats = [
        {"format": "mp3", "filename": "tts_1.mp3", "url": "/outputs/book/ch1/tts_1.mp3", "file_size_bytes": 101},
        {"format": "wav", "filename": "tts_1.wav", "url": "/outputs/book/ch1/tts_1.wav", "file_size_bytes": 100},
    ]
    assert body["files"] == [
        {
            "filename": "tts_1.wav", "path": "book/ch1/tts_1.wav", "url": "/outputs/book/ch1/tts_1.wav",
            "generation_type": "tts", "folder_path": "book/ch1", "file_size_bytes": 100, "duration_seconds": 2.5,
            "format": "wav", "created_date": "2025-06-22T10:00:00.000000Z", "parameters": SAID, "source_files": [],
            "formats": formats, "metadata": {"processing_time_seconds": 0.5, "parameters": SAID},
        }
    ]  # fmt: skip
    assert server.get(body["files"][0]["url"]).content == b"x" * 100


LISTS = [
    ("", ["book2/loose.wav", "final.flac", "book/vc_1.wav", "book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("generation_type=tts", ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("generation_type=concat", ["final.flac"]),
    ("search=CH1", ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("search=hello", []),
    ("folder=book", ["book/vc_1.wav", "book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("project=book/ch1&generation_type=vc", []),
    ("filenames=vc_1.wav,none.wav", ["book/vc_1.wav"]),
    ("date_from=2025-06-23&date_to=2025-06-23", ["book/vc_1.wav"]),
    ("date_to=2025-06-22T10:00:00Z", ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("date_to=2025-06-22T12:00:00%2B02:00", ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]),
    ("date_to=2025-06-22T11:59:59+02:00", []),
    ("sort_by=filename&sort_order=asc", ["final.flac", "book2/loose.wav", *ALL[:3]]),
    ("sort_by=file_size", [*ALL[:3], "final.flac", "book2/loose.wav"]),
    ("sort_by=generation_type&sort_order=asc&limit=1", ["final.flac"]),
    ("limit=2&page=2", ["book/vc_1.wav", "book/ch1/tts_1.mp3"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_filters_and_orders(server, query, expected):
    assert listed(server, query) == expected


@pytest.mark.parametrize(
    "query",
    ["generation_type=mixed", "date_from=yesterday", "date_to=2025-06-31", "limit=0", "limit=101", "sort_by=name"],
)
def test_a_wrong_query_is_422(server, query):
    assert server.get(f"{OUTPUTS}?{query}").status_code == 422


def test_the_summary_is_of_all_pages(server):
    body = server.get(f"{OUTPUTS}?folder=book&page_size=1").json()
    assert body["summary"] == {"total_files": 3, "total_size_bytes": 301, "generation_types": {"tts": 2, "vc": 1}}
    assert (body["count"], body["total_files"], body["pagination"]["total_pages"]) == (1, 3, 3)


def test_folders(server):
    body = server.get(f"{OUTPUTS}/folders").json()
    assert [(folder["path"], folder["file_count"], folder["subfolders"]) for folder in body["folders"]] == [
        ("root", 1, ["book", "book2"]),
        ("book", 1, ["book/ch1"]),
        ("book/ch1", 2, []),
        ("book2", 1, []),
    ]


@pytest.mark.parametrize("path", ["book/ch1/tts_1.mp3", "book%2Fch1%2Ftts_1.mp3", "tts_1.mp3"])
def test_the_sidecar_has_its_own_route(server, path):
    body = server.get(f"{OUTPUTS}/{path}/metadata").json()
    assert body["metadata"]["timestamp"] == "2025-06-22T10:00:00Z"
    assert (body["parameters"], body["generation_info"]["duration_seconds"]) == (SAID, 2.5)
    assert (body["type"], body["filename"], body["success"]) == ("tts", "tts_1.mp3", True)
    assert server.get(f"{OUTPUTS}/book2/loose.wav/metadata").json()["metadata"] == {}
    assert server.get(f"{OUTPUTS}/none.wav/metadata").status_code == 404
    assert server.get("/outputs/book/ch1/tts_1.json").status_code == 404


def test_a_sidecar_that_json_cannot_say_again_is_told_all_the_same(server, outputs):
    lay(outputs, "odd.wav")
    (outputs.root / "odd.json").write_text('{"parameters": {"a": 1e999, "b": NaN, "c": "\\ud800"}, "type": []}')
    assert server.get(f"{OUTPUTS}?filenames=odd.wav").json()["files"][0]["parameters"] == {
        "a": None,
        "b": None,
        "c": "?",
    }
    assert server.get(f"{OUTPUTS}/odd.wav/metadata").status_code == 200


def test_the_sidecar_goes_with_the_last_format(server, outputs):
    first = server.ask("DELETE", f"{OUTPUT}/book/ch1/tts_1.wav?confirm=true").json()
    assert (first["deleted_files"], first["deleted_count"]) == (["book/ch1/tts_1.wav"], 1)
    assert server.get(f"{OUTPUTS}/tts_1.mp3/metadata").json()["parameters"] == SAID
    last = server.ask("DELETE", f"{OUTPUT}/book/ch1/tts_1.mp3?confirm=true").json()
    assert last["deleted_files"] == ["book/ch1/tts_1.mp3", "book/ch1/tts_1.json"]


def test_all_formats_go_at_once_if_asked_for(server, outputs):
    answer = server.ask("DELETE", f"{OUTPUT}/tts_1.mp3?confirm=true&all_formats=true").json()
    assert sorted(answer["deleted_files"]) == ["book/ch1/tts_1.json", *ALL[:2]]
    assert answer["deleted_count"] == 2
    assert server.ask("DELETE", f"{OUTPUT}/tts_1.mp3").status_code == 400
    assert server.ask("DELETE", f"{OUTPUT}/tts_1.mp3?confirm=true").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["all=true", "generation_type=tts", "search=CH1", "folder=book", "project=book/ch1&generation_type=vc",
     "filenames=vc_1.wav,none.wav"],
)  # fmt: skip
def test_a_bulk_delete_takes_what_the_list_shows_and_empty_folders(server, outputs, query):
    shown, before = listed(server, query.replace("all=true", "")), set(ALL)
    body = server.ask("DELETE", f"{OUTPUTS}?confirm=true&{query}").json()
    assert {path for path in body["deleted_files"] if not path.endswith(".json")} == set(shown)
    assert body["deleted_count"] == len(shown)
    assert set(listed(server)) == before - set(shown)
    left = [path.relative_to(outputs.root).as_posix() for path in outputs.root.rglob("*") if path.is_dir()]
    assert all(any(file.startswith(f"{folder}/") for file in files(outputs)) for folder in left)
    assert body["deleted_folders"] == sorted({"book", "book/ch1", "book2"} - set(left))


def test_a_bulk_delete_without_filter_or_confirm_is_refused(server, outputs):
    before = files(outputs)
    for query in ("", "confirm=true", "all=true", "folder=book", "confirm=true&folder=/"):
        answer = server.ask("DELETE", f"{OUTPUTS}?{query}")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    assert files(outputs) == before


def test_what_the_server_makes_is_listed_as_it_was_made(server, outputs):
    made = server.post("/api/v1/tts?response_mode=url", {"text": "hi", "project": "ünï 日本"}).json()["output_files"]
    found = server.get(f"{OUTPUTS}?folder={requests.utils.quote('ünï 日本')}").json()["files"]
    assert {file["url"] for file in made} == {file["url"] for file in found}
    assert all(server.get(file["url"]).status_code == 200 for file in found)


def test_a_text_that_was_spoken_is_found_by_q_and_never_deleted_by_it(server: LiveServer) -> None:
    assert listed(server, "q=hELLO&sort_by=filename&sort_order=asc") == ["book/ch1/tts_1.mp3", "book/ch1/tts_1.wav"]
    assert listed(server, "q=final") == ["final.flac"]
    assert listed(server, "search=hello") == []
    assert server.ask("DELETE", f"{OUTPUTS}?q=hello&confirm=true").status_code == 422
    assert len(listed(server)) == len(ALL)


def zipped(server: LiveServer, query: str) -> dict[str, int]:
    """What is in the archive: path -> bytes."""
    answer = server.get(f"{OUTPUTS}/zip?{query}")
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {one.filename: one.file_size for one in archive.infolist()}


@pytest.mark.parametrize(
    ("query", "inside"),
    [
        ("folder=book", {"book/ch1/tts_1.mp3": 101, "book/ch1/tts_1.wav": 100, "book/vc_1.wav": 100}),
        ("filenames=final.flac&filenames=book2/loose.wav", {"final.flac": 100, "book2/loose.wav": 10}),
        ("q=hello&date_to=2025-06-22", {"book/ch1/tts_1.mp3": 101, "book/ch1/tts_1.wav": 100}),
    ],
)
def test_what_a_list_shows_comes_as_one_archive(query: str, inside: dict[str, int], server: LiveServer) -> None:
    assert zipped(server, query) == inside


def test_an_archive_of_nothing_is_a_404(server: LiveServer) -> None:
    assert server.get(f"{OUTPUTS}/zip?folder=nowhere").status_code == 404


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no file can have such names")
def test_a_strange_name_keeps_no_other_file_from_the_archive(server: LiveServer, outputs: Store) -> None:
    names = ["~home/a.wav", "c:/a.wav", "odd/ ../a.wav", "odd/x\\..\\y.wav", "odd/\udcff.wav", "plain.wav"]
    for name in names:
        path = outputs.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
    inside = zipped(server, "")
    assert len(inside) == len(listed(server))
    assert {"plain.wav", "_home/a.wav", "c_/a.wav", "odd/_/a.wav", "odd/x_.._y.wav", "odd/\ufffd.wav"} <= inside.keys()

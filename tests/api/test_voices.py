"""Voices over HTTP, row by row of the contract's section 9."""

import json
import threading
from typing import Any

import pytest
import requests

from chatterbox_plus.library.store import Store
from chatterbox_plus.settings import Api, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve
from tests.api.shelf import RATE, clear, files, lay, tone

VOICE, VOICES = "/api/v1/voice", "/api/v1/voices"
VOICE_FIELDS = {
    "name", "filename", "url", "description", "duration_seconds", "sample_rate", "file_size_bytes", "format",
    "default_parameters", "tags", "created_date", "last_used", "usage_count", "folder_path", "rating",
}  # fmt: skip


@pytest.fixture(autouse=True)
def voices(studio: FakeStudio) -> Store:
    clear(studio.library.voices)
    return studio.library.voices


def send(
    server: LiveServer,
    called: str = "anna.wav",
    content: bytes | None = None,
    part: str = "voice_file",
    **fields: Any,
) -> requests.Response:
    files = {part: (called, tone() if content is None else content)}
    return server.post(VOICE, files=files, data=fields)


def listed(server: LiveServer, query: str = "") -> list[str]:
    return [voice["url"] for voice in server.get(f"{VOICES}?{query}").json()["voices"]]


# Upload


def test_an_upload_is_a_voice_that_a_request_can_name(server, voices):
    answer = send(server, "My voice: 1.WAV", name="Anna", description="warm", tags="a, b,,a", folder_path="team/x")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["success"], body["message"]) == (True, "Voice 'Anna' uploaded successfully")
    assert body["voice_metadata"] == body["voice_info"]
    told = body["voice_metadata"]
    assert told.keys() >= VOICE_FIELDS
    assert (told["url"], told["filename"], told["folder_path"]) == (
        "team/x/My voice_ 1.WAV",
        "My voice_ 1.WAV",
        "team/x",
    )
    assert (told["name"], told["description"], told["tags"]) == ("Anna", "warm", ["a", "b"])
    assert (told["duration_seconds"], told["sample_rate"], told["format"]) == (0.5, RATE, "wav")
    assert (told["file_size_bytes"], told["usage_count"], told["last_used"]) == (len(tone()), 0, None)
    assert told["created_date"].endswith("Z")
    assert body["timestamp"].endswith("Z")
    assert (voices.root / told["url"]).read_bytes() == tone()
    assert server.get(VOICES).json()["voices"] == [{k: v for k, v in told.items() if k != "quality"}]


def test_the_reply_says_how_good_a_reference_it_is(server):
    quality = send(server).json()["quality"]
    assert quality["rating"] == "poor", "a tone is no speech"
    assert quality["advice"]
    assert 0 <= quality["score"] <= 100
    assert server.get(f"{VOICES}/anna.wav").json()["quality"] == quality
    assert "quality" not in server.get(VOICES).json()["voices"][0]


def test_every_way_to_send_the_fields(server):
    """Another part name, tags as a JSON array, everything in `metadata`, a folder under any of its names."""
    metadata = {"name": "Meta", "tags": ["x, y", "z"], "default_parameters": {"temperature": 0.5}, "folder_path": "m"}
    assert send(server, "1.wav", part="audio_file", metadata=json.dumps(metadata)).status_code == 200
    assert (
        send(server, "2.wav", tags='["x, y", "z"]', folder="f", metadata='{"name": "Two"}', name="Won").status_code
        == 200
    )
    assert (
        send(server, "3.wav", project="p", default_parameters='{"temperature": 0.5, "seed": null}').status_code == 200
    )
    told = {voice["url"]: voice for voice in server.get(VOICES).json()["voices"]}
    assert told.keys() == {"m/1.wav", "f/2.wav", "p/3.wav"}
    assert (told["m/1.wav"]["name"], told["m/1.wav"]["tags"]) == ("Meta", ["x, y", "z"])
    assert (told["f/2.wav"]["name"], told["f/2.wav"]["tags"]) == ("Won", ["x, y", "z"])
    assert told["m/1.wav"]["default_parameters"] == told["p/3.wav"]["default_parameters"] == {"temperature": 0.5}


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("no audio name", {"called": "a.txt"}, 400, "UNSUPPORTED_FORMAT"),
    ("nothing but an extension", {"called": ".wav"}, 400, "UNSUPPORTED_FORMAT"),
    ("empty", {"content": b""}, 400, "INVALID_AUDIO"),
    ("no audio in it", {"content": b"RIFF and nothing more"}, 400, "INVALID_AUDIO"),
    ("a text called wav", {"content": b"hello" * 100}, 400, "INVALID_AUDIO"),
    ("too short", {"content": tone(0.2)}, 400, "INVALID_AUDIO"),
    ("another part", {"part": "file"}, 422, "VALIDATION_ERROR"),
    ("broken parameters", {"default_parameters": "{"}, 400, "VALIDATION_ERROR"),
    ("parameters that are a list", {"default_parameters": "[]"}, 400, "VALIDATION_ERROR"),
    ("parameters without end", {"default_parameters": "[" * 100_000}, 400, "VALIDATION_ERROR"),
    ("an unknown parameter", {"default_parameters": '{"volume": 11}'}, 422, "VALIDATION_ERROR"),
    ("a text to settle", {"default_parameters": '{"text": "x"}'}, 422, "VALIDATION_ERROR"),
    ("a parameter out of range", {"default_parameters": '{"temperature": 9}'}, 422, "VALIDATION_ERROR"),
    ("a parameter that is no number", {"default_parameters": '{"temperature": NaN}'}, 422, "VALIDATION_ERROR"),
    ("broken metadata", {"metadata": "x"}, 400, "VALIDATION_ERROR"),
    ("broken tags", {"tags": '["a"'}, 400, "VALIDATION_ERROR"),
    ("tags of numbers", {"tags": "[1]"}, 422, "VALIDATION_ERROR"),
    ("overwrite is a word", {"overwrite": "perhaps"}, 422, "VALIDATION_ERROR"),
    ("two folders", {"folder": "a", "project": "b"}, 422, "VALIDATION_ERROR"),
    ("a folder that is a list", {"metadata": '{"folder_path": ["a"]}'}, 422, "VALIDATION_ERROR"),
    ("a folder outside", {"folder_path": "../x"}, 403, "PERMISSION_DENIED"),
    ("an absolute folder", {"folder_path": "/tmp"}, 403, "PERMISSION_DENIED"),
    ("a name without end", {"metadata": json.dumps({"name": "x" * 201})}, 422, "VALIDATION_ERROR"),
]


@pytest.mark.parametrize(("why", "sent", "status", "code"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_cannot_be_a_voice_is_refused_and_leaves_nothing(server, studio, voices, why, sent, status, code):
    answer = send(server, **sent)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert files(voices) == []
    assert not list(studio.library.temp.iterdir())


def test_a_body_that_is_no_form_is_refused(server):
    for kwargs in ({}, {"json": {}}, {"data": "x"}, {"data": {"name": "x"}}):
        answer = server.ask("POST", VOICE, **kwargs)
        assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")
    no_boundary = server.ask("POST", VOICE, data=b"x", headers={"Content-Type": "multipart/form-data"})
    assert no_boundary.status_code == 400


def test_a_missing_recording_is_named_like_any_missing_field(server):
    answer = server.ask("POST", VOICE, files={"name": (None, "x")})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "voice_file"]


def test_a_taken_name_is_409_and_overwriting_it_leaves_nothing_stale(server, studio, voices):
    assert send(server, tags="old", description="old", default_parameters='{"temperature": 1}').status_code == 200
    voice = studio.library.voice("anna.wav")
    studio.library.note_use(voice)
    first = server.get(VOICES).json()["voices"][0]
    refused = send(server, content=tone(1.0))
    assert (refused.status_code, refused.json()["error_code"]) == (409, "FILE_EXISTS")
    assert server.get(VOICES).json()["voices"] == [first]
    again = send(server, content=tone(1.0), overwrite="on").json()["voice_metadata"]
    assert (again["duration_seconds"], again["file_size_bytes"]) == (1.0, len(tone(1.0)))
    assert (again["tags"], again["default_parameters"], again["description"]) == ([], {}, "Voice file: anna")
    assert (again["usage_count"], again["created_date"]) == (1, first["created_date"])
    assert files(voices) == ["anna.wav", "anna.wav.json"]


def test_of_two_uploads_of_one_name_at_once_one_wins(server, voices):
    statuses: list[int] = []
    contents = [tone(0.4), tone(0.5), tone(0.6), tone(0.7)]
    threads = [
        threading.Thread(target=lambda content=content: statuses.append(send(server, content=content).status_code))
        for content in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(statuses) == [200, 409, 409, 409]
    stored = (voices.root / "anna.wav").read_bytes()
    assert stored in contents
    assert server.get(VOICES).json()["voices"][0]["file_size_bytes"] == len(stored)


def test_an_upload_over_the_limit_is_refused(studio, voices):
    with serve(Settings(api=Api(max_upload_mb=0.1)), studio) as server:
        answer = send(server, content=tone(10.0))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "FILE_TOO_LARGE")
    assert files(voices) == []
    assert not list(studio.library.temp.iterdir())


# List


def test_a_list_has_both_shapes(server, voices):
    for n in range(5):
        lay(voices, f"{n}.wav", name=f"Voice {n}", duration_seconds=0.5, file_size_bytes=len(tone()))
    body = server.get(f"{VOICES}?page=2&page_size=2").json()
    assert [voice["name"] for voice in body["voices"]] == ["Voice 2", "Voice 3"]
    assert {k: v for k, v in body.items() if k not in ("voices", "timestamp")} == {
        "success": True, "count": 2, "page": 2, "page_size": 2, "total_pages": 3, "has_next": True,
        "has_previous": True, "total": 5, "total_voices": 5, "total_files": 5,
        "pagination": {
            "current_page": 2, "page_size": 2, "total_files": 5, "total_voices": 5, "total_pages": 3,
            "has_next": True, "has_previous": True,
        },
    }  # fmt: skip
    beyond = server.get(f"{VOICES}?page=99999999999999999999").json()
    assert (beyond["voices"], beyond["has_next"], beyond["has_previous"]) == ([], False, True)


def test_an_empty_list_has_one_page(server):
    body = server.get(VOICES).json()
    assert (body["voices"], body["total_pages"], body["has_next"], body["has_previous"]) == ([], 1, False, False)


def test_a_file_put_there_by_hand_has_defaults_and_is_measured(server, voices):
    lay(voices, "x/by hand.wav", tone(1.0))
    told = server.get(VOICES).json()["voices"][0]
    assert told.keys() == VOICE_FIELDS
    assert (told["name"], told["description"], told["tags"]) == ("by hand", "Voice file: by hand", [])
    assert (told["duration_seconds"], told["sample_rate"], told["folder_path"]) == (1.0, RATE, "x")
    lay(voices, "broken.wav", b"RIFF")
    assert {v["url"]: v["duration_seconds"] for v in server.get(VOICES).json()["voices"]}["broken.wav"] is None


def test_each_change_by_hand_shows_in_the_next_list(server, voices):
    path = lay(voices, "a.wav")
    assert listed(server) == ["a.wav"]
    path.rename(voices.root / "b.wav")
    assert listed(server) == ["b.wav"]
    lay(voices, "b.wav", description="NEW")
    (voices.root / "b.wav").rename(voices.root / "c.wav")
    (voices.root / "b.wav.json").rename(voices.root / "c.wav.json")
    assert listed(server, "search=new") == ["c.wav"]


LISTS = [
    ("", ["ann.wav", "p/bob.wav", "p/q/cat.wav", "p1/dan.wav"]),
    ("search=ROBERT", ["p/bob.wav"]),
    ("search=narr", ["ann.wav"]),
    ("search=warm", ["ann.wav", "p/q/cat.wav"]),
    ("search=p1", ["p1/dan.wav"]),
    ("folder=p", ["p/bob.wav", "p/q/cat.wav"]),
    ("project=p/q", ["p/q/cat.wav"]),
    ("folder=p1&project=p", ["p1/dan.wav"]),
    ("folder=p&tag=WARM", ["p/q/cat.wav"]),
    ("tag=war", []),
    ("filenames=cat.wav,ann.wav,none.wav", ["ann.wav", "p/q/cat.wav"]),
    ("filenames=cat.wav&filenames=bob.wav&folder=none", ["p/bob.wav", "p/q/cat.wav"]),
    ("sort_by=name&sort_order=desc", ["p1/dan.wav", "p/q/cat.wav", "p/bob.wav", "ann.wav"]),
    ("sort_by=usage_count&sort_order=desc", ["p/q/cat.wav", "p/bob.wav", "ann.wav", "p1/dan.wav"]),
    ("sort_by=duration", ["p1/dan.wav", "ann.wav", "p/bob.wav", "p/q/cat.wav"]),
    ("sort_by=created_date", ["p1/dan.wav", "p/q/cat.wav", "p/bob.wav", "ann.wav"]),
]


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_filters_and_orders(server, voices, query, expected):
    lay(voices, "ann.wav", description="A narrator", tags=["Warm"], created_date="2025-06-04T00:00:00Z")
    lay(voices, "p/bob.wav", tone(0.6), name="bob Robert", usage_count=1, created_date="2025-06-03T00:00:00Z")
    lay(voices, "p/q/cat.wav", tone(0.7), tags="warm,x", usage_count=2, created_date="2025-06-02T00:00:00Z")
    lay(voices, "p1/dan.wav", tone(0.4), description=None, created_date="2025-06-01T00:00:00Z")
    assert listed(server, query) == expected


@pytest.mark.parametrize(
    "query",
    ["page=0", "page_size=0", "page_size=101", "page=x", "sort_by=size", "sort_order=up", "page=" + "9" * 5000],
)
def test_a_wrong_query_is_422(server, query):
    answer = server.get(f"{VOICES}?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (422, "VALIDATION_ERROR")


def test_folders_are_told_empty_ones_too(server, voices):
    lay(voices, "a.wav")
    lay(voices, "x/y/b.wav")
    (voices.root / "empty").mkdir()
    body = server.get(f"{VOICES}/folders").json()
    assert body["folders"] == [
        {"path": "root", "voice_count": 1, "file_count": 1, "subfolders": ["empty", "x"]},
        {"path": "empty", "voice_count": 0, "file_count": 0, "subfolders": []},
        {"path": "x", "voice_count": 0, "file_count": 0, "subfolders": ["x/y"]},
        {"path": "x/y", "voice_count": 1, "file_count": 1, "subfolders": []},
    ]
    assert (body["total_folders"], body["total_voices"], body["success"]) == (4, 2, True)
    assert body["folder_structure"]["root"]["subfolders"]["x"]["subfolders"]["y"]["voice_count"] == 1


# Details, change, delete


@pytest.mark.parametrize("path", ["x/y/anna.wav", "x%2Fy%2Fanna.wav", "x%5Cy%5Canna.wav", "anna.wav", "anna"])
def test_details_by_path_or_bare_name(server, voices, path):
    lay(voices, "x/y/anna.wav", name="Anna")
    body = server.get(f"{VOICES}/{path}").json()
    assert (body["url"], body["name"], body["duration_seconds"]) == ("x/y/anna.wav", "Anna", 0.5)
    assert body["voice_metadata"].keys() >= VOICE_FIELDS
    assert server.get(f"{VOICES}/none.wav").status_code == 404


def test_metadata_changes_only_what_was_sent(server):
    send(server, name="Anna", tags="a", description="d", default_parameters='{"temperature": 1}')
    answer = server.ask("PUT", f"{VOICE}/anna.wav/metadata", json={"name": "Berta", "tags": None, "other": 1})
    assert (answer.status_code, answer.json()["message"]) == (200, "Metadata updated successfully")
    told = answer.json()["voice_metadata"]
    assert (told["name"], told["tags"], told["description"]) == ("Berta", ["a"], "d")
    assert told["default_parameters"] == {"temperature": 1}
    emptied = {"tags": [], "description": "", "default_parameters": {}}
    told = server.ask("PUT", f"{VOICE}/anna.wav/metadata", json=emptied).json()["voice_metadata"]
    assert (told["name"], told["tags"], told["description"]) == ("Berta", [], "Voice file: Berta")
    assert told["default_parameters"] == {}
    assert server.get(VOICES).json()["voices"][0]["name"] == "Berta"


def test_a_change_of_folder_moves_the_voice_and_never_covers_another(server, voices):
    send(server, name="Anna")
    moved = server.ask("PUT", f"{VOICE}/anna.wav/metadata", json={"folder_path": "x/y"}).json()["voice_metadata"]
    assert (moved["url"], moved["folder_path"], moved["name"]) == ("x/y/anna.wav", "x/y", "Anna")
    assert files(voices) == ["x/y/anna.wav", "x/y/anna.wav.json"]
    send(server, content=tone(1.0))
    taken = server.ask("PUT", f"{VOICE}/anna.wav/metadata", json={"folder_path": "x/y", "name": "lost"})
    assert (taken.status_code, taken.json()["error_code"]) == (409, "FILE_EXISTS")
    assert server.get(f"{VOICES}/anna.wav").json()["name"] == "anna"
    (voices.root / "anna.wav").unlink()
    back = server.ask("PUT", f"{VOICE}/x%2Fy%2Fanna.wav/metadata", json={"folder_path": ""})
    assert back.json()["voice_metadata"]["url"] == "anna.wav"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"default_parameters": {"temperature": 9}}, 422),
        ({"default_parameters": {"nonsense": 1}}, 422),
        ({"default_parameters": []}, 422),
        ({"tags": [1]}, 422),
        ({"name": 5}, 422),
        ([], 422),
        ({"folder_path": "../x"}, 403),
        ({"folder_path": "a\0"}, 422),
    ],
)
def test_a_wrong_change_changes_nothing(server, voices, body, status):
    send(server)
    before = (voices.root / "anna.wav.json").read_bytes()
    assert server.ask("PUT", f"{VOICE}/anna.wav/metadata", json=body).status_code == status
    assert (voices.root / "anna.wav.json").read_bytes() == before
    assert server.ask("PUT", f"{VOICE}/none.wav/metadata", json={}).status_code == 404


def test_one_voice_is_deleted_with_its_sidecar(server, voices):
    send(server)
    lay(voices, "other/anna.wav")
    assert server.ask("DELETE", f"{VOICE}/anna.wav").status_code == 400
    assert server.ask("DELETE", f"{VOICE}/anna.wav?confirm=false").status_code == 400
    assert server.ask("DELETE", f"{VOICE}/anna.wav?confirm=maybe").status_code == 422
    body = server.ask("DELETE", f"{VOICE}/anna.wav?confirm=true").json()
    assert (body["success"], body["message"]) == (True, "Voice 'anna.wav' deleted successfully")
    assert (body["deleted_files"], body["deleted_count"]) == (["anna.wav", "anna.wav.json"], 1)
    assert body["deleted_file"] == "anna.wav"
    assert files(voices) == ["other/anna.wav"]


@pytest.mark.parametrize("name", ["an*", "*", "ann?.wav", "[a]nna.wav", "anna", "ANNA.wav", "x", "none.wav", ""])
def test_a_delete_takes_names_as_they_are(server, voices, name):
    lay(voices, "x/anna.wav")
    assert server.ask("DELETE", f"{VOICE}/{requests.utils.quote(name)}?confirm=true").status_code == 404
    assert files(voices) == ["x/anna.wav"]


def test_a_bare_name_that_two_folders_have_is_409(server, voices):
    lay(voices, "x/anna.wav")
    lay(voices, "y/anna.wav")
    for url in (f"{VOICE}/anna.wav?confirm=true", f"{VOICES}?confirm=true&filenames=anna.wav"):
        answer = server.ask("DELETE", url)
        assert (answer.status_code, answer.json()["error_code"]) == (409, "AMBIGUOUS_NAME")
    assert len(files(voices)) == 2


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_a_bulk_delete_takes_exactly_what_the_list_shows(server, voices, query, expected):
    for path, sidecar in (
        ("ann.wav", {"description": "A narrator", "tags": ["Warm"]}),
        ("p/bob.wav", {"name": "bob Robert"}),
        ("p/q/cat.wav", {"tags": "warm,x"}),
        ("p1/dan.wav", {"description": None}),
    ):
        lay(voices, path, b"x", **sidecar)
    if "sort" in query or not query:
        query += "&all=true"
    body = server.ask("DELETE", f"{VOICES}?confirm=true&{query}").json()
    assert sorted(path for path in body["deleted_files"] if path.endswith(".wav")) == sorted(expected)
    assert body["deleted_count"] == len(expected)
    assert sorted(set(listed(server)) | set(expected)) == LISTS[0][1]
    assert {path.name for path in voices.root.iterdir() if path.is_dir()} == {"p", "p1"}, "voices' folders stay"


@pytest.mark.parametrize("query", ["", "confirm=true", "confirm=true&search=%20&folder=/&filenames=,", "all=true"])
def test_a_bulk_delete_without_filter_or_confirm_deletes_nothing(server, voices, query):
    lay(voices, "anna.wav")
    answer = server.ask("DELETE", f"{VOICES}?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")
    assert files(voices) == ["anna.wav"]


def test_a_bulk_delete_that_matches_nothing_is_no_error(server):
    body = server.ask("DELETE", f"{VOICES}?confirm=true&search=nobody").json()
    assert (body["success"], body["deleted_count"], body["deleted_files"]) == (True, 0, [])
    assert "already clean" in body["message"]

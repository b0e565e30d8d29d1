"""Voices deleted over HTTP, and had back."""

from collections.abc import Iterator
from typing import Any

import pytest

from chatterbox_plus.library.store import Store
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer
from tests.api.shelf import clear, files, lay

VOICE, VOICES, TRASH = "/api/v1/voice", "/api/v1/voices", "/api/v1/trash"


@pytest.fixture(autouse=True)
def voices(studio: FakeStudio) -> Iterator[Store]:
    clear(studio.library.voices)
    yield studio.library.voices
    for entry in studio.library.trash.all():
        studio.library.trash.remove(entry.id)


def deleted(server: LiveServer, path: str, query: str = "confirm=true") -> dict[str, Any]:
    answer = server.ask("DELETE", f"{path}?{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_deleted_voice_can_be_had_back(server: LiveServer, voices: Store) -> None:
    lay(voices, "team/a.wav", name="Anna", tags=["calm"])
    before = files(voices)
    gone = deleted(server, f"{VOICE}/team/a.wav")
    assert gone["deleted_files"] == ["team/a.wav", "team/a.wav.json"]
    assert gone["trash_ids"] == [gone["trash_id"]]
    (entry,) = server.get(TRASH).json()["trash"]
    assert (entry["id"], entry["kind"], entry["path"], entry["name"]) == (
        gone["trash_id"], "voice", "team/a.wav", "Anna",
    )  # fmt: skip
    assert entry["restore_until"] == gone["restore_until"] > entry["deleted_at"]
    assert server.get(f"{VOICES}/team/a.wav").status_code == 404
    restored = server.post(f"{TRASH}/{gone['trash_id']}/restore").json()
    assert (restored["voice_metadata"]["url"], restored["voice_metadata"]["tags"]) == ("team/a.wav", ["calm"])
    assert files(voices) == before
    assert [voice["url"] for voice in server.get(VOICES).json()["voices"]] == ["team/a.wav"]
    empty = server.get(TRASH).json()
    assert (empty["count"], empty["keep_hours"]) == (0, 24)
    assert server.post(f"{TRASH}/{gone['trash_id']}/restore").status_code == 404


def test_a_name_that_is_taken_again_is_a_409(server: LiveServer, voices: Store) -> None:
    lay(voices, "a.wav")
    gone = deleted(server, f"{VOICE}/a.wav")
    lay(voices, "a.wav", b"another")
    answer = server.post(f"{TRASH}/{gone['trash_id']}/restore")
    assert (answer.status_code, answer.json()["error_code"]) == (409, "FILE_EXISTS")
    assert (voices.root / "a.wav").read_bytes() == b"another"
    assert server.get(TRASH).json()["count"] == 1


def test_many_are_had_back_one_by_one(server: LiveServer, voices: Store) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        lay(voices, name)
    gone = deleted(server, VOICES, "confirm=true&filenames=a.wav,b.wav")
    assert (gone["deleted_count"], len(gone["trash_ids"])) == (2, 2)
    for id in gone["trash_ids"]:
        assert server.post(f"{TRASH}/{id}/restore").status_code == 200
    assert files(voices) == ["a.wav", "b.wav", "c.wav"]


def test_gone_for_good_is_gone(server: LiveServer, voices: Store) -> None:
    lay(voices, "a.wav")
    lay(voices, "b.wav")
    at_once = deleted(server, f"{VOICE}/a.wav", "confirm=true&forever=true")
    assert (at_once["trash_id"], at_once["restore_until"], at_once["trash_ids"]) == (None, None, [])
    id = deleted(server, f"{VOICE}/b.wav")["trash_id"]
    assert server.ask("DELETE", f"{TRASH}/{id}").status_code == 400
    assert deleted(server, f"{TRASH}/{id}")["path"] == "b.wav"
    assert server.get(TRASH).json()["trash"] == []
    assert server.ask("DELETE", f"{TRASH}/{id}?confirm=true").status_code == 404


def test_other_files_are_deleted_as_ever(server: LiveServer, studio: FakeStudio) -> None:
    lay(studio.library.inputs, "mine.wav")
    assert "trash_id" not in deleted(server, "/api/v1/vc_input/mine.wav")
    assert server.get(TRASH).json()["trash"] == []

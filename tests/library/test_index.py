"""What a list says is what lies there, however it came there, and nothing is read twice."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from chatterbox_plus.audio.decode import AudioInfo
from chatterbox_plus.errors import InvalidAudio, PlusError
from chatterbox_plus.library import index as index_module
from chatterbox_plus.library.measuring import AT_ONCE
from chatterbox_plus.library.store import Store

OLD_NS = 1_600_000_000_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "voices")


@pytest.fixture
def outputs(tmp_path: Path) -> Store:
    return Store(tmp_path / "outputs", sidecar_per_stem=True)


def put(store: Store, at: str, content: bytes = b"sound", **sidecar: object) -> Path:
    path = store.root / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if sidecar:
        store.sidecar(path).write_text(json.dumps(sidecar))
    return path


def paths(store: Store) -> list[str]:
    return sorted(entry.path for entry in store.index.snapshot().entries)


def entry(store: Store, path: str):
    return next(entry for entry in store.index.snapshot().entries if entry.path == path)


def test_every_change_by_hand_shows_at_once(store):
    """Files and folders that come, go or change their names, however quickly one follows the other."""
    assert paths(store) == []
    put(store, "a.wav")
    assert paths(store) == ["a.wav"]
    put(store, "x/y/b.MP3")
    assert paths(store) == ["a.wav", "x/y/b.MP3"]
    assert store.index.snapshot().folders == ("x", "x/y")
    (store.root / "x").rename(store.root / "z")
    assert paths(store) == ["a.wav", "z/y/b.MP3"]
    (store.root / "z" / "y" / "b.MP3").rename(store.root / "z" / "c.wav")
    assert paths(store) == ["a.wav", "z/c.wav"]
    (store.root / "a.wav").unlink()
    assert paths(store) == ["z/c.wav"]
    (store.root / "z" / "c.wav").unlink()
    (store.root / "z" / "y").rmdir()
    assert (paths(store), store.index.snapshot().folders) == ([], ("z",))


def test_two_hundred_changes_in_a_row_each_show(store):
    """Times of folders are coarse: a second change within one tick must not be missed."""
    for i in range(200):
        put(store, f"{i % 7}/{i}.wav")
        assert len(paths(store)) == i + 1


def test_in_a_large_folder_changes_show_as_they_do_in_a_small_one(store, outputs, monkeypatch):
    """There names and inodes are compared: what comes, goes, is renamed or replaced shows at once, sidecars too."""
    monkeypatch.setattr(index_module, "_EXACT_FILES", 3)
    for n in range(9):
        put(outputs, f"tts_{n}.wav", type="tts")
    assert len(paths(outputs)) == 9
    put(outputs, "new.wav", type="vc")
    (outputs.root / "tts_1.wav").unlink()
    (outputs.root / "tts_2.wav").rename(outputs.root / "renamed.wav")
    outputs.write_json(outputs.root / "tts_3.json", {"type": "concat"})
    (outputs.root / "tts_4.json").rename(outputs.root / "tts_5.wav.json")
    (outputs.root / "tts_5.json").unlink()
    (outputs.root / "part").write_bytes(b"much longer")
    (outputs.root / "part").replace(outputs.root / "tts_6.wav")
    seen = {entry.path: entry for entry in outputs.index.snapshot().entries}
    assert sorted(seen) == ["new.wav", "renamed.wav", *(f"tts_{n}.wav" for n in (0, 3, 4, 5, 6, 7, 8))]
    assert [seen[name].type for name in ("new.wav", "renamed.wav", "tts_3.wav")] == ["vc", "unknown", "concat"]
    assert seen["tts_6.wav"].stat.size == len(b"much longer")
    fresh = Store(outputs.root, sidecar_per_stem=True).index.snapshot()
    assert {entry.path: entry for entry in fresh.entries} == seen


def test_a_folder_in_place_of_another_is_a_new_one(store):
    put(store, "a/1.wav")
    put(store, "b/2.wav")
    assert paths(store) == ["a/1.wav", "b/2.wav"]
    (store.root / "a").rename(store.root / "c")
    (store.root / "b").rename(store.root / "a")
    assert paths(store) == ["a/2.wav", "c/1.wav"]


def test_sidecars_that_come_and_go_show_at_once(store):
    path = put(store, "a.wav")
    assert entry(store, "a.wav").name == "a"
    store.write_json(store.sidecar(path), {"name": "Anna"})
    assert entry(store, "a.wav").name == "Anna"
    store.write_json(store.sidecar(path), {"name": "Berta"})
    assert entry(store, "a.wav").name == "Berta"
    store.sidecar(path).unlink()
    assert entry(store, "a.wav").name == "a"


def test_what_is_written_over_in_place_shows_with_the_next_pass(store, monkeypatch):
    path = put(store, "a.wav", name="Anna")
    os.utime(store.root, ns=(OLD_NS, OLD_NS))  # a folder that has been quiet for long
    assert entry(store, "a.wav").name == "Anna"
    with store.sidecar(path).open("r+") as file:
        file.write('{"name": "Otto"}')
    with path.open("ab") as file:
        file.write(b" and more")
    now = time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: now + index_module.PASS_S, time_ns=time.time_ns)
    monkeypatch.setattr(index_module, "time", clock)
    assert (entry(store, "a.wav").name, entry(store, "a.wav").stat.size) == ("Otto", len(b"sound and more"))


def test_nothing_is_read_again_that_has_not_changed(store, monkeypatch):
    for i in range(5):
        put(store, f"{i}.wav", name=str(i))
    store.index.snapshot()
    read = []
    original = store.index._read
    monkeypatch.setattr(store.index, "_read", lambda path: read.append(path.name) or original(path))
    put(store, "new.wav", name="new")
    assert len(paths(store)) == 6
    assert read == ["new.wav.json"]


def test_while_nothing_changes_the_snapshot_is_the_same_object(store):
    path = put(store, "x/a.wav")
    for folder in (store.root, path.parent):
        os.utime(folder, ns=(OLD_NS, OLD_NS))
    first = store.index.snapshot()
    assert store.index.snapshot() is first
    put(store, "x/b.wav")
    assert store.index.snapshot() is not first


def test_hidden_and_foreign_names_are_not_listed(store):
    for name in ("a.wav", ".b.wav", ".c/d.wav", "e.txt", "f.json", "g.wav.part", "h"):
        put(store, name)
    assert paths(store) == ["a.wav"]
    assert store.index.snapshot().folders == ()


def test_links_are_listed_only_where_they_may_be_read(store, tmp_path):
    put(store, "a/real.wav")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.wav").write_bytes(b"secret")
    (tmp_path / "outside" / "secret.json").write_text('{"name": "secret"}')
    try:
        (store.root / "inside.wav").symlink_to(store.root / "a" / "real.wav")
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")
    (store.root / "out.wav").symlink_to(tmp_path / "outside" / "secret.wav")
    (store.root / "nothing.wav").symlink_to(store.root / "missing.wav")
    (store.root / "folder").symlink_to(tmp_path / "outside")
    (store.root / "round").symlink_to(store.root)
    (store.root / "itself.wav").symlink_to("itself.wav")
    (store.root / "a" / "real.wav.json").symlink_to(tmp_path / "outside" / "secret.json")
    assert paths(store) == ["a/real.wav", "inside.wav"]
    assert store.index.snapshot().folders == ("a",)
    assert entry(store, "a/real.wav").name == "real"


def test_names_that_are_no_text_are_listed(store):
    try:
        (store.root / os.fsdecode(b"\xff.wav")).write_bytes(b"x")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only text as names")
    assert paths(store) == [os.fsdecode(b"\xff.wav")]


def test_a_store_whose_folder_was_taken_away_is_empty(store):
    put(store, "a.wav")
    assert paths(store) == ["a.wav"]
    store.root.rename(store.root.with_name("elsewhere"))
    assert paths(store) == []


def test_a_folder_that_may_not_be_read_hides_nothing_else(store, monkeypatch, caplog):
    put(store, "a.wav")
    closed = put(store, "x/b.wav").parent
    scandir = os.scandir

    def refuse(path: Path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(index_module.os, "scandir", refuse)
    for _ in range(3):
        assert paths(store) == ["a.wav"]
    assert len(caplog.records) == 1
    monkeypatch.undo()
    assert paths(store) == ["a.wav", "x/b.wav"]


def test_outputs_read_all_three_places_of_a_sidecar(outputs):
    """Beside the file by stem, by file name, and in the root where an older installation put them."""
    put(outputs, "p/tts_1.wav", type="concat")
    put(outputs, "p/take.wav")
    (outputs.root / "p" / "take.wav.json").write_text('{"type": "vc"}')
    put(outputs, "p/old.wav")
    assert entry(outputs, "p/old.wav").type == "unknown"
    (outputs.root / "old.json").write_text('{"type": "tts"}')
    assert [entry(outputs, f"p/{name}.wav").type for name in ("tts_1", "take", "old")] == ["concat", "vc", "tts"]
    assert entry(outputs, "p/old.wav").measured is False


def test_a_type_is_told_by_the_name_where_no_sidecar_does(outputs):
    for name in ("tts_1.wav", "vc_1.wav", "concat_1.wav", "mixed_1.wav"):
        put(outputs, name)
    types = {entry.path: entry.type for entry in outputs.index.snapshot().entries}
    assert types == {"tts_1.wav": "tts", "vc_1.wav": "vc", "concat_1.wav": "concat", "mixed_1.wav": "unknown"}


SIDECARS = [
    {"name": None, "description": None, "tags": None, "usage_count": None, "created_date": None},
    {"name": 3, "description": [], "tags": 7, "usage_count": "many", "created_date": 5, "type": []},
    {"usage_count": 10**400, "created_date": "yesterday", "tags": [1, None], "duration_seconds": True},
    {"duration_seconds": -1, "file_size_bytes": 5, "sample_rate": "high", "created_date": "0001-01-01T00:00:00+14:00"},
    {"generation_info": 3, "files": [], "duration_seconds": 10**400, "file_size_bytes": 5, "owner": 3},
]


@pytest.mark.parametrize("sidecar", SIDECARS)
def test_a_sidecar_of_wrong_types_is_as_good_as_none(store, sidecar):
    put(store, "a.wav", **sidecar)
    found = entry(store, "a.wav")
    assert (found.name, found.usage_count, found.duration_s, found.owner) == ("a", 0, None, None)
    assert found.created.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "{", "[]", "\ufeff{}", '{"usage_count": 1e999}', '{"name": NaN}', "[" * 100_000])
def test_a_broken_sidecar_is_as_good_as_none(store, text):
    store.sidecar(put(store, "a.wav")).write_text(text)
    assert entry(store, "a.wav").name == "a"


def test_the_created_date_is_the_sidecars_else_the_files(store):
    put(store, "a.wav", created_date="2025-06-22T14:30:22+02:00")
    os.utime(put(store, "b.wav"), ns=(OLD_NS, OLD_NS))
    assert entry(store, "a.wav").created == datetime(2025, 6, 22, 12, 30, 22, tzinfo=UTC)
    assert entry(store, "b.wav").created == datetime.fromtimestamp(OLD_NS / 1e9, UTC)


# Durations


def probe(path: Path) -> AudioInfo:
    """As many seconds as the file has bytes; b"bad" is no audio."""
    content = path.read_bytes()
    if content == b"bad":
        raise InvalidAudio("not audio")
    return AudioInfo(float(len(content)), 8000, 1, "wav")


def durations(store: Store, probe=probe) -> dict[str, float | None]:
    return {entry.path: entry.duration_s for entry in store.measuring.snapshot(probe).entries}


def unwanted(path: Path) -> AudioInfo:
    raise AssertionError(f"{path.name} was opened")


def test_durations_come_from_sidecars_that_mean_the_file_as_it_is(store, outputs):
    put(store, "a.wav", duration_seconds=1.5, sample_rate=24000, file_size_bytes=5)
    put(outputs, "tts_1.wav", generation_info={"duration_seconds": 2.5}, files={"wav": "tts_1.wav"})
    put(outputs, "concat_1.wav", generation_info={"total_duration_seconds": 3}, files={"wav": "concat_1.wav"})
    assert durations(store, unwanted) == {"a.wav": 1.5}
    assert durations(outputs, unwanted) == {"tts_1.wav": 2.5, "concat_1.wav": 3.0}


def test_a_file_that_is_not_the_sidecars_any_more_is_measured(store, outputs):
    put(store, "a.wav", b"longer", duration_seconds=1.5, file_size_bytes=5)
    put(store, "b.wav", duration_seconds=1.5)
    path = put(outputs, "tts_1.wav", generation_info={"duration_seconds": 2.5}, files={"wav": "tts_1.wav"})
    os.utime(outputs.sidecar(path), ns=(OLD_NS, OLD_NS))
    put(outputs, "tts_1.mp3", b"another")
    assert durations(store) == {"a.wav": 6.0, "b.wav": 5.0}
    assert durations(outputs) == {"tts_1.wav": 5.0, "tts_1.mp3": 7.0}


def test_what_was_measured_is_remembered_until_the_file_changes(store):
    path = put(store, "a.wav", b"four")
    assert durations(store) == {"a.wav": 4.0}
    store.write_json(store.sidecar(path), {"name": "Anna"})
    assert durations(store, unwanted) == {"a.wav": 4.0}
    path.unlink()
    put(store, "a.wav", b"seven--")
    assert durations(store) == {"a.wav": 7.0}


def test_what_is_no_audio_is_listed_without_duration_and_asked_once(store):
    put(store, "a.wav", b"bad")
    assert durations(store) == {"a.wav": None}
    assert durations(store, unwanted) == {"a.wav": None}


def test_many_unknown_files_are_measured_without_waiting(store):
    for i in range(AT_ONCE + 1):
        put(store, f"{i}.wav")
    asked, release = Event(), Event()

    def slow(path: Path) -> AudioInfo:
        asked.set()
        assert release.wait(20)
        return probe(path)

    assert set(durations(store, slow).values()) == {None}
    assert asked.wait(20)
    over = store.measuring._over
    assert set(durations(store, slow).values()) == {None}, "the first is still being looked at"
    release.set()
    assert over is not None
    assert over.wait(20)
    assert set(durations(store, unwanted).values()) == {5.0}


def test_a_decoder_that_is_closed_leaves_the_list_alone(store):
    def closed(path: Path) -> AudioInfo:
        raise PlusError("the audio decoder is closed")

    put(store, "a.wav")
    assert durations(store, closed) == {"a.wav": None}
    assert durations(store) == {"a.wav": 5.0}


def test_many_at_once_see_the_whole(store):
    """Eight threads list while a ninth adds: nobody sees less than was there when he asked."""
    wrong: list[tuple[int, int]] = []
    done = 0

    def look() -> None:
        while done < 100:
            least = done
            seen = len(store.index.snapshot().entries)
            if seen < least:
                wrong.append((least, seen))

    threads = [Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for i in range(100):
        put(store, f"{i % 3}/{i}.wav")
        done = i + 1
    for thread in threads:
        thread.join(20)
    assert wrong == []

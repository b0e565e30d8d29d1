"""Deleted voices: kept to the byte, given back over nothing, gone when their time is over."""

import errno
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.errors import FileExists, NotFound, StorageFull, StorageUnwritable
from chatterbox_plus.library import trash as room
from chatterbox_plus.library.changes import delete
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.retention import Policy, Retention
from chatterbox_plus.library.trash import Trash, Trashed
from tests.api.shelf import files, lay


def library_at(folder: Path, **more: Any) -> Library:
    return Library(*(folder / name for name in ("reference_audio", "vc_inputs", "outputs", "temp")), **more)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return library_at(tmp_path)


def thrown(library: Library, at: str) -> Trashed | None:
    """What is in the trash once the voice is deleted."""
    kept: list[Trashed] = []
    delete(library.voices, [library.voices.root / at], lambda path: library.trash.keeping(path, kept))
    return kept[0] if kept else None


def contents(library: Library) -> dict[str, bytes]:
    root = library.voices.root
    return {name: (root / name).read_bytes() for name in files(library.voices)}


def age(library: Library, id: str, hours: float) -> None:
    """As if it had been deleted so long ago."""
    entry = library.trash._root / id / "entry.json"
    told = json.loads(entry.read_text("utf-8"))
    for name in ("deleted_at", "restore_until"):
        told[name] = (datetime.fromisoformat(told[name]) - timedelta(hours=hours)).isoformat()
    entry.write_text(json.dumps(told), "utf-8")


def test_what_is_restored_is_the_same_to_the_byte(library: Library) -> None:
    lay(library.voices, "readers/greta.wav", name="Greta", owner="anna", duration_seconds=2.5, usage_count=3)
    lay(library.voices, "readers/other.wav")
    before = contents(library)
    entry = thrown(library, "readers/greta.wav")
    assert entry is not None
    assert files(library.voices) == ["readers/other.wav"]
    assert (entry.path, entry.name, entry.owner, entry.duration_s) == ("readers/greta.wav", "Greta", "anna", 2.5)
    assert library.trash.all() == [entry]
    assert library.trash.restore(entry.id) == library.voices.root / "readers" / "greta.wav"
    assert contents(library) == before
    assert library.trash.all() == []
    with pytest.raises(NotFound):
        library.trash.restore(entry.id)


def test_a_sidecar_that_nobody_can_read_comes_back_too(library: Library) -> None:
    lay(library.voices, "a.wav")
    (library.voices.root / "a.wav.json").write_text("{typo")
    before = contents(library)
    entry = thrown(library, "a.wav")
    assert entry is not None
    library.trash.restore(entry.id)
    assert contents(library) == before


def test_nothing_is_overwritten(library: Library) -> None:
    lay(library.voices, "a.wav", b"old", name="Old")
    entry = thrown(library, "a.wav")
    assert entry is not None
    lay(library.voices, "a.wav", b"new", name="New")
    before = contents(library)
    with pytest.raises(FileExists):
        library.trash.restore(entry.id)
    assert contents(library) == before
    (library.voices.root / "a.wav").unlink()
    with pytest.raises(FileExists):  # what is known of another file is somebody's, too
        library.trash.restore(entry.id)
    (library.voices.root / "a.wav.json").unlink()
    library.trash.restore(entry.id)
    assert contents(library)["a.wav"] == b"old"


def test_two_of_one_name_are_two(library: Library) -> None:
    entries = []
    for content in (b"one", b"two"):
        lay(library.voices, "a.wav", content)
        entries.append(thrown(library, "a.wav"))
    assert [entry.id for entry in library.trash.all()] == [entry.id for entry in reversed(entries) if entry]
    assert entries[0] is not None
    library.trash.restore(entries[0].id)
    assert contents(library)["a.wav"] == b"one"


def test_without_hard_links_it_is_copied(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    lay(library.voices, "a.wav", name="A")
    before = contents(library)
    entry = thrown(library, "a.wav")
    assert entry is not None
    library.trash.restore(entry.id)
    assert contents(library) == before


def test_what_cannot_be_kept_is_not_deleted(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    lay(library.voices, "a.wav", name="A")
    before = contents(library)
    monkeypatch.setattr(room, "_link", full)
    with pytest.raises(StorageFull):
        thrown(library, "a.wav")
    assert contents(library) == before
    assert library.trash.all() == []
    assert library.trash.leftovers() == []


def test_what_could_not_be_deleted_is_not_in_the_trash(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(library.voices, "a.wav")

    def busy(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "somebody reads it")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", busy)
        with pytest.raises(StorageUnwritable):
            thrown(library, "a.wav")
    assert library.trash.all() == []


def test_when_its_time_is_over_it_is_nobody_s_and_the_cleaner_takes_it(library: Library) -> None:
    lay(library.voices, "a.wav", name="A")
    lay(library.voices, "b.wav")
    old, young = thrown(library, "a.wav"), thrown(library, "b.wav")
    assert old is not None
    assert young is not None
    age(library, old.id, 24)
    assert library.trash.all() == [young]
    with pytest.raises(NotFound):
        library.trash.restore(old.id)
    retention = Retention(library, Policy())
    assert len(retention.run(dry_run=True)["trash_cleanup"].files) == 3
    assert (library.trash._root / old.id).is_dir()
    removed = retention.run()["trash_cleanup"]
    assert (removed.folders, removed.errors) == (1, [])
    assert not (library.trash._root / old.id).exists()
    assert library.trash.all() == [young]


def test_what_a_crash_left_goes_with_the_next_cleaning(library: Library) -> None:
    lay(library.voices, "a.wav")
    entry = thrown(library, "a.wav")
    assert entry is not None
    begun = library.trash._root / f".{entry.id}"
    (library.trash._root / entry.id).rename(begun)
    Retention(library, Policy()).run()
    assert begun.exists(), "it may be another process's, at work"
    for path in (*begun.iterdir(), begun):
        os.utime(path, (0, 0))
    Retention(library, Policy()).run()
    assert not begun.exists()


def test_without_a_time_to_keep_nothing_is_kept(tmp_path: Path) -> None:
    library = library_at(tmp_path, trash_keep_s=0)
    lay(library.voices, "a.wav")
    assert thrown(library, "a.wav") is None
    assert not library.trash._root.exists()


def test_what_is_deleted_for_good_is_gone(library: Library) -> None:
    lay(library.voices, "a.wav")
    entry = thrown(library, "a.wav")
    assert entry is not None
    assert library.trash.remove(entry.id) == entry
    assert list(library.trash._root.iterdir()) == []
    for id in (entry.id, "trash_0", "../reference_audio", ""):
        with pytest.raises(NotFound):
            library.trash.remove(id)


def test_a_damaged_entry_hides_no_other(library: Library) -> None:
    lay(library.voices, "a.wav")
    entry = thrown(library, "a.wav")
    bad = library.trash._root / f"trash_{'0' * 16}"
    bad.mkdir()
    (bad / "entry.json").write_text('{"path": 7}')
    assert library.trash.all() == [entry]
    assert datetime.now(UTC) < library.trash.all()[0].until


def test_what_is_taken_out_twice_at_once_is_taken_out_once(library: Library) -> None:
    """Restored or gone for good, never both."""
    for _ in range(20):
        lay(library.voices, "a.wav", name="A")
        entry = thrown(library, "a.wav")
        assert entry is not None

        def took(out: Callable[[str], object], id: str = entry.id) -> bool:
            try:
                out(id)
            except NotFound:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            told = list(pool.map(took, [library.trash.restore, library.trash.remove] * 2))
        assert sum(told) == 1
        assert (library.voices.root / "a.wav").exists() == (told[0] or told[2])
        delete(library.voices, [library.voices.root / "a.wav"])


def test_what_another_process_takes_out_meanwhile_is_not_there(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(library.voices, "a.wav", name="A")
    entry = thrown(library, "a.wav")
    assert entry is not None
    link = room._link

    def late(source: Path, place: Path) -> None:
        if library.trash._root in source.parents:
            Trash(library.trash._root, library.voices, 1).remove(entry.id)
        link(source, place)

    monkeypatch.setattr(room, "_link", late)
    with pytest.raises(NotFound):
        library.trash.restore(entry.id)
    assert files(library.voices) == []


def test_where_a_file_took_the_folder_s_name_nothing_is_overwritten(library: Library) -> None:
    lay(library.voices, "band.wav/a.wav")
    entry = thrown(library, "band.wav/a.wav")
    assert entry is not None
    for left in sorted((library.voices.root / "band.wav").rglob("*"), reverse=True):
        left.unlink()
    (library.voices.root / "band.wav").rmdir()
    lay(library.voices, "band.wav")
    with pytest.raises(FileExists):
        library.trash.restore(entry.id)
    assert library.trash.all() == [entry]

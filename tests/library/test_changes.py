"""Uploads are whole or not there, nothing is overwritten by accident, and a delete takes what it says and no more."""

import errno
import json
import os
import shutil
from pathlib import Path
from threading import Barrier, Thread

import pytest

from chatterbox_plus.errors import (
    FileExists,
    InvalidOption,
    NotFound,
    PermissionDenied,
    PlusError,
    StorageFull,
    StorageUnwritable,
    UnsupportedFormat,
)
from chatterbox_plus.library import changes, writing
from chatterbox_plus.library.catalog import Filter, Order, filter_of
from chatterbox_plus.library.changes import check_free, delete, delete_many, formats_of, revise, save
from chatterbox_plus.library.store import Store
from tests.library.test_store import HOSTILE, attempt, outside

BY_NAME = Order("filename")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "canary.wav").write_bytes(b"canary")
    (tmp_path / "canary.wav.json").write_text("{}")
    return Store(tmp_path / "root")


@pytest.fixture
def outputs(tmp_path: Path) -> Store:
    return Store(tmp_path / "root", sidecar_per_stem=True)


@pytest.fixture
def uploaded(tmp_path: Path):
    """A file as it arrived; each call is another."""
    folder = tmp_path / "temp"
    folder.mkdir()

    def make(content: bytes = b"sound") -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.upload"
        path.write_bytes(content)
        return path

    return make


def fill(store: Store, *names: str) -> Store:
    for name in names:
        path = store.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return store


def tree(store: Store) -> list[str]:
    """Every file, hidden ones too."""
    return sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*") if path.is_file())


def sidecar(store: Store, path: Path) -> dict[str, object]:
    found = json.loads(store.sidecar(path).read_bytes())
    assert isinstance(found, dict)
    return found


def remove(store: Store, found: Filter, **more):
    entries = found.of(store.index.snapshot(), BY_NAME)
    return delete_many(store, entries, **{"prune": True, "mine": lambda _: True, **more})


# Saving


def test_an_upload_is_stored_under_a_safe_name_with_its_sidecar(store, uploaded):
    source = uploaded()
    path = save(store, source, "my folder/x", "Ann: take 1?.WAV", lambda old: {"name": "Ann", "old": old})
    assert store.relative(path) == "my folder/x/Ann_ take 1_.WAV"
    assert (path.read_bytes(), sidecar(store, path)) == (b"sound", {"name": "Ann", "old": {}})
    assert not source.exists()
    assert len(tree(store)) == 2


def test_a_name_that_is_taken_is_refused_before_and_after(store, uploaded):
    fill(store, "a.wav")
    with pytest.raises(FileExists):
        check_free(store, "", "a.wav", overwrite=False)
    with pytest.raises(FileExists):
        save(store, uploaded(), "", "a.wav", lambda _: {})
    assert tree(store) == ["a.wav"]
    assert (store.root / "a.wav").read_bytes() == b"a.wav"


def test_overwriting_replaces_sound_and_sidecar(store, uploaded):
    save(store, uploaded(b"one"), "", "a.wav", lambda _: {"tags": ["old"], "usage_count": 4})
    path = save(store, uploaded(b"two"), "", "a.wav", lambda old: {"usage_count": old["usage_count"]}, overwrite=True)
    assert (path.read_bytes(), sidecar(store, path)) == (b"two", {"usage_count": 4})


def test_what_is_not_the_callers_to_replace_stays(store, uploaded):
    path = save(store, uploaded(b"one"), "", "a.wav", lambda _: {"owner": "ann"})

    def allow(old: dict[str, object]) -> None:
        raise PermissionDenied(f"belongs to {old['owner']}")

    for work in (
        lambda: check_free(store, "", "a.wav", overwrite=True, allow=allow),
        lambda: save(store, uploaded(b"two"), "", "a.wav", lambda _: {}, overwrite=True, allow=allow),
    ):
        with pytest.raises(PermissionDenied):
            work()
    assert (path.read_bytes(), sidecar(store, path)) == (b"one", {"owner": "ann"})


def test_a_sidecar_without_its_file_takes_no_name(store, uploaded):
    (store.root / "a.wav.json").write_text('{"tags": ["old"]}')
    path = save(store, uploaded(), "", "a.wav", lambda old: {"old": old})
    assert sidecar(store, path) == {"old": {}}


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_many_uploads_of_one_name_none_is_torn(store, uploaded, overwrite):
    """Sound and sidecar are always of the same upload; without overwrite exactly one wins."""
    sources = [uploaded(bytes([n]) * 10_000) for n in range(8)]
    together, results = Barrier(len(sources)), []

    def run(n: int) -> None:
        together.wait(20)
        try:
            save(store, sources[n], "new", "a.wav", lambda _: {"n": n}, overwrite=overwrite)
            results.append(None)
        except FileExists as error:
            results.append(error)

    threads = [Thread(target=run, args=(n,)) for n in range(len(sources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results.count(None) == (len(sources) if overwrite else 1)
    path = store.root / "new" / "a.wav"
    winner = sidecar(store, path)["n"]
    assert path.read_bytes() == bytes([winner]) * 10_000
    assert tree(store) == ["new/a.wav", "new/a.wav.json"]


def test_an_upload_from_another_disk_is_copied(store, uploaded, monkeypatch):
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if self.parent.name == "temp":
            raise OSError(errno.EXDEV, "another device")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    assert save(store, uploaded(), "", "a.wav", lambda _: {}).read_bytes() == b"sound"


@pytest.mark.parametrize("at", ["copyfile", "sync", "sync_folder"])
def test_a_full_disk_leaves_nothing_half(store, uploaded, monkeypatch, at):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    def elsewhere(self: Path, _: Path) -> Path:
        raise OSError(errno.EXDEV, "another device")

    if at == "copyfile":
        monkeypatch.setattr(shutil, "copyfile", full)
        monkeypatch.setattr(Path, "replace", elsewhere)
    else:
        monkeypatch.setattr(changes, at, full)
    with pytest.raises(StorageFull):
        save(store, uploaded(), "", "a.wav", lambda _: {})
    assert tree(store) in ([], ["a.wav", "a.wav.json"])


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_upload_whose_sidecar_cannot_be_written_is_not_there(store, uploaded, overwrite):
    (store.root / "a.wav.json").mkdir()
    with pytest.raises(StorageUnwritable):
        save(store, uploaded(), "", "a.wav", lambda _: {}, overwrite=overwrite)
    assert [path.name for path in store.root.iterdir()] == ["a.wav.json"]


def test_what_cannot_be_replaced_keeps_what_was_known_of_it(store, uploaded, monkeypatch):
    path = save(store, uploaded(b"old"), "", "a.wav", lambda _: {"name": "old"})
    original = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target) == path:
            raise PermissionError(errno.EACCES, "somebody reads it")
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(StorageUnwritable):
        save(store, uploaded(b"new"), "", "a.wav", lambda _: {"name": "new"}, overwrite=True)
    assert (path.read_bytes(), sidecar(store, path)) == (b"old", {"name": "old"})


@pytest.mark.parametrize("name", ["a.txt", "wav", ".wav", "a", "a.json", "a.wav.json", "a.exe", " .mp3 "])
def test_only_audio_names_are_stored(store, uploaded, name):
    with pytest.raises(UnsupportedFormat):
        save(store, uploaded(), "", name, lambda _: {})
    assert tree(store) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_no_upload_lands_outside(store, uploaded, tmp_path, name):
    name = name.replace("{tmp}", str(tmp_path))
    source = uploaded()
    before = outside(tmp_path)
    for folder, file_name in ((name, "take.wav"), ("book", name), ("book", f"{name}.wav")):
        found = attempt(lambda folder=folder, file_name=file_name: _saved(store, source, folder, file_name))
        if isinstance(found, PlusError):
            assert found.status in (400, 403, 409, 422)
        else:
            assert found.resolve().is_relative_to(store.root)
    source.with_name("copy").unlink(missing_ok=True)
    assert outside(tmp_path) == before


def _saved(store: Store, source: Path, folder: str, name: str) -> Path:
    copy = source.with_name("copy")
    shutil.copyfile(source, copy)
    return save(store, copy, folder, name, lambda _: {}, overwrite=True)


def test_a_link_that_leads_out_is_not_overwritten(store, uploaded, tmp_path):
    try:
        (store.root / "out.wav").symlink_to(tmp_path / "canary.wav")
        (store.root / "folder").symlink_to(tmp_path)
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")
    for folder, name in (("", "out.wav"), ("folder", "canary.wav"), ("folder", "new.wav")):
        with pytest.raises(PermissionDenied):
            save(store, uploaded(), folder, name, lambda _: {}, overwrite=True)
    assert (tmp_path / "canary.wav").read_bytes() == b"canary"
    assert not (tmp_path / "new.wav").exists()


# Editing and moving


def test_an_edit_keeps_what_it_does_not_change(store, uploaded):
    path = save(store, uploaded(), "", "a.wav", lambda _: {"name": "Ann", "tags": ["x"], "mine": 1})
    assert revise(store, path, lambda known: known.update(name="Berta")) == path
    assert sidecar(store, path) == {"name": "Berta", "tags": ["x"], "mine": 1}


def test_a_move_takes_the_sidecar_along_and_never_covers_a_file(store, uploaded):
    path = save(store, uploaded(b"one"), "", "a.wav", lambda _: {"name": "Ann"})
    target = revise(store, path, lambda known: known.update(tags=["t"]), "x/y")
    assert store.relative(target) == "x/y/a.wav"
    assert (target.read_bytes(), sidecar(store, target)) == (b"one", {"name": "Ann", "tags": ["t"]})
    assert tree(store) == ["x/y/a.wav", "x/y/a.wav.json"]
    other = save(store, uploaded(b"two"), "", "a.wav", lambda _: {"name": "Other"})
    with pytest.raises(FileExists):
        revise(store, other, lambda known: known.update(name="lost"), "x/y")
    assert (other.read_bytes(), sidecar(store, other)) == (b"two", {"name": "Other"})
    assert (target.read_bytes(), sidecar(store, target)["name"]) == (b"one", "Ann")


def test_a_move_to_where_it_is_is_an_edit(store, uploaded):
    path = save(store, uploaded(), "x", "a.wav", lambda _: {})
    assert revise(store, path, lambda known: known.update(name="Ann"), "./x/") == path
    assert sidecar(store, path) == {"name": "Ann"}


def test_a_move_to_a_folder_that_differs_only_in_case_ends(store, uploaded):
    """Both names share a lock, which nobody may wait for while they hold it."""
    path = save(store, uploaded(), "book", "a.wav", lambda _: {"name": "Ann"})
    moved: list[Path] = []
    thread = Thread(target=lambda: moved.append(revise(store, path, lambda known: None, "Book")), daemon=True)
    thread.start()
    thread.join(30)
    assert [sidecar(store, target) for target in moved] == [{"name": "Ann"}]


def test_a_move_to_another_spelling_of_its_folder_is_an_edit(store, uploaded):
    """As where case does not matter: what would be cleared away behind the move is what was just written."""
    path = save(store, uploaded(), "book", "a.wav", lambda _: {"name": "Ann"})
    if not (store.root / "Book").exists():
        (store.root / "Book").symlink_to(store.root / "book")
    assert revise(store, path, lambda known: known.update(tags=["t"]), "Book") == path
    assert sidecar(store, path) == {"name": "Ann", "tags": ["t"]}


def test_what_cannot_be_edited_stays_where_it_is(store):
    fill(store, "a.wav")
    (store.root / "a.wav.json").write_text("{one typo")
    for folder in (None, "x"):
        with pytest.raises(FileExists):
            revise(store, store.root / "a.wav", lambda known: known.update(name="Ann"), folder)
    assert tree(store) == ["a.wav", "a.wav.json"]
    assert (store.root / "a.wav.json").read_text() == "{one typo"
    with pytest.raises(NotFound):
        revise(store, store.root / "gone.wav", lambda known: None)
    assert not store.update_sidecar(store.root / "gone.wav", lambda known: known.update(usage_count=1))


@pytest.mark.parametrize("folder", ["../x", "/x", "a/../../x", "C:\\x", "~/x"])
def test_a_move_never_leads_out(store, uploaded, tmp_path, folder):
    path = save(store, uploaded(), "", "a.wav", lambda _: {})
    with pytest.raises(PermissionDenied):
        revise(store, path, lambda known: None, folder)
    with pytest.raises(InvalidOption):
        revise(store, path, lambda known: None, "a\0")
    assert path.exists()


def test_a_move_that_cannot_write_its_sidecar_is_undone(store, uploaded, monkeypatch):
    path = save(store, uploaded(), "", "a.wav", lambda _: {"name": "Ann"})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(StorageFull):
        revise(store, path, lambda known: None, "x")
    assert tree(store) == ["a.wav", "a.wav.json"]


def test_a_use_counted_during_a_move_leaves_no_sidecar_behind(store, uploaded):
    path = save(store, uploaded(), "", "a.wav", lambda _: {})
    stop = False

    def count() -> None:
        while not stop:
            store.update_sidecar(path, lambda known: known.update(n=1))

    thread = Thread(target=count)
    thread.start()
    for n in range(20):
        target = revise(store, path, lambda known: None, f"f{n}")
        assert not store.sidecar(path).exists()
        revise(store, target, lambda known: None, "")
    stop = True
    thread.join(20)
    assert tree(store) == ["a.wav", "a.wav.json"]


# Deleting


def test_a_sidecar_goes_with_the_last_format(outputs):
    fill(outputs, "p/t.wav", "p/t.mp3", "p/t.json", "p/t.wav.json", "p/t2.wav", "p/t2.json", "t.json")
    first = delete(outputs, [outputs.root / "p" / "t.wav"])
    assert (first.audio, first.sidecars) == (["p/t.wav"], ["p/t.wav.json"])
    second = delete(outputs, [outputs.root / "p" / "t.mp3"])
    assert (second.audio, second.sidecars) == (["p/t.mp3"], ["p/t.json"])
    assert tree(outputs) == ["p/t2.json", "p/t2.wav", "t.json"]


def test_a_format_deleted_by_another_meanwhile_is_passed_over(outputs, monkeypatch):
    fill(outputs, "t.wav", "t.mp3", "t.flac")
    first, *_ = found = formats_of(outputs, outputs.root / "t.wav")
    original = Path.stat

    def gone(self: Path, **more: bool) -> os.stat_result:
        status = original(self, **more)
        if self.suffix == ".mp3":
            (outputs.root / "t.wav").unlink(missing_ok=True)
        return status

    monkeypatch.setattr(Path, "stat", gone)
    assert formats_of(outputs, first) == found


def test_an_old_sidecar_in_the_root_goes_if_it_was_this_generations(outputs):
    fill(outputs, "p/old.wav", "p/old.mp3", "q/old.wav")
    (outputs.root / "old.json").write_text('{"files": {"wav": "old.wav", "mp3": "old.mp3"}}')
    assert delete(outputs, [outputs.root / "p" / "old.wav"]).sidecars == []
    assert delete(outputs, [outputs.root / "p" / "old.mp3"]).sidecars == ["old.json"]


def test_all_formats_of_a_generation_are_found(outputs):
    fill(outputs, "t.wav", "t.mp3", "t.FLAC", "t2.wav", "t.json", "x/t.wav")
    assert {path.name for path in formats_of(outputs, outputs.root / "t.mp3")} == {"t.wav", "t.mp3", "t.FLAC"}


def test_two_that_delete_the_last_two_formats_at_once_leave_no_sidecar(outputs):
    for _ in range(30):
        fill(outputs, "t.wav", "t.mp3", "t.json")
        threads = [Thread(target=delete, args=(outputs, [outputs.root / name])) for name in ("t.wav", "t.mp3")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert tree(outputs) == []


def test_bulk_takes_the_files_in_their_folders_and_not_their_namesakes(store):
    """The original deleted by bare name: the root's file went, the folder's stayed."""
    fill(store, "i1.wav", "i1.wav.json", "client/i1.wav", "client/i1.wav.json", "client2/i1.wav")
    deleted = remove(store, filter_of(folder="client"))
    assert (deleted.audio, deleted.sidecars, deleted.folders) == (["client/i1.wav"], ["client/i1.wav.json"], ["client"])
    assert tree(store) == ["client2/i1.wav", "i1.wav", "i1.wav.json"]


def test_names_in_a_bulk_delete_are_no_patterns(store):
    fill(store, "v8.wav", "v8*", "[x].wav", "x.wav")
    assert remove(store, filter_of(filenames=["v8*,[x].wav,*.wav"])).audio == ["[x].wav"]
    assert tree(store) == ["v8*", "v8.wav", "x.wav"]


@pytest.mark.parametrize("prune", [True, False])
def test_folders_left_empty_go_only_where_they_mean_nothing(store, prune):
    fill(store, "a/b/c/1.wav", "a/2.txt", "d/3.wav", "d/.hidden/x", "e/f/4.wav")
    (store.root / "e" / "g").mkdir()
    assert remove(store, filter_of(search=".wav"), prune=prune).folders == (["a/b", "a/b/c", "e/f"] if prune else [])
    assert store.root.is_dir()
    assert (store.root / "d").is_dir()


def test_a_whole_folder_goes_with_its_empty_ones(store):
    fill(store, "e/f/4.wav")
    (store.root / "e" / "g" / "h").mkdir(parents=True)
    assert remove(store, filter_of(folder="e"), below="e").folders == ["e", "e/f", "e/g", "e/g/h"]
    assert tree(store) == []


def test_what_is_not_the_callers_stays_and_is_counted(store, uploaded):
    for owner in ("ann", "bob"):
        save(store, uploaded(), "", f"{owner}.wav", lambda _, owner=owner: {"owner": owner})
    deleted = remove(store, Filter(), mine=lambda entry: entry.owner == "ann")
    assert (deleted.audio, deleted.spared) == (["ann.wav"], 1)
    assert tree(store) == ["bob.wav", "bob.wav.json"]


def test_files_that_vanish_meanwhile_are_no_error(store):
    fill(store, "a.wav", "b.wav")
    entries = Filter().of(store.index.snapshot(), BY_NAME)
    (store.root / "a.wav").unlink()
    assert delete_many(store, entries, prune=True, mine=lambda _: True).audio == ["b.wav"]


def test_a_folder_swapped_for_a_link_deletes_nothing_outside(store, tmp_path):
    fill(store, "x/canary.wav")
    entries = Filter().of(store.index.snapshot(), BY_NAME)
    (store.root / "x" / "canary.wav").unlink()
    (store.root / "x").rmdir()
    try:
        (store.root / "x").symlink_to(tmp_path)
    except (OSError, NotImplementedError):
        pytest.skip("no symbolic links here")
    with pytest.raises(PermissionDenied):
        delete_many(store, entries, prune=True, mine=lambda _: True)
    assert (tmp_path / "canary.wav").read_bytes() == b"canary"


def test_names_that_are_no_text_can_be_deleted(store):
    try:
        (store.root / os.fsdecode(b"\xff.wav")).write_bytes(b"x")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only text as names")
    assert len(remove(store, filter_of(search=".wav")).audio) == 1
    assert tree(store) == []


def test_a_folder_being_written_to_is_never_taken_away(store, uploaded):
    """One uploads into a folder again and again while another empties and prunes it."""
    errors: list[BaseException] = []
    stop = False

    def clear() -> None:
        while not stop:
            remove(store, filter_of(folder="x"))

    thread = Thread(target=clear)
    thread.start()
    for n in range(60):
        try:
            save(store, uploaded(), "x/y", f"{n}.wav", lambda _: {})
        except PlusError as error:
            errors.append(error)
    stop = True
    thread.join(20)
    assert errors == []

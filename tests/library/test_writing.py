"""What is written is whole, shares one stem, overwrites nothing, and leaves nothing behind when it fails."""

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatterbox_plus.errors import FileExists, NotFound, StorageFull, StorageUnwritable
from chatterbox_plus.library import writing
from chatterbox_plus.library.store import Store
from tests.library.worker import reserve

WORKER = [sys.executable, str(Path(__file__).with_name("worker.py"))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "outputs", sidecar_per_stem=True)


def everything(store: Store) -> dict[str, bytes]:
    """Every file there is, hidden ones too."""
    return {p.relative_to(store.root).as_posix(): p.read_bytes() for p in store.root.rglob("*") if p.is_file()}


def test_all_formats_and_the_sidecar_appear_together_under_one_stem(store):
    with store.reserve("book/ch 1", "take_temp0.75", (".wav", ".mp3")) as place:
        place.open(".wav").write(b"wav")
        place.open(".mp3").write(b"mp3")
        place.write_json({"text": "grüß dich"})
        assert store.files() == []
        paths = place.commit()
    assert {suffix: store.relative(path) for suffix, path in paths.items()} == {
        ".wav": "book/ch 1/take_temp0.75.wav",
        ".mp3": "book/ch 1/take_temp0.75.mp3",
        ".json": "book/ch 1/take_temp0.75.json",
    }
    assert set(everything(store)) == {store.relative(path) for path in paths.values()}
    assert store.read_sidecar(paths[".mp3"]) == store.read_sidecar(paths[".wav"]) == {"text": "grüß dich"}


@pytest.mark.parametrize("present", ["take.wav", "take.mp3", "take.flac", "take.json", ".take.claim"])
def test_a_stem_is_taken_by_any_file_of_a_generation(store, present):
    """A new wav never becomes the sibling of somebody else's mp3, nor the owner of their sidecar."""
    (store.root / present).write_bytes(b"old")
    with store.reserve("", "take", (".wav",)) as place:
        place.open(".wav").write(b"new")
        assert store.relative(place.commit()[".wav"]) == "take_2.wav"
    assert (store.root / present).read_bytes() == b"old"
    with pytest.raises(FileExists):
        store.reserve("", "take", (".wav",), numbered=False)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_broken_off_generation_leaves_nothing(store, error):
    def broken():
        with store.reserve("", "take", (".wav",)) as place:
            place.write_json({})
            place.open(".wav").write(b"half")
            raise error

    with pytest.raises(error):
        broken()
    assert everything(store) == {}


def test_what_is_not_committed_is_not_kept(store):
    with store.reserve("", "take", (".wav",)) as place:
        place.open(".wav").write(b"whole, but nobody wanted it")
    assert everything(store) == {}


def test_a_file_put_there_by_hand_meanwhile_stays(store):
    with store.reserve("", "take", (".mp3", ".wav")) as place:
        for suffix in (".mp3", ".wav"):
            place.open(suffix).write(b"ours")
        place.write_json({})
        (store.root / "take.wav").write_bytes(b"theirs")
        with pytest.raises(FileExists):
            place.commit()
    assert everything(store) == {"take.wav": b"theirs"}


def test_without_hard_links_nothing_is_overwritten_either(store, monkeypatch):
    """exFAT and some shares have none."""

    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert reserve(store.root, "a", 3) == ["take", "take_2", "take_3"]
    with store.reserve("", "other", (".wav",)) as place:
        place.open(".wav").write(b"ours")
        (store.root / "other.wav").write_bytes(b"theirs")
        with pytest.raises(FileExists):
            place.commit()
    assert (store.root / "other.wav").read_bytes() == b"theirs"


def check_unique(store: Store, stems: list[str]) -> None:
    """Every stem was given once, and its three files are from one writer."""
    assert len(set(stems)) == len(stems)
    files = everything(store)
    for stem in stems:
        wav, mp3, side = (files.pop(f"book/{stem}{suffix}") for suffix in (".wav", ".mp3", ".json"))
        assert wav == mp3 == json.loads(side)["by"].encode()
    assert files == {}


def test_threads_that_want_one_name_each_get_their_own(store):
    with ThreadPoolExecutor(8) as pool:
        runs = pool.map(lambda n: reserve(store.root, f"t{n}", 5), range(8))
    check_unique(store, [stem for run in runs for stem in run])


def test_processes_that_want_one_name_each_get_their_own(store):
    others = [subprocess.Popen([*WORKER, "reserve", str(store.root)], stdout=subprocess.PIPE) for _ in range(2)]
    answers = [other.communicate(timeout=60)[0] for other in others]
    assert [other.returncode for other in others] == [0, 0]
    check_unique(store, [stem for answer in answers for stem in json.loads(answer)])


def test_a_crash_leaves_no_half_file_in_sight_and_the_sweep_takes_the_rest(store):
    """Die in the middle of writing: nothing is listed or found, only hidden files remain, and they can be swept."""
    assert subprocess.run([*WORKER, "crash", str(store.root)], timeout=60).returncode == 9
    left = everything(store)
    assert b"half a file" in left.values()
    assert store.files() == []
    for name in ("take", "take.wav", ".take.wav.part", "book/.take.wav.part"):
        with pytest.raises(NotFound):
            store.resolve(name)
    assert reserve(store.root, "next", 1) == ["take_2"]
    assert store.sweep() == 0, "what was touched a moment ago may still have a writer"
    for name in left:
        os.utime(store.root / name, (0, 0))
    assert store.sweep() == len(left)
    check_unique(store, ["take_2"])
    assert reserve(store.root, "after", 1) == ["take"]


def test_the_sweep_touches_no_other_file(store):
    for name in ("old.wav", ".keep", "a.part", ".DS_Store", "old.json"):
        (store.root / name).write_bytes(b"x")
        os.utime(store.root / name, (0, 0))
    assert store.sweep() == 0


class FullDisk:
    """A file that takes no more after `room` bytes."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_is_said_so_and_leaves_nothing(store, monkeypatch):
    def fill():
        with store.reserve("", "take", (".wav",)) as place:
            file = FullDisk(place.open(".wav"), room=1000)
            while True:
                file.write(bytes(300))

    with pytest.raises(StorageFull) as error:
        fill()
    assert str(store.root) not in error.value.message
    assert everything(store) == {}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_full_at_the_last_moment_leaves_the_old_sidecar(store, monkeypatch, number):
    """The flush fails: neither a sidecar nor a generation is half there."""
    place = store.root / "voice.wav.json"
    store.write_json(place, {"usage_count": 1})

    def full(_):
        raise OSError(number, "full")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(StorageFull):
        store.write_json(place, {"usage_count": 2})
    with pytest.raises(StorageFull):
        reserve(store.root, "x", 1)
    assert everything(store).keys() == {"voice.wav.json"}
    assert store.read_json(place) == {"usage_count": 1}


def test_other_errors_stay_what_they_are(store):
    with pytest.raises(PermissionError), store.reserve("", "take", (".wav",)):
        raise PermissionError(errno.EACCES, "no")


def test_a_suffix_is_opened_once_and_only_if_reserved(store):
    with store.reserve("", "take", (".wav",)) as place:
        place.open(".wav")
        for suffix in (".wav", ".mp3"):
            with pytest.raises(ValueError):
                place.open(suffix)


def test_a_folder_that_cannot_be_written_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "outputs")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageUnwritable, match="cannot be written: Permission denied"):
        store.reserve("", "speech", (".wav",))


def test_a_folder_that_is_taken_away_meanwhile_is_an_error_with_a_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "outputs")
    with store.reserve("book", "speech", (".wav",)) as place:
        shutil.rmtree(tmp_path / "outputs" / "book")
        with pytest.raises(StorageUnwritable):
            place.open(".wav")

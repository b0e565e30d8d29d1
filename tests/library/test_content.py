"""The folder of takes stays within its size, gives back only what is whole, and never holds anybody up."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatterbox_plus.errors import StorageFull
from chatterbox_plus.library.content import RESERVE_BYTES, ContentStore

KEYS = [f"{n:02x}" * 32 for n in range(40)]
DIGEST_BYTES = 16


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def place(folder: Path, key: str) -> Path:
    return folder / key[:2] / key[2:]


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "takes", 1000)
    assert store.read(KEYS[0]) is None
    assert KEYS[0] not in store
    store.write(KEYS[0], b"sound")
    assert KEYS[0] in store
    assert store.read(KEYS[0]) == ContentStore(tmp_path / "takes", 1000).read(KEYS[0]) == b"sound"


def test_the_folder_never_grows_beyond_its_size(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, 1000)
    for key in KEYS:
        store.write(key, bytes(84))
        assert size(tmp_path) <= 1000
    assert size(tmp_path) >= 800


def test_what_was_there_at_the_start_counts(tmp_path: Path) -> None:
    ContentStore(tmp_path, 10_000).write(KEYS[0], bytes(900))
    ContentStore(tmp_path, 1000).write(KEYS[1], bytes(300))
    assert size(tmp_path) == 300 + DIGEST_BYTES


def test_writing_the_same_again_and_again_throws_nothing_out(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, 1000)
    store.write(KEYS[0], bytes(300))
    for _ in range(20):
        store.write(KEYS[1], bytes(300))
    assert store.read(KEYS[0]) == bytes(300)


def test_what_was_used_least_lately_goes_first(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, 1000)
    for age, key in enumerate(KEYS[:5]):
        store.write(key, bytes(184))
        old = time.time() - 100_000 * (age + 1)  # the first is the youngest
        os.utime(place(tmp_path, key), (old, old))
    assert store.read(KEYS[4]) is not None  # the oldest is used
    store.write(KEYS[5], bytes(184))
    assert [key in store for key in KEYS[:6]] == [True, True, False, False, True, True]


@pytest.mark.parametrize("damage", [b"", b"short", bytes(100)])
def test_what_is_damaged_is_thrown_away(tmp_path: Path, damage: bytes) -> None:
    store = ContentStore(tmp_path, 1000)
    store.write(KEYS[0], b"sound")
    place(tmp_path, KEYS[0]).write_bytes(damage)
    assert store.read(KEYS[0]) is None
    assert not place(tmp_path, KEYS[0]).exists()


def test_a_size_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "takes", 0)
    store.write(KEYS[0], b"sound")
    assert store.read(KEYS[0]) is None
    assert not (tmp_path / "takes").exists()


def test_the_last_of_the_disk_is_left_to_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=RESERVE_BYTES))
    store = ContentStore(tmp_path, 1000)
    with pytest.raises(StorageFull):
        store.write(KEYS[0], b"sound")
    assert size(tmp_path) == 0


def test_what_a_crash_left_half_written_goes_in_time(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, 1000)
    store.write(KEYS[0], b"sound")
    half = place(tmp_path, KEYS[0]).with_name(".0123456789abcdef.part")
    half.write_bytes(bytes(900))
    os.utime(half, (0, 0))
    store = ContentStore(tmp_path, 1000)
    store.write(KEYS[1], bytes(200))
    assert not half.exists()
    assert store.read(KEYS[0]) == b"sound"


def test_many_may_write_and_read_at_once(tmp_path: Path) -> None:
    stores = [ContentStore(tmp_path, 2000), ContentStore(tmp_path, 2000)]

    def work(n: int) -> None:
        store, key = stores[n % 2], KEYS[n % len(KEYS)]
        store.write(key, key.encode())
        assert store.read(key) in (None, key.encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))

"""A ZIP that is sent while it is made: what comes out is read back by `zipfile`."""

import io
import itertools
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatterbox_plus.errors import InvalidOption, NotFound, PermissionDenied
from chatterbox_plus.jobs import zip_stream
from chatterbox_plus.jobs.zip_stream import ZipEntry, zip_chunks, zip_size

WHEN = datetime(2026, 3, 1, 12, 30, 44)
Make = Callable[..., ZipEntry]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A file, and how it is to be put in."""
    numbers = itertools.count()

    def make(name: str, data: bytes = b"x", modified: datetime = WHEN) -> ZipEntry:
        path = tmp_path / str(next(numbers))
        path.write_bytes(data)
        return ZipEntry(name, path, modified)

    return make


def _read(entries: list[ZipEntry]) -> dict[str, bytes]:
    """name -> content, all checksums checked; and the announced size was right."""
    data = b"".join(zip_chunks(entries))
    assert zip_size(entries) == len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        return {info.filename: archive.read(info) for info in archive.infolist()}


@pytest.mark.parametrize("size", [0, 1, 65_536, 262_144, 1_000_001])
def test_what_was_put_in_comes_out(make: Make, size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert _read([make("a.wav", data), make("book/b.mp3", b"b")]) == {"a.wav": data, "book/b.mp3": b"b"}


def test_an_archive_of_nothing_is_one() -> None:
    assert _read([]) == {}


def test_names_of_every_script_are_utf8(make: Make) -> None:
    entries = [make("é.wav"), make("第一章/你好.wav"), make("🎧.wav")]
    assert list(_read(entries)) == ["é.wav", "第一章/你好.wav", "🎧.wav"]
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_chunks(entries)))) as archive:
        assert all(info.flag_bits & 0x800 for info in archive.infolist())


def test_repeated_names_are_numbered(make: Make) -> None:
    names = ["a.wav", "a.wav", "A.WAV", "a_2.wav", "b/a.wav", "a.mp3", "a.wav"]
    found = list(_read([make(name) for name in names]))
    assert found == ["a.wav", "a_2.wav", "A_3.WAV", "a_2_2.wav", "b/a.wav", "a.mp3", "a_4.wav"]


def test_a_thousand_of_one_name_are_quickly_numbered(make: Make) -> None:
    entry = make("a.wav")
    assert list(_read([entry] * 3000))[-1] == "a_3000.wav"


def test_names_are_made_safe_for_whoever_unpacks(make: Make) -> None:
    assert list(_read([make("b:c?.wav"), make("x\\CON.wav"), make("./y//z.wav")])) == [
        "b_c_.wav",
        "x/CON_.wav",
        "y/z.wav",
    ]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "C:/a", "a/../../b"])
def test_a_name_that_leads_out_is_refused(make: Make, name: str) -> None:
    with pytest.raises(PermissionDenied):
        list(zip_chunks([make(name)]))


def test_a_name_of_nothing_is_refused(make: Make) -> None:
    with pytest.raises(InvalidOption):
        list(zip_chunks([make("")]))


def test_times_are_local_and_kept(make: Make) -> None:
    aware = WHEN.astimezone(UTC)
    old, late = datetime(1969, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    entries = [make("a", modified=WHEN), make("b", modified=aware), make("c", modified=old), make("d", modified=late)]
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_chunks(entries)))) as archive:
        times = [info.date_time for info in archive.infolist()]
    assert times[:2] == [(2026, 3, 1, 12, 30, 44)] * 2
    assert [moment[0] for moment in times[2:]] == [1980, 2107]


def test_it_begins_before_the_last_file_is_there(make: Make) -> None:
    """Entries may be made while others are sent."""
    asked = []

    def entries() -> itertools.chain[ZipEntry]:
        def later() -> list[ZipEntry]:
            asked.append("second")
            return [make("b", bytes(10**6))]

        return itertools.chain([make("a", bytes(10**6))], (entry for _ in (1,) for entry in later()))

    chunks = zip_chunks(entries())
    next(chunks)
    assert asked == []
    assert sum(len(chunk) for chunk in chunks) > 10**6
    assert asked == ["second"]


# What breaks off


def _broken(entries: list[ZipEntry]) -> bytes:
    """What was sent until the error: no archive."""
    sent = bytearray()
    chunks = map(sent.extend, zip_chunks(entries))
    with pytest.raises(NotFound) as caught:
        list(chunks)
    assert "/" not in caught.value.message
    assert not zipfile.is_zipfile(io.BytesIO(sent))
    return bytes(sent)


def test_a_file_that_is_gone_breaks_it_off(make: Make) -> None:
    entries = [make("a.wav", bytes(10**6)), make("gone.wav"), make("c.wav")]
    entries[1].path.unlink()
    assert len(_broken(entries)) > 0
    with pytest.raises(NotFound, match="gone"):
        zip_size(entries)


def test_a_file_cut_short_while_it_is_read_breaks_it_off(make: Make) -> None:
    entry = make("a.wav", bytes(10**7))
    chunks = zip_chunks([entry])
    next(chunks)
    os.truncate(entry.path, 1000)
    with pytest.raises(NotFound):
        list(chunks)


def test_a_file_that_grows_is_sent_as_it_was(make: Make) -> None:
    entry = make("a.wav", b"a" * 10**6)
    size = zip_size([entry])
    chunks = zip_chunks([entry])
    sent = next(chunks)
    with entry.path.open("ab") as file:
        file.write(b"b" * 1000)
    sent += b"".join(chunks)
    assert len(sent) == size
    assert zipfile.ZipFile(io.BytesIO(sent)).read("a.wav") == b"a" * 10**6


def test_whoever_stops_listening_leaves_nothing_open(make: Make) -> None:
    entry = make("a.wav", bytes(10**7))
    chunks = zip_chunks([entry])
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    entry.path.unlink()  # Windows would refuse


# Size


def test_memory_does_not_grow_with_the_files(make: Make) -> None:
    entry = make("a.wav", bytes(30_000_000))
    tracemalloc.start()
    try:
        largest = max(len(chunk) for chunk in zip_chunks([entry] * 3))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert largest < 400_000
    assert peak < 3_000_000


def test_a_file_over_four_gigabytes(make: Make, tmp_path: Path) -> None:
    """Its size is known without reading it, and so is where the next one begins."""
    entry = make("big.wav")
    try:
        os.truncate(entry.path, 5 * 2**30)  # sparse: takes no room where file systems can do that
    except OSError:
        pytest.skip("this file system has no room for a sparse file")
    head = next(iter(zip_chunks([entry])))
    assert head[18:26] == b"\xff" * 8  # both sizes are in the ZIP64 field
    assert zip_size([entry]) > 5 * 2**30 + 100
    assert zip_size([entry, make("small.wav")]) - zip_size([entry]) == 30 + 9 + 1 + 16 + 46 + 9 + 12  # offset in ZIP64


@pytest.mark.parametrize("limit", [100, 1000, 3000])
def test_zip64_is_used_where_it_is_needed(make: Make, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """With the limit lowered, so that files, offsets and the directory pass it in turn."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    monkeypatch.setattr(zip_stream, "ZIP64_LIMIT", limit)
    sizes = [50, 500, 0, 2000, 90, 5000]
    entries = [make(f"{size}.wav", os.urandom(size)) for size in sizes]
    assert [len(content) for content in _read(entries).values()] == sizes


def test_more_files_than_an_old_zip_can_count(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
    assert len(_read([make(f"{number}.wav") for number in range(11)])) == 11

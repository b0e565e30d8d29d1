"""Many stored files as one ZIP, sent as it is made: nothing of it is ever whole in memory or on disk.

The files are audio, so they are stored as they are. `zipfile` lays the archive out: sizes and checksums follow each
file, and what needs it (from 2 GiB or 65,536 files on) is written as ZIP64.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZIP64_LIMIT, ZIP_STORED, ZipFile, ZipInfo

from chatterbox_plus.errors import NotFound
from chatterbox_plus.library.naming import any_spelling, parts, safe_name, shown

PIECE_BYTES = 2**18
_READ_BYTES = 2**16
_FILE_FOR_ALL = 0o100644 << 16  # a file its owner may write and all may read
_UNIX = 3
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)  # that a ZIP can tell


@dataclass(frozen=True)
class ZipEntry:
    """A file to be put in. name: in the archive, in forward slashes. modified: a naive time is local."""

    name: str
    path: Path
    modified: datetime


def zip_chunks(entries: Iterable[ZipEntry]) -> Iterator[bytes]:
    """The archive, piece by piece: 256 KiB and a little, but for the last one, which holds the directory of it all.

    Names are made safe, as `library.naming` does it, and repeated ones numbered: `a.wav`, `a_2.wav`.

    Raises NotFound when the turn of a file comes that is gone, or became shorter while it was read: what was sent until
    then is no archive that anything takes for whole. OSError for one that cannot be read.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:  # after an error its end goes to the sink, and nobody takes it out
        for entry, info in _named(entries):
            try:
                file = entry.path.open("rb")
            except FileNotFoundError:
                raise _gone(entry) from None
            with file:
                size = file.seek(0, 2)
                file.seek(0)
                with archive.open(info, "w", force_zip64=size > ZIP64_LIMIT) as member:
                    for chunk in _exactly(file, size, entry):
                        member.write(chunk)
                        if piece := sink.take(PIECE_BYTES):
                            yield piece
            if piece := sink.take(PIECE_BYTES):
                yield piece
    yield sink.take()


def zip_size(entries: Iterable[ZipEntry]) -> int:
    """Bytes that `zip_chunks` will make of the files as they are now. Raises NotFound for one that is gone, OSError."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for entry, info in _named(entries):
            try:
                size = entry.path.stat().st_size
            except FileNotFoundError:
                raise _gone(entry) from None
            with archive.open(info, "w", force_zip64=size > ZIP64_LIMIT):
                sink.skip(size)
            info.file_size = info.compress_size = size  # the directory at the end is written from these
            sink.take()
    return sink.tell()


class _Sink:
    """What `zipfile` writes to: it can say where it is, and cannot go back."""

    def __init__(self) -> None:
        self._position, self._held = 0, bytearray()

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        self._held += data
        self._position += len(data)
        return len(data)

    def skip(self, size: int) -> None:
        """As if so many bytes had been written."""
        self._position += size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits in here."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self, least: int = 0) -> bytes:
        """What was written since; b"" if it is less than `least`."""
        if len(self._held) < least:
            return b""
        held, self._held = self._held, bytearray()
        return bytes(held)


def _named(entries: Iterable[ZipEntry]) -> Iterator[tuple[ZipEntry, ZipInfo]]:
    """Raises PermissionDenied and InvalidOption for names that `naming` refuses."""
    taken: set[str] = set()
    counts: defaultdict[str, int] = defaultdict(lambda: 1)
    for entry in entries:
        wanted = name = PurePosixPath(*(safe_name(part) for part in parts(entry.name) or ("",)))
        while any_spelling(Path(name)) in taken:
            counts[any_spelling(Path(wanted))] += 1
            name = wanted.with_stem(f"{wanted.stem}_{counts[any_spelling(Path(wanted))]}")
        taken.add(any_spelling(Path(name)))
        info = ZipInfo(str(name), _date_time(entry.modified))
        info.create_system, info.external_attr = _UNIX, _FILE_FOR_ALL
        yield entry, info


def _date_time(moment: datetime) -> tuple[int, int, int, int, int, int]:
    """Local time, as a ZIP has it, and only as far as a ZIP can count."""
    if not _FIRST[0] <= moment.year <= _LAST[0]:  # Windows has no local time before 1970
        return _FIRST if moment.year < _FIRST[0] else _LAST
    local = moment.astimezone()
    told = (local.year, local.month, local.day, local.hour, local.minute, local.second)
    return min(max(told, _FIRST), _LAST)


def _exactly(file: BinaryIO, size: int, entry: ZipEntry) -> Iterator[bytes]:
    """So many bytes, whatever is written to the file meanwhile."""
    left = size
    while left:
        chunk = file.read(min(left, _READ_BYTES))
        if not chunk:
            raise _gone(entry)
        left -= len(chunk)
        yield chunk


def _gone(entry: ZipEntry) -> NotFound:
    return NotFound(f"A file was removed before it could be sent: {shown(entry.name)}")

"""A folder of what was worked out before, each under the hash of all it depends on, and no larger than it may be.

Nothing in it is precious: what is missing, damaged or was thrown out for room is worked out again. So nothing is
synced: a power cut may take the last files, and each says by its own digest whether it is whole.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from chatterbox_plus.errors import StorageFull
from chatterbox_plus.library.writing import discard, overwrite, writing

TOUCHED_S = 3600.0  # how exactly it is known when something was last used
STALE_S = 3600.0  # what was begun so long ago was left by a crash
FULL_TO = 0.9  # what is left when room is made
RESERVE_BYTES = 8 * 2**20  # of the disk, which is others': the database of tasks must always be able to write
_DIGEST_BYTES = 16
_log = logging.getLogger(__name__)


class ContentStore:
    """Files by key. Thread-safe; processes may share the folder."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """max_bytes: 0 = keep nothing. The folder is made when something is kept."""
        self._folder, self._max_bytes = folder, max_bytes
        self._lock = threading.Lock()
        self._size: int | None = None  # bytes, about; None: not looked yet

    @property
    def keeps(self) -> bool:
        """Whether anything is kept here at all."""
        return self._max_bytes > 0

    def read(self, key: str) -> bytes | None:
        """What was kept under that key, None if nothing whole is there."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):  # it may be thrown out this moment: what was read is whole all the same
            if time.time() - path.stat().st_mtime > TOUCHED_S:
                os.utime(path)
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if digest != _digest(content):
            _log.warning("a damaged file among the takes is thrown away")
            discard(path)
            return None
        return content

    def beginning(self, key: str, size: int) -> tuple[bytes, int] | None:
        """The first bytes of what seems to be here under that key, and how many there are in all; None if nothing is.

        Nobody looks whether it is whole, and no other server is asked.
        """
        try:
            with self._path(key).open("rb") as file:
                content = file.read(_DIGEST_BYTES + size)[_DIGEST_BYTES:]
                return content, max(0, os.fstat(file.fileno()).st_size - _DIGEST_BYTES)
        except OSError:
            return None

    def __contains__(self, key: str) -> bool:
        """Whether something seems to be there; `read` looks whether it is whole."""
        return self._path(key).exists()

    def write(self, key: str, content: bytes) -> None:
        """Keeps it. Raises StorageFull, StorageUnwritable."""
        if not self._max_bytes:
            return
        path = self._path(key)
        temporary = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with writing():
                path.parent.mkdir(parents=True, exist_ok=True)
                if shutil.disk_usage(path.parent).free < len(content) + RESERVE_BYTES:
                    raise StorageFull("There is no room left in the data folder.")
                temporary.write_bytes(_digest(content) + content)
                overwrite(temporary, path)
        except BaseException:
            discard(temporary)
            raise
        self._grown(_DIGEST_BYTES + len(content))

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key[2:]

    def _grown(self, size: int) -> None:
        with self._lock:
            if self._size is None:
                self._size = sum(found.stat.st_size for found in self._files())
            else:
                self._size += size
            if self._size > self._max_bytes:
                self._make_room()

    def _make_room(self) -> None:
        """Throws out what was not used for the longest time."""
        files = sorted(self._files(), key=lambda found: found.stat.st_mtime)
        size = sum(found.stat.st_size for found in files)
        begun = time.time() - STALE_S
        for found in files:
            if size <= self._max_bytes * FULL_TO:
                break
            if found.path.name.startswith(".") and found.stat.st_mtime > begun:
                continue  # somebody is writing it
            discard(found.path)
            size -= found.stat.st_size
        self._size = size

    def _files(self) -> Iterator["_File"]:
        with contextlib.suppress(OSError):
            for shelf in os.scandir(self._folder):
                if not shelf.is_dir(follow_symlinks=False):
                    continue
                for entry in os.scandir(shelf):
                    with contextlib.suppress(OSError):  # another process threw it out
                        yield _File(Path(entry.path), entry.stat())


class _File:
    def __init__(self, path: Path, stat: os.stat_result) -> None:
        self.path, self.stat = path, stat


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()

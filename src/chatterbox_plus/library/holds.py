"""Which files are in use right now, so that retention leaves them alone.

Known for this process only: what another process works with is protected by its age. A file that is merely open needs
no hold; one that will be opened again does.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from chatterbox_plus.library.naming import any_spelling

_held: Counter[str] = Counter()  # by `any_spelling`; paths are the file system's, so there is one table a process
_lock = threading.Lock()


class Hold:
    """Keeps a file, or a folder and all in it, from retention, from now until `release` or the end of the `with`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = any_spelling(path)
        self._over = False
        with _lock:
            _held[self._key] += 1

    def release(self) -> None:
        """May be called again."""
        with _lock:
            if not self._over:
                self._over = True
                _held[self._key] -= 1
                if not _held[self._key]:
                    del _held[self._key]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.release()


def held(*paths: Path) -> bool:
    """Whether any of them is in use."""
    with _lock:
        return _any(paths)


def remove(files: Sequence[Path]) -> bool:
    """Removes all of the files, in this order, or none because one is in use; missing ones are passed over.

    Nobody can take hold of them half-way. Raises OSError.
    """
    with _lock:
        if _any(files):
            return False
        for path in files:
            path.unlink(missing_ok=True)
        return True


def _any(paths: Sequence[Path]) -> bool:
    return bool(_held) and any(any_spelling(place) in _held for path in paths for place in (path, *path.parents))

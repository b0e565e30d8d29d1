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

_held: Counter[Path] = Counter()  # paths are the file system's, so there is one table a process
_lock = threading.Lock()


class Hold:
    """Keeps files, or a folder and all in it, from retention: until `release`, the `with` or the object itself ends."""

    def __init__(self, *paths: Path) -> None:
        self._paths: tuple[Path, ...] = paths
        with _lock:
            _held.update(paths)

    def release(self) -> None:
        """May be called again."""
        with _lock:
            _held.subtract(self._paths)
            for path in self._paths:
                if _held[path] <= 0:
                    del _held[path]
            self._paths = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.release()

    def __del__(self) -> None:
        if self._paths:
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
    return bool(_held) and any(path in _held or not _held.keys().isdisjoint(path.parents) for path in paths)

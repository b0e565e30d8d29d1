"""One folder that servers have in common: which of its files are meant, and under which keys."""

import os
import re
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from chatterbox_plus.library.mirror_record import Here
from chatterbox_plus.library.naming import is_device
from chatterbox_plus.library.survey import is_own_folder

_WINDOWS = os.name == "nt"
_MAX_KEY_BYTES = 1024  # S3's own limit
_MAX_PART_BYTES = 255
_ODD = re.compile(r"^\.|[\\\x00-\x1f\x7f]")


class Area:
    """A folder here and the same folder of keys there."""

    def __init__(self, name: str, root: Path, suffixes: tuple[str, ...], *, eager: bool) -> None:
        """root: resolved. suffixes, eager: see `Mirror.shelf`."""
        self.name, self.root, self.suffixes, self.eager = name, root, suffixes, eager
        self.lock = threading.RLock()  # one look at a time
        self.began = -1e9  # the last one; of the monotonic clock
        self.took_s = 0.0
        self.folders: frozenset[str] = frozenset()  # the first parts of the keys that the last look found
        self.refused: set[str] = set()  # keys of which was said that they cannot be here
        self.prune: Callable[[Iterable[str]], object] = lambda folders: None  # told of folders that may be empty now

    def key(self, path: Path) -> str | None:
        """None for what is not in common: other folders, hidden files, names that other systems cannot have."""
        try:
            parts = path.relative_to(self.root).parts
        except ValueError:
            return None
        relative = "/".join(parts)
        return f"{self.name}/{relative}" if self._is_ours(relative) else None

    def path(self, key: str) -> Path | None:
        """None for a key that can be no file of ours here."""
        relative = key.partition("/")[2]
        return self.root / relative if self._is_ours(relative) else None

    def is_inside(self, path: Path) -> bool:
        """Whether the folder of that path is really below the root, and not behind a link that leads out."""
        return Path(os.path.realpath(path.parent)).is_relative_to(self.root)

    def files(self) -> dict[str, Here]:
        """By key, the files that are here now. Links are somebody's own affair."""
        found: dict[str, Here] = {}
        folders = [""]
        while folders:
            above = folders.pop()
            with suppress(OSError), os.scandir(self.root / above) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    with suppress(FileNotFoundError):
                        if is_own_folder(entry):
                            folders.append(f"{above}{entry.name}/")
                        elif entry.is_file(follow_symlinks=False) and self._is_ours(above + entry.name):
                            status = entry.stat(follow_symlinks=False)
                            found[f"{self.name}/{above}{entry.name}"] = Here(status.st_mtime_ns, status.st_size)
        return found

    def free_name(self, path: Path) -> Path:
        """The same with a number that no file here has."""
        for n in count(2):
            other = path.with_name(f"{path.stem}_{n}{path.suffix}")
            if not os.path.lexists(other):
                return other
        raise AssertionError("numbers do not end")

    def _is_ours(self, relative: str) -> bool:
        if self.suffixes and not relative.lower().endswith(self.suffixes):
            return False
        try:
            long = len(relative.encode()) + len(self.name) >= _MAX_KEY_BYTES
        except UnicodeEncodeError:  # bytes that are no text: a name of this system's alone
            return False
        return not long and all(map(_is_plain, relative.split("/")))


def here_of(path: Path) -> Here | None:
    """The file as it is now, None if there is none, or a link."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return Here(status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None


def _is_plain(part: str) -> bool:
    if not part or _ODD.search(part) or len(part.encode()) > _MAX_PART_BYTES:
        return False
    return not (_WINDOWS and (":" in part or is_device(part) or part.endswith((" ", "."))))

"""What lies in a folder: how many files, how large, how old. Nothing is opened."""

import contextlib
import os
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """A regular file. modified: seconds since the epoch."""

    path: Path
    size_bytes: int
    modified: float


@dataclass(frozen=True)
class Tally:
    """What a folder holds. files: those that count; size_bytes: of all."""

    files: int
    size_bytes: int


_WINDOWS = os.name == "nt"
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)  # Python knows the name on Windows only


def is_own_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder, and neither a link to one nor a junction, which Windows calls no link. Raises OSError."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    return not _WINDOWS or getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) != _JUNCTION


def files_below(root: Path, *, hidden: bool = False) -> Iterator[Found]:
    """Every regular file, in no order; links are neither followed nor given. hidden: also names beginning with a dot.

    What goes away meanwhile is passed over; so is a folder that may not be read.
    """
    folders = [str(root)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(".") and not hidden:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if is_own_folder(entry):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        yield Found(Path(entry.path), status.st_size, status.st_mtime)


def tally(root: Path, suffixes: Container[str] | None = None) -> Tally:
    """suffixes: which files count, in lower case with their dots; None: all of them."""
    files = size = 0
    for found in files_below(root):
        size += found.size_bytes
        files += suffixes is None or found.path.suffix.lower() in suffixes
    return Tally(files, size)

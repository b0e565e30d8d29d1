"""What a killed command left half-written beside its results: known by its name, and removed by the next one."""

import os
import re
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from chatterbox_plus.library.store import STALE_S

_PART = re.compile(r"\.(?:(?P<name>.+)\.)?[0-9a-f]{8,16}\.part")


def sweep(folder: Path, names: Collection[str]) -> None:
    """Removes the hidden `.NAME.xxxxxxxx.part` files and folders in which nothing was written for an hour.

    names: those of the results they were to become; "" for the nameless ones. What cannot be removed stays.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = _PART.fullmatch(entry.name)
            if found and (found["name"] or "") in names:
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    with suppress(OSError):
        if time.time() - max(each.lstat().st_mtime for each in (path, *path.rglob("*"))) < STALE_S:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()

"""What was sent along with tasks, kept until they are done: `jobs/<task>/<field>` in the data folder.

Where several servers have their audio in common it is there for all of them, so that any can go on with a task.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from chatterbox_plus.library.shelf import ALONE, Shelf
from chatterbox_plus.library.writing import sync, sync_folder, writing


class TaskFiles:
    """Thread-safe."""

    def __init__(self, root: Path, shelf: Shelf = ALONE) -> None:
        """shelf: of other servers that have these files, too."""
        self._root, self._shelf = root, shelf

    def take(self, task: str, files: Mapping[str, Path]) -> None:
        """Moves them here, safe from a power cut. task, and the names: ours, never a client's.

        Raises StorageFull, StorageAway; then nothing of them is kept.
        """
        folder = self._root / task
        try:
            with writing():
                folder.mkdir(parents=True, exist_ok=True)
                for field, source in files.items():
                    shutil.move(source, folder / field)
                    sync(folder / field)
                    self._shelf.put(folder / field, folder / field)
                sync_folder(folder)
                sync_folder(self._root)
        except BaseException:
            self.forget(task)
            raise

    def path(self, task: str, field: str) -> Path:
        """Where a file is, if there is one. Raises StorageAway."""
        path = self._root / task / field
        if not path.is_file():
            self._shelf.bring(path)
        return path

    def forget(self, task: str) -> None:
        """Nobody needs them any more."""
        folder = self._root / task
        self._shelf.drop_folder(folder)
        if os.path.lexists(folder):
            shutil.rmtree(folder, ignore_errors=True)

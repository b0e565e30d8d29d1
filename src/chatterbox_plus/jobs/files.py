"""What was sent along with tasks, kept until they are done: `jobs/<task>/<field>` in the data folder."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from chatterbox_plus.library.writing import sync, sync_folder, writing


class TaskFiles:
    """Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, task: str, files: Mapping[str, Path]) -> None:
        """Moves them here, safe from a power cut. task, and the names: ours, never a client's. Raises StorageFull."""
        folder = self._root / task
        with writing():
            folder.mkdir(parents=True, exist_ok=True)
            for field, source in files.items():
                shutil.move(source, folder / field)
                sync(folder / field)
            sync_folder(folder)
            sync_folder(self._root)

    def path(self, task: str, field: str) -> Path:
        """Where a file is, if it is there."""
        return self._root / task / field

    def forget(self, task: str) -> None:
        """Nobody needs them any more."""
        if os.path.lexists(self._root / task):
            shutil.rmtree(self._root / task, ignore_errors=True)

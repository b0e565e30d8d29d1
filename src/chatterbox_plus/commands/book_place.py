"""Where a book goes that is not for the data folder: made beside its place, then put there, whole or not at all."""

import copy
import errno
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chatterbox_plus.audio.formats import BOOK_SUFFIX, OUTPUT_SUFFIXES
from chatterbox_plus.commands.leftovers import sweep
from chatterbox_plus.errors import BadRequest, FileExists, NotFound, PlusError, StorageFull
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.writing import publish, sync
from chatterbox_plus.synthesis.book_order import BookFormat, Subtitles

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio


@dataclass(frozen=True)
class BookPlace:
    """path: the .m4b, or the folder of mp3 files. force: whether files may take the place of others."""

    path: Path
    format: BookFormat
    subtitles: tuple[Subtitles, ...]
    force: bool

    def check(self) -> None:
        """Raises FileExists for what is in the way, NotFound for a folder that is not there."""
        whole = self.path.absolute()
        if not whole.parent.is_dir():
            raise NotFound(f"there is no folder {self.path.parent.name or self.path.parent}")
        if self.format == "mp3":
            if whole.exists() and not whole.is_dir():
                raise FileExists(f"{self.path.name} is a file: for mp3, -o names a folder")
            if whole.is_dir() and not self.force and any(whole.iterdir()):
                raise FileExists(f"{self.path.name} is not empty; --force puts the files there all the same")
            return
        for suffix in (BOOK_SUFFIX, *(f".{name}" for name in self.subtitles)):
            path = self.path.with_suffix(suffix)
            if path.is_dir() or (path.exists() and not self.force):
                raise _taken(path)

    @contextmanager
    def workshop(self, studio: "Studio") -> Iterator["Studio"]:
        """The studio, with outputs in a hidden folder beside the place that is gone afterwards. Raises BadRequest."""
        sweep(self.path.absolute().parent, {self.path.name})
        folder = self.path.absolute().with_name(f".{self.path.name}.{secrets.token_hex(4)}.part")
        try:
            folder.mkdir()
        except OSError as error:
            raise _unwritable(folder.parent, error) from None
        try:
            view = copy.copy(studio)
            view.library = copy.copy(studio.library)
            view.library.outputs = Store(folder, OUTPUT_SUFFIXES, sidecar_per_stem=True)
            yield view
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put(self, made: Sequence[Path]) -> list[Path]:
        """Gives the files that were made in the workshop their places; in the same order.

        Raises FileExists for a name that was taken meanwhile, StorageFull, BadRequest; then none of them is there,
        except in the place of one that was overwritten.
        """
        placed: list[Path] = []
        new_folder = self.format == "mp3" and not self.path.exists()
        try:
            if new_folder:
                self.path.mkdir()
            for path in made:
                target = self._target(path)
                sync(path)
                if self.force:
                    path.replace(target)
                else:
                    publish(path, target)
                placed.append(target)
        except (OSError, PlusError) as error:
            if not self.force:
                for target in placed:
                    target.unlink(missing_ok=True)
            if new_folder:
                with suppress(OSError):  # not empty: --force left something there
                    self.path.rmdir()
            if isinstance(error, FileExistsError):
                raise _taken(self.path) from None
            if isinstance(error, OSError):
                raise _unwritable(self.path, error) from None
            raise
        return placed

    def _target(self, made: Path) -> Path:
        return self.path / made.name if self.format == "mp3" else self.path.with_suffix(made.suffix)


def _taken(path: Path) -> FileExists:
    return FileExists(f"{path.name} exists already; --force overwrites it")


def _unwritable(path: Path, error: OSError) -> PlusError:
    if error.errno == errno.ENOSPC:
        return StorageFull(f"no room left to write {path.name}")
    return BadRequest(f"cannot write {path.name}: {error.strerror}")

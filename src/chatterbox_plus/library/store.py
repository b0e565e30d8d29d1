"""A folder tree with JSON sidecars: nothing outside is reached through it, nothing inside overwritten by accident.

Names from outside reach the file system only through `resolve`, `exact` and `reserve`. Names beginning with a dot are
never found or listed. Audio is known by its extension only; nothing here opens it.
"""

import contextlib
import json
import logging
import math
import os
import secrets
import stat
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES, INPUT_SUFFIXES
from chatterbox_plus.errors import (
    Ambiguous,
    FileExists,
    NotFound,
    PermissionDenied,
    SettingsError,
    UnsupportedFormat,
)
from chatterbox_plus.library import holds
from chatterbox_plus.library.index import Index
from chatterbox_plus.library.measuring import Measuring
from chatterbox_plus.library.naming import any_spelling, is_device, nfc, parts, safe_folder, safe_name, shown
from chatterbox_plus.library.shelf import ALONE, Shelf
from chatterbox_plus.library.survey import Found, files_below, is_own_folder
from chatterbox_plus.library.writing import (
    TEMPORARY_SUFFIXES,
    Reservation,
    dump_json,
    publish,
    sync_folder,
    writing,
)

MAX_SIDECAR_BYTES = 16 * 2**20
MAX_PATH_CHARS = 4096  # no system opens a longer path, and links are looked for in every part of it
STALE_S = 3600.0  # a temporary file untouched for so long has no writer any more

_WINDOWS = os.name == "nt"
_log = logging.getLogger(__name__)


class Store:
    """A folder of audio files and what is known about them. Thread-safe; processes may share one."""

    def __init__(
        self,
        root: Path,
        suffixes: tuple[str, ...] = INPUT_SUFFIXES,
        *,
        missing: str = "File not found: {name}",
        sidecar_per_stem: bool = False,
        prefix: str = "",
        shelf: Shelf = ALONE,
    ) -> None:
        """root: made when missing. suffixes: what counts as audio, in the order a bare name tries them.

        missing: how a missing file is reported. sidecar_per_stem: sidecars are `<stem>.json`, one for all formats of a
        generation, else `<name>.<ext>.json`. prefix: where the root lies below a larger store's ("team/"); names may be
        given with it too. shelf: of other servers that have these files, too. Raises SettingsError if the folder cannot
        be made.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            self.root = root.resolve(strict=True)
        except OSError as error:
            raise SettingsError(f"The folder {root.name} cannot be used: {error.strerror}") from error
        self.suffixes = suffixes
        self.prefix = prefix
        self.shelf = shelf
        self._missing = missing
        self._sidecar_per_stem = sidecar_per_stem
        self.index = Index(
            self.root, suffixes, places=self._sidecars, read=self.read_json, root_has_sidecars=sidecar_per_stem
        )
        self.measuring = Measuring(self.root, self.index)
        self._locks: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()
        self._locks_guard = threading.Lock()
        self._folders_guard = threading.Lock()

    def within(self, folder: str) -> "Store":
        """The store of one folder of this one, made when missing: nothing else of this one is reached through it.

        Raises as `folder` does.
        """
        inside = safe_folder(folder).as_posix()
        store = Store(
            self.folder(folder),
            self.suffixes,
            missing=self._missing,
            sidecar_per_stem=self._sidecar_per_stem,
            prefix=f"{self.prefix}{inside}/",
            shelf=self.shelf,
        )
        store._locks, store._locks_guard = self._locks, self._locks_guard  # the files are the same ones
        store._folders_guard = self._folders_guard
        return store

    # Finding

    def resolve(self, name: str) -> Path:
        """The file meant by `name`: that relative path; with an audio extension added; the same anywhere below.

        Below, the shallowest wins, and in one folder the earlier extension. Names are literal: no patterns, no `%2e`;
        backslashes are separators. Raises PermissionDenied if the name or a link leads outside, NotFound, Ambiguous if
        several folders at the same depth have it, UnsupportedFormat if the very path exists and is not audio, and
        InvalidOption for what cannot be a name.
        """
        wanted = self._wanted(name)
        found = self._regular(wanted) or self._brought(wanted)
        if found is not None:
            return self._audio(found, name)
        try:
            return self._unspelt(wanted, name)
        except NotFound:
            if not self.shelf.look():  # it may be new, and another server's
                raise
            return self._unspelt(wanted, name)

    def exact(self, name: str) -> Path:
        """The file at exactly that relative path; raises as `resolve` does."""
        wanted = self._wanted(name)
        found = self._regular(wanted) or self._brought(wanted)
        if found is None:
            raise self.not_found(name)
        return self._audio(found, name)

    def attached(self, name: str) -> Path:
        """The subtitles at exactly that relative path; raises as `resolve` does."""
        wanted = self._wanted(name)
        found = self._regular(wanted) or self._brought(wanted)
        if found is None or found.suffix.lower() not in ATTACHED_SUFFIXES:
            raise self.not_found(name)
        return found

    def known(self, relative: str) -> Path | None:
        """The file at a path that a list gave, None if it is gone. Raises PermissionDenied if it now leads out."""
        return self._regular(relative)

    def check_inside(self, path: Path) -> None:
        """Raises PermissionDenied if the path is a link that leads out, or lies behind one."""
        self._inside(path, path.name)

    def not_found(self, name: str) -> NotFound:
        """The error for a name that finds nothing, in this store's words."""
        return NotFound(self._missing.format(name=shown(name)))

    def files(self) -> list[str]:
        """The relative path of every audio file, shallowest first, then sorted. Links to folders are not followed."""
        return list(self.index.paths())

    def is_empty(self) -> bool:
        """Whether there is no file at all, audio or not; hidden ones do not count."""
        return next(self._walk(), None) is None

    def relative(self, path: Path) -> str:
        """`path` below the root in forward slashes, for replies. Raises PermissionDenied if it is not below."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            raise PermissionDenied("The file is outside its folder.") from None

    # Writing

    def reserve(
        self, folder: str, stem: str, suffixes: tuple[str, ...], *, numbered: bool = True, owner: str | None = None
    ) -> Reservation:
        """A free stem for files with these suffixes and a sidecar; folder and stem are made safe, the folder made.

        numbered: `_2`, `_3` … until free; else a taken stem raises FileExists. owner: see `Reservation`.
        Raises PermissionDenied, InvalidOption, StorageFull.
        """
        with self._folders_guard:
            return self.shelf.reservation(
                self.folder(folder),
                safe_name(stem),
                suffixes,
                taken_by=self.suffixes,
                numbered=numbered,
                owner=owner,
            )

    def claim(self, folder: str) -> Path:
        """An empty hidden file in the folder, which is made when missing: its name made safe, ours to rename.

        Raises as `folder` does, and StorageFull, StorageUnwritable.
        """
        with self._folders_guard, writing():
            path = self.folder(folder) / f".{secrets.token_hex(8)}.part"
            path.open("xb").close()
            return path

    def prune(self, folders: Iterable[str]) -> list[str]:
        """Removes those of the folders (relative) that are empty, and what is empty above them; which these were."""
        removed = []
        waiting = {PurePosixPath(folder) for folder in folders}
        waiting |= {above for folder in waiting for above in folder.parents}
        with self._folders_guard:
            for folder in sorted(waiting, key=lambda folder: -len(folder.parts)):
                with contextlib.suppress(OSError):  # not empty, or gone
                    if folder.parts and not (self.root / folder).is_symlink():
                        self._inside(self.root / folder, folder.name).rmdir()
                        removed.append(folder.as_posix())
        return removed

    def folder(self, folder: str) -> Path:
        """The folder, its name made safe, made when missing. Raises PermissionDenied, FileExists if a file is there."""
        inside = safe_folder(folder)
        path = self._inside(self.root.joinpath(*inside.parts), folder)
        with writing():
            try:
                path.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise FileExists(f"There is a file where a folder is meant to be: {shown(folder)}") from None
        return path

    def leftovers(self, older_than_s: float = STALE_S) -> Iterator[Found]:
        """What crashed writers left and nobody has touched for so long."""
        oldest = time.time() - older_than_s
        for found in files_below(self.root, hidden=True):
            name = found.path.name
            if name.startswith(".") and name.endswith(TEMPORARY_SUFFIXES) and found.modified < oldest:
                yield found

    def sweep(self, older_than_s: float = STALE_S) -> int:
        """Removes the leftovers; how many files that were."""
        removed = 0
        for found in self.leftovers(older_than_s):
            with contextlib.suppress(OSError):  # it cannot be removed now: the next sweep may
                removed += holds.remove([found.path])
        return removed

    # Sidecars

    def sidecar(self, path: Path) -> Path:
        """Where the sidecar of the audio file `path` is written."""
        return path.with_suffix(".json") if self._sidecar_per_stem else path.with_name(path.name + ".json")

    def sidecar_places(self, path: Path) -> list[Path]:
        """Where the sidecar of the audio file `path` may be; the first is where it is written."""
        return [self.root / place for place in self._sidecars(self.relative(path))]

    def read_sidecar(self, path: Path) -> dict[str, Any]:
        """What is known about the audio file `path`; empty if nothing readable is.

        Both kinds of name are looked for, ours first, then, for outputs, the root: there an older installation put the
        sidecars of all projects.
        """
        return self._first_of(self.sidecar_places(path))

    def read_json(self, path: Path) -> dict[str, Any] | None:
        """The object in `path`; None if there is none, or (with a warning in the log) if it is not a JSON object."""
        with self.lock(path):
            return self._load(path)

    def write_json(self, path: Path, value: dict[str, Any]) -> None:
        """Replaces `path` in one step. Raises PermissionDenied if it is not in the store, StorageFull."""
        with self.lock(path):
            self._save(path, value)

    def update_sidecar(self, path: Path, change: Callable[[dict[str, Any]], None], *, later: bool = False) -> bool:
        """Lets `change` edit the sidecar of the audio file `path`; no update of another thread is lost.

        later: other servers may know of it in a few seconds.

        False, and nothing written, if the audio file is gone, or if there is a sidecar that cannot be read: it may be
        somebody's, one typo away from being valid.
        """
        place = self.sidecar(path)
        with self.lock(place):
            known = self._editable(path)
            if known is None or not path.exists():
                return False
            change(known)
            self._save(place, known, later=later)
            return True

    def move(self, path: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> None:
        """Gives the audio file and its sidecar, edited by `change`, another place, never over another file.

        The caller holds the locks of both names, so that nothing else moves or removes them. Raises FileExists if the
        name is taken or the sidecar cannot be read, NotFound, PermissionDenied for a link, StorageFull.
        """
        if path.is_symlink():
            raise PermissionDenied(f"A link stays where it is: {shown(path.name)}")
        place = self.sidecar(path)
        # A use counted meanwhile waits for the lock, and then finds the file gone.
        with self.lock(place), writing(), self._moving(path, target):
            known = self._editable(path)
            if known is None:
                raise unreadable(place)
            change(known)
            try:
                publish(path, target)
            except FileNotFoundError:
                raise self.not_found(path.name) from None
            except FileExistsError:
                raise FileExists(f"There is a file of that name already: {shown(self.relative(target))}") from None
            try:
                self._save(self.sidecar(target), known)
            except BaseException:
                publish(target, path)
                raise
            with self.shelf.removing(place):
                place.unlink(missing_ok=True)
            sync_folder(target.parent)

    @contextlib.contextmanager
    def lock(self, *paths: Path) -> Iterator[None]:
        """Keeps other threads from the same files. Not reentrant."""
        with contextlib.ExitStack() as held:
            for key in sorted({any_spelling(path) for path in paths}):  # where case matters, two merely share a lock
                with self._locks_guard:
                    lock = self._locks.setdefault(key, threading.Lock())
                held.enter_context(lock)
            yield

    # Within

    def _editable(self, path: Path) -> dict[str, Any] | None:
        """What is known of the audio file, None if its sidecar is there and cannot be read. Its lock is held."""
        place, *others = self.sidecar_places(path)
        known = self._load(place)
        if known is None and not os.path.lexists(place):
            known = self._first_of(others)
        return known

    def _wanted(self, name: str) -> str:
        """The name as a relative path in forward slashes. Raises as `parts`, and NotFound for hidden names and for ones
        that no file can have."""
        found = parts(name) if len(name) <= MAX_PATH_CHARS else ()
        if not found or any(part.startswith(".") or len(os.fsencode(part)) > 255 for part in found):
            raise self.not_found(name)
        if _WINDOWS and any(":" in part for part in found):
            raise PermissionDenied(f"The name leads out of its folder: {shown(name)}")  # a drive or another stream
        if _WINDOWS and any(is_device(part) or part.endswith((" ", ".")) for part in found):
            raise self.not_found(name)
        wanted = "/".join(found)
        if self.prefix and wanted.startswith(self.prefix) and self._regular(wanted) is None:
            return wanted.removeprefix(self.prefix)  # as the file's URL has it
        return wanted

    def _regular(self, relative: str) -> Path | None:
        """The path if a regular file is there. Raises PermissionDenied if a link on the way leads out."""
        path = self._inside(self.root / relative, relative)
        try:
            return path if stat.S_ISREG(path.stat().st_mode) else None
        except OSError:
            return None

    def _inside(self, path: Path, name: str) -> Path:
        """`path` itself, its links checked before anything at its end is looked at: nothing outside can be probed."""
        if not Path(os.path.realpath(path)).is_relative_to(self.root):
            raise PermissionDenied(f"The name leads out of its folder: {shown(name)}")
        return path

    def _brought(self, relative: str) -> Path | None:
        """The path if another server has the file, and now this one does. Raises StorageAway."""
        path = self.root / relative
        beside = None if path.suffix.lower() in ATTACHED_SUFFIXES else self.sidecar(path)
        return self._regular(relative) if self.shelf.bring(path, beside) else None

    def _unspelt(self, wanted: str, name: str) -> Path:
        """The file that is here under that name with an extension, or further down."""
        for suffix in self.suffixes:
            found = self._regular(wanted + suffix)
            if found is not None:
                return found
        return self._below(wanted, name)

    def _audio(self, path: Path, name: str) -> Path:
        if path.suffix.lower() not in self.suffixes:
            raise UnsupportedFormat(f"Not an audio file: {shown(name)}")
        return path

    def _below(self, wanted: str, name: str) -> Path:
        """The same name further down, or in its very place if only Unicode form or the suffix's case differ."""
        wanted = nfc(wanted)
        ranked: dict[tuple[int, bool], list[str]] = {}  # depth, suffix added → paths
        for relative in self.files():
            full = nfc(relative)
            for candidate, added in ((full, False), (full[: full.rfind(".")], True)):
                if candidate == wanted or candidate.endswith("/" + wanted):
                    ranked.setdefault((relative.count("/"), added), []).append(relative)
        if not ranked:
            raise self.not_found(name)
        best = ranked[min(ranked)]
        if len({PurePosixPath(path).parent for path in best}) > 1:
            raise Ambiguous(f"Several folders have {shown(name)}: {', '.join(map(shown, best[:5]))}. Name one of them.")
        best.sort(key=lambda path: self.suffixes.index(path[path.rfind(".") :].lower()))
        found = self._regular(best[0])
        if found is None:
            raise self.not_found(name)
        return found

    def _walk(self) -> Iterator[str]:
        """Every regular file, relative."""
        folders = [""]
        while folders:
            above = folders.pop()
            with contextlib.suppress(FileNotFoundError), os.scandir(self.root / above) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if is_own_folder(entry):
                        folders.append(f"{above}{entry.name}/")
                    else:
                        with contextlib.suppress(OSError):  # a link that leads to itself
                            if entry.is_file():
                                yield above + entry.name

    def _sidecars(self, relative: str) -> tuple[str, ...]:
        """`sidecar_places`, from and to paths below the root."""
        per_stem, per_file = relative[: relative.rfind(".")] + ".json", relative + ".json"
        if not self._sidecar_per_stem:
            return per_file, per_stem
        in_root = per_stem.rpartition("/")[2]
        return (per_stem, per_file) if in_root == per_stem else (per_stem, per_file, in_root)

    def _first_of(self, places: list[Path]) -> dict[str, Any]:
        return next((found for place in places if (found := self.read_json(place)) is not None), {})

    def _load(self, path: Path) -> dict[str, Any] | None:
        try:
            if not stat.S_ISREG(self._inside(path, path.name).stat().st_mode):
                return None
            with path.open("rb") as file:
                data = file.read(MAX_SIDECAR_BYTES + 1)
            if len(data) > MAX_SIDECAR_BYTES:
                raise ValueError("too large")
            found = json.loads(data.decode("utf-8-sig"), parse_constant=lambda _: None, parse_float=_finite)
            if not isinstance(found, dict):
                raise ValueError("not an object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, PermissionDenied) as error:
            _log.warning("ignoring the sidecar %s: %s", path.name, error)
            return None
        return found

    def _save(self, path: Path, value: dict[str, Any], *, later: bool = False) -> None:
        self._inside(path.parent, path.name)
        self.relative(path)
        self.shelf.write(path, dump_json(value), later=later)

    @contextlib.contextmanager
    def _moving(self, path: Path, target: Path) -> Iterator[None]:
        """The file for other servers, too."""
        try:
            with self.shelf.moving(path, target, self.sidecar(path), self.sidecar(target)):
                yield
        except FileExistsError:
            raise FileExists(f"There is a file of that name already: {shown(self.relative(target))}") from None


def unreadable(sidecar: Path) -> FileExists:
    """The error for a sidecar that would be lost if it were written."""
    return FileExists(f"{shown(sidecar.name)} is no JSON object and would be overwritten: repair or remove it")


def _finite(number: str) -> float | None:
    """1e999 is JSON and no number that can be written again."""
    value = float(number)
    return value if math.isfinite(value) else None

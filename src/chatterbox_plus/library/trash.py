"""Deleted voices, for as long as somebody may want them back: a folder each, whole or not there.

What lies here is what lay there, byte for byte: the recording and its sidecars, with a word about where they belong.
Nothing is copied where the file system can link. Not for stores that several servers have in common: what one of them
deletes is gone for all, and another would not know what was kept.
"""

import json
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from chatterbox_plus.errors import FileExists, NotFound
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.naming import parts, shown
from chatterbox_plus.library.records import finite, text_of, timestamp
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.writing import discard, dump_json, publish, sync, sync_folder, writing

_ID = re.compile(r"trash_[0-9a-f]{16}")
_ENTRY = "entry.json"  # in each folder: what `Trashed` says
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trashed:
    """A deleted file. path: where it lay, below the store's root. owner: the project it was of, None for an admin's.

    files: name in its folder here -> where it lay, the recording first. deleted, until: UTC.
    """

    id: str
    path: str
    name: str
    owner: str | None
    size_bytes: int
    duration_s: float | None
    deleted: datetime
    until: datetime
    files: Mapping[str, str]

    @property
    def restore_until(self) -> str:
        """ISO 8601."""
        return timestamp(self.until)

    @property
    def expired(self) -> bool:
        return datetime.now(UTC) >= self.until

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "path": self.path,
            "name": self.name,
            "owner": self.owner,
            "size_bytes": self.size_bytes,
            "duration_seconds": self.duration_s,
            "deleted_at": timestamp(self.deleted),
            "restore_until": self.restore_until,
        }


class Trash:
    """Of one store. Thread-safe; several processes may share the folder, which is made when something is put in."""

    def __init__(self, root: Path, store: Store, keep_s: float) -> None:
        """keep_s: seconds from the deletion on; 0 = nothing is kept."""
        self._root, self._store, self._keep_s = root, store, keep_s
        self._taking_out = threading.Lock()  # what is restored is not removed meanwhile, and nothing twice

    @property
    def keeps(self) -> bool:
        """Whether deleted files come here."""
        return self._keep_s > 0 and not self._store.shelf.shared

    @property
    def keep_hours(self) -> float:
        """That a deleted file can be had back; 0: not at all."""
        return self._keep_s / 3600 if self.keeps else 0

    @contextmanager
    def keeping(self, path: Path, kept: list[Trashed]) -> Iterator[None]:
        """Puts the file here, lets the block delete it there, and adds it to `kept`; takes it out if that fails.

        A link is only a name: it is not kept. Raises FileNotFoundError, StorageFull, StorageUnwritable.
        """
        if not self.keeps or path.is_symlink():
            yield
            return
        found = self._put(path)
        try:
            yield
        except BaseException:
            self._forget(found.id)
            raise
        kept.append(found)

    def all(self) -> list[Trashed]:
        """What can be had back, the last deleted first."""
        found = [entry for entry in self._entries() if not entry.expired]
        return sorted(found, key=lambda entry: entry.deleted, reverse=True)

    def expired(self) -> list[tuple[Trashed, Path]]:
        """What nobody can have back any more, and the folder that it takes."""
        return [(entry, self._root / entry.id) for entry in self._entries() if entry.expired]

    def get(self, id: str) -> Trashed:
        """Raises NotFound."""
        found = self._read(id) if _ID.fullmatch(id) else None
        if found is None or found.expired:
            raise _missing()
        return found

    def restore(self, id: str) -> Path:
        """Puts it back where it lay, never over another file; where it is then.

        Raises NotFound, FileExists if there is a file of that name again, StorageFull, StorageUnwritable.
        """
        with self._taking_out, Hold(self._root / id):
            found, store = self.get(id), self._store
            (kept, relative), *sidecars = found.files.items()
            path = store.root.joinpath(*parts(relative))
            store.check_inside(path)
            with store.lock(path, store.sidecar(path)), writing():
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except (FileExistsError, NotADirectoryError):  # a file where its folder was
                    raise _taken(PurePosixPath(relative).parent.as_posix()) from None
                if any(os.path.lexists(place) for place in (path, store.sidecar(path))):
                    raise _taken(relative)
                placed: list[Path] = []
                try:
                    for name, place in sidecars:  # first, so that no recording is seen without it
                        with suppress(FileExistsError):  # what it says is also about other files, and still there
                            placed.append(self._give_back(id, name, path.parent / PurePosixPath(place).name))
                    self._give_back(id, kept, path)
                except BaseException as error:
                    for path_there in placed:
                        discard(path_there)
                    if isinstance(error, FileExistsError):
                        raise _taken(relative) from None
                    if isinstance(error, FileNotFoundError) and not (self._root / id / kept).exists():
                        raise _missing() from None  # another process took it out
                    raise
                sync_folder(path.parent)
            self._forget(id)
        return path

    def remove(self, id: str) -> Trashed:
        """Deletes it for good. Raises NotFound."""
        with self._taking_out, writing():
            found = self.get(id)
            self._remove(id)
        return found

    def leftovers(self) -> list[Path]:
        """Folders that were begun, or were being removed, when a process crashed; or are now."""
        return list(self._root.glob(".trash_" + "[0-9a-f]" * 16))

    # Within

    def _put(self, path: Path) -> Trashed:
        id, store, now = f"trash_{secrets.token_hex(8)}", self._store, datetime.now(UTC)
        sidecar = store.read_sidecar(path)
        size = path.stat().st_size
        files = {f"recording{path.suffix}": path}
        for number, place in enumerate(store.sidecar_places(path)):
            if place.parent == path.parent and place.is_file():
                files[f"{number}.json"] = place
        found = Trashed(
            id,
            store.relative(path),
            text_of(sidecar.get("name")) or path.stem,
            text_of(sidecar.get("owner")),
            size,
            finite(sidecar.get("duration_seconds")),
            now,
            now + timedelta(seconds=self._keep_s),
            {name: store.relative(place) for name, place in files.items()},
        )
        begun = self._root / f".{id}"
        try:
            with writing():
                begun.mkdir(parents=True)
                for name, place in files.items():
                    _link(place, begun / name)
                entry = begun / _ENTRY
                entry.write_bytes(dump_json({**found.as_json(), "files": dict(found.files)}))
                sync(entry)
                begun.replace(self._root / id)
                sync_folder(self._root)
        except BaseException:
            shutil.rmtree(begun, ignore_errors=True)
            raise
        return found

    def _give_back(self, id: str, name: str, place: Path) -> Path:
        part = place.with_name(f".{secrets.token_hex(8)}.part")
        try:
            _link(self._root / id / name, part)
            publish(part, place)
        finally:
            discard(part)
        return place

    def _forget(self, id: str) -> None:
        """What cannot be removed now lies here until its time is over."""
        try:
            self._remove(id)
        except OSError as error:
            _log.warning("cannot remove %s from the trash yet: %s", id, error.strerror)

    def _remove(self, id: str) -> None:
        """Out of sight first: what cannot be removed then is the cleaner's."""
        hidden = self._root / f".{id}"
        with suppress(FileNotFoundError):
            (self._root / id).rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def _entries(self) -> Iterator[Trashed]:
        with suppress(FileNotFoundError):
            for folder in list(self._root.iterdir()):
                if _ID.fullmatch(folder.name) and (found := self._read(folder.name)) is not None:
                    yield found

    def _read(self, id: str) -> Trashed | None:
        try:
            told = json.loads((self._root / id / _ENTRY).read_bytes())
            deleted, until = (datetime.fromisoformat(told[name]) for name in ("deleted_at", "restore_until"))
            files = {str(name): str(place) for name, place in told["files"].items()}
            size, seconds = int(told["size_bytes"]), finite(told["duration_seconds"])
            return Trashed(id, told["path"], told["name"], told["owner"], size, seconds, deleted, until, files)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            _log.warning("ignoring %s in the trash: %s", id, error)
            return None


def _link(source: Path, place: Path) -> None:
    """The same file under another name; a copy where the file system has no such thing."""
    try:
        place.hardlink_to(source)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        shutil.copy2(source, place)
        sync(place)  # the other one goes then


def _missing() -> NotFound:
    return NotFound("There is nothing of that id in the trash, or not any more")


def _taken(relative: str) -> FileExists:
    return FileExists(f"There is a file of that name again: {shown(relative)}. Rename or delete it first.")

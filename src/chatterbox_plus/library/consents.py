"""Recordings in which people say that their voice may be used: each under an id of its own, with its facts."""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatterbox_plus.errors import NotFound
from chatterbox_plus.library.changes import delete, revise, save
from chatterbox_plus.library.entries import Entry, Stat
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.records import text_of, timestamp
from chatterbox_plus.library.store import Store

_ID = re.compile(r"cons_[0-9a-f]{24}")
Mine = Callable[[str | None], bool]
"""Whether what belongs to that project (None: an admin's) is the caller's to see and change."""


@dataclass(frozen=True)
class Consent:
    """language: a tag (BCP 47). created_at: Unix seconds. owner: the project that sent it, None for an admin's."""

    id: str
    name: str
    language: str
    created_at: int
    owner: str | None

    @classmethod
    def of(cls, entry: Entry, sidecar: Mapping[str, Any]) -> "Consent":
        language = text_of(sidecar.get("language")) or ""
        return cls(_id(entry.path), entry.name, language, int(entry.created.timestamp()), entry.owner)


class Consents:
    """All of them that one caller may see. Blocks; thread-safe."""

    def __init__(self, store: Store, mine: Mine) -> None:
        self._store, self._mine = store, mine

    def add(self, recording: Path, suffix: str, *, name: str, language: str, owner: str | None) -> Consent:
        """Takes the recording away and keeps it. suffix: ".wav", of the format that it has.

        Raises StorageFull, StorageUnwritable.
        """
        id = f"cons_{secrets.token_hex(12)}"
        facts = {"name": name, "language": language, "created_date": timestamp()} | ({"owner": owner} if owner else {})
        save(self._store, recording, "", id + suffix, lambda _: facts)
        return self.find(id)

    def find(self, id: str) -> Consent:
        """Raises NotFound, also for one that is somebody else's."""
        return self._look(id)[1]

    def page(self, after: str | None, limit: int) -> tuple[list[Consent], bool]:
        """At most `limit` of them, newest first, from the one behind `after` on; and whether there are more.

        Raises NotFound for an `after` that nobody has.
        """
        entries = [
            entry for entry in self._store.index.snapshot().entries if _is_one(entry) and self._mine(entry.owner)
        ]
        entries.sort(key=lambda entry: (entry.created, entry.path), reverse=True)
        if after is not None:
            places = [at for at, entry in enumerate(entries) if _id(entry.path) == after]
            if not places:
                raise _unknown(after, "after")
            entries = entries[places[0] + 1 :]
        store = self._store
        found = [Consent.of(entry, store.read_sidecar(store.root / entry.path)) for entry in entries[:limit]]
        return found, len(entries) > limit

    def rename(self, id: str, name: str) -> Consent:
        """Raises NotFound, StorageFull."""
        path, _ = self._look(id)
        revise(self._store, path, lambda known: known.update(name=name))
        return self.find(id)

    def remove(self, id: str) -> None:
        """The recording too. Raises NotFound."""
        path, _ = self._look(id)
        if not delete(self._store, [path]).audio:
            raise _unknown(id, "consent")

    def _look(self, id: str) -> tuple[Path, Consent]:
        if not _ID.fullmatch(id):
            raise _unknown(id, "consent")
        try:
            path = self._store.resolve(id)
            status, sidecar = path.stat(), self._store.read_sidecar(path)
        except (NotFound, FileNotFoundError):
            raise _unknown(id, "consent") from None
        stat = Stat(status.st_mtime_ns, status.st_size, status.st_ino)
        entry = Entry.of(self._store.relative(path), stat, sidecar)
        if not self._mine(entry.owner):
            raise _unknown(id, "consent")
        return path, Consent.of(entry, sidecar)


def _is_one(entry: Entry) -> bool:
    return _ID.fullmatch(_id(entry.path)) is not None


def _id(path: str) -> str:
    return path.partition(".")[0]


def _unknown(id: str, param: str) -> NotFound:
    return NotFound(f"There is no consent of that id: {shown(id)}", param=param)

"""The folder of a store that other servers have too, and what a new file has to do before it is there for all."""

import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from chatterbox_plus.errors import Cancelled, FileExists, StorageAway
from chatterbox_plus.library.mirror import Mirror
from chatterbox_plus.library.mirror_area import Area
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.shelf import Shelf
from chatterbox_plus.library.writing import OWNER, Reservation, discard, dump_json, sync, sync_folder, writing

_log = logging.getLogger(__name__)


class SharedShelf(Shelf):
    """See `Shelf`."""

    shared = True

    def __init__(self, mirror: Mirror, area: Area) -> None:
        self.mirror, self.area = mirror, area

    def bring(self, path: Path, beside: Path | None = None) -> bool:
        key = self.area.key(path)
        if key is None or self.mirror.objects.head(key) is None:
            return False
        if beside is not None and not os.path.lexists(beside):
            self.mirror.fetch(self.area, beside)
        return os.path.lexists(path) or self.mirror.fetch(self.area, path)

    def look(self) -> bool:
        return self.mirror.look(self.area)

    def renew(self, *paths: Path) -> None:
        for path in paths:
            key = self.area.key(path)
            seen = self.mirror.objects.head(key) if key else None
            known = self.mirror.record.get(key) if key else None
            if seen is not None and (known is None or known.tag != seen.tag):
                self.mirror.fetch(self.area, path)

    def put(self, path: Path, source: Path, *, new: bool = False) -> None:
        self.mirror.put(self.area, path, source, new=new)

    def write(self, path: Path, data: bytes, *, later: bool = False) -> None:
        key = self.area.key(path)
        if key is None or later:
            super().write(path, data)
            return
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with self.mirror.hold(key), writing():
                part.write_bytes(data)
                sync(part)
                self.mirror.put(self.area, path, part)
                part.replace(path)
                sync_folder(path.parent)
        finally:
            discard(part)

    @contextmanager
    def removing(self, path: Path) -> Iterator[None]:
        with self.mirror.removing(self.area, path):
            yield

    @contextmanager
    def moving(self, path: Path, target: Path, *also: Path) -> Iterator[None]:
        with self.mirror.moving(self.area, path, target, *also):
            yield

    def take_back(self, *paths: Path) -> None:
        self.mirror.take_back(key for path in paths if (key := self.area.key(path)) is not None)

    def drop_folder(self, folder: Path) -> None:
        if folder.name not in self.area.folders and not os.path.lexists(folder):
            return  # there is none: nobody need be asked
        try:
            keys = [seen.key for seen in self.mirror.objects.list(f"{self.area.name}/{folder.name}")]
        except StorageAway as away:
            _log.warning("what was sent with %s stays in the store of the audio: %s", folder.name, away.message)
            return
        self.mirror.take_back(keys)

    def reservation(
        self,
        folder: Path,
        stem: str,
        suffixes: tuple[str, ...],
        *,
        taken_by: tuple[str, ...],
        numbered: bool,
        owner: str | None,
    ) -> Reservation:
        return SharedReservation(self, folder, stem, suffixes, taken_by=taken_by, numbered=numbered, owner=owner)

    def told(self, path: Path) -> dict[str, Any]:
        """The sidecar as the store has it; {} for none that can be read."""
        key = self.area.key(path)
        try:
            found = json.loads((self.mirror.objects.read(key) if key else None) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class SharedReservation(Reservation):
    """A stem that is ours on this server until `commit`, which makes it ours everywhere.

    The first object that is put decides between two servers; who comes second takes the next number.
    """

    def __init__(
        self,
        shelf: SharedShelf,
        folder: Path,
        stem: str,
        suffixes: tuple[str, ...],
        *,
        taken_by: tuple[str, ...],
        numbered: bool,
        owner: str | None = None,
    ) -> None:
        self._shelf, self._wanted_stem, self._taken_by, self._numbered = shelf, stem, taken_by, numbered
        self._sidecar: dict[str, Any] = {}
        super().__init__(folder, stem, suffixes, taken_by=taken_by, numbered=numbered, owner=owner)

    def write_json(self, value: Any) -> None:
        self._sidecar = {**value, OWNER: self._owner} if self._owner else dict(value)
        super().write_json(value)

    def commit(self) -> dict[str, Path]:
        """As `Reservation.commit`, for all servers. Raises StorageAway too; then nothing stays."""
        put: list[Path] = []
        try:
            with writing():
                for suffix, file in self._files.items():
                    file.close()
                    sync(self._temporary(suffix))
            if not self._claim_is_ours():
                raise Cancelled("another attempt goes on with this work")
            order = sorted(self._files, key=lambda suffix: suffix != ".json")
            fresh = self._win(order[0]) if order else False
            for suffix in order:
                if fresh:  # what an earlier attempt has put is finished work, maybe of another server
                    put.append(self.path(suffix))
                if suffix != order[0]:
                    self._shelf.put(self.path(suffix), self._temporary(suffix))
            self._replaces = True  # what is there now can only be our own, brought here by a look at the store
            return super().commit()
        except BaseException:
            self._shelf.take_back(*put)
            self.abort()
            raise

    def _win(self, first: str) -> bool:
        """Puts the first file under a stem that is free everywhere; whether it was not ours before."""
        while True:
            try:
                if any(os.path.lexists(self.path(ending)) for ending in self._files) and not self._owns(
                    self.path(".json")
                ):
                    raise FileExistsError
                self._shelf.put(self.path(first), self._temporary(first), new=True)
                return True
            except FileExistsError:
                if self._owner and self._shelf.told(self.path(".json")).get(OWNER) == self._owner:
                    self._shelf.put(self.path(first), self._temporary(first))
                    return False
                if not self._numbered:
                    raise FileExists(f"There is a file of that name already: {shown(self.stem)}") from None
                self._take_the_next()

    def _take_the_next(self) -> None:
        """Another number: a claim of its own, what is written under its names, and the sidecar tells of them."""
        stem, claimed = self.stem, self._claimed
        parts = {suffix: self._temporary(suffix) for suffix in self._files}
        names = {self.name(suffix): suffix for suffix in self._files}
        own, _, number = stem.rpartition("_")
        first = int(number) + 1 if own == self._wanted_stem and number.isdecimal() else 2
        for n in count(first):
            self.stem = f"{self._wanted_stem}_{n}"
            if self._claim(self._taken_by):
                break
        discard(claimed)
        with writing():
            for suffix, part in parts.items():
                part.replace(self._temporary(suffix))
            if ".json" in parts:
                self._sidecar = self._renamed(self._sidecar, names)
                self._temporary(".json").write_bytes(dump_json(self._sidecar))
                sync(self._temporary(".json"))

    def _renamed(self, sidecar: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        def new(name: Any) -> Any:
            return self.name(names[name]) if isinstance(name, str) and name in names else name

        files = sidecar.get("files")
        told = {key: new(value) for key, value in sidecar.items()}
        return {**told, "files": {key: new(name) for key, name in files.items()}} if isinstance(files, dict) else told

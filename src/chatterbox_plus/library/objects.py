"""An object store of whatever kind: whole files under keys. The one place that knows obstore.

An object appears whole or not at all, in every kind of store. Addresses and credentials come from the URL and from the
variables that each kind is known by (AWS_…, AZURE_…, GOOGLE_…); nothing of either is ever in a message.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from chatterbox_plus.errors import SettingsError, StorageAway
from chatterbox_plus.library.writing import sync

WAITS_S = (0.2, 1.0)  # before what failed is tried once more
MARK = "chatterbox-plus.store"  # the object by which a store is known again: an unmounted folder has none
_CLOUDS = ("s3", "s3a", "az", "adl", "azure", "abfs", "abfss", "gs")
_BLOCK_BYTES = 2**20
_AWAY = "The store of the audio cannot be reached at the moment: ask again in a little while"
_SETTING = "storage.storage_url"
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """One object as it was at some moment."""

    key: str
    tag: str  # another tag, another content
    size: int  # bytes
    mtime_ns: int  # since the epoch, when it was written, as the store's clock has it


class Objects:
    """Thread-safe. Whatever asks the store raises StorageAway when it does not answer, after a few tries."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        """folder: where the objects are files, in a store that is a folder."""
        self._store, self._folder = store, folder

    @classmethod
    def at(cls, url: str) -> "Objects":
        """The store behind `storage.storage_url`. Connects to nothing yet. Raises SettingsError."""
        scheme = urlsplit(url).scheme.lower()
        try:
            if scheme == "file":
                folder = _folder_of(url)
                return cls(LocalStore(folder, mkdir=True, automatic_cleanup=True), folder)
            if scheme == "memory":
                return cls(MemoryStore())
            if scheme in _CLOUDS:
                return cls(
                    from_url(
                        url,
                        # http only where an endpoint in the environment says so: the clouds' own begin with https
                        client_options={"timeout": "120s", "connect_timeout": "5s", "allow_http": True},
                        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
                    )
                )
        except (BaseError, ValueError, OSError) as error:
            raise SettingsError(f"{_SETTING}: {_told(error)}") from None
        raise SettingsError(f"{_SETTING}: must begin with s3://, az://, gs:// or file:///")

    def list(self, below: str) -> Iterator[Seen]:
        """Every object below that folder of keys."""
        pages = iter(obstore.list(self._store, prefix=below))
        while page := self._ask(lambda: next(pages, None)):
            for meta in page:
                yield self._seen(meta)

    def head(self, key: str) -> Seen | None:
        """The object as it is now, None if there is none."""
        try:
            return self._seen(self._ask(lambda: obstore.head(self._store, key)))
        except FileNotFoundError:
            return None

    def put(self, key: str, source: Path | bytes, *, new: bool = False) -> Seen:
        """Writes an object. new: only if there is none. Raises FileExistsError then.

        If somebody else writes it over or deletes it in the same moment, what is returned has a tag that no object has.
        """
        tries = 0

        def put() -> Any:
            nonlocal tries
            tries += 1
            self.check()
            return obstore.put(self._store, key, source, mode="create" if new else "overwrite")

        try:
            made = self._ask(put)
        except FileExistsError:
            if tries == 1 or not self._holds(key, source):  # else it is ours: the answer to the first try was lost
                raise
            made = None
        try:
            if self._folder is not None:
                sync(self._folder / key)
            meta = self._ask(lambda: obstore.head(self._store, key))
        except FileNotFoundError:
            return Seen(key, "", 0, time.time_ns())
        seen = self._seen(meta)
        ours = made is None or made["e_tag"] is None or made["e_tag"] == meta["e_tag"]
        return seen if ours else Seen(key, "", seen.size, seen.mtime_ns)

    def fetch(self, key: str, target: Path) -> Seen | None:
        """Writes the object into `target`, a file of the caller's; None, and nothing written, if there is none.

        Raises StorageAway, and OSError for the file.
        """
        try:
            return self._ask(lambda: self._fetch(key, target))
        except FileNotFoundError:
            return None

    def read(self, key: str) -> bytes | None:
        """What is in the object, None if there is none."""
        try:
            return self._ask(lambda: bytes(obstore.get(self._store, key).bytes()))
        except FileNotFoundError:
            return None

    def delete(self, key: str) -> None:
        """What is gone already is no error."""
        try:
            self._ask(lambda: obstore.delete(self._store, key))
        except FileNotFoundError:
            return

    def check(self) -> None:
        """Raises StorageAway for a folder that is not the shared one any more: nothing is mounted there."""
        if self._folder is not None and not (self._folder / MARK).exists() and self._known:
            raise StorageAway(_AWAY)

    def know(self) -> None:
        """From now on the store has its mark."""
        self._known = True

    _known = False

    def _fetch(self, key: str, target: Path) -> Seen:
        found = obstore.get(self._store, key)
        with target.open("wb") as file:
            for block in found.stream(min_chunk_size=_BLOCK_BYTES):
                file.write(block)
        return self._seen(found.meta)

    def _holds(self, key: str, source: Path | bytes) -> bool:
        stored = self.read(key)
        return stored == (source if isinstance(source, bytes) else source.read_bytes())

    def _seen(self, meta: Any) -> Seen:
        written: datetime = meta["last_modified"]
        mtime_ns = (int(written.timestamp()) * 1_000_000 + written.microsecond) * 1000
        tag = (meta["e_tag"] or "").strip('"')
        if self._folder is not None or not tag:  # a file's tag has its inode in it, which shares may not agree on
            tag = f"{mtime_ns // 1000:x}-{meta['size']:x}"
        return Seen(meta["path"], tag, meta["size"], mtime_ns)

    def _ask(self, call: Callable[[], T]) -> T:
        """Raises FileExistsError and FileNotFoundError as they mean the object, StorageAway for all else."""
        for wait_s in (*WAITS_S, None):
            try:
                return call()
            except AlreadyExistsError:
                raise FileExistsError from None
            except FileNotFoundError:
                raise
            except (PermissionDeniedError, UnauthenticatedError, InvalidPathError) as error:
                _log.warning("the store of the audio refuses: %s", _told(error))
                raise StorageAway(_AWAY) from None
            except BaseError as error:
                if wait_s is None:
                    _log.warning("the store of the audio cannot be reached: %s", _told(error))
                    raise StorageAway(_AWAY) from None
            time.sleep(wait_s)
        raise AssertionError("the last try returns or raises")


def _folder_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise SettingsError(f"{_SETTING}: a folder has three slashes before its path, file:///shared/folder")
    folder = Path(url2pathname(parts.path))
    if not parts.path.strip("/") or not folder.is_absolute():
        raise SettingsError(f"{_SETTING}: names no folder")
    return folder


def _told(error: Exception) -> str:
    """The first line of what a library says, without queries: those may hold a signature."""
    return re.sub(r"\?\S*", "?…", (str(error).splitlines() or [type(error).__name__])[0])[:200]

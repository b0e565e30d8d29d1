"""What this server last saw of each object, and of the file here that was equal to it: so it knows which changed.

Nothing in it is precious: without it everything is compared anew, and nothing is taken for deleted.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from chatterbox_plus.errors import StorageFull, StorageUnwritable

_STORE = "store"
_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
    key TEXT PRIMARY KEY, tag TEXT NOT NULL, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
"""


class Here(NamedTuple):
    """A file of this server."""

    mtime_ns: int
    size: int  # bytes


class Known(NamedTuple):
    """An object, and the file that was equal to it."""

    tag: str
    here: Here


class Record:
    """Thread-safe; processes may share it. Raises StorageFull, StorageUnwritable."""

    def __init__(self, path: Path) -> None:
        """Made when missing, and made anew when damaged."""
        self._path = path
        self._lock = threading.Lock()
        with _explained():
            try:
                self._connection = self._opened()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                for ending in ("", "-wal", "-shm"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
                self._connection = self._opened()

    @property
    def store(self) -> str:
        """The mark of the store that all of this is about; "" for none yet."""
        rows = self._do("SELECT value FROM about WHERE name = ?", _STORE)
        return str(rows[0][0]) if rows else ""

    def begin(self, store: str) -> None:
        """From now on it is about that store, of which nothing is known."""
        self._do("DELETE FROM objects")
        self._do("INSERT OR REPLACE INTO about VALUES (?, ?)", _STORE, store)

    def get(self, key: str) -> Known | None:
        rows = self._do("SELECT tag, mtime_ns, size FROM objects WHERE key = ?", key)
        return Known(rows[0][0], Here(*rows[0][1:])) if rows else None

    def below(self, area: str) -> dict[str, Known]:
        """By key, everything that is known below that folder of keys."""
        wanted = "SELECT key, tag, mtime_ns, size FROM objects WHERE key > ? AND key < ?"
        rows = self._do(wanted, f"{area}/", f"{area}0")
        return {key: Known(tag, Here(mtime_ns, size)) for key, tag, mtime_ns, size in rows}

    def put(self, key: str, known: Known) -> None:
        self._do("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", key, known.tag, *known.here)

    def forget(self, key: str) -> None:
        self._do("DELETE FROM objects WHERE key = ?", key)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript(_TABLES)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _do(self, statement: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock, _explained():
            return self._connection.execute(statement, values).fetchall()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise StorageFull("There is no room left in the data folder.") from error
        raise StorageUnwritable("What is known of the store of the audio cannot be written down.") from error

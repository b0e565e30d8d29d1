"""The connection to the database of tasks: SQLite in the data folder, or PostgreSQL."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy.orm  # noqa: F401 - DBOS imports it in a thread of its own, and half of it breaks queries elsewhere
from sqlalchemy import create_engine, event, make_url
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, TimeoutError

from chatterbox_plus.errors import DatabaseAway, SettingsError, StorageFull
from chatterbox_plus.jobs.tables import migrate

PATIENCE_S = 3  # for another writer, or for a connection: a request waits no longer
_READING = "chatterbox_reading"
AWAY = "The database of tasks cannot be reached at the moment: ask again in a little while"
_log = logging.getLogger(__name__)


def database_url(setting: str, data_dir: Path) -> URL:
    """Where the tasks are kept. setting: a PostgreSQL URL, or "" for `jobs.sqlite` in the data folder.

    Raises SettingsError for a URL that is neither PostgreSQL's nor SQLite's.
    """
    if not setting:
        return URL.create("sqlite", database=str(data_dir / "jobs.sqlite"))
    try:
        url = make_url(setting)
    except ArgumentError:
        raise SettingsError("storage.database_url: not the URL of a database") from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database:
        return url
    raise SettingsError("storage.database_url: must begin with postgresql:// (or sqlite:///)")


class Database:
    """Transactions. Thread-safe; several processes may share the database."""

    def __init__(self, url: URL) -> None:
        """Connects to nothing yet."""
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.engine: Engine = create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True, **_arguments(url))
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "do_connect", _connect_patiently)

    def open(self) -> None:
        """Makes the database when missing and brings it up to date. Raises DatabaseAway, StorageFull, SettingsError."""
        if self.is_sqlite and self.url.database:
            path = Path(self.url.database)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            except OSError as error:
                raise SettingsError(f"The database of tasks cannot be made: {error.strerror}") from error
        with self.transaction() as connection:
            migrate(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of it happens, or nothing. Raises DatabaseAway, StorageFull."""
        with explained(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For looking only: waits for no writer. Raises DatabaseAway."""
        with explained(), self.engine.connect() as connection:
            yield connection.execution_options(**{_READING: True})

    def close(self) -> None:
        self.engine.dispose()


def background_engine(url: URL, pool_size: int) -> Engine:
    """Connections to PostgreSQL for work that nobody waits for; the caller's to dispose of."""
    engine = create_engine(url, pool_size=pool_size, max_overflow=0, pool_pre_ping=True, **_arguments(url))
    event.listen(engine, "do_connect", _connect_very_patiently)
    return engine


@contextmanager
def explained() -> Iterator[None]:
    """Turns a database that is not there, locked or full into what a caller can be told."""
    try:
        yield
    except TimeoutError as error:  # of the pool
        raise DatabaseAway(AWAY) from error
    except (OperationalError, InterfaceError) as error:
        raise _told(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _told(error) from error
        raise


def _told(error: DBAPIError) -> DatabaseAway | StorageFull:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("There is no room left in the data folder.")
    return DatabaseAway(AWAY)


def _arguments(url: URL) -> dict[str, object]:
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": PATIENCE_S, "check_same_thread": False}, "pool_timeout": PATIENCE_S}
    return {
        "pool_timeout": PATIENCE_S,
        "connect_args": {
            "connect_timeout": PATIENCE_S,
            # A server that stands still in the middle of a transaction must not keep others from taking over for long.
            "options": "-c statement_timeout=20000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=15000",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    }


def _connect_patiently(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    from chatterbox_plus.jobs.patience import PatientConnection  # only where there is PostgreSQL

    return PatientConnection.connect(*arguments, **options)


def _connect_very_patiently(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    from chatterbox_plus.jobs.patience import VeryPatientConnection

    return VeryPatientConnection.connect(*arguments, **options)


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
    cursor.execute("PRAGMA synchronous = FULL")  # what was promised with a 2xx survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

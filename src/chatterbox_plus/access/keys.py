"""The keys at rest: only a hash of each, in SQLite or any database that SQLAlchemy speaks to."""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, event, insert, select, text, update
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.key import Key, digest, put_together
from chatterbox_plus.errors import Ambiguous, BadRequest, DatabaseAway, InvalidOption, NotFound, SettingsError
from chatterbox_plus.library.naming import is_device

_UNUSABLE = "The database of the keys cannot be used"
_LOCK = 7860142858  # PostgreSQL: whose turn it is to make the tables; any number, as long as it is ours
_NAME = re.compile(r"[\w.@ -]{1,64}")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9][A-Za-z0-9_-]{0,63}){0,3}", re.ASCII)

_tables = MetaData()
_keys = Table(
    "api_keys",
    _tables,
    Column("id", String(8), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(8), nullable=False),
    Column("project", String(260), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("rate_limit_per_minute", Integer),
    Column("created_at", String(32), nullable=False),
    Column("last_used_at", String(32)),
    Column("revoked_at", String(32)),
)
_secrets = Table(
    "server_secrets",
    _tables,
    Column("name", String(32), primary_key=True),
    Column("value", String(64), nullable=False),
)


class KeyStore:
    """All keys. Thread-safe; several processes may share the database.

    Whatever asks it raises DatabaseAway while it cannot be used.
    """

    def __init__(self, database: URL | Engine) -> None:
        """database: where it is, see `at`, or the way to it. Raises SettingsError for one that cannot be used."""
        try:
            engine = database if isinstance(database, Engine) else create_engine(database, pool_pre_ping=True)
            self._engine: Engine = engine
            self.is_remote = engine.dialect.name != "sqlite"
            if not self.is_remote:
                event.listen(engine, "connect", _patient)
            with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))  # servers may start at once
                _tables.create_all(connection)
        except (SQLAlchemyError, ImportError) as error:
            raise SettingsError(_UNUSABLE) from error

    @classmethod
    def at(cls, data_dir: Path) -> "KeyStore":
        """The store in a data folder, made when missing, readable by its owner alone."""
        path = data_dir / "keys.sqlite"
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        except OSError as error:
            raise SettingsError(f"The keys cannot be kept in the data folder: {error.strerror}") from error
        return cls(URL.create("sqlite", database=str(path)))

    def add(
        self, name: str, *, role: Role = Role.USER, project: str | None = None, rate_limit_per_minute: int | None = None
    ) -> tuple[Key, str]:
        """A new key, and the only copy of its text.

        project: of a user key, by default made from its name; an admin key has none. Raises InvalidOption for a name,
        project or limit that cannot be, BadRequest for a project of an admin, Ambiguous for a name that is in use.
        """
        name = name.strip()
        if not _NAME.fullmatch(name):
            raise InvalidOption("A key's name is up to 64 letters, digits, blanks and . _ - @", param="name")
        if role is Role.ADMIN and project:
            raise BadRequest("An admin key sees every project: it cannot have one", param="project")
        place = "" if role is Role.ADMIN else _project_of(name) if project is None else project.strip().strip("/")
        if role is Role.USER and (not _PROJECT.fullmatch(place) or any(map(is_device, place.split("/")))):
            raise InvalidOption("Give the project a name of letters, digits, _ and - (folders with /)", param="project")
        if rate_limit_per_minute is not None and not 0 <= rate_limit_per_minute <= 1_000_000:
            raise InvalidOption("A rate limit is a number of requests a minute, 0 for none", param="rate_limit")
        for other in self.listed():
            if other.name.casefold() == name.casefold():
                raise Ambiguous(f"There is a key of that name already: {other.name}", param="name")
            if project is None and place and other.project == place:  # two that share one do so on purpose
                message = f"The key {other.name} has the project {place}: name another, or the same to share it"
                raise Ambiguous(message, param="project")
            if other.project != place and other.project.casefold() == place.casefold():  # one folder on many disks
                raise Ambiguous(f"There is a project of that name in other letters: {other.project}", param="project")
        secret = secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(4), name, role, place, digest(secret), rate_limit_per_minute, _now(), None, None)
        with self._transaction() as connection:
            connection.execute(insert(_keys).values(**{column.name: getattr(key, column.name) for column in _keys.c}))
        return key, put_together(key.id, secret)

    def listed(self, *, revoked: bool = False) -> list[Key]:
        """All keys in order of age; with those that were revoked, if asked for."""
        query = select(_keys).order_by(_keys.c.created_at, _keys.c.id)
        if not revoked:
            query = query.where(_keys.c.revoked_at.is_(None))
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [Key(**{**row, "role": Role(row["role"])}) for row in rows]

    def revoke(self, which: str) -> Key:
        """Ends a key for good. which: its id or name. Raises NotFound."""
        keys = self.listed()
        found = next((key for key in keys if key.id == which), None) or next((k for k in keys if k.name == which), None)
        if found is None:
            raise NotFound(f"There is no key of that id or name: {which[:80]}")
        with self._transaction() as connection:
            connection.execute(update(_keys).where(_keys.c.id == found.id).values(revoked_at=_now()))
        return found

    def note_use(self, ids: Iterable[str]) -> None:
        """Remembers that these keys were used just now."""
        with self._transaction() as connection:
            connection.execute(update(_keys).where(_keys.c.id.in_(list(ids))).values(last_used_at=_now()))

    def signing_secret(self) -> bytes:
        """What links and sessions are signed with: the same for every server on this database, made when missing."""
        with suppress(IntegrityError), self._transaction() as connection:  # it is there already: that one counts
            connection.execute(insert(_secrets).values(name="signing", value=secrets.token_hex(32)))
        with self._transaction() as connection:
            value: str = connection.execute(select(_secrets.c.value).where(_secrets.c.name == "signing")).scalar_one()
        return bytes.fromhex(value)

    @property
    def where(self) -> str:
        """The folder or the database they are in, for people; nothing secret."""
        url = self._engine.url
        return f"{url.host}/{url.database}" if self.is_remote else str(Path(url.database or "").parent)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Raises IntegrityError for a row that is there already."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise DatabaseAway(f"{_UNUSABLE} at the moment: ask again in a little while") from error


def _patient(connection: object, record: object) -> None:
    """SQLite's settings of one connection: wait for other writers instead of failing."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


def _project_of(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")


def _now() -> str:
    """To the microsecond: keys are listed in the order they were made in, however fast that was."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

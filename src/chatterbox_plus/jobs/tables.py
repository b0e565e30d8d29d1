"""The database of tasks. Its past is an append-only list: a shipped step is never edited, only followed."""

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
    update,
)

metadata = MetaData()
_ID = String(40)
_TIME = String(32)  # ISO 8601 in UTC with microseconds: as text it sorts as it happened

tasks = Table(
    "tasks",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("parent", _ID, ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("number", Integer),  # of a row in its batch, from 1
    Column("name", String(260)),
    Column("project", String(260), nullable=False),
    Column("key", String(8)),  # the id of the API key that asked
    Column("lane", Integer, nullable=False),
    Column("tag", BigInteger, nullable=False),  # whose turn it is within the lane: see `tasks.TaskStore`
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("dispatched", Integer, nullable=False),  # the last attempt that was handed to the durable queue
    Column("executor", String(80)),  # who works on it, or did last
    Column("spec", Text, nullable=False),  # JSON: what was asked for
    Column("idempotency", String(64)),
    Column("fingerprint", String(64)),
    Column("webhook_url", Text),
    Column("base_url", Text),
    Column("done", Float, nullable=False),
    Column("total", Float),
    Column("audio_s", Float, nullable=False),
    Column("events", Integer, nullable=False),  # how many there are
    Column("result", Text),
    Column("error", Text),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("started_at", _TIME),
    Column("finished_at", _TIME),
    Column("about", String(200)),  # the beginning of what is said, or which files: see `about`
    UniqueConstraint("idempotency", name="tasks_idempotency"),
    Index("tasks_turn", "lane", "status", "tag"),
    Index("tasks_family", "parent", "number"),
    Index("tasks_list", "project", "created_at"),
    Index("tasks_key", "key", "lane", "status"),
    Index("tasks_news", "parent", "updated_at"),
)
events = Table(
    "task_events",
    metadata,
    Column("task", _ID, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("at", _TIME, nullable=False),
    Column("data", Text, nullable=False),
)
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _ID, primary_key=True),  # the webhook-id: the same at every attempt
    Column("task", _ID, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", _TIME),
    Column("last_at", _TIME),
    Column("next_at", _TIME),  # None: never again
    Column("lease_until", _TIME),
    Column("last_status", Integer),
    Column("last_error", Text),
    Column("created_at", _TIME, nullable=False),
    Index("deliveries_due", "state", "next_at"),
    Index("deliveries_of", "task"),
)
servers = Table(
    "servers",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("host", String(260), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float, nullable=False),
    Column("beat_at", _TIME, nullable=False),
)
retakes = Table(
    "retakes",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("task", _ID, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # of the passage, from 1
    Column("text", Text),
    Column("seed", BigInteger),
    Column("seconds", Float, nullable=False),
    Column("chosen", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Index("retakes_of", "task", "number"),
)
_version = Table("chatterbox_schema", metadata, Column("version", Integer, nullable=False))

MIGRATIONS: list[Callable[[Connection], None]] = []


@MIGRATIONS.append
def _m001_tasks(connection: Connection) -> None:
    metadata.create_all(connection, tables=[tasks, events, deliveries, servers])


@MIGRATIONS.append
def _m002_retakes(connection: Connection) -> None:
    metadata.create_all(connection, tables=[retakes])


@MIGRATIONS.append
def _m003_about_and_news(connection: Connection) -> None:
    known = inspect(connection)  # a new database has both from the first step on
    if "about" not in {column["name"] for column in known.get_columns(tasks.name)}:
        connection.execute(text("ALTER TABLE tasks ADD COLUMN about VARCHAR(200)"))
    if "tasks_news" not in {index["name"] for index in known.get_indexes(tasks.name)}:
        connection.execute(text("CREATE INDEX tasks_news ON tasks (parent, updated_at)"))


def migrate(connection: Connection) -> None:
    """Brings the database up to date, in the caller's transaction. Several servers may do so at once."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(7860142857)"))  # any number, as long as it is ours
    if not inspect(connection).has_table(_version.name):
        _version.create(connection)
        connection.execute(insert(_version).values(version=0))
    version = connection.execute(select(_version.c.version)).scalar_one()
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        step(connection)
        connection.execute(update(_version).values(version=number))

"""The workers' side of the database: a task begun, how far it is, how it ended; which servers live."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.records import ProgressNote, Task, moment
from chatterbox_plus.jobs.states import EventType, Kind, Status
from chatterbox_plus.jobs.steps import add_event, add_events, end, lock_family, waiting
from chatterbox_plus.jobs.tables import servers, tasks

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Turn:
    """A task that the durable queue is to be told of."""

    id: str
    attempt: int
    lane: int
    tag: int


@dataclass(frozen=True)
class ServerRow:
    """A server that works on tasks, or did."""

    id: str
    host: str
    pid: int
    process_started: float
    beat_at: str


class Ledger:
    """Thread-safe. Whatever asks it raises DatabaseAway, StorageFull."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # One task

    def begin(self, id: str, attempt: int, executor: str) -> Task | None:
        """The task, now ours; None if that attempt is not wanted any more: paused, called off, or done."""
        with self._database.transaction() as connection:
            lock_family(connection, id)
            row = connection.execute(select(tasks).where(tasks.c.id == id)).mappings().one_or_none()
            if row is None or row["attempt"] != attempt:
                return None
            if Status(row["status"]) not in (Status.QUEUED, Status.RUNNING):
                return None
            now = moment()
            connection.execute(
                update(tasks)
                .where(tasks.c.id == id)
                .values(
                    status=Status.RUNNING.value,
                    executor=executor,
                    dispatched=attempt,
                    started_at=row["started_at"] or now,
                    updated_at=now,
                )
            )
            add_event(connection, id, EventType.STARTED, {"attempt": attempt})
            if row["parent"]:
                self._begin_batch(connection, row["parent"], now)
            return Task.of(dict(connection.execute(select(tasks).where(tasks.c.id == id)).mappings().one()))

    def note(self, notes: Mapping[str, ProgressNote], executor: str) -> None:
        """Writes down how far tasks are; what another server has taken over meanwhile is left alone."""
        with self._database.transaction() as connection:
            for id, note in sorted(notes.items()):  # whoever locks several tasks does so in this order, or in a circle
                values: dict[str, Any] = {}
                if note.done is not None:
                    values = {"done": note.done, "total": note.total, "audio_s": note.audio_s}
                changed = connection.execute(
                    update(tasks)
                    .where(tasks.c.id == id, tasks.c.executor == executor, tasks.c.status == Status.RUNNING.value)
                    .values(updated_at=moment(), **values)
                )
                if changed.rowcount:
                    add_events(connection, id, note.events)

    def finish(
        self,
        task: Task,
        executor: str,
        status: Status,
        *,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bool:
        """The last word; False, and nothing written, if it is not ours any more: called off, paused, taken over."""
        with self._database.transaction() as connection:
            lock_family(connection, task.id)
            row = connection.execute(select(tasks).where(tasks.c.id == task.id)).mappings().one_or_none()
            if row is None or (row["attempt"], row["executor"]) != (task.attempt, executor):
                return False
            if row["status"] != Status.RUNNING.value:
                return False
            end(connection, Task.of(dict(row)), status, result=result, error=error)
            return True

    def hand_back(self, task: Task, executor: str) -> None:
        """The server stops in the middle of it: another attempt goes on where this one is."""
        with self._database.transaction() as connection:
            connection.execute(
                update(tasks)
                .where(
                    tasks.c.id == task.id,
                    tasks.c.attempt == task.attempt,
                    tasks.c.executor == executor,
                    tasks.c.status == Status.RUNNING.value,
                )
                .values(status=Status.QUEUED.value, attempt=task.attempt + 1, updated_at=moment())
            )

    def wanted(self, ids: Sequence[str]) -> dict[str, tuple[Status, int, str | None]]:
        """State, attempt and executor of tasks, as far as they are still known."""
        if not ids:
            return {}
        query = select(tasks.c.id, tasks.c.status, tasks.c.attempt, tasks.c.executor).where(tasks.c.id.in_(ids))
        with self._database.reading() as connection:
            return {id: (Status(status), attempt, by) for id, status, attempt, by in connection.execute(query)}

    # The queue

    def waiting(self, limit: int) -> list[Turn]:
        """What the durable queue has not been told of, in the order of turns."""
        with self._database.reading() as connection:
            return [Turn(*row) for row in connection.execute(waiting(limit))]

    def dispatched(self, turns: Iterable[Turn]) -> None:
        """The durable queue has them."""
        with self._database.transaction() as connection:
            for turn in sorted(turns, key=lambda turn: turn.id):  # the same order as everywhere: see `note`
                connection.execute(
                    update(tasks)
                    .where(tasks.c.id == turn.id, tasks.c.dispatched < turn.attempt)
                    .values(dispatched=turn.attempt)
                )

    def quiet(self, before: str, limit: int = 500) -> list[Turn]:
        """Unfinished tasks that were handed over, and of which nothing has been heard since that moment."""
        query = (
            select(tasks.c.id, tasks.c.attempt, tasks.c.lane, tasks.c.tag)
            .where(
                tasks.c.status.in_([Status.QUEUED.value, Status.RUNNING.value]),
                tasks.c.kind != Kind.BATCH.value,
                tasks.c.dispatched == tasks.c.attempt,
                tasks.c.updated_at < before,
            )
            .order_by(tasks.c.updated_at)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [Turn(*row) for row in connection.execute(query)]

    def heard_of(self, turns: Iterable[Turn]) -> None:
        """They are all right: look again later."""
        quiet = (
            select(tasks.c.id)
            .where(tasks.c.id.in_([turn.id for turn in turns]), tasks.c.finished_at.is_(None))
            .with_for_update(skip_locked=True)  # whoever works on one of them now is heard of anyway
        )
        with self._database.transaction() as connection:
            connection.execute(update(tasks).where(tasks.c.id.in_(quiet)).values(updated_at=moment()))

    def again(self, id: str, attempt: int) -> None:
        """That attempt was lost: there will be another."""
        with self._database.transaction() as connection:
            connection.execute(
                update(tasks)
                .where(
                    tasks.c.id == id,
                    tasks.c.attempt == attempt,
                    tasks.c.status.in_([Status.QUEUED.value, Status.RUNNING.value]),
                )
                .values(status=Status.QUEUED.value, attempt=attempt + 1, updated_at=moment())
            )

    def unfinished(self) -> bool:
        """Whether anything waits or runs."""
        query = select(tasks.c.id).where(tasks.c.status.in_([Status.QUEUED.value, Status.RUNNING.value])).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    # Servers

    def beat(self, server: ServerRow) -> None:
        """That server lives."""
        with self._database.transaction() as connection:
            values = {"host": server.host, "pid": server.pid, "process_started": server.process_started}
            changed = connection.execute(
                update(servers).where(servers.c.id == server.id).values(beat_at=server.beat_at, **values)
            )
            if not changed.rowcount:
                connection.execute(insert(servers).values(id=server.id, beat_at=server.beat_at, **values))

    def servers(self) -> list[ServerRow]:
        with self._database.reading() as connection:
            return [ServerRow(**row) for row in connection.execute(select(servers)).mappings()]

    def servers_gone(self, ids: Sequence[str]) -> None:
        """They live no more, whatever their last word was: what they had in hand is anybody's at once."""
        with self._database.transaction() as connection:
            connection.execute(update(servers).where(servers.c.id.in_(ids)).values(beat_at=moment(NEVER)))

    def forget_servers(self, ids: Sequence[str]) -> None:
        """They are dead, and what they had in hand has been taken over."""
        with self._database.transaction() as connection:
            connection.execute(delete(servers).where(servers.c.id.in_(ids)))

    def counts(self) -> dict[Status, int]:
        """How many tasks are in each state."""
        query = select(tasks.c.status, func.count()).where(tasks.c.kind != Kind.BATCH.value).group_by(tasks.c.status)
        with self._database.reading() as connection:
            return {Status(status): count for status, count in connection.execute(query)}

    def _begin_batch(self, connection: Connection, id: str, now: str) -> None:
        changed = connection.execute(
            update(tasks)
            .where(tasks.c.id == id, tasks.c.status == Status.QUEUED.value)
            .values(status=Status.RUNNING.value, started_at=func.coalesce(tasks.c.started_at, now), updated_at=now)
        )
        if changed.rowcount:
            add_event(connection, id, EventType.STARTED, {"attempt": 1})

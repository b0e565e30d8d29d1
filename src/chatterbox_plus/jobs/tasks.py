"""All tasks, at rest: submitted, listed, called off, paused, taken up again.

Whose turn it is: every task has a tag, and in a lane the lowest is next. Who has nothing waiting starts at the turn
that is being served; who has a thousand waiting stands behind them with the next. So keys take turns however much each
asks for (start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996, with every task of the same weight).
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, false, func, insert, or_, select
from sqlalchemy.exc import IntegrityError

from chatterbox_plus.errors import InvalidOption, KeyReused, NotFound, RateLimited, WrongState
from chatterbox_plus.jobs.about import about
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.records import NewTask, RowCounts, Task, TaskEvent, moment, new_id, parsed
from chatterbox_plus.jobs.states import FINAL, UNFINISHED, EventType, Kind, Lane, Status
from chatterbox_plus.jobs.steps import (
    SEEN,
    add_event,
    as_json,
    change,
    end,
    lock_family,
    row_counts,
    seen,
    settle_batch,
)
from chatterbox_plus.jobs.tables import deliveries, events, tasks

_ROWS_AT_ONCE = 500
_WORDS = {
    Status.QUEUED: "is queued",
    Status.RUNNING: "is running",
    Status.PAUSED: "is paused",
    Status.SUCCEEDED: "has succeeded",
    Status.FAILED: "has failed",
    Status.CANCELLED: "was cancelled",
}


class TaskStore:
    """Thread-safe; several processes may share the database. Whatever asks it raises DatabaseAway, StorageFull."""

    def __init__(self, database: Database, *, max_unfinished: int) -> None:
        """max_unfinished: tasks, rows of batches among them, that one key may have waiting or running."""
        self._database, self._max_unfinished = database, max_unfinished

    def submit(self, new: NewTask) -> tuple[Task, bool]:
        """The task, once it is safely kept, and whether it had been sent before with the same Idempotency-Key.

        Raises KeyReused if that key came with another request, RateLimited if too many tasks wait already.
        """
        try:
            with self._database.transaction() as connection:
                known = self._known(connection, new)
                return (known, True) if known else (self._insert(connection, new), False)
        except IntegrityError:  # the same key came to another server this moment
            with self._database.transaction() as connection:
                known = self._known(connection, new)
                if known is None:
                    raise
                return known, True

    def get(self, id: str, *, project: str = "") -> Task:
        """The task, without its spec. Raises NotFound, also for another project's; "" sees all."""
        with self._database.reading() as connection:
            return self._get(connection, id, project)

    def status(self, id: str) -> Status:
        """How it stands, and nothing else. Raises NotFound."""
        with self._database.reading() as connection:
            found = connection.execute(select(tasks.c.status).where(tasks.c.id == id)).scalar_one_or_none()
        if found is None:
            raise _missing(id)
        return Status(found)

    def whole(self, id: str, *, project: str = "") -> Task:
        """The task with its spec, which may be a book. Raises NotFound."""
        with self._database.reading() as connection:
            return self._get(connection, id, project, whole=True)

    def listed(
        self,
        *,
        project: str = "",
        status: Status | None = None,
        kind: Kind | None = None,
        parent: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[list[Task], int]:
        """Tasks, newest first, and how many there are in all; of a batch (parent) its rows in order. Without specs."""
        wanted: list[ColumnElement[bool]] = [tasks.c.parent == parent if parent else tasks.c.parent.is_(None)]
        if project:
            wanted.append(tasks.c.project == project)
        if status:
            wanted.append(tasks.c.status == status.value)
        if kind:
            wanted.append(tasks.c.kind == kind.value)
        order = [tasks.c.number] if parent else [tasks.c.created_at.desc(), tasks.c.id]
        with self._database.reading() as connection:
            total = connection.execute(select(func.count()).select_from(tasks).where(*wanted)).scalar_one()
            rows = connection.execute(select(*SEEN).where(*wanted).order_by(*order).offset(offset).limit(limit))
            return [seen(row) for row in rows.mappings()], total

    def changed_since(
        self, since: str, after: str = "", *, project: str = "", parent: str | None = None, limit: int = 500
    ) -> list[Task]:
        """Tasks, or rows of a batch, that changed after a moment, those that changed first first. Without specs.

        after: of those that changed in that very moment only those whose id comes later; "": none of them.
        """
        wanted = [tasks.c.parent == parent if parent else tasks.c.parent.is_(None), tasks.c.updated_at >= since]
        same = tasks.c.id > after if after else false()
        wanted.append(or_(tasks.c.updated_at > since, same))
        if project:
            wanted.append(tasks.c.project == project)
        query = select(*SEEN).where(*wanted).order_by(tasks.c.updated_at, tasks.c.id).limit(limit)
        with self._database.reading() as connection:
            return [seen(row) for row in connection.execute(query).mappings()]

    def row_counts(self, id: str) -> RowCounts:
        """How the rows of a batch stand."""
        with self._database.reading() as connection:
            return row_counts(connection, id)

    def events_after(self, id: str, seq: int, limit: int = 500) -> list[TaskEvent]:
        """What has happened since that event, in order."""
        wanted = select(events).where(events.c.task == id, events.c.seq > seq).order_by(events.c.seq).limit(limit)
        with self._database.reading() as connection:
            return [
                TaskEvent(row["seq"], EventType(row["type"]), row["at"], json.loads(row["data"]))
                for row in connection.execute(wanted).mappings()
            ]

    # What people do to tasks

    def cancel(self, id: str, *, project: str = "") -> Task:
        """Calls it off, with its rows; again is no error. Raises NotFound, WrongState if it has ended already."""
        with self._database.transaction() as connection:
            task = self._locked(connection, id, project)
            if task.status is not Status.CANCELLED:
                _check(task, UNFINISHED, "cancelled")
                for row in self._rows(connection, id, UNFINISHED):
                    end(connection, row, Status.CANCELLED, tell_family=False)
                end(connection, task, Status.CANCELLED)
            return self._get(connection, id, project)

    def pause(self, id: str, *, project: str = "") -> Task:
        """Stops it after the passage it is in; again is no error. Raises NotFound, WrongState."""
        with self._database.transaction() as connection:
            task = self._locked(connection, id, project)
            if task.status is not Status.PAUSED:
                _check(task, (Status.QUEUED, Status.RUNNING), "paused")
                for row in self._rows(connection, id, (Status.QUEUED, Status.RUNNING)):
                    change(connection, row, status=Status.PAUSED)
                change(connection, task, status=Status.PAUSED)
                add_event(connection, id, EventType.PAUSED, {})
            return self._get(connection, id, project)

    def resume(self, id: str, *, project: str = "") -> Task:
        """Lets a paused task go on where it stopped. Raises NotFound, WrongState."""
        return self._again(id, project, (Status.PAUSED,), "resumed")

    def retry(self, id: str, *, project: str = "") -> Task:
        """Does again what failed or was called off, and only that: passages that are done are kept.

        Of a batch only its failed and cancelled rows. Raises NotFound, WrongState.
        """
        return self._again(id, project, (Status.FAILED, Status.CANCELLED), "retried")

    def delete_old(self, before: str) -> list[str]:
        """Forgets tasks that ended before that moment, with their rows; the ids of all that went."""
        old = and_(tasks.c.parent.is_(None), tasks.c.status.in_([s.value for s in FINAL]), tasks.c.finished_at < before)
        with self._database.transaction() as connection:
            ids = list(connection.execute(select(tasks.c.id).where(old).limit(_ROWS_AT_ONCE)).scalars())
            family = list(connection.execute(select(tasks.c.id).where(tasks.c.parent.in_(ids))).scalars())
            for table, column in ((events, events.c.task), (deliveries, deliveries.c.task)):
                connection.execute(delete(table).where(column.in_([*ids, *family])))
            connection.execute(delete(tasks).where(tasks.c.parent.in_(ids)))
            connection.execute(delete(tasks).where(tasks.c.id.in_(ids)))
        return [*ids, *family]

    # Within

    def _again(self, id: str, project: str, states: tuple[Status, ...], what: str) -> Task:
        with self._database.transaction() as connection:
            task = self._locked(connection, id, project)
            _check(task, states, what)
            if task.parent:  # a row that is taken up again keeps its batch open
                above = self._locked(connection, task.parent, project)
                if above.status in states:
                    change(connection, above, status=Status.RUNNING, error=None, result=None, finished_at=None)
            for row in self._rows(connection, id, states):
                _queue_again(connection, row)
            if task.kind is Kind.BATCH:
                status = Status.RUNNING if task.started_at else Status.QUEUED
                change(connection, task, status=status, error=None, result=None, finished_at=None)
            else:
                _queue_again(connection, task)
            add_event(connection, id, EventType.RESUMED, {"attempt": task.attempt + 1})
            settle_batch(connection, task.id)  # nothing may have been left to do
            return self._get(connection, id, project)

    def _get(self, connection: Connection, id: str, project: str, *, whole: bool = False) -> Task:
        columns = tasks.c if whole else SEEN
        row = connection.execute(select(*columns).where(tasks.c.id == id)).mappings().one_or_none()
        if row is None or (project and row["project"] != project):
            raise _missing(id)
        return Task.of(dict(row)) if whole else seen(row)

    def _locked(self, connection: Connection, id: str, project: str) -> Task:
        lock_family(connection, id)
        return self._get(connection, id, project)

    def _rows(self, connection: Connection, id: str, states: Iterable[Status]) -> list[Task]:
        wanted = select(*SEEN).where(tasks.c.parent == id, tasks.c.status.in_([s.value for s in states]))
        return [seen(row) for row in connection.execute(wanted.order_by(tasks.c.number)).mappings()]

    def _known(self, connection: Connection, new: NewTask) -> Task | None:
        if new.idempotency is None:
            return None
        row = connection.execute(select(*SEEN).where(tasks.c.idempotency == new.idempotency)).mappings().one_or_none()
        if row is None:
            return None
        if row["fingerprint"] != new.fingerprint:
            raise KeyReused("This Idempotency-Key came with another request before: use a new one")
        return seen(row)

    def _insert(self, connection: Connection, new: NewTask) -> Task:
        count = max(1, len(new.rows))
        self._check_room(connection, new.key, count)
        tag = _turn(connection, new.lane, new.key)
        id, now = new.id or new_id(), moment()
        common = {
            "project": new.project,
            "key": new.key,
            "lane": int(new.lane),
            "status": Status.QUEUED.value,
            "attempt": 1,
            "dispatched": 0,
            "base_url": new.base_url,
            "done": 0.0,
            "audio_s": 0.0,
            "created_at": now,
            "updated_at": now,
        }
        batch = new.kind is Kind.BATCH
        connection.execute(
            insert(tasks).values(
                id=id,
                kind=new.kind.value,
                name=new.name,
                about=about(new.kind, new.spec),
                spec=as_json(new.spec),
                tag=tag,
                idempotency=new.idempotency,
                fingerprint=new.fingerprint,
                webhook_url=new.webhook_url,
                total=float(count) if batch else None,
                events=1,
                **{**common, "dispatched": 1 if batch else 0},  # a batch is never worked on itself
            )
        )
        told: list[Mapping[str, Any]] = [{"task": id, "seq": 1, "type": EventType.QUEUED, "at": now, "data": "{}"}]
        rows = []
        for number, (name, spec) in enumerate(new.rows, 1):
            row = {"id": new_id("row"), "kind": Kind.TTS.value, "parent": id, "number": number, "name": name}
            own = moment(parsed(now) + timedelta(microseconds=number))  # files are named after it, each differently
            spoken = {
                "spec": as_json(spec),
                "about": about(Kind.TTS, spec),
                "tag": tag + number - 1,
                "events": 1,
                **common,
                "created_at": own,
            }
            rows.append({**row, **spoken})
            told.append({**told[0], "task": row["id"]})
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            connection.execute(insert(tasks), rows[start : start + _ROWS_AT_ONCE])
        for start in range(0, len(told), _ROWS_AT_ONCE):
            connection.execute(insert(events), told[start : start + _ROWS_AT_ONCE])
        return self._get(connection, id, "")

    def _check_room(self, connection: Connection, key: str | None, count: int) -> None:
        mine = tasks.c.key == key if key else tasks.c.key.is_(None)
        waiting = connection.execute(
            select(func.count())
            .select_from(tasks)
            .where(mine, tasks.c.status.in_([s.value for s in UNFINISHED]), tasks.c.kind != Kind.BATCH.value)
        ).scalar_one()
        if count > self._max_unfinished:
            raise InvalidOption(f"a batch may have {self._max_unfinished} rows here, not {count}", param="items")
        if waiting + count > self._max_unfinished:
            raise RateLimited(
                f"{waiting} tasks are waiting already, and {self._max_unfinished} may: come back when some are done"
            )


def _turn(connection: Connection, lane: Lane, key: str | None) -> int:
    """The tag of the next task of that key."""
    here = tasks.c.lane == int(lane)
    mine = tasks.c.key == key if key else tasks.c.key.is_(None)
    served = connection.execute(
        select(func.min(tasks.c.tag)).where(
            here, tasks.c.status == Status.QUEUED.value, tasks.c.kind != Kind.BATCH.value
        )
    ).scalar_one()
    if served is None:
        served = (connection.execute(select(func.max(tasks.c.tag)).where(here)).scalar_one() or 0) + 1
    last = connection.execute(
        select(func.max(tasks.c.tag)).where(here, mine, tasks.c.status.in_([s.value for s in UNFINISHED]))
    ).scalar_one()
    return int(max(served, (last or 0) + 1))


def _queue_again(connection: Connection, task: Task) -> None:
    changed = {"attempt": task.attempt + 1, "error": None, "result": None, "finished_at": None}
    change(connection, task, status=Status.QUEUED, **changed)


def _check(task: Task, states: Iterable[Status], what: str) -> None:
    if task.status not in states:
        raise WrongState(f"The task {_WORDS[task.status]}: it cannot be {what}")


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no task of that id: {id[:60]}")

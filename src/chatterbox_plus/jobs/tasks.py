"""All tasks, at rest: submitted, listed, called off, paused, taken up again.

Whose turn it is: every task has a tag, and in a lane the lowest is next. Who has nothing waiting starts at the turn
that is being served; who has a thousand waiting stands behind them with the next. So keys take turns however much each
asks for (start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996, with every task of the same weight).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from chatterbox_plus.errors import KeyReused, NotFound, RateLimited, WrongState
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.messages import enqueue_delivery
from chatterbox_plus.jobs.records import NewTask, RowCounts, Task, TaskEvent, moment, new_id, parsed
from chatterbox_plus.jobs.states import FINAL, UNFINISHED, EventType, Kind, Lane, Status
from chatterbox_plus.jobs.tables import deliveries, events, tasks

_ROWS_AT_ONCE = 500
_SEEN = tuple(column for column in tasks.c if column.name != "spec")  # a book's spec is the book: only work reads it
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
            rows = connection.execute(select(*_SEEN).where(*wanted).order_by(*order).offset(offset).limit(limit))
            return [_seen(row) for row in rows.mappings()], total

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
                    _change(connection, row, status=Status.PAUSED)
                _change(connection, task, status=Status.PAUSED)
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
                    _change(connection, above, status=Status.RUNNING, error=None, result=None, finished_at=None)
            for row in self._rows(connection, id, states):
                _queue_again(connection, row)
            if task.kind is Kind.BATCH:
                status = Status.RUNNING if task.started_at else Status.QUEUED
                _change(connection, task, status=status, error=None, result=None, finished_at=None)
            else:
                _queue_again(connection, task)
            add_event(connection, id, EventType.RESUMED, {"attempt": task.attempt + 1})
            settle_batch(connection, task.id)  # nothing may have been left to do
            return self._get(connection, id, project)

    def _get(self, connection: Connection, id: str, project: str, *, whole: bool = False) -> Task:
        columns = tasks.c if whole else _SEEN
        row = connection.execute(select(*columns).where(tasks.c.id == id)).mappings().one_or_none()
        if row is None or (project and row["project"] != project):
            raise _missing(id)
        return Task.of(dict(row)) if whole else _seen(row)

    def _locked(self, connection: Connection, id: str, project: str) -> Task:
        lock_family(connection, id)
        return self._get(connection, id, project)

    def _rows(self, connection: Connection, id: str, states: Iterable[Status]) -> list[Task]:
        wanted = select(*_SEEN).where(tasks.c.parent == id, tasks.c.status.in_([s.value for s in states]))
        return [_seen(row) for row in connection.execute(wanted.order_by(tasks.c.number)).mappings()]

    def _known(self, connection: Connection, new: NewTask) -> Task | None:
        if new.idempotency is None:
            return None
        row = connection.execute(select(*_SEEN).where(tasks.c.idempotency == new.idempotency)).mappings().one_or_none()
        if row is None:
            return None
        if row["fingerprint"] != new.fingerprint:
            raise KeyReused("This Idempotency-Key came with another request before: use a new one")
        return _seen(row)

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
                spec=_json(new.spec),
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
            spoken = {"spec": _json(spec), "tag": tag + number - 1, "events": 1, **common, "created_at": own}
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
        if waiting + count > self._max_unfinished:
            raise RateLimited(
                f"{waiting} tasks are waiting already, and {self._max_unfinished} may: come back when some are done"
            )


def end(
    connection: Connection,
    task: Task,
    status: Status,
    *,
    result: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
    tell_family: bool = True,
) -> None:
    """The last word on a task: its state, the event, the webhook's message; and its batch's, if it was the last row.

    The family is locked by the caller.
    """
    now = moment()
    if status is Status.CANCELLED and error is None:
        error = {"code": "CANCELLED", "message": "the task was cancelled"}
    _change(
        connection,
        task,
        status=status,
        result=_json(result) if result is not None else None,
        error=_json(error) if error is not None else None,
        finished_at=now,
    )
    data: dict[str, Any] = {"status": status.value}
    if error is not None:
        data["error"] = error
    if result is not None and "output_url" in result:
        data["output_url"] = result["output_url"]
    add_event(connection, task.id, EventType.FINISHED, data)
    if task.webhook_url:
        enqueue_delivery(connection, task, status, result, error)
    if task.parent and tell_family:
        row: dict[str, Any] = {"row": task.number, "name": task.name, **data}
        add_event(connection, task.parent, EventType.ROW, row)
        settle_batch(connection, task.parent)


def settle_batch(connection: Connection, id: str) -> None:
    """Ends a batch whose rows have all ended. Its family is locked by the caller."""
    row = connection.execute(select(*_SEEN).where(tasks.c.id == id)).mappings().one()
    if row["kind"] != Kind.BATCH.value or Status(row["status"]).is_final:
        return
    found = row_counts(connection, id)
    counts = {status.value: n for status, n in found.counts.items()}
    if found.ended < found.total:
        connection.execute(update(tasks).where(tasks.c.id == id).values(done=float(found.ended), updated_at=moment()))
        return
    batch = _seen(row)
    failed = found.total - found.counts.get(Status.SUCCEEDED, 0)
    result = {"rows": found.total, "counts": counts}
    connection.execute(update(tasks).where(tasks.c.id == id).values(done=float(found.total)))
    if failed:
        error = {"code": "ROWS_FAILED", "message": f"{failed} of {found.total} rows have no audio: see the rows"}
        end(connection, batch, Status.FAILED, result=result, error=error)
    else:
        end(connection, batch, Status.SUCCEEDED, result=result)


def row_counts(connection: Connection, id: str) -> RowCounts:
    found = connection.execute(
        select(tasks.c.status, func.count()).where(tasks.c.parent == id).group_by(tasks.c.status)
    ).all()
    return RowCounts({Status(status): count for status, count in found})


def lock_family(connection: Connection, id: str) -> None:
    """Keeps other transactions from the task, its batch and its rows until this one ends; the batch first and rows in
    the order of their ids, so that none waits for another in a circle. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "sqlite":
        return
    parent = select(tasks.c.parent).where(tasks.c.id == id).scalar_subquery()
    for family in (tasks.c.id == parent, tasks.c.id == id, tasks.c.parent == id):
        connection.execute(select(tasks.c.id).where(family).order_by(tasks.c.id).with_for_update())


def add_event(connection: Connection, id: str, type: EventType, data: Mapping[str, Any], at: str | None = None) -> None:
    """Writes down what happened to a task."""
    add_events(connection, id, [(type, at or moment(), data)])


def add_events(connection: Connection, id: str, told: Sequence[tuple[EventType, str, Mapping[str, Any]]]) -> None:
    """The same for several, in order."""
    if not told:
        return
    last = connection.execute(
        update(tasks).where(tasks.c.id == id).values(events=tasks.c.events + len(told)).returning(tasks.c.events)
    ).scalar_one_or_none()
    if last is None:
        return  # the task was forgotten meanwhile
    first = last - len(told) + 1
    rows = [
        {"task": id, "seq": first + n, "type": type.value, "at": at, "data": _json(data)}
        for n, (type, at, data) in enumerate(told)
    ]
    connection.execute(insert(events), rows)


def waiting(limit: int) -> Select[Any]:
    """What the durable queue has not been told of yet, in the order of turns."""
    return (
        select(tasks.c.id, tasks.c.attempt, tasks.c.lane, tasks.c.tag)
        .where(tasks.c.status == Status.QUEUED.value, tasks.c.dispatched < tasks.c.attempt)
        .order_by(tasks.c.lane, tasks.c.tag)
        .limit(limit)
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
    _change(connection, task, status=Status.QUEUED, **changed)


def _change(connection: Connection, task: Task, *, status: Status, **values: Any) -> None:
    connection.execute(
        update(tasks).where(tasks.c.id == task.id).values(status=status.value, updated_at=moment(), **values)
    )


def _check(task: Task, states: Iterable[Status], what: str) -> None:
    if task.status not in states:
        raise WrongState(f"The task {_WORDS[task.status]}: it cannot be {what}")


def _seen(row: Mapping[Any, Any]) -> Task:
    return Task.of({**row, "spec": "{}"})


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no task of that id: {id[:60]}")


def _json(value: Mapping[str, Any]) -> str:
    """Lone surrogates, which no database takes, as their JSON escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()

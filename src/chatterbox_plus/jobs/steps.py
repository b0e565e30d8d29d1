"""What transactions about tasks are made of: a state changed, an event written, a last word said, a batch summed up.

Every function works within the caller's transaction.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update

from chatterbox_plus.jobs.messages import enqueue_delivery
from chatterbox_plus.jobs.records import RowCounts, Task, moment
from chatterbox_plus.jobs.states import EventType, Kind, Status
from chatterbox_plus.jobs.tables import events, tasks

SEEN = tuple(column for column in tasks.c if column.name != "spec")
"""What is looked at: a book's spec is the book, and only work reads it."""


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
    change(
        connection,
        task,
        status=status,
        result=as_json(result) if result is not None else None,
        error=as_json(error) if error is not None else None,
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
    row = connection.execute(select(*SEEN).where(tasks.c.id == id)).mappings().one()
    if row["kind"] != Kind.BATCH.value or Status(row["status"]).is_final:
        return
    found = row_counts(connection, id)
    counts = {status.value: n for status, n in found.counts.items()}
    audio_s = connection.execute(select(func.sum(tasks.c.audio_s)).where(tasks.c.parent == id)).scalar_one() or 0.0
    sums = {"done": float(found.ended), "audio_s": audio_s, "updated_at": moment()}
    connection.execute(update(tasks).where(tasks.c.id == id).values(**sums))
    if found.ended < found.total:
        return
    batch = seen(row)
    failed = found.total - found.counts.get(Status.SUCCEEDED, 0)
    result = {"rows": found.total, "counts": counts}
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
        {"task": id, "seq": first + n, "type": type.value, "at": at, "data": as_json(data)}
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


def change(connection: Connection, task: Task, *, status: Status, **values: Any) -> None:
    """The task stands otherwise now."""
    connection.execute(
        update(tasks).where(tasks.c.id == task.id).values(status=status.value, updated_at=moment(), **values)
    )


def seen(row: Mapping[Any, Any]) -> Task:
    """A row of SEEN columns as a task."""
    return Task.of({**row, "spec": "{}"})


def as_json(value: Mapping[str, Any]) -> str:
    """Lone surrogates, which no database takes, as their JSON escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode()

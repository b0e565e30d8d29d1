"""What receivers are told about a task: kept with its last word, in the same transaction, and sent from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from chatterbox_plus.errors import NotFound
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.records import Task, moment, new_id
from chatterbox_plus.jobs.states import Status
from chatterbox_plus.jobs.tables import deliveries

LEASE_S = 30  # longer than an attempt may take: what a killed server was sending is sent again after that
_SHOWN = ("output_files", "generation_seed_used", "processing_time_seconds", "rows", "counts")


@dataclass(frozen=True)
class Delivery:
    """A message on its way. state: pending, delivered, gone (the receiver wants no more), given_up. body: as in the
    database, its links still relative to the server."""

    id: str
    task: str
    url: str
    body: Mapping[str, Any]
    state: str
    attempts: int
    first_at: str | None
    last_at: str | None
    next_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str


def enqueue_delivery(
    connection: Connection,
    task: Task,
    status: Status,
    result: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None,
) -> None:
    """The message about a task that has ended, due at once."""
    told = {name: result[name] for name in _SHOWN if result and name in result}
    body = {
        "task_id": task.id,
        "success": status is Status.SUCCEEDED,
        "output_url": result.get("output_url") if result else None,
        "error": error["message"] if error else None,
        "status": status.value,
        "kind": task.kind.value,
        **told,
        "base_url": task.base_url,
        "key": task.key,
    }
    _insert(connection, task.id, task.webhook_url or "", body)


class Outbox:
    """All messages. Thread-safe; several servers may share it. Whatever asks it raises DatabaseAway, StorageFull."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_task(self, task: str) -> list[Delivery]:
        """In the order in which they were written."""
        with self._database.reading() as connection:
            query = select(deliveries).where(deliveries.c.task == task).order_by(deliveries.c.created_at)
            return [_delivery(dict(row)) for row in connection.execute(query).mappings()]

    def again(self, task: str, id: str) -> Delivery:
        """Sends a message once more, as a new one with a schedule of its own. Raises NotFound."""
        with self._database.transaction() as connection:
            query = select(deliveries).where(deliveries.c.task == task, deliveries.c.id == id)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise NotFound(f"The task has no delivery of that id: {id[:60]}")
            new = _insert(connection, task, row["url"], json.loads(row["body"]))
            return _delivery(
                dict(connection.execute(select(deliveries).where(deliveries.c.id == new)).mappings().one())
            )

    def take_due(self, limit: int) -> list[Delivery]:
        """What is to be sent now; for LEASE_S it is the caller's."""
        now = moment()
        free = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)
        due = and_(deliveries.c.state == "pending", deliveries.c.next_at <= now, free)
        lease = moment(datetime.now(UTC) + timedelta(seconds=LEASE_S))
        with self._database.reading() as connection:
            ids = list(connection.execute(select(deliveries.c.id).where(due).limit(limit)).scalars())
        if not ids:
            return []
        taken = []
        with self._database.transaction() as connection:
            for id in ids:
                mine = update(deliveries).where(deliveries.c.id == id, due).values(lease_until=lease)
                if connection.execute(mine).rowcount:
                    row = connection.execute(select(deliveries).where(deliveries.c.id == id)).mappings().one()
                    taken.append(_delivery(dict(row)))
        return taken

    def give_back(self, delivery: Delivery) -> None:
        """It was not sent after all: somebody else may do so at once."""
        with self._database.transaction() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(lease_until=None))

    def next_due(self) -> datetime | None:
        """When something is to be sent next; None: nothing waits."""
        query = (
            select(deliveries.c.next_at).where(deliveries.c.state == "pending").order_by(deliveries.c.next_at).limit(1)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return datetime.fromisoformat(found) if found else None

    def attempted(
        self,
        delivery: Delivery,
        *,
        state: str,
        next_at: datetime | None,
        status: int | None,
        error: str | None,
    ) -> None:
        """How an attempt went."""
        now = moment()
        with self._database.transaction() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id == delivery.id)
                .values(
                    state=state,
                    attempts=deliveries.c.attempts + 1,
                    first_at=delivery.first_at or now,
                    last_at=now,
                    next_at=moment(next_at) if next_at else None,
                    lease_until=None,
                    last_status=status,
                    last_error=error,
                )
            )


def _insert(connection: Connection, task: str, url: str, body: Mapping[str, Any]) -> str:
    now, id = moment(), new_id("msg")
    connection.execute(
        insert(deliveries).values(
            id=id,
            task=task,
            url=url,
            body=json.dumps(body),  # ASCII: no database takes a lone surrogate
            state="pending",
            attempts=0,
            next_at=now,
            created_at=now,
        )
    )
    return id


def _delivery(row: Mapping[str, Any]) -> Delivery:
    known = {name: row[name] for name in Delivery.__dataclass_fields__}
    return Delivery(**{**known, "body": json.loads(row["body"])})

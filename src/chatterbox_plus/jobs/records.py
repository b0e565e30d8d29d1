"""Tasks as everybody but the database sees them."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chatterbox_plus.jobs.states import EventType, Kind, Lane, Status


def moment(when: datetime | None = None) -> str:
    """A time as the database keeps it: UTC with microseconds, so that text sorts as it happened. Now, unless told."""
    return (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parsed(text: str) -> datetime:
    """The moment that `moment` wrote."""
    return datetime.fromisoformat(text)


def new_id(prefix: str = "task") -> str:
    """A name nobody can guess."""
    return f"{prefix}_{secrets.token_hex(12)}"


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """What somebody asks for.

    spec: JSON-ready, all that the work needs. idempotency: who sent which Idempotency-Key, hashed; fingerprint: of the
    whole request. base_url: what relative links begin with in messages about it. rows: of a batch, as (name, spec).
    """

    kind: Kind
    spec: Mapping[str, Any]
    project: str = ""
    key: str | None = None
    lane: Lane = Lane.INTERACTIVE
    name: str | None = None
    idempotency: str | None = None
    fingerprint: str | None = None
    webhook_url: str | None = None
    base_url: str | None = None
    rows: Sequence[tuple[str | None, Mapping[str, Any]]] = ()
    id: str | None = None  # None: a new one


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task as it stands. about: what it is about, in a line; None for those of earlier versions.

    done, total: passages, seconds, files or rows; audio_s: seconds of sound made so far.

    spec: {} unless it was asked for: see `TaskStore.whole`.
    """

    id: str
    kind: Kind
    status: Status
    lane: Lane
    attempt: int
    project: str
    key: str | None
    parent: str | None
    number: int | None
    name: str | None
    about: str | None
    spec: Mapping[str, Any]
    webhook_url: str | None
    base_url: str | None
    executor: str | None
    done: float
    total: float | None
    audio_s: float
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    created_at: str
    updated_at: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Task":
        """From a row of the table."""
        known = {name: row[name] for name in cls.__dataclass_fields__}
        for name in ("spec", "result", "error"):
            known[name] = json.loads(known[name]) if known[name] else None
        known |= {"kind": Kind(row["kind"]), "status": Status(row["status"]), "lane": Lane(row["lane"])}
        return cls(**known)

    @property
    def created(self) -> datetime:
        return parsed(self.created_at)


@dataclass(frozen=True)
class TaskEvent:
    """Something that happened to a task. seq: 1, 2, 3 … without a gap."""

    seq: int
    type: EventType
    at: str
    data: Mapping[str, Any]


@dataclass
class ProgressNote:
    """How far a task is, as its worker says; events in the order in which they happened."""

    done: float | None = None  # None: nothing is known beside the events
    total: float | None = None
    audio_s: float = 0
    events: list[tuple[EventType, str, Mapping[str, Any]]] = field(default_factory=list)  # type, when, data


@dataclass(frozen=True)
class RowCounts:
    """How the rows of a batch stand."""

    counts: Mapping[Status, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(n for status, n in self.counts.items() if status.is_final)

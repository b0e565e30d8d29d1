"""What people changed about passages of a task: other takes, and which of them are wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from chatterbox_plus.errors import NotFound
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.records import Task, moment, new_id
from chatterbox_plus.jobs.tables import retakes
from chatterbox_plus.synthesis.plan import Edit

EDITS = "edits"  # in a spec: passage number from 1, as text → {text, seed}


@dataclass(frozen=True)
class Retake:
    """A passage said otherwise. number: of the passage, from 1. chosen: whether it is what the task is to have."""

    id: str
    task: str
    number: int
    text: str | None
    seed: int | None
    seconds: float
    chosen: bool
    created_at: str

    @property
    def edit(self) -> Edit:
        return Edit(self.text, self.seed)


class Retakes:
    """All of them. Thread-safe. Whatever asks it raises DatabaseAway, StorageFull."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_task(self, task: str) -> list[Retake]:
        """In the order in which they were made."""
        query = select(retakes).where(retakes.c.task == task).order_by(retakes.c.created_at, retakes.c.id)
        with self._database.reading() as connection:
            return [_retake(dict(row)) for row in connection.execute(query).mappings()]

    def add(self, task: str, number: int, edit: Edit, seconds: float, *, chosen: bool) -> Retake:
        """Keeps one. chosen: it is wanted from now on, and no earlier one of that passage."""
        values: dict[str, Any] = {"id": new_id("take"), "task": task, "number": number, "created_at": moment()}
        values |= {"text": edit.text, "seed": edit.seed, "seconds": seconds, "chosen": int(chosen)}
        with self._database.transaction() as connection:
            if chosen:
                self._unchoose(connection, task, number)
            connection.execute(insert(retakes).values(**values))
        return _retake(values)

    def choose(self, task: str, number: int, take: str | None) -> None:
        """Wants that take of the passage, None: the passage as it was. Raises NotFound."""
        mine = (retakes.c.task == task) & (retakes.c.number == number)
        with self._database.transaction() as connection:
            self._unchoose(connection, task, number)
            if take is None:
                return
            changed = connection.execute(update(retakes).where(mine, retakes.c.id == take).values(chosen=1))
            if not changed.rowcount:
                raise NotFound(f"Passage {number} has no take of that id: {take[:60]}")

    def _unchoose(self, connection: Any, task: str, number: int) -> None:
        connection.execute(update(retakes).where(retakes.c.task == task, retakes.c.number == number).values(chosen=0))


def edits_of(spec: Mapping[str, Any]) -> dict[int, Edit]:
    """The edits a task is made with, by passage number from 0."""
    known: Mapping[str, Mapping[str, Any]] = spec.get(EDITS) or {}
    return {int(number) - 1: Edit(edit.get("text"), edit.get("seed")) for number, edit in known.items()}


def with_chosen(task: Task, made: list[Retake]) -> dict[int, Edit]:
    """The same, and the takes chosen since."""
    return {**edits_of(task.spec), **{take.number - 1: take.edit for take in made if take.chosen}}


def as_spec(edits: Mapping[int, Edit]) -> dict[str, Any]:
    """As a spec keeps them."""
    return {str(number + 1): {"text": edit.text, "seed": edit.seed} for number, edit in sorted(edits.items())}


def _retake(row: Mapping[str, Any]) -> Retake:
    known = {name: row[name] for name in Retake.__dataclass_fields__}
    return Retake(**{**known, "chosen": bool(row["chosen"])})

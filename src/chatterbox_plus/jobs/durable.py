"""The durable queue: DBOS, and nothing else in the house knows it.

What is asked of it: an attempt at a task, once handed over, is begun by one server at a time, and begun again by another
if its server dies. What the work is, how far it is and how it ended is in our own tables; a workflow here has two words
in it, the task's id and the number of the attempt.

Its traps, and what is done about them: the application's version is fixed, or every upgrade would strand what waits; a
workflow is begun again as often as it takes (`max_recovery_attempts`); arguments are JSON, not pickles; a server's name
is new at every start, since nobody but our own `office` notices a dead one; it polls, so the pause between two looks is
what a task waits at most.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.ledger import Turn

if TYPE_CHECKING:
    from dbos import DBOS

QUEUE = "tasks"
WORKFLOW = "task"
VERSION = "1"  # of the protocol between a workflow and our tables, not of the program: see above
POLL_S = 0.05
_LANE = 1_000_000_000  # priorities of one lane; DBOS serves the lowest number first
_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

Perform = Callable[[str, int], None]
"""Works on one attempt at a task, in a thread of the queue's; returns when it is over, however it ended."""


class Durable:
    """One in a process: DBOS is a singleton."""

    def __init__(self, database: Database, executor: str, perform: Perform, *, concurrency: int) -> None:
        """Starts working. executor: the server's name, used by no other, ever. concurrency: tasks at once.

        Raises DatabaseAway.
        """
        from dbos import DBOS, DBOSConfig  # takes half a second to import, and needs none who has no tasks
        from dbos import DBOSPortableJSONSerializer as Serializer

        _quieten()
        config = DBOSConfig(
            name="chatterbox-plus",
            system_database_url=database.url.render_as_string(hide_password=False),
            application_version=VERSION,
            executor_id=executor,
            serializer=Serializer(),
            log_level="WARNING",
            sys_db_pool_size=concurrency + 8,
            use_listen_notify=False,
        )
        self._dbos: type[DBOS] = DBOS
        try:
            DBOS(config=config)
            _quieten()

            @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
            def task(id: str, attempt: int) -> None:
                perform(id, attempt)

            DBOS.launch()
            DBOS.register_queue(QUEUE, worker_concurrency=concurrency, polling_interval_sec=POLL_S)
        except DBAPIError as error:
            DBOS.destroy(destroy_registry=True)
            raise DatabaseAway("The database of tasks cannot be reached at the moment") from error

    def enqueue(self, turns: Iterable[Turn]) -> None:
        """Hands attempts over; one that was handed over before is passed over."""
        for turn in turns:
            self._dbos.enqueue_workflow_with_options(
                {
                    "workflow_name": WORKFLOW,
                    "queue_name": QUEUE,
                    "workflow_id": workflow_id(turn.id, turn.attempt),
                    "app_version": VERSION,
                    "priority": turn.lane * _LANE + min(turn.tag, _LANE - 1) + 1,
                },
                turn.id,
                turn.attempt,
            )

    def lost(self, turns: Sequence[Turn], executor: str, at_work: Callable[[Turn], bool]) -> list[Turn]:
        """Those that nobody will work on any more: never arrived, ended without a word, or ours and not in our hands."""
        ids = {workflow_id(turn.id, turn.attempt): turn for turn in turns}
        known = {
            status.workflow_id: status
            for status in self._dbos.list_workflows(workflow_ids=list(ids), load_input=False, load_output=False)
        }
        found = []
        for id, turn in ids.items():
            status = known.get(id)
            mine = status is not None and status.status == "PENDING" and status.executor_id == executor
            if status is None or status.status in _ENDED or (mine and not at_work(turn)):
                found.append(turn)
        return found

    def take_over(self, executors: Sequence[str]) -> int:
        """What those servers had in hand is begun again, by anybody; how much that is."""
        pending = self._dbos.list_workflows(
            status="PENDING", executor_id=list(executors), name=WORKFLOW, load_input=False, load_output=False
        )
        if pending:
            self._dbos.resume_workflows([status.workflow_id for status in pending])
        return len(pending)

    def strangers(self, known: Iterable[str]) -> set[str]:
        """Servers that have something in hand and are none of the known ones."""
        pending = self._dbos.list_workflows(status="PENDING", name=WORKFLOW, load_input=False, load_output=False)
        return {status.executor_id for status in pending if status.executor_id} - set(known)

    def forget(self, before: str) -> None:
        """Removes what it remembers of attempts that ended before that moment."""
        while old := self._dbos.list_workflows(
            status=sorted(_ENDED),
            name=WORKFLOW,
            completed_before=before,
            limit=500,
            load_input=False,
            load_output=False,
        ):
            self._dbos.delete_workflows([status.workflow_id for status in old])

    def close(self) -> None:
        """Takes nothing more. What is in hand must have come to its end, or will be begun again."""
        self._dbos.destroy(destroy_registry=True)


def workflow_id(id: str, attempt: int) -> str:
    """What an attempt is called in the durable queue."""
    return f"{id}.{attempt}"


class _Outages(logging.Filter):
    """A database that is away is said once, by us, in a line; not with a traceback for each of a dozen threads."""

    _WORDS = ("connection failed", "pool exhausted", "exception encountered in queue thread", "reloading queue")

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage().lower()
        if any(word in text for word in self._WORDS):
            record.levelno, record.levelname, record.exc_info = logging.DEBUG, "DEBUG", None
        return record.levelno >= logging.getLogger(__name__).getEffectiveLevel()


_OUTAGES = _Outages()


def _quieten() -> None:
    """Its lines go where ours go."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.addHandler(logging.NullHandler())  # or it adds one of its own
    logger.propagate = True
    if _OUTAGES not in logger.filters:
        logger.addFilter(_OUTAGES)

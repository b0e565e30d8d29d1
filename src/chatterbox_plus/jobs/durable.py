"""The durable queue: DBOS, and nothing else in the house knows it.

What is asked of it: an attempt at a task, once handed over, is begun by one server at a time, and begun again by
another if its server dies. What the work is, how far it is and how it ended is in our own tables; a workflow here has
two words in it, the task's id and the number of the attempt.

Its traps, and what is done about them: the application's version is fixed, or every upgrade would strand what waits; a
workflow is begun again as often as it takes (`max_recovery_attempts`); arguments are JSON, not pickles; a server's name
is new at every start, since nobody but our own `office` notices a dead one; it polls, so the pause between two looks is
what a task waits at most.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.jobs.database import Database, background_engine, explained
from chatterbox_plus.jobs.ledger import Turn

if TYPE_CHECKING:
    from dbos import WorkflowStatus

QUEUE = "tasks"
WORKFLOW = "task"
VERSION = "1"  # of the protocol between a workflow and our tables, not of the program: see above
POLL_S = 0.05
_NAME = "chatterbox-plus"
_LANE = 1_000_000_000  # priorities of one lane; DBOS serves the lowest number first
_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_log = logging.getLogger(__name__)

Perform = Callable[[str, int], None]
"""Works on one attempt at a task, in a thread of the queue's; returns when it is over, however it ended."""


class Durable:
    """One in a process: DBOS is a singleton. Whatever asks it raises DatabaseAway."""

    def __init__(self, database: Database, executor: str, perform: Perform, *, concurrency: int) -> None:
        """Starts working. executor: the server's name, used by no other, ever. concurrency: tasks at once."""
        from dbos import DBOS, DBOSClient, DBOSConfig  # takes half a second to import, and needs none who has no tasks
        from dbos import DBOSPortableJSONSerializer as Serializer

        _quieten()
        url = database.url.render_as_string(hide_password=False)
        self._executor = executor
        self._engine = None if database.is_sqlite else background_engine(database.url, concurrency + 8)
        config = DBOSConfig(
            name=_NAME,
            system_database_url=url,
            system_database_engine=self._engine,
            application_version=VERSION,
            executor_id=executor,
            serializer=Serializer(),
            log_level="WARNING",
            sys_db_pool_size=concurrency + 8,
            use_listen_notify=False,
        )
        try:
            with _explained():
                self._dbos = DBOS(config=config)
                _quieten()

                @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
                def task(id: str, attempt: int) -> None:
                    perform(id, attempt)

                DBOS.launch()
                DBOS.register_queue(QUEUE, worker_concurrency=concurrency, polling_interval_sec=POLL_S)
                # What is asked of it beside the work goes through a client: it raises when the database is away, where
                # DBOS itself waits, for up to a minute after the database is back.
                self._client = DBOSClient(
                    system_database_url=url,
                    system_database_engine=self._engine,
                    serializer=Serializer(),
                    application_name=_NAME,
                    lazy=True,
                    retry_connection_errors=False,
                )
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            self._dispose()
            raise

    def enqueue(self, turns: Iterable[Turn]) -> None:
        """Hands attempts over; one that was handed over before is passed over."""
        with _explained():
            for turn in turns:
                self._client.enqueue(
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

    def lost(self, turns: Sequence[Turn], servers: Collection[str], mine: Callable[[Turn], bool] | None) -> list[Turn]:
        """Those that nobody will work on any more: never arrived, ended without a word, or in nobody's hands.

        servers: who is known. mine: whether we have it in hand; None: do not look for those that only seem so.
        """
        ids = {workflow_id(turn.id, turn.attempt): turn for turn in turns}
        known = {status.workflow_id: status for status in self._list(workflow_ids=list(ids))}
        found = []
        for id, turn in ids.items():
            status = known.get(id)
            if status is None or status.status in _ENDED:
                found.append(turn)
            elif status.status == "PENDING" and mine is not None:
                ours = status.executor_id == self._executor
                if (ours and not mine(turn)) or (not ours and status.executor_id not in servers):
                    found.append(turn)
        return found

    def in_hand(self, executors: Collection[str]) -> list[tuple[str, int]]:
        """What those servers have begun and not ended: tasks' ids, and which attempts at them."""
        pending = self._list(status="PENDING", executor_id=list(executors), name=WORKFLOW)
        words = (status.workflow_id.rpartition(".") for status in pending)
        return [(id, int(attempt)) for id, _, attempt in words]

    def drop(self, attempts: Collection[tuple[str, int]]) -> None:
        """Nobody begins these any more, and whoever is at one still has no say.

        They are not begun again as they are: whoever had them in hand would wait in there for what came of it.
        """
        if attempts:
            with _explained():
                self._client.cancel_workflows([workflow_id(id, attempt) for id, attempt in attempts])

    def strangers(self, known: Iterable[str]) -> set[str]:
        """Servers that have something in hand and are none of the known ones."""
        pending = self._list(status="PENDING", name=WORKFLOW)
        return {status.executor_id for status in pending if status.executor_id} - set(known)

    def forget(self, before: str) -> None:
        """Removes what it remembers of attempts that ended before that moment."""
        while old := self._list(status=sorted(_ENDED), name=WORKFLOW, completed_before=before, limit=500):
            with _explained():
                self._client.delete_workflows([status.workflow_id for status in old])

    def take_no_more(self) -> None:
        """Leaves what waits to others; what is in hand goes on."""
        for event in self._dbos.background_thread_stop_events:
            event.set()

    def close(self) -> None:
        """What is in hand must have come to its end, or will be begun again."""
        self._dbos.destroy(destroy_registry=True)
        self._client.destroy()
        self._dispose()

    def _list(self, **which: Any) -> "list[WorkflowStatus]":
        with _explained():
            return self._client.list_workflows(**which, load_input=False, load_output=False)

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    """As `database.explained`; an error of any other kind is the database's too, as far as anybody can tell."""
    from dbos._error import DBOSException

    try:
        with explained():
            yield
    except (DBAPIError, DBOSException) as error:
        _log.warning("the durable queue: %s", error)
        raise DatabaseAway("The durable queue cannot be reached at the moment") from error


def workflow_id(id: str, attempt: int) -> str:
    """What an attempt is called in the durable queue."""
    return f"{id}.{attempt}"


class _Outages(logging.Filter):
    """A database that is away is said once, by us, in a line; not with a traceback for each of a dozen threads."""

    _WORDS = (
        "connection failed",
        "pool exhausted",
        "exception encountered in queue thread",
        "reloading queue",
        "no longer owned",
    )

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

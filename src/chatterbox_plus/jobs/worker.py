"""Works on tasks: what happens between the begin and the last word, whatever disk and database do meanwhile."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chatterbox_plus.errors import (
    Cancelled,
    DatabaseAway,
    DownloadFailed,
    GenerationError,
    GenerationTimeout,
    ModelLoadError,
    PlusError,
    StorageAway,
    StorageFull,
)
from chatterbox_plus.jobs.ledger import Ledger, Turn
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.reporting import Reporting
from chatterbox_plus.jobs.states import EventType, Status

WATCH_S = 0.2  # how soon a task that was paused or called off elsewhere notices
ROOM_S = 2.0  # between two looks whether there is room on the disk again
DATABASE_S = 0.5
RETRY_WAITS_S = (1.0, 5.0)  # before what may go well next time is tried once more: an engine that died, a slow host
_TRANSIENT = (GenerationError, GenerationTimeout, ModelLoadError, DownloadFailed)
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Hand:
    """A task in hand. cancel: nobody wants it any more, here and now."""

    task: Task
    reporting: Reporting
    cancel: threading.Event = field(default_factory=threading.Event)

    def note(
        self,
        done: float,
        total: float | None,
        audio_s: float,
        event: tuple[EventType, Mapping[str, Any]] | None = None,
    ) -> None:
        """How far it is; see `Reporting.note`."""
        self.reporting.note(self.task.id, done, total, audio_s, event)


Work = Callable[[Hand], Mapping[str, Any]]
"""Does what a task asks for, and says what came of it. It may be called again for the same task, and must then come to
the same. Raises Cancelled once `cancel` is set, StorageFull or StorageAway when it has to wait, and what is wrong
otherwise."""
Discard = Callable[[Task, Mapping[str, Any]], None]
"""Removes what was made for a task that was called off at the last moment."""


class Worker:
    """Thread-safe: each task is worked on in a thread of the queue's."""

    def __init__(
        self, ledger: Ledger, executor: str, work: Work, discard: Discard, done: Callable[[str], None] = lambda _: None
    ) -> None:
        """done: told of every task that has succeeded, when that is safely written down."""
        self.executor = executor
        self._ledger, self._work, self._discard, self._done = ledger, work, discard, done
        self._reporting = Reporting(ledger, executor)
        self._hands: set[Hand] = set()  # for a moment two of the same task: one called off, and the next attempt at it
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._idle = threading.Condition(self._guard)
        self._watcher = threading.Thread(target=self._watch, name="task-watch", daemon=True)
        self._watcher.start()

    def perform(self, id: str, attempt: int) -> None:
        """One attempt at a task, to whatever end."""
        if self._stopping.is_set():
            return  # it is found, and begun by somebody else
        try:
            task = self._persist(lambda: self._ledger.begin(id, attempt, self.executor))
        except Cancelled:
            return  # the server stops: it is found and begun again
        if task is None:
            return
        hand = Hand(task, self._reporting)
        with self._guard:
            self._hands.add(hand)
        if self._stopping.is_set():
            hand.cancel.set()
        try:
            self._to_its_end(hand)
        finally:
            with self._guard:
                self._hands.discard(hand)
                self._idle.notify_all()

    def at_work(self, turn: Turn) -> bool:
        """Whether that attempt is in hand here."""
        with self._guard:
            return any((hand.task.id, hand.task.attempt) == (turn.id, turn.attempt) for hand in self._hands)

    def stop(self, patience_s: float) -> None:
        """Everything in hand is handed back; it goes on at the next start, or on another server."""
        self._stopping.set()
        with self._guard:
            for hand in self._hands:
                hand.cancel.set()
            self._idle.wait_for(lambda: not self._hands, patience_s)
        self._watcher.join(2)
        self._reporting.close()

    def look(self) -> None:
        """Something was paused or called off: find out at once what."""
        with self._guard:
            hands = tuple(self._hands)
        if not hands:
            return
        wanted = self._ledger.wanted([hand.task.id for hand in hands])
        for hand in hands:
            status, attempt, executor = wanted.get(hand.task.id, (Status.CANCELLED, 0, None))
            if (status, attempt, executor) != (Status.RUNNING, hand.task.attempt, self.executor):
                hand.cancel.set()

    def _to_its_end(self, hand: Hand) -> None:
        task = hand.task
        result: Mapping[str, Any] | None = None
        error: dict[str, Any] | None = None
        try:
            result = self._patiently(hand)
        except Cancelled:
            if self._stopping.is_set():
                self._hand_back(task)
            return  # else it was paused, called off or taken over: its state says so already
        except PlusError as failed:
            error = {"code": failed.code, "message": failed.message, "param": failed.param}
        except Exception:  # noqa: BLE001 - the border: a task must end, whatever is wrong with it
            _log.exception("unexpected error in the task %s", task.id)
            error = {
                "code": "INTERNAL_ERROR",
                "message": f"Something went wrong in the server; its log has more under {task.id}",
            }
        try:
            self._persist(self._reporting.flush)
            status = Status.FAILED if result is None else Status.SUCCEEDED
            ended = self._persist(lambda: self._ledger.finish(task, self.executor, status, result=result, error=error))
        except Cancelled:
            return  # the server stops before the database is back: it is begun again, and comes to the same
        if ended and result is not None:
            self._done(task.id)
        if not ended and result is not None:
            self._discard_unwanted(task, result)

    def _discard_unwanted(self, task: Task, result: Mapping[str, Any]) -> None:
        """What was made is nobody's if the task was called off meanwhile, and another's if it was taken over."""
        try:
            found = self._persist(lambda: self._ledger.wanted([task.id]))
        except Cancelled:
            return
        if task.id in found and found[task.id][:2] == (Status.CANCELLED, task.attempt):
            self._discard(task, result)

    def _patiently(self, hand: Hand) -> Mapping[str, Any]:
        """The work, waiting for room where there is none, and trying again what may go well then."""
        waits = list(RETRY_WAITS_S)
        while True:
            try:
                return self._work(hand)
            except (StorageFull, StorageAway) as full:
                _log.warning("the task %s waits: %s", hand.task.id, full.message)
                hand.reporting.tell(hand.task.id, EventType.WAITING, {"reason": full.message})
                self._pause(hand, ROOM_S)
            except _TRANSIENT as failed:
                if not waits or hand.cancel.is_set():
                    raise
                _log.warning("the task %s is tried again: %s", hand.task.id, failed.message)
                self._pause(hand, waits.pop(0))

    def _pause(self, hand: Hand, seconds: float) -> None:
        if hand.cancel.wait(seconds):
            raise Cancelled("the task was called off")

    def _persist(self, write: Callable[[], T]) -> T:
        """However long the database is away. Raises Cancelled if the server is stopped meanwhile."""
        said = False
        while True:
            try:
                return write()
            except (DatabaseAway, StorageFull) as away:
                if not said:
                    _log.warning("work waits: %s", away.message)
                    said = True
                if self._stopping.wait(DATABASE_S):
                    raise Cancelled("the server stops") from None

    def _hand_back(self, task: Task) -> None:
        try:
            self._ledger.hand_back(task, self.executor)
        except (DatabaseAway, StorageFull):
            _log.info("the task %s is found again at the next start", task.id)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_S):
            try:
                self.look()
            except (DatabaseAway, StorageFull):
                time.sleep(DATABASE_S)
            except Exception:  # noqa: BLE001 - the border: without this thread nothing could be called off
                _log.exception("unexpected error while looking what is still wanted")
                time.sleep(DATABASE_S)

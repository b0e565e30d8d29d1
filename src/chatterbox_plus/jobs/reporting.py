"""How far tasks are, on its way to the database: gathered for a moment, written by one thread, kept if it is away."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from chatterbox_plus.errors import DatabaseAway, StorageFull
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.records import ProgressNote, moment
from chatterbox_plus.jobs.states import EventType

FLUSH_S = 0.05
RETRY_S = 1.0
MAX_EVENTS = 2000  # of one task, kept while the database is away: of more, the oldest are forgotten
_log = logging.getLogger(__name__)


class Reporting:
    """Thread-safe."""

    def __init__(self, ledger: Ledger, executor: str) -> None:
        self._ledger, self._executor = ledger, executor
        self._notes: dict[str, ProgressNote] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="task-progress", daemon=True)
        self._thread.start()

    def note(
        self,
        id: str,
        done: float,
        total: float | None,
        audio_s: float,
        event: tuple[EventType, Mapping[str, Any]] | None = None,
    ) -> None:
        """A task is so far. event: what is to be told about it."""
        with self._changed:
            note = self._notes.setdefault(id, ProgressNote())
            note.done, note.total, note.audio_s = done, total, audio_s
            if event is not None:
                note.events.append((event[0], moment(), event[1]))
                del note.events[:-MAX_EVENTS]
            self._changed.notify()

    def tell(self, id: str, type: EventType, data: Mapping[str, Any]) -> None:
        """Something happened that does not change how far the task is."""
        with self._changed:
            note = self._notes.setdefault(id, ProgressNote())
            note.events.append((type, moment(), data))
            del note.events[:-MAX_EVENTS]
            self._changed.notify()

    def flush(self) -> None:
        """Writes what is there; what the database does not take now is kept. For before a task ends: its end is its
        last event."""
        with self._writing:
            with self._changed:
                notes, self._notes = self._notes, {}
            if not notes:
                return
            try:
                self._ledger.note(notes, self._executor)
            except (DatabaseAway, StorageFull):
                self._put_back(notes)
                raise

    def close(self) -> None:
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        self._thread.join(5)

    def _run(self) -> None:
        away = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping.is_set() or self._notes)
            stopping = self._stopping.wait(RETRY_S if away else FLUSH_S)  # what else comes meanwhile goes with it
            try:
                self.flush()
                away = False
            except (DatabaseAway, StorageFull) as error:
                if not away:
                    _log.warning("progress of tasks cannot be written yet: %s", error.message)
                away = True
            except Exception:  # noqa: BLE001 - the border: one note that cannot be written must not be the last one
                _log.exception("progress of tasks was lost")
            if stopping:
                return

    def _put_back(self, notes: dict[str, ProgressNote]) -> None:
        with self._changed:
            for id, note in notes.items():
                newer = self._notes.get(id)
                if newer is not None:
                    if newer.done is None:
                        newer.done, newer.total, newer.audio_s = note.done, note.total, note.audio_s
                    newer.events[:0] = note.events
                    del newer.events[:-MAX_EVENTS]
                else:
                    self._notes[id] = note

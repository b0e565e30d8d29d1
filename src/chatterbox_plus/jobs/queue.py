"""Durable work, as the API and the CLI see it: submit, look, change. What makes it durable is in the rooms behind."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chatterbox_plus.errors import DatabaseAway, Stopping, StorageFull
from chatterbox_plus.jobs.database import AWAY, PATIENCE_S, Database
from chatterbox_plus.jobs.edits import Retakes
from chatterbox_plus.jobs.files import TaskFiles
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.messages import Delivery, Outbox
from chatterbox_plus.jobs.office import Office, new_executor
from chatterbox_plus.jobs.records import NewTask, Task
from chatterbox_plus.jobs.tasks import TaskStore
from chatterbox_plus.jobs.webhooks import Finish, Webhooks
from chatterbox_plus.jobs.work import Kinds, Workbench
from chatterbox_plus.jobs.worker import Worker
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.synthesis.results import Result
from chatterbox_plus.synthesis.studio import Studio

OPEN_AGAIN_S = 2.0
_log = logging.getLogger(__name__)


class Jobs:
    """All durable work of one server. Thread-safe.

    Nothing is opened before the first task, or before `start` finds a database with some: a server that has none pays
    nothing for it.
    """

    def __init__(
        self,
        database: Database,
        studio: Studio,
        files: TaskFiles,
        guard: Guard,
        *,
        concurrency: int,
        max_unfinished: int,
        keep_days: float,
        webhook_secret: str = "",
        finish: Finish = lambda delivery: delivery.body,
        kinds: Kinds | None = None,
        made: Callable[[Result], None] = lambda result: None,
    ) -> None:
        """guard: whom webhooks may reach. finish: see `Webhooks`. made: told of every result. The rest as in the
        settings."""
        self.files = files
        self.guard = guard
        self.store = TaskStore(database, max_unfinished=max_unfinished)
        self.outbox = Outbox(database)
        self.retakes = Retakes(database)
        self.ledger = Ledger(database)
        self._database, self._secret, self._finish = database, webhook_secret, finish
        self._concurrency, self._keep_days = concurrency, keep_days
        self._bench = Workbench(studio, files, kinds, made)
        self._lock = threading.Lock()
        self._ready = self._closed = False
        self._office: Office | None = None
        self._webhooks: Webhooks | None = None
        self._worker: Worker | None = None

    def start(self) -> None:
        """Goes on with what an earlier run left; opens nothing if there is nothing. A database that is away is waited
        for, in a thread beside."""
        if self._database.is_sqlite and not Path(self._database.url.database or "").exists():
            return
        threading.Thread(target=self._open_when_there, name="tasks-open", daemon=True).start()

    def open(self) -> None:
        """Whatever asks for tasks comes through here first. Raises DatabaseAway, StorageFull, Stopping."""
        if self._ready:
            return
        if not self._lock.acquire(timeout=PATIENCE_S):  # somebody else is waiting for the database
            raise DatabaseAway(AWAY)
        try:
            if self._closed:
                raise Stopping("the server is being stopped: ask again in a moment")
            if self._ready:
                return
            self._database.open()
            self._worker = Worker(self.ledger, new_executor(), self._bench.do, self._bench.discard, self.files.forget)
            self._office = Office(
                self._database,
                self.ledger,
                self._worker,
                concurrency=self._concurrency,
                keep_days=self._keep_days,
                forget=self._forget,
            )
            self._webhooks = Webhooks(self.outbox, self.guard, self._secret, self._finish)
            self._ready = True
        finally:
            self._lock.release()

    def submit(self, new: NewTask) -> tuple[Task, bool]:
        """See `TaskStore.submit`."""
        self.open()
        task, replayed = self.store.submit(new)
        self._stir()
        return task, replayed

    def change(self, how: Callable[..., Task], id: str, project: str) -> Task:
        """Calls off, pauses, resumes or retries (a method of `store`), and sees to it that it is noticed now."""
        self.open()
        task = how(id, project=project)
        self._stir()
        if self._worker is not None:
            self._worker.look()
        return task

    def redeliver(self, task: str, delivery: str) -> Delivery:
        """See `Outbox.again`."""
        self.open()
        made = self.outbox.again(task, delivery)
        if self._webhooks is not None:
            self._webhooks.wake()
        return made

    @property
    def working(self) -> bool:
        """Whether this server works on tasks now."""
        return self._office is not None and self._office.working

    def counts(self) -> Mapping[str, int]:
        """How many tasks are in each state; empty while there is no database. Raises DatabaseAway."""
        return {status.value: n for status, n in self.ledger.counts().items()} if self._ready else {}

    def close(self) -> None:
        """Hands back what is in hand. May be called again."""
        with self._lock:
            self._closed = True
            if not self._ready:
                return
            self._ready = False
        if self._office is not None:
            self._office.close()
        if self._webhooks is not None:
            self._webhooks.close()
        self._database.close()

    def _open_when_there(self) -> None:
        said = False
        while not self._ready:
            try:
                self.open()
            except Stopping:
                return
            except (DatabaseAway, StorageFull) as away:
                if not said:
                    _log.warning("tasks wait: %s", away.message)
                said = True
                time.sleep(OPEN_AGAIN_S)

    def _stir(self) -> None:
        if self._office is not None:
            self._office.wake()
        if self._webhooks is not None:
            self._webhooks.wake()

    def _forget(self, before: str) -> None:
        while gone := self.store.delete_old(before):
            for id in gone:
                self.files.forget(id)

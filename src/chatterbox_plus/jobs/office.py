"""Keeps the durable queue going: hands tasks over, says that this server lives, and notices what was lost elsewhere."""

import logging
import os
import platform
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import psutil

from chatterbox_plus.errors import DatabaseAway, StorageFull
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.durable import Durable
from chatterbox_plus.jobs.ledger import NEVER, Ledger, ServerRow
from chatterbox_plus.jobs.records import moment
from chatterbox_plus.jobs.worker import Worker

BEAT_S = 3.0
DEAD_S = 20.0  # without a beat; 40 s is promised until another server goes on
QUIET_S = 10.0  # a task of which nothing was heard for so long is looked for in the durable queue
TIDY_S = 3600.0
HAND_OVER = 50  # tasks at a time, so that one that is more urgent need not wait for a long batch
_log = logging.getLogger(__name__)


def new_executor() -> str:
    """A name for this server that no other has, or ever had."""
    return f"{platform.node()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"


class Office:
    """The threads beside the work. On SQLite one server works at a time, and others wait in case it dies."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        worker: Worker,
        *,
        concurrency: int,
        keep_days: float,
        forget: Callable[[str], None],
    ) -> None:
        """forget: removes tasks that ended before a moment. Starts at once; waits for nothing."""
        self._database, self._ledger, self._worker = database, ledger, worker
        self._concurrency, self._keep_days, self._forget = concurrency, keep_days, forget
        self._lock = OneAtATime(Path(f"{database.url.database}.lock")) if database.is_sqlite else None
        self._durable: Durable | None = None
        self._watch = Watch()
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="task-office", daemon=True)
        self._thread.start()

    @property
    def working(self) -> bool:
        """Whether this server works on tasks now."""
        return self._durable is not None

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def close(self, patience_s: float = 5.0) -> None:
        """Hands back what is in hand."""
        self._stopping.set()
        self._wake.set()
        if self._durable is not None:
            self._durable.take_no_more()
        self._worker.stop(patience_s)
        self._thread.join(patience_s)
        if self._durable is not None:
            self._durable.close()
            with suppress(DatabaseAway, StorageFull):
                self._ledger.servers_gone([self._worker.executor])
        if self._lock is not None:
            self._lock.release()

    def _run(self) -> None:
        said = False
        while not self._stopping.is_set():
            try:
                if self._lock is None or self._lock.take():
                    self._durable = Durable(
                        self._database, self._worker.executor, self._worker.perform, concurrency=self._concurrency
                    )
                    break
                if not said:
                    _log.warning("another server works on the tasks of this data folder; this one waits")
            except (DatabaseAway, StorageFull) as away:
                if not said:
                    _log.warning("tasks wait: %s", away.message)
            except Exception:  # noqa: BLE001 - the border, as in `_work`
                _log.exception("tasks wait: unexpected error")
            said = True
            self._stopping.wait(1.0)
        if self._durable is not None:
            self._work(self._durable)

    def _work(self, durable: Durable) -> None:
        beat = tidied = -1e9
        first = True
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                now = time.monotonic()
                if now - beat >= BEAT_S:
                    self._beat()
                    beat = now
                    self._bury(durable, everybody=first and self._database.is_sqlite)
                    self._look_for_lost(durable, at_once=first)
                    first = False
                if now - tidied >= TIDY_S:
                    self._tidy(durable)
                    tidied = now
                if not self._hand_over(durable):
                    self._wake.wait(max(0.0, min(1.0, beat + BEAT_S - time.monotonic())))
            except (DatabaseAway, StorageFull) as away:
                _log.info("tasks wait: %s", away.message)
                self._stopping.wait(1.0)
            except Exception:  # noqa: BLE001 - the border: without this thread nothing would ever be begun
                _log.exception("tasks wait: unexpected error")
                self._stopping.wait(BEAT_S)

    def _hand_over(self, durable: Durable) -> bool:
        turns = self._ledger.waiting(HAND_OVER)
        if turns:
            durable.enqueue(turns)
            self._ledger.dispatched(turns)
        return bool(turns)

    def _beat(self) -> None:
        process = psutil.Process()
        self._ledger.beat(ServerRow(self._worker.executor, machine(), process.pid, process.create_time(), moment()))

    def _bury(self, durable: Durable, *, everybody: bool) -> None:
        """What dead servers had in hand is begun again. everybody: no other can be alive (SQLite, at our start)."""
        known = [server for server in self._ledger.servers() if server.id != self._worker.executor]
        dead = [server.id for server in known] if everybody else self._watch.dead(known)
        if everybody:
            dead += durable.strangers([self._worker.executor, *dead])
        if dead:
            left = durable.in_hand(dead)
            self._begin_again(durable, left)
            if left:
                _log.warning("%d tasks of a server that stopped go on here or elsewhere", len(left))
            self._ledger.forget_servers(dead)

    def _look_for_lost(self, durable: Durable, *, at_once: bool) -> None:
        before = moment(datetime.now(UTC) - timedelta(seconds=0 if at_once else QUIET_S))
        quiet = self._ledger.quiet(before)
        if not quiet:
            return
        servers = {server.id for server in self._ledger.servers()}
        lost = durable.lost(quiet, servers, None if at_once else self._worker.at_work)
        self._begin_again(durable, [(turn.id, turn.attempt) for turn in lost])
        if lost:
            _log.warning("%d tasks were lost on their way and are begun again", len(lost))
        self._ledger.heard_of([turn for turn in quiet if turn not in lost])

    def _begin_again(self, durable: Durable, attempts: list[tuple[str, int]]) -> None:
        """As new attempts: whoever is at one of these after all notices, and has no say any more."""
        for id, attempt in attempts:
            self._ledger.again(id, attempt)
        durable.drop(attempts)

    def _tidy(self, durable: Durable) -> None:
        before = moment(datetime.now(UTC) - timedelta(days=self._keep_days))
        self._forget(before)
        durable.forget(before)


class Watch:
    """Which of the other servers will not go on. On our own machine their processes tell, at once; elsewhere silence.

    Silence is counted by our clock, since theirs may be wrong, and only while we ourselves could ask: after an outage
    of the database all have been silent, and none is dead.
    """

    def __init__(self) -> None:
        self._silent_s: dict[str, tuple[str, float]] = {}  # by server: its last beat, and for how long that was so
        self._asked_at: float | None = None

    def dead(self, servers: Iterable[ServerRow]) -> list[str]:
        """Of these, as the database has them now."""
        now = time.monotonic()
        passed_s = 0.0 if self._asked_at is None else min(now - self._asked_at, 2 * BEAT_S)
        self._asked_at = now
        before, self._silent_s = self._silent_s, {}
        found = []
        for server in servers:
            beat_at, silent_s = before.get(server.id, ("", 0.0))
            silent_s = silent_s + passed_s if beat_at == server.beat_at else 0.0
            self._silent_s[server.id] = server.beat_at, silent_s
            if silent_s > DEAD_S or server.beat_at == moment(NEVER) or _is_gone(server):
                found.append(server.id)
        return found


def _is_gone(server: ServerRow) -> bool:
    if server.host != machine():
        return False
    try:
        return abs(psutil.Process(server.pid).create_time() - server.process_started) > 2
    except psutil.NoSuchProcess:
        return True


@cache
def machine() -> str:
    """Where our process ids mean something: containers may share a host's name and not its processes."""
    words = [platform.node()[:100]]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            words.append(str(Path(place).readlink()) if "/ns/" in place else Path(place).read_text().strip())
    return " ".join(words)


class OneAtATime:
    """A lock between processes that ends with its holder, however that ends: SQLite's own, on every system."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def take(self) -> bool:
        """Whether it is ours now."""
        if self._connection is None:
            try:
                connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
            except sqlite3.OperationalError as error:
                raise DatabaseAway(f"The lock of the tasks cannot be opened: {error}") from error
            try:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                connection.close()
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    return False
                raise DatabaseAway(f"The lock of the tasks cannot be taken: {error}") from error
            self._connection = connection
        return True

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

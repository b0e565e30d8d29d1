"""Starting and killing `tests.jobs.server`, and looking at what became of its tasks."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.tables import tasks
from tests.jobs.engines import SPOKEN_DELAY_S, SPOKEN_LOG

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """One process. Its words are read by a thread; `dead` when it is gone."""

    def __init__(
        self, data: Path, url: str = "", *, delay_s: float = 0.0, env: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, SPOKEN_LOG: str(data / "spoken.log"), SPOKEN_DELAY_S: str(delay_s), **(env or {})}
        with (data / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs.server", str(data), *filter(None, (url,))],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def dead(self) -> bool:
        return self.process.poll() is not None

    def ready(self, timeout_s: float = 60) -> "Server":
        line = self.said.get(timeout=timeout_s)
        assert line == "ready", line or (self.data / "server.log").read_text()
        return self

    def tell(self, line: str) -> None:
        """What a dead one is told is lost."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def submit(self, number: int, passages: int, timeout_s: float = 20) -> str:
        """What it answers: `kept NUMBER ID` or `refused NUMBER CODE`."""
        self.tell(f"submit {number} {passages}")
        return self.said.get(timeout=timeout_s)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """-9, and waits until its pipes are empty."""
        self.process.kill()
        self._end(10)

    def stop(self, timeout_s: float = 30) -> None:
        self.tell("stop")
        self._end(timeout_s)

    def _end(self, timeout_s: float) -> None:
        try:
            self.process.wait(timeout_s)
        finally:
            if self.process.poll() is None:
                self.signal(signal.SIGKILL)
                self.process.wait()
            self._reader.join(10)
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(line.strip())
        self.said.put("")  # whoever waits for a word of a dead one


@contextmanager
def serving(data: Path, url: str = "", **more: Any) -> Iterator[Server]:
    """One that is ready, and surely gone afterwards."""
    server = Server(data, url, **more)
    try:
        yield server.ready()
    finally:
        if server.dead:
            server.kill()
        else:
            server.signal(getattr(signal, "SIGCONT", 0))
            server.stop()


class Table:
    """The tasks in a server's database, looked at from outside."""

    def __init__(self, data: Path, url: str = "") -> None:
        self._database = Database(database_url(url, data))

    def rows(self) -> list[Mapping[str, Any]]:
        """Of every task: id, name, status, error, executor, attempt; also while the database is busy."""
        wanted = select(*(tasks.c[n] for n in ("id", "name", "status", "error", "executor", "attempt", "finished_at")))
        while True:
            try:
                with self._database.reading() as connection:
                    return [dict(row) for row in connection.execute(wanted).mappings()]
            except DatabaseAway:
                time.sleep(0.1)

    def statuses(self) -> dict[str, str]:
        return {row["name"]: row["status"] for row in self.rows()}

    def close(self) -> None:
        self._database.close()


@contextmanager
def table(data: Path, url: str = "") -> Iterator[Table]:
    opened = Table(data, url)
    try:
        yield opened
    finally:
        opened.close()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str = "") -> float:
    """Seconds until it holds; fails when it takes longer."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"waited {timeout_s:g} s in vain: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def spoken(data: Path) -> list[str]:
    """The passages that were begun, in order, as often as they were."""
    log = data / "spoken.log"
    return [line.partition("\t")[0] for line in log.read_text().splitlines()] if log.exists() else []

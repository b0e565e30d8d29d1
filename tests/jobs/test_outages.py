"""The database away, the disk full: what is sent is refused at once, and what was taken is done all the same."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.jobs.driving import Server, Table, serving, spoken, table, wait_until
from tests.jobs.postgres import Postgres, postgres

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals")

JOBS, PASSAGES = 5, 4
AWAY_S = float(os.environ.get("TESTS_AWAY_S", "2"))  # `make chaos` waits longer
ANSWER_S = 10.0


@pytest.fixture(scope="module")
def fragile() -> Iterator[Postgres]:
    """One that is stopped and started here."""
    with postgres() as running:
        yield running


def outage(server: Server, tasks: Table, away: Callable[[], None], back: Callable[[], None], code: str) -> list[str]:
    """Submits before, meanwhile and after; all that was kept succeeds. Gives what was answered meanwhile."""
    kept = [server.submit(number, PASSAGES) for number in range(JOBS)]
    wait_until(lambda: bool(spoken(server.data)), 60)
    away()
    meanwhile: list[str] = []
    until = time.monotonic() + AWAY_S
    while time.monotonic() < until or not meanwhile:
        began = time.monotonic()
        meanwhile.append(server.submit(JOBS + len(meanwhile), 1))
        assert time.monotonic() - began < ANSWER_S
        time.sleep(0.2)
    back()
    number = JOBS + len(meanwhile)
    wait_until(lambda: server.submit(number, 1).startswith("kept"), 60)
    wait_until(lambda: {*tasks.statuses().values()} == {"succeeded"}, 60)
    kept += [answer for answer in meanwhile if answer != f"refused {answer.split()[1]} {code}"]
    assert all(answer.startswith("kept") for answer in kept), kept
    assert len(tasks.rows()) == len(kept) + 1
    return meanwhile


def nobody_is_kept(answers: list[str]) -> None:
    assert all(answer.endswith("DATABASE_UNAVAILABLE") for answer in answers)


def test_postgresql_stopped(tmp_path: Path, fragile: Postgres) -> None:
    url = fragile.database()
    with serving(tmp_path, url, delay_s=0.1) as server, table(tmp_path, url) as tasks:
        nobody_is_kept(outage(server, tasks, fragile.stop, fragile.start, "DATABASE_UNAVAILABLE"))


@pytest.mark.skipif(not Path("/proc").exists(), reason="its processes are found there")
def test_postgresql_standing_still(tmp_path: Path, fragile: Postgres) -> None:
    url = fragile.database()
    with serving(tmp_path, url, delay_s=0.1) as server, table(tmp_path, url) as tasks:
        nobody_is_kept(outage(server, tasks, fragile.freeze, fragile.thaw, "DATABASE_UNAVAILABLE"))


def test_postgresql_away_at_the_start(tmp_path: Path, fragile: Postgres) -> None:
    url = fragile.database()
    fragile.stop()
    try:
        server = Server(tmp_path, url).ready()
        assert server.submit(0, 1) == "refused 0 DATABASE_UNAVAILABLE"
    finally:
        fragile.start()
    try:
        wait_until(lambda: server.submit(1, 1).startswith("kept"), 60)
        with table(tmp_path, url) as tasks:
            wait_until(lambda: tasks.statuses() == {"t00001": "succeeded"}, 60)
    finally:
        server.stop()


@contextmanager
def locked(data: Path) -> Iterator[None]:
    connection = sqlite3.connect(data / "jobs.sqlite", isolation_level=None, timeout=20)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def leave(lock: AbstractContextManager[None]) -> None:
    lock.__exit__(None, None, None)


def test_sqlite_locked(tmp_path: Path) -> None:
    lock = locked(tmp_path)
    with serving(tmp_path, delay_s=0.1) as server, table(tmp_path) as tasks:
        nobody_is_kept(outage(server, tasks, lock.__enter__, lambda: leave(lock), "DATABASE_UNAVAILABLE"))


def test_sqlite_locked_at_the_start(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.submit(0, 1).startswith("kept")
        with table(tmp_path) as tasks:
            wait_until(lambda: tasks.statuses() == {"t00000": "succeeded"}, 60)
    with locked(tmp_path):
        server = Server(tmp_path).ready()
        assert server.submit(1, 1) == "refused 1 DATABASE_UNAVAILABLE"
    try:
        wait_until(lambda: server.submit(2, 1).startswith("kept"), 60)
        with table(tmp_path) as tasks:
            wait_until(lambda: {*tasks.statuses().values()} == {"succeeded"}, 60)
    finally:
        server.stop()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size. Skips the test where none may be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount anything, and only on Linux")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")  # in a container, as a rule
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_is_waited_for(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32) as data, serving(data, delay_s=0.1) as server, table(data) as tasks:
        ballast = data / "ballast"

        def fill() -> None:
            with ballast.open("wb", buffering=0) as file:
                try:
                    while file.write(bytes(4096)):
                        pass
                except OSError:
                    return

        answers = outage(server, tasks, fill, ballast.unlink, "STORAGE_FULL")
        assert any("STORAGE_FULL" in answer for answer in answers)  # a small one may still find its place
        assert not [path for path in (data / "outputs").iterdir() if path.name.startswith(".")]
        assert len(list((data / "outputs").glob("*.wav"))) == len(tasks.rows())

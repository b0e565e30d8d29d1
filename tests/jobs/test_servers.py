"""Servers that share their work, die, stand still and wake up again: real processes, real signals."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.ledger import Ledger
from tests.chaos.storm import hashes, left_behind
from tests.jobs.driving import Server, Table, serving, spoken, table, wait_until
from tests.jobs.postgres import Postgres
from tests.jobs.server import BEAT_S, DEAD_S, QUIET_S

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals")

JOBS, PASSAGES = 7, 5
QUICK = {BEAT_S: "0.5", DEAD_S: "3", QUIET_S: "2"}  # else it takes 3, 20, 10 s


@pytest.fixture
def url(server_of_databases: Postgres) -> str:
    return server_of_databases.database()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def submit_all(server: Server) -> None:
    for number in range(JOBS):
        assert server.submit(number, PASSAGES).startswith("kept")


def all_succeeded(tasks: Table) -> bool:
    return [row["status"] for row in tasks.rows()] == ["succeeded"] * JOBS


def running(tasks: Table, server: Server) -> list[str]:
    pid = f"-{server.process.pid}-"
    return [row["name"] for row in tasks.rows() if row["status"] == "running" and pid in row["executor"]]


def whole(data: Path) -> Mapping[str, str]:
    """All audio is there, and nothing half-made besides."""
    wait_until(lambda: not left_behind(data), 60)
    found = hashes(data)
    assert len(found) == len(list((data / "outputs").glob("*.json"))) == JOBS
    return found


def test_two_servers_share_the_work(tmp_path: Path, url: str, stack: ExitStack) -> None:
    one, two = (stack.enter_context(serving(tmp_path, url, delay_s=0.05)) for _ in range(2))
    tasks = stack.enter_context(table(tmp_path, url))
    submit_all(one)
    wait_until(lambda: bool(running(tasks, one) and running(tasks, two)), 60)
    wait_until(lambda: all_succeeded(tasks), 60)
    assert len(spoken(tmp_path)) == JOBS * PASSAGES
    whole(tmp_path)


def test_the_work_of_a_killed_server_goes_on_at_once(tmp_path: Path, url: str, stack: ExitStack) -> None:
    one, two = (stack.enter_context(serving(tmp_path, url, delay_s=0.1)) for _ in range(2))
    tasks = stack.enter_context(table(tmp_path, url))
    submit_all(one)
    wait_until(lambda: len(running(tasks, one)) >= 2, 60)
    one.kill()
    left = set(running(tasks, one))
    assert left
    wait_until(lambda: not left & set(running(tasks, one)), 60, "the other takes over")
    wait_until(lambda: all_succeeded(tasks), 60)
    assert len(spoken(tmp_path)) - len(set(spoken(tmp_path))) <= len(left)
    whole(tmp_path)


def test_a_server_that_stood_still_spoils_nothing_when_it_goes_on(tmp_path: Path, url: str, stack: ExitStack) -> None:
    one, two = (stack.enter_context(serving(tmp_path, url, delay_s=0.1, env=QUICK)) for _ in range(2))
    tasks = stack.enter_context(table(tmp_path, url))
    submit_all(one)
    wait_until(lambda: len(running(tasks, one)) >= 2, 60)
    one.signal(signal.SIGSTOP)
    left = set(running(tasks, one))
    wait_until(lambda: bool(left & set(running(tasks, two))), 60, "the other takes over")
    one.signal(signal.SIGCONT)
    wait_until(lambda: all_succeeded(tasks), 60)
    first = whole(tmp_path)
    assert one.submit(JOBS, 1).startswith("kept"), "and it works on"
    wait_until(lambda: tasks.statuses()[f"t{JOBS:05}"] == "succeeded", 60)
    assert {name: digest for name, digest in hashes(tmp_path).items() if name in first} == first


def test_a_server_that_stood_still_can_be_stopped_while_another_does_its_work(
    tmp_path: Path, url: str, stack: ExitStack
) -> None:
    one = stack.enter_context(serving(tmp_path, url, delay_s=0.3, env=QUICK))
    tasks = stack.enter_context(table(tmp_path, url))
    for number in range(2):
        assert one.submit(number, 100).startswith("kept")
    wait_until(lambda: len(running(tasks, one)) == 2, 60)
    two = stack.enter_context(serving(tmp_path, url, delay_s=0.3, env=QUICK))
    one.signal(signal.SIGSTOP)
    left = set(running(tasks, one))
    wait_until(lambda: bool(left & set(running(tasks, two))), 60, "the other takes over")
    one.signal(signal.SIGCONT)
    wait_until(lambda: not left & set(running(tasks, one)), 60)
    one.stop(10)
    assert left & set(running(tasks, two))


def test_the_work_of_a_server_that_nobody_knows_of_is_found(tmp_path: Path, url: str, stack: ExitStack) -> None:
    """It woke up after it had been buried, took something, and was killed before it said that it lives."""
    one = stack.enter_context(serving(tmp_path, url, delay_s=0.1, env=QUICK))
    tasks = stack.enter_context(table(tmp_path, url))
    submit_all(one)
    wait_until(lambda: len(running(tasks, one)) >= 2, 60)
    one.kill()
    database = Database(database_url(url, tmp_path))
    Ledger(database).forget_servers([row["executor"] for row in tasks.rows() if row["executor"]])
    database.close()
    stack.enter_context(serving(tmp_path, url, env=QUICK))
    wait_until(lambda: all_succeeded(tasks), 60)
    whole(tmp_path)


def test_on_sqlite_a_second_server_waits_and_goes_on_when_the_first_is_killed(tmp_path: Path, stack: ExitStack) -> None:
    one, two = (stack.enter_context(serving(tmp_path, delay_s=0.1)) for _ in range(2))
    tasks = stack.enter_context(table(tmp_path))
    assert one.submit(0, PASSAGES).startswith("kept")
    for number in range(1, JOBS):  # whoever takes a task, the first works on it
        assert two.submit(number, PASSAGES).startswith("kept")
    wait_until(lambda: len(running(tasks, one)) >= 2, 60)
    assert running(tasks, two) == []
    one.kill()
    wait_until(lambda: bool(running(tasks, two)), 60)
    wait_until(lambda: all_succeeded(tasks), 60)
    whole(tmp_path)


def test_a_server_that_is_stopped_hands_everything_back(tmp_path: Path, database_setting: str) -> None:
    with serving(tmp_path, database_setting, delay_s=0.1) as one:
        submit_all(one)
        with table(tmp_path, database_setting) as tasks:
            wait_until(lambda: len(running(tasks, one)) >= 2, 60)
    with table(tmp_path, database_setting) as tasks:
        assert running(tasks, one) == []
        with serving(tmp_path, database_setting):
            wait_until(lambda: all_succeeded(tasks), 60)
    assert len(spoken(tmp_path)) - len(set(spoken(tmp_path))) <= 4
    whole(tmp_path)

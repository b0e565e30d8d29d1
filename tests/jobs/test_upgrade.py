"""What an earlier version was killed with is finished by this one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.states import Status
from chatterbox_plus.jobs.tasks import TaskStore
from tests.jobs.driving import Server, spoken, table, wait_until

SAVED = sorted(Path(__file__).parent.glob("saved_*.sql"))
FAILED, CANCELLED = "t00001", "t00021"  # before; all others have to be done


def test_there_is_something_to_start_from() -> None:
    assert SAVED


@pytest.mark.parametrize("dump", SAVED, ids=lambda path: path.stem)
def test_everything_that_was_under_way_is_finished(dump: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as connection:
        connection.executescript(dump.read_text("utf-8"))
    with table(tmp_path) as tasks:
        before = {row["name"]: row for row in tasks.rows()}
        assert {*tasks.statuses().values()} == set(Status)
        server = Server(tmp_path).ready()
        try:
            database = Database(database_url("", tmp_path))
            database.open()  # whichever of the two comes first brings it up to date
            store = TaskStore(database, max_unfinished=1000)
            paused = [row["id"] for row in before.values() if row["status"] == "paused"]
            for id in paused:
                wait_until(lambda: store.get(id).status is Status.PAUSED, 60)  # noqa: B023 - asked at once
                store.resume(id)
            wait_until(lambda: not {*tasks.statuses().values()} & {"queued", "running", "paused"}, 60)
        finally:
            server.stop()
        after = tasks.statuses()
    assert after.pop(FAILED) == "failed"
    assert after.pop(CANCELLED) == "cancelled"
    assert {*after.values()} == {"succeeded"}
    outputs = {path.stem for path in (tmp_path / "outputs").glob("*.wav")}
    assert outputs == {name for name in after if name != "batch" and before[name]["status"] != "succeeded"}
    assert len(spoken(tmp_path)) == 4 * len(outputs)

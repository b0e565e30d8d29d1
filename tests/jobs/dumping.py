"""Makes `saved_NAME.sql`, a database of tasks as a version of ours leaves it when it is killed: `python -m
tests.jobs.dumping NAME`.

A dump that is checked in is never made anew, whatever becomes of the code: it is what people's disks hold. Who changes
the tables, the protocol with the durable queue or what a spec holds adds another one beside it, made with the last
release's code.

In it: tasks that are queued, running, paused, failed, cancelled and done, and a batch half-way.
"""

import platform
import re
import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.records import NewTask
from chatterbox_plus.jobs.states import Kind, Lane
from chatterbox_plus.jobs.tasks import TaskStore
from tests.jobs.driving import Server, table, wait_until
from tests.jobs.server import speech

HERE = Path(__file__).parent
PASSAGES = 4


def main(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        _fill(data)
        with closing(sqlite3.connect(data / "jobs.sqlite")) as database:
            text = "\n".join(database.iterdump()) + "\n"
    text = re.sub(rf"'{re.escape(platform.node())}(?=[-'])", "'server", text)  # not whose machine
    (HERE / f"saved_{name}.sql").write_text(text, encoding="utf-8")


def _fill(data: Path) -> None:
    server = Server(data, delay_s=0.2).ready()
    server.submit(0, 1)
    database = Database(database_url("", data))
    store = TaskStore(database, max_unfinished=1000)
    with table(data) as tasks:
        wait_until(lambda: tasks.statuses() == {"t00000": "succeeded"}, 20)
        bad = replace(speech(1, 1), spec={"seed": 7, "options": {"text": "No.", "reference_audio_filename": "nobody"}})
        store.submit(bad)
        wait_until(lambda: tasks.statuses()["t00001"] == "failed", 20)
        rows = [(row.name, row.spec) for row in (speech(10 + n, PASSAGES) for n in range(3))]
        store.submit(NewTask(kind=Kind.BATCH, spec={}, lane=Lane.BATCH, rows=rows, name="batch"))
        wait_until(lambda: tasks.statuses()["t00010"] == "succeeded", 20)
        store.pause(store.submit(speech(20, PASSAGES))[0].id)
        store.cancel(store.submit(speech(21, PASSAGES))[0].id)
        started = store.submit(speech(22, PASSAGES))[0].id
        wait_until(lambda: tasks.statuses()["t00022"] == "running", 20)
        store.pause(started)
        for number in range(30, 40):
            store.submit(speech(number, PASSAGES))
        wait_until(lambda: "running" in [tasks.statuses()[f"t{n:05}"] for n in range(30, 40)], 20)
        server.kill()
        assert {*tasks.statuses().values()} >= {"queued", "running", "paused", "failed", "cancelled", "succeeded"}
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])

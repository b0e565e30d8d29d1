"""Tasks and a store of the audio that does not answer."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.errors import StorageAway
from chatterbox_plus.jobs import worker
from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.records import NewTask
from chatterbox_plus.jobs.states import EventType, Kind, Status
from chatterbox_plus.jobs.tasks import TaskStore
from chatterbox_plus.jobs.worker import Hand, Worker


def test_a_task_waits_until_the_store_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ROOM_S", 0.01)
    database = Database(database_url("", tmp_path))
    database.open()
    store, tries = TaskStore(database, max_unfinished=10), threading.Semaphore(3)

    def work(hand: Hand) -> Mapping[str, Any]:
        if tries.acquire(blocking=False):
            raise StorageAway("away")
        return {"output_files": []}

    task, _ = store.submit(NewTask(kind=Kind.TTS, spec={"seed": 1, "options": {"text": "Hello."}}))
    working = Worker(Ledger(database), "here", work, lambda task, result: None)
    try:
        working.perform(task.id, 1)
        assert store.get(task.id).status is Status.SUCCEEDED
        assert EventType.WAITING in [event.type for event in store.events_after(task.id, 0)]
    finally:
        working.stop(5)
        database.close()

"""A task in hand comes to exactly one end, whatever its work, the disk and the database do meanwhile."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.errors import Cancelled, DatabaseAway, GenerationError, InvalidAudio, StorageFull
from chatterbox_plus.jobs import reporting, worker
from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.ledger import Ledger, Turn
from chatterbox_plus.jobs.records import NewTask, Task
from chatterbox_plus.jobs.states import EventType, Kind, Status
from chatterbox_plus.jobs.tasks import TaskStore
from chatterbox_plus.jobs.worker import Hand, Work, Worker
from tests.jobs.driving import wait_until

SPEECH = NewTask(kind=Kind.TTS, spec={"seed": 1, "options": {"text": "Hello."}})
Made = Callable[[Work], Worker]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


@pytest.fixture
def discarded() -> list[str]:
    return []


@pytest.fixture
def make(ledger: Ledger, discarded: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    monkeypatch.setattr(worker, "RETRY_WAITS_S", (0.01, 0.01))
    monkeypatch.setattr(worker, "ROOM_S", 0.01)
    monkeypatch.setattr(worker, "DATABASE_S", 0.01)
    monkeypatch.setattr(reporting, "RETRY_S", 0.01)
    made: list[Worker] = []

    def maker(work: Work) -> Worker:
        made.append(Worker(ledger, f"server-{len(made)}", work, lambda task, _: discarded.append(task.id)))
        return made[-1]

    yield maker
    for one in made:
        one.stop(5)


def until_cancelled(hand: Hand) -> Mapping[str, Any]:
    assert hand.cancel.wait(10)
    raise Cancelled("as told")


def failing(*errors: Exception) -> Work:
    """Raises these, one a call, and then succeeds."""
    left = list(errors)

    def work(hand: Hand) -> Mapping[str, Any]:
        if left:
            raise left.pop(0)
        return {"done": True}

    return work


def beside(one: Worker, task: Task) -> threading.Thread:
    """The worker at that task, in a thread."""
    thread = threading.Thread(target=one.perform, args=(task.id, task.attempt))
    thread.start()
    wait_until(lambda: one.at_work(Turn(task.id, task.attempt, 0, 0)), 5)
    return thread


def test_what_the_work_gives_is_the_tasks_result(store: TaskStore, make: Made) -> None:
    task, _ = store.submit(SPEECH)
    make(lambda hand: {"seconds": 1.5}).perform(task.id, 1)
    done = store.get(task.id)
    assert (done.status, done.result, done.error) == (Status.SUCCEEDED, {"seconds": 1.5}, None)


def test_progress_is_told_before_the_end(store: TaskStore, make: Made) -> None:
    def work(hand: Hand) -> Mapping[str, Any]:
        for number in (1, 2):
            hand.note(number, 2, number * 0.5, (EventType.PASSAGE, {"passage": number}))
        return {}

    task, _ = store.submit(SPEECH)
    make(work).perform(task.id, 1)
    told = [event.type for event in store.events_after(task.id, 0)]
    assert told == [EventType.QUEUED, EventType.STARTED, EventType.PASSAGE, EventType.PASSAGE, EventType.FINISHED]
    assert (store.get(task.id).done, store.get(task.id).total, store.get(task.id).audio_s) == (2, 2, 1)


def test_what_is_wrong_is_told_as_replies_tell_it(store: TaskStore, make: Made) -> None:
    task, _ = store.submit(SPEECH)
    make(failing(InvalidAudio("not audio", param="input_audio"))).perform(task.id, 1)
    assert store.get(task.id).error == {"code": "INVALID_AUDIO", "message": "not audio", "param": "input_audio"}


def test_an_error_nobody_meant_ends_the_task_and_shows_nothing_of_itself(store: TaskStore, make: Made) -> None:
    task, _ = store.submit(SPEECH)
    make(failing(ValueError("/a/secret/path"))).perform(task.id, 1)
    error = store.get(task.id).error or {}
    assert (store.get(task.id).status, error["code"]) == (Status.FAILED, "INTERNAL_ERROR")
    assert "secret" not in error["message"]


def test_a_full_disk_is_waited_for(store: TaskStore, make: Made) -> None:
    task, _ = store.submit(SPEECH)
    make(failing(*[StorageFull("full")] * 5)).perform(task.id, 1)
    assert store.get(task.id).status is Status.SUCCEEDED
    assert EventType.WAITING in [event.type for event in store.events_after(task.id, 0)]


def test_what_may_go_well_next_time_is_tried_twice_more(store: TaskStore, make: Made) -> None:
    first, second = store.submit(SPEECH)[0], store.submit(SPEECH)[0]
    make(failing(*[GenerationError("died")] * 2)).perform(first.id, 1)
    make(failing(*[GenerationError("died")] * 3)).perform(second.id, 1)
    assert [store.get(task.id).status for task in (first, second)] == [Status.SUCCEEDED, Status.FAILED]


def test_a_database_that_is_away_at_the_end_is_waited_for(
    store: TaskStore, ledger: Ledger, make: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(3))
    finish = ledger.finish

    def away(*words: Any, **more: Any) -> bool:
        if next(times, None) is not None:
            raise DatabaseAway("away")
        return finish(*words, **more)

    monkeypatch.setattr(ledger, "finish", away)
    task, _ = store.submit(SPEECH)
    make(failing()).perform(task.id, 1)
    assert store.get(task.id).status is Status.SUCCEEDED


def test_a_task_cancelled_elsewhere_stops_here(store: TaskStore, make: Made, discarded: list[str]) -> None:
    task, _ = store.submit(SPEECH)
    thread = beside(make(until_cancelled), task)
    store.cancel(task.id)
    thread.join(5)
    assert not thread.is_alive()
    assert store.get(task.id).status is Status.CANCELLED
    assert discarded == []


def test_what_was_made_of_a_task_cancelled_at_the_last_moment_is_removed(
    store: TaskStore, make: Made, discarded: list[str]
) -> None:
    def work(hand: Hand) -> Mapping[str, Any]:
        store.cancel(hand.task.id)
        return {}

    task, _ = store.submit(SPEECH)
    make(work).perform(task.id, 1)
    assert store.get(task.id).status is Status.CANCELLED
    assert discarded == [task.id]


def test_who_was_thought_dead_neither_ends_nor_undoes_what_another_does(
    store: TaskStore, ledger: Ledger, make: Made, discarded: list[str]
) -> None:
    def work(hand: Hand) -> Mapping[str, Any]:
        assert ledger.begin(hand.task.id, 1, "another") is not None
        return {"by": "the late one"}

    task, _ = store.submit(SPEECH)
    make(work).perform(task.id, 1)
    assert (store.get(task.id).status, store.get(task.id).executor) == (Status.RUNNING, "another")
    assert discarded == []


def test_a_server_that_stops_hands_back_what_it_has(store: TaskStore, ledger: Ledger, make: Made) -> None:
    task, _ = store.submit(SPEECH)
    one = make(until_cancelled)
    thread = beside(one, task)
    one.stop(5)
    thread.join(5)
    assert (store.get(task.id).status, store.get(task.id).attempt) == (Status.QUEUED, 2)
    one.perform(task.id, 2)
    assert store.get(task.id).status is Status.QUEUED, "and takes nothing more"


def test_the_next_attempt_may_begin_before_the_one_that_was_called_off_has_left(store: TaskStore, make: Made) -> None:
    leave = threading.Event()

    def work(hand: Hand) -> Mapping[str, Any]:
        if hand.task.attempt == 1:
            assert hand.cancel.wait(10)
            assert leave.wait(10)
            raise Cancelled("as told")
        return until_cancelled(hand)

    task, _ = store.submit(SPEECH)
    one = make(work)
    first = beside(one, task)
    store.pause(task.id)
    second = beside(one, store.resume(task.id))
    leave.set()
    first.join(5)
    assert one.at_work(Turn(task.id, 2, 0, 0))
    assert not one.at_work(Turn(task.id, 1, 0, 0))
    store.cancel(task.id)
    second.join(5)
    assert not second.is_alive()

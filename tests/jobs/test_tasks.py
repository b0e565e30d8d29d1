"""Tasks at rest, on SQLite and on PostgreSQL: kept once, found again, and changed only as their state allows."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from chatterbox_plus.errors import InvalidOption, KeyReused, NotFound, RateLimited, WrongState
from chatterbox_plus.jobs.database import Database
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.records import NewTask, ProgressNote, Task
from chatterbox_plus.jobs.states import EventType, Kind, Lane, Status
from chatterbox_plus.jobs.tasks import TaskStore

SPEECH = NewTask(kind=Kind.TTS, spec={"seed": 1, "options": {"text": "Hello."}})
ONCE = replace(SPEECH, idempotency="abc", fingerprint="f")
ME = "server-1"


def batch(rows: int, **fields: object) -> NewTask:
    spec = {"seed": 1, "options": {"text": "Row."}}
    return NewTask(kind=Kind.BATCH, spec={}, lane=Lane.BATCH, rows=[(f"r{n}", spec) for n in range(rows)], **fields)  # type: ignore[arg-type]


def begun(ledger: Ledger, task: Task) -> Task:
    found = ledger.begin(task.id, task.attempt, ME)
    assert found is not None
    return found


def ended(ledger: Ledger, task: Task, status: Status = Status.SUCCEEDED) -> None:
    mine = begun(ledger, task)
    error = None if status is Status.SUCCEEDED else {"code": "GENERATION_ERROR", "message": "no"}
    assert ledger.finish(mine, ME, status, result={} if error is None else None, error=error)


def rows_of(store: TaskStore, task: Task) -> list[Task]:
    return store.listed(parent=task.id)[0]


def test_what_was_submitted_is_found_as_it_was_sent(store: TaskStore) -> None:
    sent = replace(
        SPEECH, project="book", name="ch 1", spec={"seed": 2, "options": {"text": "日本 \ud800 \0 \U0001f600"}}
    )
    task, replayed = store.submit(sent)
    assert not replayed
    assert store.get(task.id) == task
    whole = store.whole(task.id)
    assert (whole.status, whole.attempt, whole.spec, whole.name) == (Status.QUEUED, 1, sent.spec, "ch 1")
    assert [event.type for event in store.events_after(task.id, 0)] == [EventType.QUEUED]


def test_a_task_of_another_project_is_not_there(store: TaskStore) -> None:
    task, _ = store.submit(replace(SPEECH, project="mine"))
    for ask in (store.get, store.cancel, store.pause, store.resume, store.retry):
        with pytest.raises(NotFound):
            ask(task.id, project="yours")
    assert store.listed(project="yours") == ([], 0)
    assert store.get(task.id, project="mine") == task


def test_the_same_key_and_request_are_one_task(store: TaskStore) -> None:
    first, _ = store.submit(ONCE)
    assert store.submit(ONCE) == (first, True)
    with pytest.raises(KeyReused):
        store.submit(replace(ONCE, fingerprint="g"))
    assert store.listed()[1] == 1


def test_the_same_key_sent_many_times_at_once_is_one_task(store: TaskStore) -> None:
    ready = threading.Barrier(8)

    def send(_: int) -> tuple[Task, bool]:
        ready.wait()
        return store.submit(ONCE)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(send, range(8)))
    assert len({task.id for task, _ in told}) == 1
    assert sorted(replayed for _, replayed in told) == [False] + [True] * 7


def test_lists_are_newest_first_by_page_and_filter(store: TaskStore) -> None:
    made = [store.submit(replace(SPEECH, project="b" if n % 2 else "a"))[0] for n in range(5)]
    store.submit(batch(3))
    store.cancel(made[0].id)
    newest = [task.id for task in reversed(made)]
    assert [task.id for task in store.listed(kind=Kind.TTS)[0]] == newest
    assert [task.id for task in store.listed(kind=Kind.TTS, offset=1, limit=2)[0]] == newest[1:3]
    assert store.listed()[1] == 6  # the rows of a batch are not among them
    assert store.listed(status=Status.CANCELLED)[1] == 1
    assert store.listed(project="b")[1] == 2


def test_who_has_too_much_waiting_is_told_so_and_others_are_not(database: Database) -> None:
    store = TaskStore(database, max_unfinished=3)
    first, _ = store.submit(replace(SPEECH, key="a"))
    store.submit(batch(2, key="a"))
    with pytest.raises(RateLimited):
        store.submit(replace(SPEECH, key="a"))
    with pytest.raises(InvalidOption, match="3 rows"):  # to come back would be of no use
        store.submit(batch(4, key="c"))
    store.submit(replace(SPEECH, key="b"))
    store.cancel(first.id)
    store.submit(replace(SPEECH, key="a"))


def test_a_cancelled_task_stays_so_and_its_worker_has_no_say(store: TaskStore, ledger: Ledger) -> None:
    task = begun(ledger, store.submit(SPEECH)[0])
    assert store.cancel(task.id).status is Status.CANCELLED
    assert store.cancel(task.id).error == {"code": "CANCELLED", "message": "the task was cancelled"}
    assert not ledger.finish(task, ME, Status.SUCCEEDED, result={})
    assert ledger.begin(task.id, task.attempt, ME) is None
    with pytest.raises(WrongState):
        store.pause(task.id)
    assert store.get(task.id).status is Status.CANCELLED


def test_a_paused_task_goes_on_as_another_attempt(store: TaskStore, ledger: Ledger) -> None:
    task = begun(ledger, store.submit(SPEECH)[0])
    store.pause(task.id)
    assert store.pause(task.id).status is Status.PAUSED
    assert ledger.begin(task.id, 1, ME) is None
    assert store.resume(task.id).attempt == 2
    assert [(turn.id, turn.attempt) for turn in ledger.waiting(9)] == [(task.id, 2)]
    with pytest.raises(WrongState):
        store.resume(task.id)
    assert ledger.begin(task.id, 1, ME) is None, "the paused attempt is over"
    assert ledger.begin(task.id, 2, ME) is not None


def test_only_what_went_wrong_can_be_retried(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(SPEECH)
    with pytest.raises(WrongState):
        store.retry(task.id)
    ended(ledger, task, Status.FAILED)
    again = store.retry(task.id)
    assert (again.status, again.attempt, again.error, again.finished_at) == (Status.QUEUED, 2, None, None)
    ended(ledger, again)
    with pytest.raises(WrongState):
        store.retry(task.id)
    seqs = [event.seq for event in store.events_after(task.id, 0)]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_batch_ends_with_its_last_row(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(3))
    rows = rows_of(store, task)
    assert [row.name for row in rows] == ["r0", "r1", "r2"]
    for number, row in enumerate(rows):
        assert store.get(task.id).status is (Status.RUNNING if number else Status.QUEUED)
        ended(ledger, row)
    assert store.get(task.id).result == {"rows": 3, "counts": {"succeeded": 3}}
    assert store.get(task.id).status is Status.SUCCEEDED
    told = [event.type for event in store.events_after(task.id, 0)]
    assert told == [EventType.QUEUED, EventType.STARTED, *[EventType.ROW] * 3, EventType.FINISHED]


def test_a_batch_has_as_much_sound_as_its_rows(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(2))
    for row in rows_of(store, task):
        mine = begun(ledger, row)
        ledger.note({row.id: ProgressNote(done=1, total=1, audio_s=1.5)}, ME)
        assert ledger.finish(mine, ME, Status.SUCCEEDED, result={})
    assert store.get(task.id).audio_s == 3.0


def test_a_batch_whose_rows_end_at_once_ends_once(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(8))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: ended(ledger, row), rows_of(store, task)))
    assert store.get(task.id).status is Status.SUCCEEDED
    told = [event.type for event in store.events_after(task.id, 0)]
    assert told.count(EventType.FINISHED) == 1
    assert told.count(EventType.ROW) == 8


def test_a_retried_batch_does_only_its_failed_rows(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(3))
    first, second, third = rows_of(store, task)
    ended(ledger, first)
    ended(ledger, second, Status.FAILED)
    ended(ledger, third)
    assert (store.get(task.id).error or {})["code"] == "ROWS_FAILED"
    store.retry(task.id)
    assert [(turn.id, turn.attempt) for turn in ledger.waiting(9)][-1] == (second.id, 2)
    ended(ledger, store.get(second.id))
    assert store.get(task.id).status is Status.SUCCEEDED


def test_a_row_retried_by_itself_opens_its_batch_again(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(1))
    (row,) = rows_of(store, task)
    ended(ledger, row, Status.FAILED)
    store.retry(row.id)
    assert store.get(task.id).status is Status.RUNNING
    ended(ledger, store.get(row.id))
    assert store.get(task.id).status is Status.SUCCEEDED


def test_a_batch_is_paused_resumed_and_cancelled_as_one(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(3))
    first, *_ = rows_of(store, task)
    ended(ledger, first)
    store.pause(task.id)
    assert [row.status for row in rows_of(store, task)] == [Status.SUCCEEDED, Status.PAUSED, Status.PAUSED]
    store.resume(task.id)
    store.cancel(task.id)
    assert [row.status for row in rows_of(store, task)] == [Status.SUCCEEDED, Status.CANCELLED, Status.CANCELLED]


def test_one_task_is_not_kept_waiting_by_another_keys_thousand(store: TaskStore, ledger: Ledger) -> None:
    for _ in range(2):
        store.submit(batch(500, key="many"))
    one, _ = store.submit(replace(SPEECH, key="one", lane=Lane.BATCH))
    assert one.id in [turn.id for turn in ledger.waiting(2)]


def test_keys_take_turns(store: TaskStore, ledger: Ledger) -> None:
    store.submit(batch(4, key="a"))
    store.submit(batch(2, key="b"))
    keys = [store.get(turn.id).key for turn in ledger.waiting(9)]
    assert [sorted(map(str, pair)) for pair in (keys[:2], keys[2:4])] == [["a", "b"], ["a", "b"]]
    assert keys[4:] == ["a", "a"]


def test_whoever_waits_for_one_goes_before_every_batch(store: TaskStore, ledger: Ledger) -> None:
    store.submit(batch(5, key="a"))
    urgent, _ = store.submit(replace(SPEECH, key="b"))
    assert ledger.waiting(1)[0].id == urgent.id


def test_what_is_old_and_over_is_forgotten_with_its_rows(store: TaskStore, ledger: Ledger) -> None:
    task, _ = store.submit(batch(2))
    rows = rows_of(store, task)
    open_, _ = store.submit(SPEECH)
    assert store.delete_old("2999-01-01") == []
    for row in rows:
        ended(ledger, row)
    assert set(store.delete_old("2999-01-01")) == {task.id, *(row.id for row in rows)}
    assert store.listed()[0] == [open_]
    with pytest.raises(NotFound):
        store.get(rows[0].id)


def test_progress_and_a_call_to_cancel_all_do_not_wait_for_each_other(store: TaskStore, ledger: Ledger) -> None:
    """Both lock many rows: in one order, or one of them would be broken off."""
    for _ in range(8):
        task, _ = store.submit(batch(12))
        hands = [begun(ledger, row) for row in rows_of(store, task)]
        notes = {hand.id: ProgressNote(done=1, total=2) for hand in hands}
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ledger.note, notes, ME) for _ in range(4)]
            asked += [pool.submit(store.pause, task.id), pool.submit(store.resume, task.id)][:1]
            asked.append(pool.submit(ledger.dispatched, ledger.waiting(50)))
            for one in asked:
                one.result()
        store.cancel(task.id)

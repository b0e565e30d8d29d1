"""Which servers live, who works where only one may, and what is done about work that got lost between two of them."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.jobs import office
from chatterbox_plus.jobs.ledger import Ledger, ServerRow
from chatterbox_plus.jobs.office import BEAT_S, DEAD_S, OneAtATime, Watch, machine, new_executor
from chatterbox_plus.jobs.records import NewTask, moment
from chatterbox_plus.jobs.states import Kind, Status
from chatterbox_plus.jobs.tasks import TaskStore

SPEECH = NewTask(kind=Kind.TTS, spec={"seed": 1, "options": {"text": "Hello."}})
ME = ServerRow("me", machine(), os.getpid(), psutil.Process().create_time(), moment())


def ago(seconds: float) -> str:
    return moment(datetime.now(UTC) - timedelta(seconds=seconds))


def test_no_two_servers_ever_have_the_same_name() -> None:
    assert len({new_executor() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("server", "dead"),
    [
        (ME, False),
        (replace(ME, pid=2**22 + 1), True),
        (replace(ME, process_started=ME.process_started - 60), True),  # another has its number now
        (replace(ME, host="elsewhere", pid=2**22 + 1), False),
        (replace(ME, host="elsewhere", beat_at="2020-01-01T00:00:00.000000Z"), False),  # its clock may be wrong
    ],
)
def test_on_the_same_machine_a_server_is_dead_as_soon_as_its_process_is_gone(server: ServerRow, dead: bool) -> None:
    assert Watch().dead([server]) == (["me"] if dead else [])


class Clock:
    """Instead of `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(office, "time", made)
    return made


def silence(clock: Clock, watch: Watch, seconds: float, step_s: float) -> bool:
    """Whether a server that says nothing for so long is dead then."""
    far = replace(ME, host="elsewhere")
    for _ in range(int(seconds / step_s)):
        clock.now += step_s
        dead = watch.dead([far])
    return dead == ["me"]


def test_elsewhere_a_server_is_dead_when_it_was_silent_for_long(clock: Clock) -> None:
    watch = Watch()
    assert not silence(clock, watch, DEAD_S, BEAT_S)
    assert silence(clock, watch, 2 * BEAT_S, BEAT_S)


def test_one_beat_is_a_sign_of_life(clock: Clock) -> None:
    watch = Watch()
    silence(clock, watch, DEAD_S, BEAT_S)
    assert watch.dead([replace(ME, host="elsewhere", beat_at="later")]) == []
    assert not silence(clock, watch, DEAD_S, BEAT_S)


def test_time_in_which_nobody_could_be_asked_is_no_silence(clock: Clock) -> None:
    """Else all servers would bury each other when the database is back."""
    watch = Watch()
    assert not silence(clock, watch, 3600, 3600)
    assert not silence(clock, watch, 3600, 3600)


def test_one_server_at_a_time_holds_the_lock(tmp_path: Path) -> None:
    first, second = OneAtATime(tmp_path / "lock"), OneAtATime(tmp_path / "lock")
    assert first.take()
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_the_lock_ends_with_its_holder_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from chatterbox_plus.jobs.office import OneAtATime;"
        "OneAtATime.kept = OneAtATime(Path(sys.argv[1])); assert OneAtATime.kept.take();"
        "sys.stdout.write('taken'); sys.stdout.flush(); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.read(5) == b"taken"
        lock = OneAtATime(tmp_path / "lock")
        assert not lock.take()
        holder.kill()
        holder.wait()
    assert lock.take()
    lock.release()


def test_a_lock_that_cannot_be_made_is_no_lock_of_anothers(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAway):
        OneAtATime(tmp_path / "nowhere" / "lock").take()


def test_the_last_word_of_a_server_that_left_is_that_it_is_gone(ledger: Ledger) -> None:
    ledger.beat(ME)
    assert Watch().dead(ledger.servers()) == []
    ledger.servers_gone([ME.id])
    assert Watch().dead(ledger.servers()) == [ME.id]
    ledger.forget_servers([ME.id])
    assert ledger.servers() == []


def test_only_what_was_handed_over_and_is_silent_counts_as_quiet(store: TaskStore, ledger: Ledger) -> None:
    waiting, handed, begun, done = (store.submit(SPEECH)[0] for _ in range(4))
    turns = {turn.id: turn for turn in ledger.waiting(9)}
    ledger.dispatched([turns[handed.id]])
    for task in (begun, done):
        mine = ledger.begin(task.id, 1, "me")
        assert mine is not None
    ledger.finish(mine, "me", Status.SUCCEEDED, result={})
    assert {turn.id for turn in ledger.quiet(moment())} == {handed.id, begun.id}
    assert ledger.quiet(ago(5)) == []
    before = moment()
    ledger.heard_of(list(turns.values()))
    assert ledger.quiet(before) == []
    assert store.get(done.id).updated_at < before


def test_a_lost_attempt_is_followed_by_another_and_one_that_has_ended_is_not(store: TaskStore, ledger: Ledger) -> None:
    lost, done = (store.submit(SPEECH)[0] for _ in range(2))
    for task in (lost, done):
        mine = ledger.begin(task.id, 1, "me")
        assert mine is not None
    ledger.finish(mine, "me", Status.SUCCEEDED, result={})
    for task in (lost, done):
        ledger.again(task.id, 1)
    assert [(turn.id, turn.attempt) for turn in ledger.waiting(9)] == [(lost.id, 2)]
    assert store.get(done.id).status is Status.SUCCEEDED

"""Promises of the host, with real child processes."""

import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.process import REFERENCES
from chatterbox_plus.engines.slots import RENEW_WORKS
from chatterbox_plus.errors import (
    Cancelled,
    GenerationError,
    GenerationTimeout,
    InvalidAudio,
    ModelLoadError,
    PlusError,
)
from tests.fakes import CHARACTER_S, RATE, TONE, pitch, sine, words

PATIENCE_S = 20  # longer than anything here takes, so that a failure is a failure


@contextmanager
def hosting(factory: str = "MoodyEngine", **options: float) -> Iterator[EngineHost]:
    host = EngineHost(TONE, f"tests.fakes:{factory}", **options)  # type: ignore[arg-type]
    try:
        yield host
    finally:
        host.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[EngineHost]:
    """For tests that harm nothing."""
    with hosting() as host:
        yield host


def passages(*texts: str) -> list[Passage]:
    return [Passage(index, text, "en", seed=0) for index, text in enumerate(texts)]


def say(
    host: EngineHost,
    *texts: str,
    reference: Reference | None = None,
    cancel: threading.Event | None = None,
    timeout_s: float = PATIENCE_S,
) -> Iterator[Piece]:
    return host.speak(passages(*texts), reference, cancel=cancel or threading.Event(), timeout_s=timeout_s)


def number(host: EngineHost, question: str) -> int:
    (piece,) = say(host, question)
    return int(piece.clip.samples[0])


def voice(frequency: float) -> Reference:
    return Reference(f"sine-{frequency}", Clip(sine(frequency, 1.0, 16_000), 16_000))


def convert(
    host: EngineHost,
    blocks: Iterator[Samples],
    rate: int = RATE,
    *,
    chunk_s: float = 60.0,
    cancel: threading.Event | None = None,
    timeout_s: float = PATIENCE_S,
) -> Iterator[Samples]:
    target = voice(200)
    return host.convert(blocks, rate, target, chunk_s, 0.1, cancel=cancel or threading.Event(), timeout_s=timeout_s)


def eventually(condition: Callable[[], object]) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


# Speaking


def test_pieces_come_in_order_whole_and_with_their_words(shared: EngineHost) -> None:
    texts = ["one", "a longer passage of several words", "x", "", "the end"]
    pieces = list(say(shared, *texts))
    assert [piece.index for piece in pieces] == list(range(len(texts)))
    for piece, text in zip(pieces, texts, strict=True):
        assert piece.clip.rate == RATE
        np.testing.assert_array_equal(piece.clip.samples, sine(440, len(text) * CHARACTER_S))
        assert piece.words == words(text)


def test_a_passage_that_takes_long_does_not_change_the_order(shared: EngineHost, tmp_path: Path) -> None:
    """The third is done long before the first, since it opens the gate that the first waits for."""
    gate = tmp_path / "gate"
    pieces = list(say(shared, f"until {gate}", "second", f"touch {gate}"))
    assert [piece.index for piece in pieces] == [0, 1, 2]


def test_what_an_engine_prints_harms_nothing(shared: EngineHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "chatterbox_plus.engines")
    (piece,) = say(shared, "print")
    assert len(piece.clip.samples) == len("print") * RATE // 100
    eventually(lambda: "more noise" in caplog.text)


def test_parallel_callers_each_get_their_own_text_and_voice(shared: EngineHost) -> None:
    def caller(which: int) -> None:
        frequency, texts = 200 + 50 * which, ["x" * (which + i + 10) for i in range(5)]
        pieces = list(say(shared, *texts, reference=voice(frequency)))
        assert [len(piece.clip.samples) for piece in pieces] == [len(text) * RATE // 100 for text in texts]
        assert all(abs(pitch(piece.clip) - frequency) < 10 for piece in pieces)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(caller, range(8)))


def test_a_long_text_does_not_starve_a_short_one(tmp_path: Path) -> None:
    """The last passage of the long text waits for the short one to be finished."""
    gate, done = tmp_path / "gate", tmp_path / "done"

    def short() -> None:
        list(say(host, "hello"))
        done.touch()

    with hosting(workers=1) as host, ThreadPoolExecutor(2) as pool:
        long = pool.submit(lambda: list(say(host, f"until {gate}", *["x"] * 48, f"until {done}")))
        eventually(lambda: host.health().busy)
        other = pool.submit(short)
        eventually(lambda: host.health().callers == 2)
        gate.touch()
        other.result(PATIENCE_S)
        assert len(long.result(PATIENCE_S)) == 50


def test_work_runs_only_a_little_ahead_of_its_consumer(tmp_path: Path) -> None:
    marks = [tmp_path / str(i) for i in range(20)]
    with hosting(workers=1) as host:
        pieces = say(host, *(f"touch {mark}" for mark in marks))
        next(pieces)
        eventually(lambda: marks[2].exists())
        list(say(host, "somebody else, whose turn comes after all that may be done"))
        assert not marks[3].exists()
        assert len(list(pieces)) == 19


def test_a_reference_is_sent_to_a_child_once_until_many_others_came() -> None:
    with hosting(workers=1) as host:
        for _ in range(3):
            list(say(host, "hello", reference=voice(300)))
        assert number(host, "seen") == 1
        for i in range(REFERENCES):
            list(say(host, "hello", reference=voice(310 + i)))
        (piece,) = say(host, "x" * 100, reference=voice(300))
        assert abs(pitch(piece.clip) - 300) < 10
        assert number(host, "seen") == 1 + REFERENCES + 1


# Going away


def test_cancelling_reaches_the_engine_and_spares_the_child(tmp_path: Path) -> None:
    with hosting(workers=1) as host:
        before = number(host, "pid")
        cancel = threading.Event()
        pieces = say(host, "first", f"until {tmp_path / 'never'}", cancel=cancel)
        next(pieces)
        cancel.set()
        with pytest.raises(Cancelled):
            next(pieces)
        assert number(host, "pid") == before
        assert host.health().restarts == 0


def test_closing_the_generator_reaches_the_engine_too(tmp_path: Path) -> None:
    with hosting(workers=1) as host:
        before = number(host, "pid")
        pieces = say(host, "first", f"until {tmp_path / 'never'}")
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert number(host, "pid") == before
        assert host.health().callers == 0


def test_a_child_deaf_to_cancellation_is_replaced_when_its_caller_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.host.GRACE_S", 1.5)  # wide enough to look into
    hanging, cancel = tmp_path / "hanging", threading.Event()
    with hosting(workers=1) as host, ThreadPoolExecutor(1) as pool:
        before = number(host, "pid")
        caller = pool.submit(next, say(host, f"hang {hanging}", cancel=cancel))
        eventually(hanging.exists)
        cancel.set()
        with pytest.raises(Cancelled):
            caller.result(PATIENCE_S)
        assert psutil.pid_exists(before), "the caller need not wait until the child is given up"
        eventually(lambda: not psutil.pid_exists(before))
        eventually(lambda: host.health().running == 1)  # without anybody asking for it
        assert number(host, "pid") != before
        assert host.health().restarts == 1


def test_a_call_cancelled_before_it_starts_does_nothing(shared: EngineHost) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        next(say(shared, "hello", cancel=cancel))


def test_no_progress_is_a_timeout_and_costs_the_child(tmp_path: Path) -> None:
    with hosting(workers=1) as host:
        before = number(host, "pid")
        with pytest.raises(GenerationTimeout):
            list(say(host, f"hang {tmp_path / 'hanging'}", timeout_s=0.3))
        assert number(host, "pid") != before


def test_waiting_behind_a_child_that_hangs_is_a_timeout(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with hosting(workers=1) as host, ThreadPoolExecutor(1) as pool:
        before = number(host, "pid")
        busy = pool.submit(lambda: list(say(host, f"until {gate}")))
        eventually(lambda: host.health().busy)
        with pytest.raises(GenerationTimeout):
            list(say(host, "hello", timeout_s=0.2))
        gate.touch()
        assert len(busy.result(PATIENCE_S)) == 1
        assert number(host, "pid") == before, "the child was somebody else's"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the host takes for the time: it stands still until the test moves `now`."""
    clock = SimpleNamespace(now=1000.0, seen={})

    def monotonic() -> float:
        clock.seen[threading.current_thread().name] = clock.now
        return clock.now

    for module in ("host", "pool", "calls"):
        monkeypatch.setattr(f"chatterbox_plus.engines.{module}.time", SimpleNamespace(monotonic=monotonic))
    return clock


def test_waiting_in_a_house_that_works_is_no_timeout(clock: SimpleNamespace) -> None:
    """The second conversion waits for the first, however long, as long as anything is done at all."""
    with hosting(workers=2) as host, ThreadPoolExecutor(1, "waiting") as pool:
        first = convert(host, itertools.repeat(sine(300, 0.5)))
        next(first)
        waiting = pool.submit(lambda: list(convert(host, iter([sine(300, 0.5)]), timeout_s=10)))
        eventually(lambda: host.health().callers == 2)
        for _ in range(4):
            clock.now += 9
            list(say(host, "what is done meanwhile"))
            eventually(lambda: waiting.done() or clock.seen["waiting_0"] == clock.now)
        assert host.health().callers == 2
        first.close()  # type: ignore[attr-defined]
        assert sum(len(block) for block in waiting.result(PATIENCE_S)) == RATE // 2


def test_waiting_in_a_house_that_stands_still_is_a_timeout(clock: SimpleNamespace) -> None:
    with hosting(workers=2) as host, ThreadPoolExecutor(1) as pool:
        first = convert(host, itertools.repeat(sine(300, 0.5)))
        next(first)
        waiting = pool.submit(lambda: list(convert(host, iter([sine(300, 0.5)]), timeout_s=10)))
        eventually(lambda: host.health().callers == 2)
        while not waiting.done():
            clock.now += 11
            time.sleep(0.01)
        with pytest.raises(GenerationTimeout):
            waiting.result()


# Dying and failing


def test_a_child_that_dies_fails_only_the_work_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = tmp_path / "gate"
    with hosting(workers=2) as host, ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: list(say(host, f"until {gate}", "two", "three")))
        eventually(lambda: host.health().busy)
        pieces = say(host, "before", "die", "after")
        assert next(pieces).index == 0
        with pytest.raises(GenerationError, match="restarted: try again"):
            next(pieces)
        gate.touch()
        assert [piece.index for piece in other.result(PATIENCE_S)] == [0, 1, 2]
        eventually(lambda: host.health().running == 2)
        assert host.health().restarts == 1
        assert len(list(say(host, "again", "and again"))) == 2
    assert "exit code 9" in caplog.text


def test_a_child_that_died_without_work_is_replaced_unnoticed() -> None:
    with hosting(workers=1) as host:
        before = number(host, "pid")
        psutil.Process(before).kill()
        eventually(lambda: host.health().running == 0)
        assert number(host, "pid") != before


def test_an_error_on_purpose_crosses_the_border_as_itself(shared: EngineHost) -> None:
    with pytest.raises(InvalidAudio, match="nothing to learn from") as caught:
        list(say(shared, "refuse"))
    assert caught.value.param == "reference_audio_filename"


def test_an_accident_is_a_generation_error_without_internals(
    shared: EngineHost, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(GenerationError) as caught:
        list(say(shared, "raise"))
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text
    assert "Traceback" in caplog.text


def test_a_slow_log_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine's failure looked like is written down while the host can be asked."""
    answered = []

    def log(message: str, *arguments: object) -> None:
        asking = threading.Thread(target=host.health, daemon=True)
        asking.start()
        asking.join(PATIENCE_S / 2)
        answered.append(not asking.is_alive())

    with hosting(workers=1) as host:
        monkeypatch.setattr(logging.getLogger("chatterbox_plus.engines"), "error", log)
        with pytest.raises(GenerationError):
            list(say(host, "raise"))
        assert answered == [True]


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("broken", "OSError"),
        ("missing", "the weights are not here"),
        ("stillborn", "stopped"),
        ("not_there", "AttributeError"),
    ],
)
def test_an_engine_that_cannot_start_says_why_and_no_more(factory: str, said: str) -> None:
    with hosting(factory, workers=1) as host:
        for attempt in (lambda: list(say(host, "one", "two")), host.warm_up):
            with pytest.raises(ModelLoadError, match=said) as caught:
                attempt()
            assert "secret" not in str(caught.value)


def test_an_engine_that_takes_too_long_to_start_is_given_up() -> None:
    with hosting("sleeper", workers=1, start_timeout_s=0.5) as host, pytest.raises(ModelLoadError, match="too long"):
        list(say(host, "hello"))


# Converting


@pytest.mark.parametrize("size", [97, 24_000, 10**6])
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100])
def test_converting_in_blocks_equals_converting_the_whole(shared: EngineHost, size: int, rate: int) -> None:
    recording = sine(300, 3.0, rate)
    blocks = (recording[i : i + size] for i in range(0, len(recording), size))
    converted = np.concatenate(list(convert(shared, blocks, rate)))
    np.testing.assert_array_equal(converted, -recording[np.arange(3 * RATE) * rate // RATE])


def test_a_source_may_use_its_buffer_again(shared: EngineHost) -> None:
    def source() -> Iterator[Samples]:
        buffer = np.empty(4800, np.float32)
        for i in range(50):
            buffer[:] = i
            yield buffer

    converted = np.concatenate(list(convert(shared, source())))
    np.testing.assert_array_equal(converted, -np.repeat(np.arange(50, dtype=np.float32), 4800))


def test_an_endless_recording_is_read_only_as_fast_as_it_is_consumed(shared: EngineHost) -> None:
    read = itertools.count()
    stream = convert(shared, (np.full(RATE, next(read), np.float32) for _ in itertools.count()))
    for i in range(10):
        assert -next(stream)[0] == i
    stream.close()  # type: ignore[attr-defined]
    assert next(read) < 10 + 30, "a few blocks wait in the pipe and the queues, not all there is"


def test_what_the_source_raises_comes_out_as_it_is(shared: EngineHost) -> None:
    def source() -> Iterator[Samples]:
        yield sine(300, 0.1)
        raise LookupError("the source's own")

    with pytest.raises(LookupError, match="the source's own"):
        list(convert(shared, source()))
    assert len(list(say(shared, "still", "there"))) == 2


@pytest.mark.parametrize(("fault", "said"), [(-1, "stopped while converting"), (-2, "failed")])
def test_a_conversion_that_goes_wrong_says_so_after_what_was_done(fault: float, said: str) -> None:
    with hosting(workers=1) as host:
        stream = convert(host, iter([sine(300, 0.1)] * 9), chunk_s=fault)
        assert len(next(stream)) == RATE // 10
        with pytest.raises(GenerationError, match=said):
            list(stream)
        assert len(list(say(host, "again"))) == 1


def test_a_cancelled_conversion_spares_the_child() -> None:
    cancel = threading.Event()
    with hosting(workers=1) as host:
        before = number(host, "pid")
        stream = convert(host, itertools.repeat(sine(300, 0.5)), cancel=cancel)
        next(stream)
        cancel.set()
        with pytest.raises(Cancelled):
            list(stream)
        assert number(host, "pid") == before


def test_conversions_never_take_all_children() -> None:
    with hosting(workers=2) as host:
        streams = [convert(host, itertools.repeat(sine(300, 0.5))) for _ in range(2)]
        next(streams[0])
        with pytest.raises(GenerationTimeout):
            list(convert(host, iter([sine(300, 0.5)]), timeout_s=0.2))
        assert len(list(say(host, "speech", "flows"))) == 2
        streams[0].close()  # type: ignore[attr-defined]
        next(streams[1])


# Living and leaving


def test_warm_up_starts_all_children_and_close_leaves_none() -> None:
    before = children()
    with hosting(workers=3) as host:
        assert host.health().running == 0
        host.warm_up()
        assert (host.health().running, host.health().busy) == (3, 0)
        assert len(children() - before) == 3
        host.close()
        assert not children() - before
        with pytest.raises(ModelLoadError):
            list(say(host, "hello"))


def test_an_engine_at_work_lets_the_server_go_first() -> None:
    with hosting() as host:
        before = children()
        host.warm_up()
        ours = children() - before
        assert ours
        assert psutil.Process().nice() not in {psutil.Process(child).nice() for child in ours}


def test_a_child_that_has_grown_is_replaced_after_its_work() -> None:
    with hosting(workers=1, renew_bytes=400 * 2**20) as host:
        first = number(host, "pid")
        (piece,) = say(host, "grow 500")
        assert piece.clip.duration_s > 0
        assert number(host, "pid") == first, "it has only begun: who needs much is not started for every passage"
        list(say(host, *["x"] * RENEW_WORKS))
        assert number(host, "pid") != first
        assert host.health().restarts == 0, "nothing went wrong"


def test_one_caller_needs_one_child() -> None:
    with hosting(workers=3) as host:
        assert len({number(host, "pid") for _ in range(10)}) == 1
        assert host.health().running == 1


def test_close_ends_work_under_way(tmp_path: Path) -> None:
    before = children()
    hanging = tmp_path / "hanging"

    def caller(text: str) -> PlusError:
        with pytest.raises(PlusError) as caught:
            list(say(host, text))
        return caught.value

    with hosting(workers=2) as host, ThreadPoolExecutor(3) as pool:
        errors = [pool.submit(caller, text) for text in (f"hang {hanging}", f"until {tmp_path / 'never'}", "waits")]
        eventually(hanging.exists)
        eventually(lambda: host.health().callers == 3)
        host.close()
        assert all(isinstance(error.result(PATIENCE_S), Cancelled) for error in errors)
        assert not children() - before


def test_children_without_work_end_and_come_back_when_needed() -> None:
    with hosting(workers=1, idle_exit_s=0.1) as host:
        before = number(host, "pid")
        eventually(lambda: host.health().running == 0)
        eventually(lambda: not psutil.pid_exists(before))
        assert number(host, "pid") != before
        assert host.health().restarts == 0


def test_children_leave_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Even one that is busy and deaf."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, threading\n"
        "from chatterbox_plus.engines.base import Passage\n"
        "from chatterbox_plus.engines.host import EngineHost\n"
        "from tests.fakes import TONE\n"
        "host = EngineHost(TONE, 'tests.fakes:MoodyEngine')\n"
        "host.warm_up()\n"
        "next(host.speak([Passage(0, 'hang ' + sys.argv[1], 'en', 0)], None, cancel=threading.Event(), timeout_s=60))\n"
    )
    hanging = tmp_path / "hanging"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(script), str(hanging)], env=environment) as parent:
        eventually(hanging.exists)
        left = psutil.Process(parent.pid).children()
        assert len(left) == 2
        parent.kill()
    eventually(lambda: all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in left))

"""Promises of the host about an engine that works on many things at once, with real child processes."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Fragment, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import Cancelled, GenerationError, GenerationTimeout, InvalidAudio
from tests.engines.test_host import (
    PATIENCE_S,
    clock,  # noqa: F401  a fixture
    convert,
    eventually,
    hosting,
    number,
    passages,
    say,
    voice,
)
from tests.fakes import CHARACTER_S, RATE, STEP, TONE, pitch, sine, words


@contextmanager
def crowd(rows: int = 8, workers: int = 1, started: bool = True, **options: float) -> Iterator[EngineHost]:
    """A host whose children are there, unless they are not to be."""
    describe, factory = replace(TONE, crowd=True), "tests.fakes:ToneCrowd"
    host = EngineHost(describe, factory, arguments={"rows": rows}, workers=workers, **options)  # type: ignore[arg-type]
    try:
        if started:
            host.warm_up()
        yield host
    finally:
        host.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[EngineHost]:
    """For tests that harm nothing."""
    with crowd() as host:
        yield host


def say_live(
    host: EngineHost,
    *texts: str,
    reference: Reference | None = None,
    cancel: threading.Event | None = None,
    timeout_s: float = PATIENCE_S,
    **options: int,
) -> Iterator[Fragment]:
    return host.speak_live(
        passages(*texts), reference, cancel=cancel or threading.Event(), timeout_s=timeout_s, **options
    )


def tone(text: str, reference: Reference | None = None) -> Samples:
    """What the engine makes of it."""
    return sine(440.0 if reference is None else pitch(reference.clip), len(text) * CHARACTER_S)


def whole(parts: list[Fragment] | list[Piece]) -> Samples:
    return np.concatenate([part.clip.samples for part in parts])


class Callers:
    """Threads that each say something."""

    def __init__(self, host: EngineHost, pool: ThreadPoolExecutor) -> None:
        self._host, self._pool = host, pool

    def say(self, *texts: str, **options: object) -> Future[list[Piece]]:
        return self._pool.submit(lambda: list(say(self._host, *texts, **options)))  # type: ignore[arg-type]

    def batch(self, *texts: str) -> Future[list[Piece]]:
        asked = passages(*texts)
        return self._pool.submit(
            lambda: list(self._host.speak(asked, None, cancel=threading.Event(), timeout_s=PATIENCE_S, lane=1))
        )


@contextmanager
def calling(host: EngineHost) -> Iterator[Callers]:
    with ThreadPoolExecutor(16) as pool:
        try:
            yield Callers(host, pool)
        except BaseException:
            host.close()  # a test that fails lets nobody wait for ever
            raise


# Together


def test_passages_of_several_callers_are_in_the_child_at_once(shared: EngineHost) -> None:
    """None of them ends before all four are in."""
    with calling(shared) as callers:
        waiting = [callers.say("meet 4") for _ in range(4)]
        assert [len(pieces.result(PATIENCE_S)) for pieces in waiting] == [1] * 4


def test_passages_of_one_caller_fill_the_rows_and_come_in_order(shared: EngineHost) -> None:
    texts = ["meet 8"] * 8 + ["one more", "", "the end"]
    pieces = list(say(shared, *texts))
    assert [piece.index for piece in pieces] == list(range(len(texts)))
    for piece, text in zip(pieces, texts, strict=True):
        np.testing.assert_array_equal(piece.clip.samples, tone(text))
        assert piece.words == words(text)


def test_any_coming_and_going_mixes_no_voices_and_leaves_no_row_occupied() -> None:
    """200 callers, twelve at a time, who leave when they like or hear all they asked for, to the sample."""

    def caller(seed: int) -> None:
        chance = random.Random(seed)
        reference = voice(100 + 10 * seed) if chance.random() < 0.8 else None
        texts = ["x" * chance.randint(1, 60) for _ in range(chance.randint(1, 5))]
        cancel, lane = threading.Event(), chance.choice([0, 0, 1])
        speak: Callable[..., Iterator[Piece | Fragment]] = chance.choice([host.speak, host.speak_live])
        parts = speak(passages(*texts), reference, cancel=cancel, timeout_s=PATIENCE_S, lane=lane)
        expected = np.concatenate([tone(text, reference) for text in texts])
        leaves_after = chance.choice([None, 0, 1, 2])
        heard = list(itertools.islice(parts, leaves_after))
        got = whole(heard) if heard else np.zeros(0, np.float32)
        np.testing.assert_array_equal(got, expected[: len(got)])
        if leaves_after is None:
            assert len(got) == len(expected)
        elif chance.random() < 0.5:
            parts.close()  # type: ignore[attr-defined]
        else:
            cancel.set()
            with pytest.raises((Cancelled, StopIteration)):
                next(parts)

    with crowd(rows=5) as host:
        with ThreadPoolExecutor(12) as pool:
            for done in [pool.submit(caller, seed) for seed in range(200)]:
                done.result(PATIENCE_S)
        eventually(lambda: host.health().works == 0)
        assert number(host, "count") == 1
        assert host.health().restarts == 0
        assert host.idle


def test_two_children_share_what_there_is() -> None:
    with crowd(rows=4, workers=2) as host, calling(host) as callers:
        waiting = [callers.say("meet 3") for _ in range(6)]
        assert [len(pieces.result(PATIENCE_S)) for pieces in waiting] == [1] * 6
        assert host.health().rows == 8


def test_a_second_child_is_started_when_the_first_is_full(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd(workers=2, started=False) as host, calling(host) as callers:
        waiting = callers.say(*[f"until {gate}"] * 8)
        eventually(lambda: host.health().works == 8)
        assert host.health().running == 1
        another = callers.say("meet 1")
        assert len(another.result(PATIENCE_S)) == 1
        assert host.health().running == 2
        gate.touch()
        assert len(waiting.result(PATIENCE_S)) == 8


def test_the_batch_lane_leaves_rows_for_who_waits(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd(rows=4) as host, calling(host) as callers:
        batches = [callers.batch(*[f"until {gate}"] * 6) for _ in range(2)]
        eventually(lambda: host.health().works == 3)
        assert number(host, "count") == 4
        gate.touch()
        assert [len(pieces.result(PATIENCE_S)) for pieces in batches] == [6, 6]


def test_a_batch_has_a_row_where_there_is_only_one() -> None:
    with crowd(rows=1) as host, calling(host) as callers:
        assert len(callers.batch("one", "two").result(PATIENCE_S)) == 2


def test_health_counts_works_and_rows(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd(rows=3) as host, calling(host) as callers:
        waiting = callers.say(*[f"until {gate}"] * 2)
        eventually(lambda: host.health().works == 2)
        health = host.health()
        assert (health.rows, health.busy, health.callers, health.running) == (3, 1, 1, 1)
        assert not host.idle
        gate.touch()
        waiting.result(PATIENCE_S)
        assert host.idle


# Live


def test_fragments_arrive_before_the_passage_is_done_and_in_order(shared: EngineHost, tmp_path: Path) -> None:
    gate, reference = tmp_path / "gate", voice(300)
    texts = [f"pause {gate}", "", "the second of them"]
    fragments = say_live(shared, *texts, reference=reference)
    first = next(fragments)
    assert not first.last
    assert not first.words
    gate.touch()
    heard = [first, *fragments]
    for index, text in enumerate(texts):
        parts = [fragment for fragment in heard if fragment.index == index]
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        assert parts[-1].words == words(text)
        np.testing.assert_array_equal(whole(parts), tone(text, reference))
    assert [fragment.index for fragment in heard] == sorted(fragment.index for fragment in heard)


def test_a_plain_engines_passages_are_one_fragment_each() -> None:
    with hosting("ToneEngine") as host:
        fragments = list(say_live(host, "one", "and two"))
        assert [(f.index, f.last, f.words) for f in fragments] == [(0, True, words("one")), (1, True, words("and two"))]
        np.testing.assert_array_equal(whole(fragments), np.concatenate([tone("one"), tone("and two")]))


def test_a_live_call_is_only_a_little_ahead_and_says_how_far(tmp_path: Path) -> None:
    """Of six passages two are in work: the one that is heard and the next."""
    marks = [tmp_path / str(i) for i in range(4)]
    with crowd() as host:
        fragments = say_live(host, "rank", "rank", *(f"touch {mark}" for mark in marks))
        ranks = [next(fragments).clip.samples[0]]
        eventually(marks[0].exists)
        list(say(host, "somebody else, whose turn comes after all that may be done"))
        assert not marks[1].exists()
        ranks.append(next(fragments).clip.samples[0])
        assert ranks == [0, 1]
        assert {fragment.index for fragment in fragments} == {2, 3, 4, 5}


def test_an_error_comes_after_what_was_made_before_it(shared: EngineHost) -> None:
    said = tone("some words")
    fragments = say_live(shared, "some words", "refuse", "not said")
    heard = list(itertools.islice(fragments, -(-len(said) // STEP)))
    np.testing.assert_array_equal(whole(heard), said)
    with pytest.raises(InvalidAudio, match="nothing to learn from"):
        next(fragments)


# Going away


@pytest.mark.parametrize("leave", ["cancel", "close"])
def test_a_cancelled_row_is_free_and_others_hear_no_difference(tmp_path: Path, leave: str) -> None:
    gate, cancel = tmp_path / "gate", threading.Event()
    with crowd(rows=2) as host, calling(host) as callers:
        other = callers.say(f"until {gate}", reference=voice(250))
        eventually(lambda: host.health().works == 1)
        leaving = say_live(host, f"pause {tmp_path / 'never'}", cancel=cancel)
        next(leaving)
        if leave == "close":
            leaving.close()  # type: ignore[attr-defined]
        else:
            cancel.set()
            with pytest.raises(Cancelled):
                list(leaving)
        assert number(host, "count") == 2, "the other's, and the one that asks: there was room for it"
        gate.touch()
        np.testing.assert_array_equal(whole(other.result(PATIENCE_S)), tone(f"until {gate}", voice(250)))
        assert host.health().restarts == 0


def test_a_cancellation_never_kills_a_child_that_others_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is deaf for longer than a plain engine may be."""
    monkeypatch.setattr("chatterbox_plus.engines.host.GRACE_S", 0.0)
    stall, cancel = tmp_path / "stall", threading.Event()
    with crowd() as host, calling(host) as callers:
        before = number(host, "pid")
        leaving = callers.say(f"stall {stall}", cancel=cancel)
        eventually(Path(f"{stall}.on").exists)
        other = callers.say("pid")
        eventually(lambda: host.health().works == 2)
        cancel.set()
        with pytest.raises(Cancelled):
            leaving.result(PATIENCE_S)
        assert host.health().works == 2, "its row is not free before the child says so"
        stall.touch()
        assert other.result(PATIENCE_S)[0].clip.samples[0] == before


def test_close_ends_work_under_way(tmp_path: Path) -> None:
    with crowd() as host, calling(host) as callers:
        waiting = [callers.say(f"until {tmp_path / 'never'}"), callers.say(f"hang {tmp_path / 'hanging'}")]
        eventually((tmp_path / "hanging").exists)
        host.close()
        for caller in waiting:
            with pytest.raises(Cancelled):
                caller.result(PATIENCE_S)
        assert host.health().works == 0


# Hanging


def test_a_hang_costs_only_who_timed_out(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd() as host, calling(host) as callers:
        before = number(host, "pid")
        other = callers.say(f"until {gate}")
        eventually(lambda: host.health().works == 1)
        with pytest.raises(GenerationTimeout):
            list(say(host, f"hang {tmp_path / 'hanging'}", timeout_s=0.3))
        gate.touch()
        np.testing.assert_array_equal(whole(other.result(PATIENCE_S)), tone(f"until {gate}"))
        assert number(host, "pid") != before
        assert host.health().restarts == 1


def test_of_two_who_wait_equally_long_for_a_child_that_hangs_one_is_served(
    tmp_path: Path,
    clock: SimpleNamespace,  # noqa: F811
) -> None:
    """The time of the second begins anew with the new child."""
    hanging = tmp_path / "hanging"
    with crowd() as host, calling(host) as callers:
        waiting = [callers.say(f"hang {hanging}", timeout_s=10) for _ in range(2)]
        eventually(lambda: hanging.exists() and host.health().works == 2)
        clock.now += 11
        errors = [caller.exception(PATIENCE_S) for caller in waiting]
        assert sorted(map(type, errors), key=str) == sorted([GenerationTimeout, type(None)], key=str)


def test_a_crowd_that_steps_is_alive_however_slow(tmp_path: Path, clock: SimpleNamespace) -> None:  # noqa: F811
    gate = tmp_path / "gate"
    with ThreadPoolExecutor(1, "waiting") as pool, crowd() as host:
        slow = pool.submit(lambda: list(say(host, f"until {gate}", timeout_s=10)))
        eventually(lambda: host.health().works == 1)
        for _ in range(4):
            clock.now += 9
            eventually(lambda: host.used_at == clock.seen["waiting_0"] == clock.now)
        assert not slow.done()
        gate.touch()
        assert len(slow.result(PATIENCE_S)) == 1


# Dying and failing


def test_a_death_costs_nobody_anything_but_once_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    with crowd() as host, calling(host) as callers:
        others = [callers.say(f"until {gate}", "after it", reference=voice(200 + 50 * i)) for i in range(3)]
        eventually(lambda: host.health().callers == 3 and host.health().works >= 3)
        stumbling = callers.say(f"stumble {mark}", reference=voice(400))
        eventually(mark.exists)
        gate.touch()
        for i, other in enumerate(others):
            pieces = other.result(PATIENCE_S)
            np.testing.assert_array_equal(pieces[0].clip.samples, tone(f"until {gate}", voice(200 + 50 * i)))
            np.testing.assert_array_equal(pieces[1].clip.samples, tone("after it", voice(200 + 50 * i)))
        np.testing.assert_array_equal(whole(stumbling.result(PATIENCE_S)), tone(f"stumble {mark}", voice(400)))
        assert host.health().restarts == 1
    assert "exit code 9" in caplog.text


def test_a_passage_that_always_kills_takes_no_other_along(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd() as host, calling(host) as callers:
        others = [callers.say(f"until {gate}") for _ in range(4)]
        eventually(lambda: host.health().works == 4)
        killer = callers.say("die")
        eventually(lambda: host.health().restarts == 1)
        gate.touch()
        with pytest.raises(GenerationError, match="restarted: try again"):
            killer.result(PATIENCE_S)
        for other in others:
            np.testing.assert_array_equal(whole(other.result(PATIENCE_S)), tone(f"until {gate}"))
        assert host.health().restarts == 2


def test_what_has_been_heard_in_part_is_not_said_again(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd() as host, calling(host) as callers:
        live = say_live(host, f"pause {gate}")
        next(live)
        callers.say(f"stumble {tmp_path / 'mark'}")
        eventually(lambda: host.health().restarts == 1)
        gate.touch()
        with pytest.raises(GenerationError, match="restarted: try again"):
            list(live)


def test_work_that_was_called_off_is_not_done_again(tmp_path: Path) -> None:
    stall, cancel = tmp_path / "stall", threading.Event()
    with crowd() as host, calling(host) as callers:
        child = number(host, "pid")
        leaving = callers.say(f"stall {stall}", cancel=cancel)
        eventually(Path(f"{stall}.on").exists)
        cancel.set()
        with pytest.raises(Cancelled):
            leaving.result(PATIENCE_S)
        Path(f"{stall}.on").unlink()
        psutil.Process(child).kill()
        eventually(lambda: host.health().restarts == 1)
        assert number(host, "count") == 1
        assert not Path(f"{stall}.on").exists()


def test_an_accident_in_a_step_fails_all_that_is_in_and_costs_the_child(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with crowd() as host, calling(host) as callers:
        before = number(host, "pid")
        other = callers.say(f"until {tmp_path / 'never'}")
        eventually(lambda: host.health().works == 1)
        for failing in (callers.say("raise"), other):
            with pytest.raises(GenerationError) as caught:
                failing.result(PATIENCE_S)
            assert "secret" not in str(caught.value)
        assert caplog.text.count("ValueError: /a/secret/path") == 1
        eventually(lambda: host.health().running == 1 and host.health().restarts == 1)
        assert number(host, "pid") != before


def test_an_error_on_purpose_is_its_callers_alone(shared: EngineHost, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with calling(shared) as callers:
        other = callers.say(f"until {gate}")
        with pytest.raises(InvalidAudio, match="nothing to learn from"):
            list(say(shared, "refuse"))
        gate.touch()
        assert len(other.result(PATIENCE_S)) == 1


# Converting


@pytest.mark.parametrize("size", [97, 24_000, 10**6])
def test_converting_in_blocks_equals_converting_the_whole(shared: EngineHost, size: int) -> None:
    recording = sine(300, 3.0, 16_000)
    blocks = (recording[i : i + size] for i in range(0, len(recording), size))
    converted = np.concatenate(list(convert(shared, blocks, 16_000)))
    np.testing.assert_array_equal(converted, -recording[np.arange(3 * RATE) * 16_000 // RATE])


def test_conversions_and_speech_run_at_once_and_a_slow_consumer_stops_nobody(shared: EngineHost) -> None:
    streams = [convert(shared, itertools.repeat(sine(300, 0.5))) for _ in range(3)]
    for stream in streams:
        next(stream)
    for _ in range(20):
        assert len(list(say(shared, "speech", "flows"))) == 2
    for stream in streams:
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    eventually(lambda: shared.health().works == 0)


def test_an_endless_recording_is_read_only_as_fast_as_it_is_consumed(shared: EngineHost) -> None:
    read = itertools.count()
    stream = convert(shared, (np.full(RATE, next(read), np.float32) for _ in itertools.count()))
    for i in range(10):
        assert -next(stream)[0] == i
    assert next(read) < 10 + 10
    stream.close()  # type: ignore[attr-defined]


def test_input_that_comes_late_wakes_an_idle_crowd(shared: EngineHost) -> None:
    """Nothing else is in it, and what was there has long been converted when more comes."""

    def source() -> Iterator[Samples]:
        for _ in range(4):
            yield sine(300, 0.1)
            time.sleep(0.1)

    assert sum(len(block) for block in convert(shared, source())) == 4 * RATE // 10


def test_a_cancelled_conversion_frees_its_row() -> None:
    cancel = threading.Event()
    with crowd(rows=1) as host:
        stream = convert(host, itertools.repeat(sine(300, 0.5)), cancel=cancel)
        next(stream)
        cancel.set()
        with pytest.raises(Cancelled):
            list(stream)
        assert number(host, "count") == 1
        assert host.health().restarts == 0


def test_a_conversion_that_waits_for_its_input_can_be_cancelled(shared: EngineHost) -> None:
    """The crowd has nothing to do then, and must hear of it all the same."""
    cancel, read = threading.Event(), threading.Event()

    def source() -> Iterator[Samples]:
        yield sine(300, 0.1)
        while True:
            read.set()
            time.sleep(0.01)
            yield sine(300, 0.01)

    with ThreadPoolExecutor(1) as pool:
        converting = pool.submit(lambda: list(convert(shared, source(), chunk_s=-3, cancel=cancel)))
        read.wait(PATIENCE_S)
        cancel.set()
        with pytest.raises(Cancelled):
            converting.result(PATIENCE_S)
    eventually(lambda: shared.health().works == 0)


def test_a_conversion_of_which_nothing_came_begins_again_when_its_child_dies(tmp_path: Path) -> None:
    dead = threading.Event()

    def source() -> Iterator[Samples]:
        yield sine(300, 0.5)
        yield sine(200, 0.5)
        dead.wait(PATIENCE_S)
        yield sine(500, 0.5)

    with ThreadPoolExecutor(1) as pool, crowd() as host, calling(host) as callers:
        converted = pool.submit(lambda: np.concatenate(list(convert(host, source(), chunk_s=-3))))
        eventually(lambda: host.health().works == 1)
        stumbling = callers.say(f"stumble {tmp_path / 'mark'}")
        eventually(lambda: host.health().restarts == 1)
        dead.set()
        recording = np.concatenate([sine(frequency, 0.5) for frequency in (300, 200, 500)])
        np.testing.assert_array_equal(converted.result(PATIENCE_S), -recording)
        assert len(stumbling.result(PATIENCE_S)) == 1


def test_a_conversion_of_which_something_came_fails_when_its_child_dies(tmp_path: Path) -> None:
    with crowd() as host:
        stream = convert(host, itertools.repeat(sine(300, 0.5)))
        next(stream)
        list(say(host, f"stumble {tmp_path / 'mark'}"))
        with pytest.raises(GenerationError, match="stopped while converting"):
            list(stream)


# Living and leaving


def test_a_crowd_that_has_grown_is_replaced_once_all_its_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.slots.RENEW_WORKS", 3)
    gate = tmp_path / "gate"
    with crowd(renew_bytes=400 * 2**20) as host, calling(host) as callers:
        first = number(host, "pid")
        other = callers.say(f"until {gate}")
        eventually(lambda: host.health().works == 1)
        list(say(host, "grow 500"))
        late = callers.say("pid")
        gate.touch()
        assert len(other.result(PATIENCE_S)) == 1
        assert late.result(PATIENCE_S)[0].clip.samples[0] != first
        assert host.health().restarts == 0, "nothing went wrong"


def test_a_crowd_without_work_is_unloaded_and_comes_back(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd() as host, calling(host) as callers:
        before = number(host, "pid")
        waiting = callers.say(f"until {gate}")
        eventually(lambda: host.health().works == 1)
        assert not host.unload()
        gate.touch()
        waiting.result(PATIENCE_S)
        assert host.unload()
        assert not host.occupied
        host.prepare(frozenset({"tts"}), cancel=threading.Event(), timeout_s=PATIENCE_S)
        assert number(host, "pid") != before


def test_a_crowd_without_work_ends_after_a_while_but_not_one_at_work(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with crowd(idle_exit_s=0.1) as host, calling(host) as callers:
        waiting = callers.say("pid", f"until {gate}", "pid")
        gate.touch()
        first, _, last = waiting.result(PATIENCE_S)
        assert first.clip.samples[0] == last.clip.samples[0]
        eventually(lambda: host.health().running == 0)

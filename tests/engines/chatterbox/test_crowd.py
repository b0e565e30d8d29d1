"""Many at once: what one gets does not depend on who else is there."""

import random
import threading
from collections.abc import Iterator
from itertools import repeat

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Conversion, Fragment, Passage, Piece, Reference, Speech
from chatterbox_plus.engines.chatterbox.live import LOOK_AHEAD, Schedule
from chatterbox_plus.engines.chatterbox.work import Group
from chatterbox_plus.errors import GenerationError
from tests.engines.chatterbox.forced import ForcedEngine, forced_length
from tests.engines.chatterbox.making import RATE, engine_of, outcomes, passage, reference, voice, whole

TEXTS = (
    "Hello there, old friend.",
    "The harbour lay quiet under a pale morning sky, and nobody spoke much.",
    "No.",
    "One more of them, and then another one after it, for good measure.",
)
LONG = "It went on for a while, as such things do when nobody is there to end them. " * 3


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ForcedEngine]:
    return {name: engine_of(tmp_path_factory.mktemp(name), name) for name in ("english", "nano")}


@pytest.fixture(params=["english", "nano"])
def engine(request: pytest.FixtureRequest, engines: dict[str, ForcedEngine]) -> Iterator[ForcedEngine]:
    yield engines[request.param]
    assert engines[request.param].idle


@pytest.fixture
def nano(engines: dict[str, ForcedEngine], monkeypatch: pytest.MonkeyPatch) -> ForcedEngine:
    """Whose live passages come in small parts."""
    monkeypatch.setattr(engines["nano"], "schedule", Schedule(first=6, hop=5, growth=1.5, longest=12))
    return engines["nano"]


def speech(number: int, *, live: bool = False, text: str | None = None) -> Speech:
    """Another text, voice, seed and options for each number."""
    chosen = passage(text or TEXTS[number % 4], seed=number, temperature=0.6 + 0.1 * (number % 5))
    voices: list[Reference | None] = [None, reference(100), reference(200)]
    return Speech(chosen, voices[number % 3], live=live, rank=number % 2)


def sound(told: list[object]) -> Samples:
    assert all(isinstance(outcome, Piece | Fragment) for outcome in told)
    return whole(outcome.clip.samples for outcome in told)  # type: ignore[attr-defined]


@pytest.mark.parametrize("live", [False, True])
def test_a_passage_sounds_the_same_alone_and_in_a_crowd(engine: ForcedEngine, live: bool) -> None:
    speeches = {number: speech(number, live=live) for number in range(6)}
    together = outcomes(engine, speeches)
    for number, one in speeches.items():
        np.testing.assert_array_equal(sound(together[number]), sound(outcomes(engine, {0: one})[0]))


def test_random_arrivals_and_departures_never_mix_voices(nano: ForcedEngine) -> None:
    kinds = [speech(number, live=number % 4 == 3) for number in range(12)]
    alone = [sound(outcomes(nano, {0: kind})[0]) for kind in kinds]
    chance, heard, inside, dropped = random.Random(1), dict[int, list[object]](), set[int](), 0
    for ticket in range(200):
        while len(inside) == nano.rows or (inside and chance.random() < 0.8):
            if chance.random() < 0.01:
                nano.drop(inside.pop())
                dropped += 1
                continue
            for told, outcome in nano.step():
                assert told in inside  # nothing comes of what was dropped
                heard[told].append(outcome)
                if not isinstance(outcome, Fragment) or outcome.last:
                    inside.remove(told)
                    np.testing.assert_array_equal(sound(heard.pop(told)), alone[told % 12])
        heard[ticket] = []
        inside.add(ticket)
        nano.speak(ticket, kinds[ticket % 12])
    for ticket in inside:
        nano.drop(ticket)
    assert nano.idle
    assert not nano._works
    assert dropped > 5


def test_a_live_passage_comes_in_parts_before_it_is_all_said(nano: ForcedEngine) -> None:
    nano.speak(0, Speech(passage(LONG), None, live=True))
    parts: list[Fragment] = []
    said: list[int] = []
    while not nano.idle:
        for _, part in nano.step():
            assert isinstance(part, Fragment)
            saying = nano._works.get(0)
            said.append(forced_length(LONG) if saying is None else len(saying.tokens))  # type: ignore[attr-defined]
            parts.append(part)
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) > 2
    assert said[0] < forced_length(LONG)
    assert parts[-1].words
    assert parts[-1].words[-1].end_s <= sum(part.clip.duration_s for part in parts)


def test_parts_have_no_seams_and_nothing_is_missing(nano: ForcedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a decoder whose mel does not change as more is known, the parts are the whole, to the sample."""

    def frozen(self: Group) -> None:
        for work in list(self._works):
            assert work is not None
            assert work.asked is not None
            tokens, prompt, _ = work.asked.spoken
            frames = 2 * len(tokens)
            mel = np.random.default_rng(0).normal(size=(80, 4000)).astype(np.float32)[:, :frames]
            work.answer(nano.model.flow.encoder_proj.weight.new_tensor(mel))

    monkeypatch.setattr(Group, "step", frozen)
    in_parts = sound(outcomes(nano, {0: Speech(passage(LONG), None, live=True)})[0])
    monkeypatch.setattr(nano, "schedule", Schedule(first=1000, hop=1000))
    at_once = sound(outcomes(nano, {0: Speech(passage(LONG), None, live=True)})[0])
    np.testing.assert_array_equal(in_parts, at_once)


def test_parts_are_cut_by_tokens_alone() -> None:
    schedule = Schedule(first=6, hop=5, growth=2, longest=12)
    due = [0]
    for _ in range(5):
        due.append(schedule.after(due[-1]))
    assert due == [0, 6, 11, 21, 33, 45]
    assert schedule.after(8) == 11


def test_a_live_passage_that_runs_away_before_it_was_heard_is_said_again(
    nano: ForcedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano, "schedule", Schedule(first=60, hop=10))
    assert sound(outcomes(nano, {0: Speech(passage("The first loop here."), None, live=True)})[0]).any()
    assert nano.attempts == 2


def test_a_live_passage_that_runs_away_while_it_is_heard_is_an_error(nano: ForcedEngine) -> None:
    heard: list[object] = []
    nano.speak(0, Speech(passage("An endless one."), None, live=True))
    while not nano.idle:
        heard += [outcome for _, outcome in nano.step()]
    assert isinstance(heard[0], Fragment)
    assert isinstance(heard[-1], GenerationError)


def test_the_batch_lane_waits_while_somebody_listens(nano: ForcedEngine) -> None:
    nano.speak(0, Speech(passage(LONG), None, lane=1))
    for _ in range(5):
        assert not nano.step()
    nano.speak(1, Speech(passage(LONG), None))
    ended = []
    before = len(nano._works[0].tokens)  # type: ignore[attr-defined]
    while 1 not in ended:
        assert len(nano._works[0].tokens) == before  # type: ignore[attr-defined]
        ended += [ticket for ticket, _ in nano.step()]
    while not nano.idle:
        ended += [ticket for ticket, _ in nano.step()]
    assert ended == [1, 0]


def test_whoever_waits_for_a_first_sound_goes_before_those_who_listen_already(nano: ForcedEngine) -> None:
    for ticket in range(4):
        nano.speak(ticket, Speech(passage(LONG), None, rank=1))
    for _ in range(10):
        nano.step()
    nano.speak(9, Speech(passage(LONG, seed=3), None, live=True))
    before = [len(nano._works[ticket].tokens) for ticket in range(4)]  # type: ignore[attr-defined]
    while not (told := nano.step()):
        pass
    assert told[0][0] == 9
    assert [len(nano._works[ticket].tokens) for ticket in range(4)] == before  # type: ignore[attr-defined]
    for ticket in (*range(4), 9):
        nano.drop(ticket)


def test_speech_goes_on_while_a_recording_is_converted(nano: ForcedEngine) -> None:
    awake = threading.Event()
    nano.wake = awake.set
    nano.convert(0, Conversion(repeat(voice(90, 1.0)), RATE, reference(), 2.0, 0.1))
    while not nano.step():  # endless, and under way
        awake.wait(0.01)
    expected = speech(1)
    nano.speak(1, expected)
    heard: list[object] = []
    converted = 0
    while not heard:
        for ticket, outcome in nano.step():
            converted += ticket == 0
            heard += [outcome] * (ticket == 1)
    nano.drop(0)
    np.testing.assert_array_equal(sound(heard), sound(outcomes(nano, {0: expected})[0]))
    assert not nano._works


def test_mels_made_together_are_those_made_alone(engine: ForcedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, where several are decoded in one go; one of them leaves before it is done."""
    speeches = {number: speech(number) for number in range(4)}
    alone = {number: sound(outcomes(engine, {0: one})[0]) for number, one in speeches.items()}
    monkeypatch.setattr(engine, "_together", 4)
    sizes: list[int] = []
    begin = Group.__init__

    def noted(self: Group, model: object, works: list[object]) -> None:
        sizes.append(len(works))
        begin(self, model, works)  # type: ignore[arg-type]

    monkeypatch.setattr(Group, "__init__", noted)
    together = outcomes(engine, speeches)
    for number in speeches:
        one, other = alone[number], sound(together[number])
        assert len(one) == len(other)
        assert np.abs(one - other).max() < 0.05  # the source's phase turns the last bit of a pitch into more
    assert len(sizes) <= 4


def test_what_is_dropped_in_a_group_leaves_the_others(nano: ForcedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nano, "_together", 4)
    same = Passage(0, TEXTS[0], "en", 1, options={"steps": 4})
    for ticket in range(3):
        nano.speak(ticket, Speech(same, None))
    told: list[int] = []
    while not any(work.group is not None for work in nano._works.values()):
        told += [ticket for ticket, _ in nano.step()]
    nano.drop(1)
    while not nano.idle:
        told += [ticket for ticket, _ in nano.step()]
    assert sorted(told) == [0, 2]


def test_look_ahead_is_what_the_encoder_sees() -> None:
    from chatterbox_plus.engines.chatterbox.conformer import FlowEncoder

    assert FlowEncoder().pre_lookahead_layer.conv1.kernel_size[0] - 1 == LOOK_AHEAD

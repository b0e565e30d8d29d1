"""The mark is made in another thread: the engine goes on with others, and what comes of it is the same."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Fragment, Outcome, Passage, Piece, Speech
from chatterbox_plus.engines.chatterbox.live import Schedule
from chatterbox_plus.engines.chatterbox.pooled import PooledDecoder
from chatterbox_plus.errors import MissingExtra
from tests.engines.chatterbox.forced import ForcedEngine
from tests.engines.chatterbox.making import PATIENCE_S, engine_of, outcomes, passage, whole

TEXT = "Hello there, old friend."
LONG = "It went on for a while, as such things do when nobody is there to end them. " * 3


class Marker:
    """Turns sound around; waits until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.threads = list[str]()
        self.error: Exception | None = None

    def mark(self, samples: Samples, rate: int) -> Samples:
        assert self.may.wait(PATIENCE_S)
        self.threads.append(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        return -samples


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ForcedEngine]:
    return {name: engine_of(tmp_path_factory.mktemp(name), name) for name in ("english", "nano")}


@pytest.fixture
def marker(nano: ForcedEngine, monkeypatch: pytest.MonkeyPatch) -> Marker:
    made = Marker()
    monkeypatch.setattr(nano, "watermarker", made)
    return made


@pytest.fixture
def nano(engines: dict[str, ForcedEngine], monkeypatch: pytest.MonkeyPatch) -> Iterator[ForcedEngine]:
    engine = engines["nano"]
    monkeypatch.setattr(engine, "schedule", Schedule(first=6, hop=5, growth=1.5, longest=12))
    yield engine
    assert engine.idle
    assert not engine._works


def marked(text: str, *, live: bool = False) -> Speech:
    return Speech(replace(passage(text), watermark=True), None, live=live)


def sound(told: list[Outcome]) -> Samples:
    assert all(isinstance(outcome, Piece | Fragment) for outcome in told)
    return whole(outcome.clip.samples for outcome in told)  # type: ignore[union-attr]


def test_a_passage_waits_for_its_mark_while_others_are_said(nano: ForcedEngine, marker: Marker) -> None:
    plain = sound(outcomes(nano, {0: Speech(passage(TEXT), None)})[0])
    marker.may.clear()
    awake = threading.Event()
    nano.wake = awake.set
    nano.speak(0, marked(TEXT))
    while not nano.idle:
        assert not nano.step()
    nano.speak(1, Speech(passage(TEXT), None))
    told: list[tuple[int, Outcome]] = []
    while not nano.idle:
        told += nano.step()
    assert [ticket for ticket, _ in told] == [1]
    np.testing.assert_array_equal(sound([told[0][1]]), plain)
    awake.clear()
    marker.may.set()
    assert awake.wait(PATIENCE_S)
    assert not nano.idle
    ((ticket, outcome),) = nano.step()
    assert ticket == 0
    np.testing.assert_array_equal(sound([outcome]), -plain)
    assert marker.threads != [threading.current_thread().name]


def test_live_parts_are_marked_in_order_and_tokens_go_on_meanwhile(nano: ForcedEngine, marker: Marker) -> None:
    marker.may.clear()
    nano.speak(0, marked(LONG, live=True))
    while not nano.idle:
        assert not nano.step()
    utterance = nano._works[0].utterance  # type: ignore[attr-defined]
    assert utterance.over  # all of it has been said, and none of it heard
    marker.may.set()
    nano.drop(0)
    slow = outcomes(nano, {0: marked(LONG, live=True)})[0]
    assert len(slow) > 2
    assert [outcome.last for outcome in slow if isinstance(outcome, Fragment)] == [False] * (len(slow) - 1) + [True]
    assert len(set(marker.threads)) == 1


def test_what_is_dropped_while_it_is_marked_comes_to_nothing(nano: ForcedEngine, marker: Marker) -> None:
    marker.may.clear()
    nano.speak(0, marked(TEXT))
    while not nano.idle:
        nano.step()
    nano.drop(0)
    marker.may.set()
    assert sound(outcomes(nano, {1: marked(TEXT)})[1]).any()
    assert not nano.step()


def test_a_mark_that_goes_wrong_ends_its_passage(nano: ForcedEngine, marker: Marker) -> None:
    marker.error = MissingExtra("no package")
    with pytest.raises(MissingExtra):
        outcomes(nano, {0: marked(TEXT)})


# With the decoder for GPUs


@pytest.mark.parametrize("name", ["english", "nano"])
def test_a_passage_from_the_pool_sounds_the_same_alone_and_in_a_crowd(
    engines: dict[str, ForcedEngine], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines[name]
    with torch.inference_mode():
        decoder = PooledDecoder(engine.model.t3, late=3)
    monkeypatch.setitem(engine.model.__dict__, "decoder", decoder)
    texts = (TEXT, LONG, "No.", "The first loop here.")
    speeches = {n: Speech(passage(text, seed=n), None, live=n == 1) for n, text in enumerate(texts)}
    together = outcomes(engine, speeches)
    for number, one in speeches.items():
        np.testing.assert_array_equal(sound(together[number]), sound(outcomes(engine, {0: one})[0]))
    engine.speak(9, Speech(Passage(0, "endless " * 20, "en", 1), None))
    for _ in range(9):
        engine.step()
    assert decoder.rows == 1
    engine.drop(9)
    assert sound(outcomes(engine, {0: speeches[0]})[0]).any()
    assert decoder.rows == 0

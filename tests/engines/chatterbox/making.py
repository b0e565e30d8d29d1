"""What tests of the whole engine are made of: tiny models on a shelf, references, passages."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines import neural
from chatterbox_plus.engines.base import Conversion, Finished, Fragment, Outcome, Passage, Piece, Reference, Speech
from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import Cancelled, PlusError
from chatterbox_plus.models.shelf import Installed, Shelf
from tests.engines.chatterbox import checkpoints
from tests.engines.chatterbox.forced import FACTORY, ForcedEngine

RATE = 24_000
PATIENCE_S = 120.0  # a test that waits longer has failed


def shelved(root: Path, variant: str, folder: Path | None = None, name: str | None = None) -> Installed:
    """A model in a shelf below `root`, tiny if no folder is given."""
    shelf = Shelf(root / "models")
    shelf.add(name or variant, folder or checkpoints.tiny(variant))
    return shelf.find(name or variant)


def engine_of(root: Path, variant: str, without: AbstractSet[str] = frozenset()) -> ForcedEngine:
    """In this very process. Its prints lie in root/prints. without: roles of files that are taken away."""
    model = shelved(root, variant)
    return engine_in(
        root, replace(model, paths={role: path for role, path in model.paths.items() if role not in without})
    )


def engine_in(root: Path, model: Installed) -> ForcedEngine:
    files = {role: str(path) for role, path in model.paths.items()}
    return ForcedEngine(neural._about(model), files, "cpu", str(root / "prints"))


@contextmanager
def hosting(model: Installed, root: Path, idle_exit_s: float = 0) -> Iterator[EngineHost]:
    """The model in a process of its own, with a `ForcedEngine`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural, "FACTORY", FACTORY)
        given = neural.NeuralOptions(root / "prints", "cpu", start_timeout_s=PATIENCE_S, idle_exit_s=idle_exit_s)
        host = neural.host_of(model, given, lambda wanted: None)
    try:
        yield host
    finally:
        host.close()


def speak(
    engine: ChatterboxEngine,
    passage: Passage,
    voice: Reference | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Piece:
    """One passage, alone. Raises the error it comes to, Cancelled."""
    (piece,) = outcomes(engine, {0: Speech(passage, voice)}, cancelled)[0]
    assert isinstance(piece, Piece)
    return piece


def outcomes(
    engine: ChatterboxEngine, speeches: Mapping[int, Speech], cancelled: Callable[[], bool] = lambda: False
) -> dict[int, list[Outcome]]:
    """What comes of several at once, by ticket. Raises the first error, Cancelled."""
    told: dict[int, list[Outcome]] = {ticket: [] for ticket in speeches}
    for ticket, speech in speeches.items():
        engine.speak(ticket, speech)
    left, awake = set(speeches), threading.Event()
    engine.wake = awake.set
    try:
        while left:
            if cancelled():
                raise Cancelled("called off")
            if engine.idle:  # another thread is at something
                awake.wait(0.01)
            awake.clear()
            for ticket, outcome in engine.step():
                if isinstance(outcome, PlusError):
                    raise outcome
                told[ticket].append(outcome)
                if not isinstance(outcome, Fragment) or outcome.last:
                    left.discard(ticket)
    finally:
        for ticket in speeches:
            engine.drop(ticket)
    return told


def convert(
    engine: ChatterboxEngine,
    blocks: Iterable[Samples],
    rate: int,
    target: Reference,
    chunk_s: float,
    overlap_s: float,
    cancelled: Callable[[], bool] = lambda: False,
    watermark: bool = False,
) -> Iterator[Samples]:
    """One recording, alone. Raises the error it comes to, Cancelled."""
    awake = threading.Event()
    engine.wake = awake.set
    engine.convert(0, Conversion(iter(blocks), rate, target, chunk_s, overlap_s, watermark))
    try:
        while True:
            if cancelled():
                raise Cancelled("called off")
            if engine.idle:
                awake.wait(0.01)
            awake.clear()
            for _, outcome in engine.step():
                if isinstance(outcome, Finished):
                    return
                if isinstance(outcome, PlusError):
                    raise outcome
                assert isinstance(outcome, np.ndarray)
                yield outcome
    finally:
        engine.drop(0)


def say(host: EngineHost, what: Passage, voice: Reference | None = None) -> Samples:
    (piece,) = host.speak([what], voice, cancel=threading.Event(), timeout_s=PATIENCE_S)
    return piece.clip.samples


def passage(text: str = "Hello there, old friend.", seed: int = 7, **given: float) -> Passage:
    """English, in two steps of the decoder: more are only slower where nobody listens."""
    return Passage(0, text, "en", seed, options={"steps": 2, **given})


@lru_cache
def reference(pitch: float = 120.0, seconds: float = 3.0) -> Reference:
    """Something like a voice: a buzz in syllables, and some noise."""
    return Reference(f"voice-{pitch}-{seconds}", Clip(voice(pitch, seconds), RATE))


def voice(pitch: float, seconds: float, rate: int = RATE) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * pitch * n * t) / n for n in range(1, 12))
    noise = np.random.default_rng(0).standard_normal(len(t))
    wave = (buzz + 0.1 * noise) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))
    return (0.1 * wave).astype(np.float32)


def cut(samples: Samples, *sizes: int) -> Iterator[Samples]:
    """In blocks of these sizes, over and over."""
    start, number = 0, 0
    while start < len(samples):
        yield samples[start : start + sizes[number % len(sizes)]]
        start, number = start + sizes[number % len(sizes)], number + 1


def whole(blocks: Iterable[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *blocks])

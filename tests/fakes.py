"""Engines whose answers can be computed. They run in the host's child processes, as "tests.fakes:ToneEngine"."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.base import Cancelled, EngineInfo, Passage, Piece, Reference, StockVoice, Word
from chatterbox_plus.engines.builtin import voices
from chatterbox_plus.errors import Cancelled as CancelledError
from chatterbox_plus.errors import InvalidAudio, ModelNotInstalled

RATE = 24_000  # Hz
CHARACTER_S = 0.01

TONE = EngineInfo(
    name="tone",
    rate=RATE,
    languages=voices.describe().languages,
    tags=voices.describe().tags,
    voices=(StockVoice("en", "English", "en"), StockVoice("de", "German", "de"), StockVoice("en+low", "Low", "en")),
    uses=frozenset({"temperature"}),
    estimates_word_times=False,
    preview=True,
    seeded=False,
)


def sine(frequency: float, seconds: float, rate: int = RATE) -> Samples:
    """(n,) at half of full scale."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def pitch(clip: Clip) -> float:
    """Hz of a sine: half the rate of its changes of sign."""
    signs = np.signbit(clip.samples)
    return float(np.count_nonzero(signs[1:] != signs[:-1]) / 2 / clip.duration_s)


def words(text: str) -> tuple[Word, ...]:
    """The word times of ToneEngine: each character lasts CHARACTER_S."""
    return tuple(
        Word(m.start() * CHARACTER_S, m.end() * CHARACTER_S, m.start(), m.end()) for m in re.finditer(r"\S+", text)
    )


class ToneEngine:
    """Ten milliseconds of 440 Hz for each character; in the pitch of the reference (a sine) if there is one.

    Conversion turns the recording upside down, whatever the target: output sample i is minus the input at that time.
    """

    info = TONE

    def warm(self, tasks: frozenset[str]) -> None:
        """There is nothing to load."""

    def speak(self, passage: Passage, reference: Reference | None, cancelled: Cancelled) -> Piece:
        frequency = 440.0 if reference is None else pitch(reference.clip)
        samples = sine(frequency, len(passage.text) * CHARACTER_S)
        return Piece(passage.index, Clip(samples, RATE), words(passage.text))

    def convert(
        self,
        blocks: Iterator[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        cancelled: Cancelled,
        watermark: bool = False,
    ) -> Iterator[Samples]:
        read = written = 0
        for block in blocks:
            end = -(-(read + len(block)) * RATE // rate)  # output samples that lie before the end of this block
            yield -block[np.arange(written, end) * rate // RATE - read]
            read, written = read + len(block), end


class MoodyEngine(ToneEngine):
    """Does what the first word of a passage says; anything else it speaks as ToneEngine does.

    `die`: the process ends. `hang PATH`: makes the file and never comes back, deaf to cancellation. `raise`: an error
    nobody meant. `refuse`: an error on purpose. `touch PATH`: makes a file. `until PATH`: waits for one, but listens.
    `pid`, `seen`: a piece of one sample that is this process's id, or how many references have been sent to it.
    `print`: noise on stdout. `grow N`: holds N MB more.
    """

    def __init__(self) -> None:
        self._seen: list[Reference] = []

    def speak(self, passage: Passage, reference: Reference | None, cancelled: Cancelled) -> Piece:
        if reference is not None and not any(reference is seen for seen in self._seen):
            self._seen.append(reference)
        command, _, rest = passage.text.partition(" ")
        match command:
            case "die":
                os._exit(9)
            case "hang":
                Path(rest).touch()
                while True:
                    time.sleep(0.05)
            case "raise":
                raise ValueError("/a/secret/path")
            case "refuse":
                raise InvalidAudio("nothing to learn from", param="reference_audio_filename")
            case "touch":
                Path(rest).touch()
            case "until":
                while not Path(rest).exists():
                    if cancelled():
                        raise CancelledError("called off")
                    time.sleep(0.01)
            case "pid":
                return Piece(passage.index, Clip(np.array([os.getpid()], np.float32), RATE))
            case "seen":
                return Piece(passage.index, Clip(np.array([len(self._seen)], np.float32), RATE))
            case "grow":
                self._held = np.ones(int(rest) << 17)
            case "print":
                os.write(1, b"noise\n")
                print("more noise", flush=True)  # noqa: T201
        return super().speak(passage, reference, cancelled)

    def convert(
        self,
        blocks: Iterator[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        cancelled: Cancelled,
        watermark: bool = False,
    ) -> Iterator[Samples]:
        """chunk_s -1: the process ends after the first block; -2: an error nobody meant, likewise."""
        for number, block in enumerate(super().convert(blocks, rate, target, chunk_s, overlap_s, cancelled)):
            if number and chunk_s == -1:
                os._exit(9)
            if number and chunk_s == -2:
                raise ValueError("/a/secret/path")
            yield block


def broken() -> ToneEngine:
    """A factory that fails with an error nobody meant."""
    raise OSError("/a/secret/path")


def missing() -> ToneEngine:
    """A factory that fails on purpose."""
    raise ModelNotInstalled("the weights are not here")


def stillborn() -> ToneEngine:
    """A factory whose process ends."""
    os._exit(3)


def sleeper() -> ToneEngine:
    """A factory that never returns."""
    while True:
        time.sleep(0.05)

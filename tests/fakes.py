"""Engines whose answers can be computed. They run in the host's child processes, as "tests.fakes:ToneEngine"."""

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.base import (
    Cancelled,
    Conversion,
    EngineInfo,
    Finished,
    Fragment,
    Outcome,
    Passage,
    Piece,
    Reference,
    Speech,
    StockVoice,
    Word,
)
from chatterbox_plus.engines.builtin import voices
from chatterbox_plus.errors import Cancelled as CancelledError
from chatterbox_plus.errors import InvalidAudio, ModelNotInstalled, PlusError

RATE = 24_000  # Hz
CHARACTER_S = 0.01
STEP = 960  # samples of a passage in a step of ToneCrowd

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


class Row:
    """A passage that a ToneCrowd says, as ToneEngine would."""

    def __init__(self, speech: Speech) -> None:
        self.speech = speech
        self.passage = speech.passage
        self.command, _, self.rest = speech.passage.text.partition(" ")
        self.begun = False  # whether it has given a fragment
        self._at = 0  # samples given

    def step(self) -> Piece | Fragment:
        """The next STEP samples of it, or all."""
        speech, text = self.speech, self.passage.text
        whole = sine(440.0 if speech.reference is None else pitch(speech.reference.clip), len(text) * CHARACTER_S)
        if not speech.live:
            return Piece(self.passage.index, Clip(whole, RATE), words(text))
        part = whole[self._at : self._at + STEP]
        self._at += len(part)
        self.begun, last = True, self._at == len(whole)
        return Fragment(self.passage.index, Clip(part, RATE), last, words(text) if last else ())

    def number(self, value: int) -> Piece | Fragment:
        """A passage of one sample."""
        clip = Clip(np.array([value], np.float32), RATE)
        return Fragment(self.passage.index, clip, True) if self.speech.live else Piece(self.passage.index, clip)


class Reading:
    """A conversion in a ToneCrowd: ToneEngine's, in a thread of its own that is at most two blocks ahead.

    chunk_s -3: nothing comes before the input has ended.
    """

    def __init__(self, conversion: Conversion, wake: Callable[[], None]) -> None:
        self._conversion, self._wake = conversion, wake
        self.made: queue.Queue[Samples | Finished] = queue.Queue(2)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        asked = self._conversion
        parts = ToneEngine().convert(asked.blocks, asked.rate, asked.target, asked.chunk_s, asked.overlap_s, bool)
        try:
            for part in list(parts) if asked.chunk_s == -3 else parts:
                self._put(part)
        except CancelledError:
            return
        self._put(Finished())

    def _put(self, made: Samples | Finished) -> None:
        self.made.put(made)
        self._wake()

    def drop(self) -> None:
        """Sets a thread free that waits for room; it finds out that it has been called off."""
        while not self.made.empty():
            self.made.get()


class ToneCrowd:
    """ToneEngine for many at once: in each step, a little of every passage and a block of every conversion.

    The first word of a passage says what else happens: `die`, `raise`, `refuse`, `touch PATH`, `until PATH`, `pid`
    and `grow N` as in MoodyEngine, and all others of the crowd share in it. `stumble PATH`, `hang PATH`: dies or
    hangs, unless there is such a file, and makes it first. `stall PATH`: makes PATH.on, and no step ends before there
    is a PATH. `pause PATH`: waits for one after its first fragment. `meet N`: ends once N passages that say so have
    been in at the same time. `count`, `rank`: a piece of one sample that is how many things are in, or its own rank.
    """

    info = TONE

    def __init__(self, rows: int = 8) -> None:
        self.rows = rows
        self.wake: Callable[[], None] = lambda: None
        self._rows: dict[int, Row] = {}
        self._readings: dict[int, Reading] = {}
        self._met: set[int] = set()  # tickets

    def warm(self, tasks: frozenset[str]) -> None:
        """There is nothing to load."""

    def speak(self, ticket: int, speech: Speech) -> None:
        self._rows[ticket] = Row(speech)
        assert len(self._rows) + len(self._readings) <= self.rows, "more than it takes in"

    def convert(self, ticket: int, conversion: Conversion) -> None:
        self._readings[ticket] = Reading(conversion, lambda: self.wake())
        assert len(self._rows) + len(self._readings) <= self.rows, "more than it takes in"

    def drop(self, ticket: int) -> None:
        self._rows.pop(ticket, None)
        if (reading := self._readings.pop(ticket, None)) is not None:
            reading.drop()

    @property
    def idle(self) -> bool:
        return not self._rows and all(reading.made.empty() for reading in self._readings.values())

    def step(self) -> Iterator[tuple[int, Outcome]]:
        self._meet()
        outcomes = [(ticket, outcome) for ticket, row in self._rows.items() if (outcome := self._row(ticket, row))]
        for ticket, outcome in outcomes:
            if not isinstance(outcome, Fragment) or outcome.last:
                del self._rows[ticket]
            yield ticket, outcome
        for ticket, reading in list(self._readings.items()):
            if not reading.made.empty():
                made = reading.made.get()
                if isinstance(made, Finished):
                    del self._readings[ticket]
                yield ticket, made
        if not outcomes:
            time.sleep(0.002)  # all wait for something

    def _meet(self) -> None:
        waiting = {ticket: int(row.rest) for ticket, row in self._rows.items() if row.command == "meet"}
        for ticket, wanted in waiting.items():
            if len(waiting) >= wanted:
                self._met.add(ticket)

    def _row(self, ticket: int, row: Row) -> Piece | Fragment | PlusError | None:
        """What comes of a passage in this step; None: nothing yet."""
        match row.command:
            case "die":
                os._exit(9)
            case "stumble" if not Path(row.rest).exists():
                Path(row.rest).touch()
                os._exit(9)
            case "hang" if not Path(row.rest).exists():
                Path(row.rest).touch()
                while True:
                    time.sleep(0.05)
            case "stall":
                Path(row.rest + ".on").touch()
                while not Path(row.rest).exists():
                    time.sleep(0.01)
            case "raise":
                raise ValueError("/a/secret/path")
            case "refuse":
                return InvalidAudio("nothing to learn from", param="reference_audio_filename")
            case "touch":
                Path(row.rest).touch()
            case "until" if not Path(row.rest).exists():
                return None
            case "pause" if row.begun and not Path(row.rest).exists():
                return None
            case "meet" if ticket not in self._met:
                return None
            case "grow":
                self._held = np.ones(int(row.rest) << 17)
            case "pid":
                return row.number(os.getpid())
            case "count":
                return row.number(len(self._rows) + len(self._readings))
            case "rank":
                return row.number(row.speech.rank)
        return row.step()

"""Speech of a text that is still being written: one stream of sound, a clause at a time."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.audio.stretch import Stretch
from chatterbox_plus.errors import Cancelled, PlusError
from chatterbox_plus.library.library import Library
from chatterbox_plus.synthesis.cast import Cast
from chatterbox_plus.synthesis.finish import whole_options
from chatterbox_plus.synthesis.manuscript import Manuscript, Sign
from chatterbox_plus.synthesis.notes import speech_notes, text_notes, voice_notes
from chatterbox_plus.synthesis.pipeline import Speaking, TimedWord
from chatterbox_plus.synthesis.plan import NothingToSay, Plan, PlannedPassage, language_asked, make_plan, new_seed
from chatterbox_plus.synthesis.results import SpeechResult
from chatterbox_plus.synthesis.speech import SpeechJob
from chatterbox_plus.text.clauses import Clause, ClauseSplitter

FRAME_BYTES = 16 * 2**10  # of one event; a third of a second of bare samples
AT_ONCE = 8  # clauses given to the engine together; the first goes alone, to be heard soon
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """The first event: what the stream will be. rate: Hz, as encoded."""

    rate: int
    format: str
    model: str
    voice: str
    seed: int
    words_estimated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Sound:
    """Encoded audio, the next of the stream. until_s: seconds of sound there are with it."""

    data: bytes
    until_s: float


@dataclass(frozen=True)
class Begun:
    """The first sound of a passage follows. Offsets are into all that was written."""

    char_start: int
    char_end: int
    start_s: float


@dataclass(frozen=True)
class Said:
    """A passage is whole; its last sound follows."""

    text: str
    char_start: int
    char_end: int
    start_s: float
    end_s: float
    words: tuple[TimedWord, ...]


Happening = Started | Sound | Begun | Said


class Dictation:
    """Iterate it once, in one thread.

    result: set once the last event has been given; its notes are about the text, the others came with Started.
    """

    def __init__(
        self,
        cast: Cast,
        manuscript: Manuscript,
        library: Library,
        *,
        timeout_s: float,
        format: str,
        cancel: Event,
        release: Callable[[], None],
        speed: float | None = None,
    ) -> None:
        """timeout_s: seconds without anything from the engine. format: of the sound, one of FORMATS. cancel: ends it,
        with Cancelled. release: called once, when all is over. speed: instead of the option's, 0.25-4.0.

        Raises InvalidOption for a language that the engine does not speak, or a sound-word rule that cannot be read.
        """
        options, info = cast.options, cast.host.info
        self._cast, self._manuscript, self._library, self._timeout_s = cast, manuscript, library, timeout_s
        self._cancel, self._release = cancel, release
        self._language = info.resolve_language(language_asked(options, cast.speaker))
        self._seed = options.seed or new_seed()
        with suppress(NothingToSay):  # of a stand-in: what is wrong with the options shows now
            make_plan(options.model_copy(update={"text": "a"}), cast.speaker, info, self._seed)
        self._speed = options.speed_factor if speed is None else speed
        self._encoder = SpeechJob.sound.encoder(format)
        self._text = ""  # as far as it was read
        self._samples = 0  # finished, at SPEECH_RATE
        self._framed_s = self._worked_s = 0.0  # of sound that has been given; of work
        self._passages = 0
        self._over = False
        self.result: SpeechResult | None = None

    def __iter__(self) -> Iterator[Happening]:
        """Raises what the engine raises, and Cancelled."""
        try:
            yield self._started()
            for clauses in self._batches():
                yield from self._said(clauses)
            yield from self._frames(self._encoder.finish())
            self.result = self._result()
        finally:
            self.close()

    def close(self) -> None:
        """Stops it. May be called twice."""
        self._cancel.set()
        if not self._over:
            self._over = True
            self._release()

    @property
    def duration_s(self) -> float:
        """Seconds of sound made so far."""
        return self._samples / SPEECH_RATE

    def _started(self) -> Started:
        cast = self._cast
        notes = [
            *speech_notes(cast.sent, cast.host.info),
            *voice_notes(cast.speaker, cast.reference, cast.host.info),
            *(f"{name} had no effect: it needs all of the speech" for name in whole_options(cast.options)),
        ]
        return Started(
            self._encoder.rate,
            self._encoder.format.name,
            cast.host.info.name,
            cast.speaker.name,
            self._seed,
            cast.host.info.estimates_word_times,
            tuple(notes),
        )

    # Text

    def _batches(self) -> Iterator[list[Clause]]:
        """Clauses as they are complete, those that have gathered meanwhile together."""
        splitter = ClauseSplitter(self._language)
        ready: deque[Clause] = deque()
        most, ended = 1, False
        while not ended or ready:
            while len(ready) < most and not ended:
                match self._manuscript.read(self._cancel, wait=not ready):
                    case str() as text:
                        self._text += text
                        ready += splitter.push(text)
                    case None:
                        break
                    case sign:
                        ready += splitter.flush()
                        ended = sign is Sign.END
            if ready:
                yield [ready.popleft() for _ in range(min(most, len(ready)))]
                most = AT_ONCE

    def _planned(self, clauses: list[Clause]) -> tuple[Plan, list[float]]:
        """What is to be said, and the silence before each passage of it, in seconds."""
        cast = self._cast
        planned: list[PlannedPassage] = []
        leads: list[float] = []
        for clause in clauses:
            asked = cast.options.model_copy(update={"text": clause.text})
            try:
                parts = make_plan(asked, cast.speaker, cast.host.info, self._seed).passages
            except NothingToSay:
                continue
            if not any(c.isalnum() for part in parts for c in part.passage.text):
                continue
            leads += [clause.lead_s, *(0.0 for _ in parts[1:])]
            planned += [
                replace(part, passage=replace(part.passage, index=number), base=part.base + clause.start)
                for number, part in enumerate(parts, len(planned))
            ]
            planned[-1] = replace(planned[-1], pause_s=clause.pause_s)
        return Plan(tuple(planned), self._seed, self._language, self._text, len(planned)), leads

    # Sound

    def _said(self, clauses: list[Clause]) -> Iterator[Happening]:
        began = time.perf_counter()
        plan, leads = self._planned(clauses)
        speaking = Speaking(
            plan,
            self._cast.host,
            self._cast.reference,
            cancel=self._cancel,
            timeout_s=self._timeout_s,
            live=self._cast.options.streaming == "live",
        )
        with closing_after(blocks := speaking.blocks()):
            for part, lead_s in zip(plan.passages, leads, strict=True):
                yield from self._heard(silence(samples_in(lead_s / self._speed, SPEECH_RATE)))
                yield from self._passage(part, speaking, blocks)
        self._passages += len(plan.passages)
        self._worked_s += time.perf_counter() - began

    def _passage(self, part: PlannedPassage, speaking: Speaking, blocks: Iterator[Samples]) -> Iterator[Happening]:
        """It changes its speed on its own, and the pause after it: nothing of it waits for the next one."""
        stretch = Stretch(SPEECH_RATE, self._speed)
        start_s, begin_s, told = speaking.spoken_s, self.duration_s, len(speaking.words)

        def at(spoken_s: float) -> float:
            return round(begin_s + stretch.map_time(spoken_s - start_s), 3)

        start, end = part.place
        block, whole = next(blocks), speaking.saying is None
        yield Begun(start, end, at(start_s))
        while not whole:
            yield from self._heard(stretch.push(block))
            block, whole = next(blocks), speaking.saying is None
        words = tuple(replace(word, start_s=at(word.start_s), end_s=at(word.end_s)) for word in speaking.words[told:])
        end_s = at(speaking.spoken_s - part.pause_s)
        yield Said(self._text[start:end], start, end, at(start_s), end_s, words)
        yield from self._heard(np.concatenate([stretch.push(block), stretch.finish()]))

    def _heard(self, block: Samples) -> Iterator[Sound]:
        """Finished sound, encoded, in pieces that fit any client's limit: so a stream that is called off stops soon."""
        self._samples += len(block)
        return self._frames(self._encoder.push(block))

    def _frames(self, data: bytes) -> Iterator[Sound]:
        before_s, now_s = self._framed_s, self.duration_s
        for at in range(0, len(data), FRAME_BYTES):
            if self._cancel.is_set():
                raise Cancelled("the dictation was called off")
            part = data[at : at + FRAME_BYTES]
            self._framed_s = before_s + (now_s - before_s) * (at + len(part)) / len(data)
            yield Sound(part, self._framed_s)

    def _result(self) -> SpeechResult:
        cast = self._cast
        if cast.speaker.recording:
            try:
                self._library.note_use(cast.speaker.recording)
            except PlusError as error:  # the audio itself is whole
                _log.warning("the use of a voice could not be counted: %s", error.message)
        notes = text_notes(self._text, self._language, cast.host.info)
        if not self._passages:
            notes.append("nothing in the text can be spoken")
        return SpeechResult(
            files=(),
            duration_s=self.duration_s,
            processing_s=self._worked_s,
            model=cast.host.info.name,
            notes=tuple(notes),
            seed=self._seed,
            passages=self._passages,
        )

"""A plan being spoken: one stream of sound out of many passages, and when each word sounds in it."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import GenerationError
from chatterbox_plus.synthesis.plan import Plan, PlannedPassage
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.takes import Takes


@dataclass(frozen=True)
class TimedWord:
    """A word of the text as it was sent: seconds in the finished audio, character offsets into that text."""

    text: str
    start_s: float
    end_s: float
    char_start: int
    char_end: int


class Speaking:
    """One plan on its way through an engine. `blocks` may be run once; `words` is complete when it has ended."""

    def __init__(
        self,
        plan: Plan,
        host: EngineHost,
        reference: Reference | None,
        *,
        cancel: Event,
        timeout_s: float,
        progress: Progress | None = None,
        takes: Takes | None = None,
        ahead: int | None = None,
        lane: int = 0,
    ) -> None:
        """takes: where passages are kept and found again; None: all are spoken. ahead, lane: see `EngineHost.speak`."""
        self._plan, self._host, self._reference = plan, host, reference
        self._cancel, self._timeout_s, self._progress = cancel, timeout_s, progress
        self._takes, self._ahead, self._lane = takes, ahead, lane
        self._samples = 0
        self.words: list[TimedWord] = []
        self.silent = False  # whether it has ended without a sound

    @property
    def spoken_s(self) -> float:
        """Seconds given so far."""
        return self._samples / SPEECH_RATE

    def blocks(self) -> Iterator[Samples]:
        """Mono samples (n,) at SPEECH_RATE, a passage and the pause after it at a time, in the order of the text.

        Raises what the engine raises; GenerationError if it makes nothing of a passage that has letters or digits.
        """
        planned = self._plan.passages
        speak = self._host.speak if self._takes is None else partial(self._takes.speak, self._host)
        pieces = speak(
            [p.passage for p in planned],
            self._reference,
            cancel=self._cancel,
            timeout_s=self._timeout_s,
            ahead=self._ahead,
            lane=self._lane,
        )
        heard = False
        with closing_after(pieces):
            for done, (part, piece) in enumerate(zip(planned, pieces, strict=True), start=1):
                samples = self._sound(part, piece)
                heard = heard or bool(samples.any())
                self._note_words(part, piece)
                pause = silence(samples_in(part.pause_s, SPEECH_RATE))
                self._samples += len(samples) + len(pause)
                yield np.concatenate([samples, pause])
                if self._progress:
                    self._progress(done, len(planned))
        self.silent = not heard

    def _sound(self, part: PlannedPassage, piece: Piece) -> Samples:
        samples = piece.clip.samples
        if not len(samples) and any(c.isalnum() for c in part.passage.text):
            raise GenerationError("the engine made no sound of a passage that has words in it")
        if not np.isfinite(samples).all():
            raise GenerationError("the engine made samples that are not numbers")
        return resample(samples, piece.clip.rate, SPEECH_RATE)

    def _note_words(self, part: PlannedPassage, piece: Piece) -> None:
        offset_s = self._samples / SPEECH_RATE
        for word in piece.words:
            start, end = part.origin(word)
            said = TimedWord(self._plan.text[start:end], offset_s + word.start_s, offset_s + word.end_s, start, end)
            last = self.words[-1] if self.words else None
            if last and self._one_word(last, said):
                whole = self._plan.text[last.char_start : end]
                self.words[-1] = TimedWord(whole, last.start_s, said.end_s, last.char_start, end)
            else:
                self.words.append(said)

    def _one_word(self, last: TimedWord, said: TimedWord) -> bool:
        """Whether two spoken words are one of the text: "$3" is said as "three dollars", "U.S.A." as three letters.

        Words that touch are apart only where letter meets letter, as in scripts without blanks.
        """
        if said.char_end <= last.char_end:
            return True
        joint = self._plan.text[last.char_end - 1 : last.char_end + 1]
        return last.char_end == said.char_start and not all(unicodedata.category(c)[0] in "LMN" for c in joint)

"""A plan being spoken: one stream of sound out of many passages, and when each word sounds in it."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Fragment, Piece, Reference, Word
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
        live: bool = False,
    ) -> None:
        """takes: where passages are kept and found again; None: all are spoken. ahead, lane: see `EngineHost.speak`.

        live: sound is given while its passage is still being made; such sound is never a take (ValueError).
        """
        if live and takes is not None:
            raise ValueError("what is spoken live is not kept as takes")
        self._plan, self._host, self._reference = plan, host, reference
        self._cancel, self._timeout_s, self._progress = cancel, timeout_s, progress
        self._takes, self._ahead, self._lane, self._live = takes, ahead, lane, live
        self._samples = 0
        self.saying: PlannedPassage | None = None  # what has begun to sound and has no words yet
        self.words: list[TimedWord] = []
        self.places: list[tuple[float, float]] = []  # of each passage, without the pause after it: seconds as spoken
        self.silent = False  # whether it has ended without a sound

    @property
    def spoken_s(self) -> float:
        """Seconds given so far."""
        return self._samples / SPEECH_RATE

    def blocks(self) -> Iterator[Samples]:
        """Mono samples (n,) at SPEECH_RATE in the order of the text, the pause after a passage with its end: a passage
        at a time, or if it is live as it comes.

        Raises what the engine raises; GenerationError if it makes nothing of a passage that has letters or digits.
        """
        planned = self._plan.passages
        heard = False
        with closing_after(fragments := self._fragments()):
            for done, part in enumerate(planned, start=1):
                resampler: Resampler | None = None
                began, last = self._samples, False
                while not last:
                    fragment = next(fragments)
                    last, samples = fragment.last, _checked(fragment.clip.samples)
                    heard = heard or bool(samples.any())
                    resampler = resampler or Resampler(fragment.clip.rate, SPEECH_RATE)
                    block = resampler.push(samples)
                    self.saying = part
                    if last:
                        block = np.concatenate([block, resampler.finish()])
                        self._check_said(part, self._samples + len(block) - began)
                        self._note_words(part, fragment.words, began / SPEECH_RATE)
                        self.places.append((began / SPEECH_RATE, (self._samples + len(block)) / SPEECH_RATE))
                        self.saying = None
                        block = np.concatenate([block, silence(samples_in(part.pause_s, SPEECH_RATE))])
                    self._samples += len(block)
                    yield block
                if self._progress:
                    self._progress(done, len(planned))
        self.silent = not heard

    def _fragments(self) -> Iterator[Fragment]:
        """What the engine gives: of each passage, in order, some parts, the last of them marked."""
        passages = [planned.passage for planned in self._plan.passages]
        if self._live:
            speak: Callable[..., Iterator[Fragment]] = self._host.speak_live
        elif self._takes is None:
            speak = partial(_whole, self._host.speak)
        else:
            speak = partial(_whole, partial(self._takes.speak, self._host))
        return speak(
            passages,
            self._reference,
            cancel=self._cancel,
            timeout_s=self._timeout_s,
            ahead=self._ahead,
            lane=self._lane,
        )

    def _check_said(self, part: PlannedPassage, samples: int) -> None:
        if not samples and any(c.isalnum() for c in part.passage.text):
            raise GenerationError("the engine made no sound of a passage that has words in it")

    def _note_words(self, part: PlannedPassage, words: Sequence[Word], offset_s: float) -> None:
        """offset_s: where the passage begins."""
        for word in words:
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


def _whole(speak: Callable[..., Iterator[Piece]], *args: object, **more: object) -> Iterator[Fragment]:
    """Every passage as one fragment."""
    with closing_after(pieces := speak(*args, **more)):
        for piece in pieces:
            yield Fragment(piece.index, piece.clip, last=True, words=piece.words)


def _checked(samples: Samples) -> Samples:
    if not np.isfinite(samples).all():
        raise GenerationError("the engine made samples that are not numbers")
    return samples

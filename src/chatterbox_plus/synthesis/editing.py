"""One passage at a time: what a text is said in, how each part of it sounds, and how it sounds said otherwise."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event

import numpy as np

from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.errors import NotFound
from chatterbox_plus.synthesis.audiobook import Audiobook, BookProgress
from chatterbox_plus.synthesis.book_order import BookOrder
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.export import Sound
from chatterbox_plus.synthesis.finish import whole_options
from chatterbox_plus.synthesis.narration import Turn
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import NO_EDITS, Edits, NothingToSay, PlannedPassage
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import take_key


@dataclass(frozen=True)
class PassageView:
    """A passage of a task. number: from 0, and the same whatever is edited. chapter: from 0, of a book.

    text: as it stands in the text, or as it was edited; char_start, char_end: there, edits in it. kept: whether it has
    been spoken and is still there.
    """

    number: int
    chapter: int | None
    text: str
    char_start: int
    char_end: int
    seed: int
    kept: bool


class Script:
    """A task's text, planned: the turns in which it is said."""

    def __init__(self, studio: Studio, turns: Sequence[tuple[int | None, Turn]]) -> None:
        """turns: chapter, what is said; in order."""
        self._studio, self._turns = studio, turns

    @classmethod
    def of_speech(cls, studio: Studio, options: SpeechOptions, seed: int, edits: Edits = NO_EDITS) -> "Script":
        """Raises what `Studio.turn` raises, NothingToSay."""
        turn = studio.turn(options, cancel=Event(), seed=seed, edits=edits)
        if turn is None:
            raise NothingToSay("there is nothing to say in this text", param="text")
        return cls(studio, [(None, turn)])

    @classmethod
    def of_book(cls, studio: Studio, order: BookOrder, seed: int, edits: Edits = NO_EDITS) -> "Script":
        """Raises what `Audiobook.check` raises."""
        commission = Commission("", datetime.now(), seed, edits=edits)
        book = Audiobook(studio, order, cancel=Event(), commission=commission, progress=BookProgress())
        book.check()
        chapters = [book.narration(index) for index in range(len(order.book.chapters))]
        return cls(
            studio,
            [(n, part) for n, chapter in enumerate(chapters) for part in chapter.parts if isinstance(part, Turn)],
        )

    def passages(self) -> list[PassageView]:
        """All of them, in order. One that an edit made several of counts as one."""
        found: dict[int, PassageView] = {}
        for chapter, turn, number, planned in self._all():
            start, end = planned.place
            kept = self._kept(turn, planned)
            known = found.get(number)
            if known is not None:
                start, kept = known.char_start - turn.start, kept and known.kept
            found[number] = PassageView(
                number,
                chapter,
                turn.plan.text[start:end],
                start + turn.start,
                end + turn.start,
                planned.passage.seed if known is None else known.seed,
                kept,
            )
        return list(found.values())

    def lengths(self, numbers: range) -> dict[int, tuple[float | None, float]]:
        """Number -> seconds of a passage as spoken (None unless all of it is here), and of the pause after it."""
        found: dict[int, tuple[float | None, float]] = {}
        for _, turn, number, planned in self._all():
            if number in numbers:
                length = self._seconds(turn, planned)
                if number in found:  # an edit made several of it: what is heard is all of them, one after another
                    before = found[number][0]
                    length = None if length is None or before is None else before + length
                found[number] = length, planned.pause_s
        return found

    def places(self) -> list[tuple[float, float]]:
        """Where passages sound in the finished audio, in seconds, as far as all before them have been spoken; nothing
        where that is only known in the end."""
        found: dict[int, tuple[float, float]] = {}
        at = 0.0
        for _, turn, number, planned in self._all():
            length = self._seconds(turn, planned)
            if length is None or whole_options(turn.options):
                break
            start = found.get(number, (at, at))[0]
            found[number] = start, at + length
            at += length + planned.pause_s
        speed = self._turns[0][1].options.speed_factor
        return [(round(start / speed, 3), round(end / speed, 3)) for start, end in found.values()]

    def wav(self, number: int, *, cancel: Event) -> tuple[bytes, float]:
        """How a passage sounds, as a wav file, and its seconds; spoken now unless it is kept. Raises NotFound."""
        rate, blocks = SPEECH_RATE, []
        wanted = [(turn, planned) for _, turn, n, planned in self._all() if n == number]
        if not wanted:
            raise NotFound(f"There is no passage {number + 1}")
        turn = wanted[0][0]
        pieces = self._studio.say([planned.passage for _, planned in wanted], turn.host, turn.reference, cancel=cancel)
        with closing_after(pieces):
            blocks = [resample(piece.clip.samples, piece.clip.rate, rate) for piece in pieces]
        samples = np.concatenate(blocks)
        sink = io.BytesIO()
        encoder = Sound(rate).encoder("wav", sink)
        encoder.push(samples)
        encoder.finish()
        return sink.getvalue(), len(samples) / rate

    def _all(self) -> Iterator[tuple[int | None, Turn, int, PlannedPassage]]:
        """Chapter, turn, the passage's number in the whole text, and the passage."""
        before = 0
        for chapter, turn in self._turns:
            for planned in turn.plan.passages:
                yield chapter, turn, before + planned.number, planned
            before += turn.plan.count

    def _seconds(self, turn: Turn, planned: PlannedPassage) -> float | None:
        takes = self._studio.takes
        return None if takes is None else takes.seconds(take_key(turn.host.info, planned.passage, turn.reference))

    def _kept(self, turn: Turn, planned: PlannedPassage) -> bool:
        takes = self._studio.takes
        return takes is not None and take_key(turn.host.info, planned.passage, turn.reference) in takes.store

"""What a listener has heard of speech that is made faster than it is played."""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatterbox_plus.engines.chatterbox.words import estimate_words
from chatterbox_plus.synthesis.pipeline import TimedWord

_CHARS_PER_S = 15.0  # of speech at an ordinary pace, until something has been said


@dataclass(frozen=True)
class Account:
    """What was heard. text: from the beginning to the end of the last word that was heard whole; words: how many.

    estimated: the last words were cut off while they were made, and when they sound is a guess.
    """

    text: str
    words: int
    played_s: float
    estimated: bool


class Heard:
    """Keeps account of one stream: what was sent of it, which words sound when, and how far a listener can be."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.text = ""  # all that was written
        self._clock = clock
        self._words: list[TimedWord] = []
        self._unfinished: tuple[int, int, float] | None = None  # a passage: its characters, and when it begins to sound
        self._sent_s = self._played_s = self._at = 0.0
        self._said_chars, self._said_s = 0, 0.0

    @property
    def sent_s(self) -> float:
        """Seconds of sound that have been sent."""
        return self._sent_s

    @property
    def words(self) -> int:
        """How many were said, heard or not."""
        return len(self._words)

    def write(self, text: str) -> None:
        self.text += text

    def begin(self, char_start: int, char_end: int, start_s: float) -> None:
        """A passage begins to sound."""
        self._unfinished = char_start, char_end, start_s

    def finish(self, words: Sequence[TimedWord], char_start: int, char_end: int, start_s: float, end_s: float) -> None:
        """A passage is whole."""
        self._words += words
        self._unfinished = None
        self._said_chars += char_end - char_start
        self._said_s += end_s - start_s

    def send(self, until_s: float) -> None:
        """Sound was sent; with it there are so many seconds. Whoever had played all of it before goes on from here."""
        now = self._clock()
        self._played_s, self._at, self._sent_s = self._position(now), now, until_s

    def by(self, played_s: float | None = None) -> Account:
        """What was heard by so many seconds, at most what was sent; None: by somebody who plays it as it comes."""
        reached = self._position(self._clock()) if played_s is None else min(played_s, self._sent_s)
        guessed = self._guessed()
        words = [*self._words, *guessed]
        count = bisect_right([word.end_s for word in words], reached)
        text = self.text[: words[count - 1].char_end] if count else ""
        return Account(text, count, reached, bool(guessed))

    def _position(self, now: float) -> float:
        return min(self._sent_s, self._played_s + now - self._at) if self._sent_s else 0.0

    def _guessed(self) -> list[TimedWord]:
        if self._unfinished is None:
            return []
        start, end, start_s = self._unfinished
        pace = self._said_chars / self._said_s if self._said_chars and self._said_s else _CHARS_PER_S
        text = self.text[start:end]
        return [
            TimedWord(
                text[word.char_start : word.char_end],
                start_s + word.start_s,
                start_s + word.end_s,
                start + word.char_start,
                start + word.char_end,
            )
            for word in estimate_words(text, len(text) / pace)
        ]

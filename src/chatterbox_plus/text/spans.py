"""Text that still knows where each of its characters came from, however often it was rewritten."""

import re
from array import array
from collections.abc import Callable, Sequence
from typing import Final

Replacement = str | Callable[[re.Match[str]], str]

_OFFSET: Final = "I"  # 32 bits: a text is far below 4 G characters


class Spoken:
    """Immutable text with, for each character, the range [start, end) of the original that it stands for.

    Ranges are offsets in characters (code points) of the original. They never run backwards: both the starts and the
    ends only rise along the text.
    """

    __slots__ = ("_ends", "_starts", "text")
    text: str
    _starts: "array[int]"
    _ends: "array[int]"

    def __init__(self, text: str, starts: "array[int]", ends: "array[int]") -> None:
        """Use `Spoken.of`; this takes ownership of both arrays, each as long as the text."""
        self.text = text
        self._starts = starts
        self._ends = ends

    @classmethod
    def of(cls, original: str) -> "Spoken":
        """The original itself: each character stands for itself."""
        return cls(original, array(_OFFSET, range(len(original))), array(_OFFSET, range(1, len(original) + 1)))

    def __len__(self) -> int:
        return len(self.text)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return f"Spoken({self.text!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spoken):
            return NotImplemented
        return (self.text, self._starts, self._ends) == (other.text, other._starts, other._ends)

    def __hash__(self) -> int:
        return hash(self.text)

    def __getitem__(self, part: slice) -> "Spoken":
        """A contiguous part; the step must be 1."""
        if part.step not in (None, 1):
            raise ValueError("a text is only read forwards")
        return Spoken(self.text[part], self._starts[part], self._ends[part])

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where text[start:end] lies in the original.

        An empty range gives an empty range: the place in the original just before the character at `start`.
        Raises IndexError for a range that does not lie in the text.
        """
        if not 0 <= start <= end <= len(self.text):
            raise IndexError(f"[{start}, {end}) is no range of a text of {len(self.text)} characters")
        if start < end:
            return self._starts[start], self._ends[end - 1]
        place = self._starts[start] if start < len(self.text) else self._ends[-1] if self.text else 0
        return place, place

    def sub(self, pattern: re.Pattern[str], replacement: Replacement) -> "Spoken":
        """Replace every match. A string is taken literally (no group references); a callable sees the match.

        What a replacement shares with its match at either end stays exact; the rest stands for the rest of the match
        ("10-15" -> "10 to 15": only " to " stands for "-"). Returns self when nothing changes.
        """
        text, starts, ends = self.text, self._starts, self._ends
        pieces: list[str] = []
        new_starts, new_ends = array(_OFFSET), array(_OFFSET)
        done = 0
        for match in pattern.finditer(text):
            old = match[0]
            new = replacement if isinstance(replacement, str) else replacement(match)
            if new == old:
                continue
            head, tail = _shared_ends(old, new)
            first, last = match.start() + head, match.end() - tail
            pieces += text[done:first], new[head : len(new) - tail]
            new_starts += starts[done:first]
            new_ends += ends[done:first]
            fresh = len(pieces[-1])
            if fresh:
                start, end = self.span(first, last)
                new_starts += array(_OFFSET, [start]) * fresh
                new_ends += array(_OFFSET, [end]) * fresh
            done = last
        if not pieces:
            return self
        pieces.append(text[done:])
        return Spoken("".join(pieces), new_starts + starts[done:], new_ends + ends[done:])

    def lower(self) -> "Spoken":
        """Lower case; some letters become two ("İ"), both standing for the one."""
        lowered = self.text.lower()
        if lowered == self.text:
            return self
        if len(lowered) == len(self.text):  # no letter ever becomes shorter, so each became one
            return Spoken(lowered, self._starts, self._ends)
        widths = [len(letter.lower()) for letter in self.text]
        starts = (s for s, width in zip(self._starts, widths, strict=True) for _ in range(width))
        ends = (e for e, width in zip(self._ends, widths, strict=True) for _ in range(width))
        return Spoken(lowered, array(_OFFSET, starts), array(_OFFSET, ends))

    def strip(self) -> "Spoken":
        """Without white space at both ends."""
        lead = len(self.text) - len(self.text.lstrip())
        return self[lead : max(lead, len(self.text.rstrip()))]

    @staticmethod
    def join(parts: Sequence["Spoken"], separator: str = "") -> "Spoken":
        """Parts in the order of the original; a separator stands for what lies between its neighbours there."""
        starts, ends = array(_OFFSET), array(_OFFSET)
        for index, part in enumerate(parts):
            if index and separator:
                before = ends[-1] if ends else part.span(0, 0)[0]
                starts += array(_OFFSET, [before]) * len(separator)
                ends += array(_OFFSET, [max(before, part.span(0, 0)[0])]) * len(separator)
            starts += part._starts
            ends += part._ends
        return Spoken(separator.join(part.text for part in parts), starts, ends)


def _shared_ends(old: str, new: str) -> tuple[int, int]:
    """How many characters two texts share at the beginning and, beyond that, at the end, in whole words.

    (0, 0) where the rest of the old text would be empty and the rest of the new one not: new characters must stand for
    something.
    """
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and old[head] == new[head]:
        head += 1
    while head and any(text[head - 1 : head + 1].isalnum() and head < len(text) for text in (old, new)):
        head -= 1
    tail = 0
    while tail < shortest - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    while tail and any(text[len(text) - tail - 1 : len(text) - tail + 1].isalnum() for text in (old, new)):
        tail -= 1
    if head + tail == len(old) and head + tail < len(new):
        return 0, 0
    return head, tail

"""What subtitles are made of: words with the marks around them, and how good a place the end of each is to stop at."""

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from chatterbox_plus.text.passages import grapheme_break
from chatterbox_plus.text.sentences import LINE_BREAK, PARAGRAPH

# What ending a line or a cue costs: after a sentence, after a clause, between words, inside a word.
SENTENCE, CLAUSE, WORD, INSIDE = 0.0, 15.0, 50.0, 70.0

_LONG_SILENCE_MS = 1500  # nothing stands on the screen through it
_CLOSERS = r"(?:\s?[\"'”’»›)\]」』）】])*$"
_SENTENCE_END = re.compile(r"[.!?…。！？।॥؟۔።]" + _CLOSERS)
_CLAUSE_END = re.compile(r"[,;:،؛、，；：—–]" + _CLOSERS)
_ABBREVIATED = re.compile(r"(?:^|\W)(?:[^\W\d_]|[A-Z][a-z]{1,2})\.$")  # "J." "Dr." "Mrs."; "No." too, at little loss
_HYPHENS = "-‐–—/"
_NEVER_FIRST = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮー々"  # in a line
_TOKEN = re.compile(r"\S+")
# Scripts without blanks between words: Thai, Lao, Burmese, Khmer; Chinese and Japanese with their marks.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff9f"
    "\U00020000-\U0003ffff]"
)


class WordLike(Protocol):
    """A word of a text that has been spoken: seconds in the sound, character offsets into the text."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def char_start(self) -> int: ...
    @property
    def char_end(self) -> int: ...


@dataclass(frozen=True)
class Unit:
    """A piece of the text, source[start:end], that is shown in one line, from one moment to another."""

    start: int
    end: int
    start_ms: int
    end_ms: int
    text: str  # every run of white space a blank
    width: int  # columns
    blank: bool  # whether white space follows
    cut: float  # what it costs to stop after it
    last: bool  # whether nothing may be shown together with what follows


@dataclass
class _Range:
    """A part of the source on its way to be a unit."""

    start: int
    end: int
    start_ms: int
    end_ms: int


def units(words: Sequence[WordLike], source: str, most: int) -> list[Unit]:
    """All words of a text, each with the marks that belong to it, as units of at most `most` columns.

    What touches is one unit, unless the script has no blanks or a hyphen stands between. Times never run backwards.
    Raises ValueError for words outside the text.
    """
    ranges = _heard(words, source)
    _take_marks(ranges, source)
    ranges = [piece for whole in _glued(ranges, source) for piece in _pieces(whole, source, most)]
    return [_unit(a, b, source) for a, b in pairwise([*ranges, None]) if a is not None]


def columns(text: str) -> int:
    """How wide a text is: wide characters take two."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _heard(words: Sequence[WordLike], source: str) -> list[_Range]:
    """The words' ranges without white space at their ends and without overlap, neither in the text nor in time."""
    found: list[_Range] = []
    for word in words:
        if not 0 <= word.char_start <= word.char_end <= len(source):
            raise ValueError(f"a word at {word.char_start} to {word.char_end} of {len(source)} characters")
        last = found[-1] if found else _Range(0, 0, 0, 0)
        start_ms = max(last.start_ms, round(word.start_s * 1000))
        end_ms = max(start_ms, round(word.end_s * 1000))
        last.end_ms = min(last.end_ms, start_ms)
        start, end = _stripped(source, max(word.char_start, last.end), word.char_end)
        if start < end:
            found.append(_Range(start, end, start_ms, end_ms))
        else:  # it stands for what another word stands for already
            last.end_ms = end_ms
    return found


def _stripped(source: str, start: int, end: int) -> tuple[int, int]:
    while start < end and source[start].isspace():
        start += 1
    while start < end and source[end - 1].isspace():
        end -= 1
    return start, end


def _take_marks(ranges: list[_Range], source: str) -> None:
    """Share out what lies between the words, until only white space is left there."""
    for before, after in pairwise(ranges):
        before.end, after.start = _parted(source, before.end, after.start)
    if ranges:
        first, last = ranges[0], ranges[-1]
        while first.start and _goes_along(source[first.start - 1]):
            first.start -= 1
        while last.end < len(source) and _goes_along(source[last.end]):
            last.end += 1
        first.start, last.end = _stripped(source, first.start, last.end)


def _goes_along(letter: str) -> bool:
    """Whether it belongs to the first or last word of a text when only its like stands between."""
    return not letter.isalnum() and not LINE_BREAK.match(letter)


def _parted(source: str, start: int, end: int) -> tuple[int, int]:
    """Where the word before source[start:end] ends and the one after begins: marks stay with what they touch, opening
    ones and what begins a line go to what follows."""
    gap = source[start:end]
    if not any(c.isspace() for c in gap):
        opening = len(gap)
        while opening and _opens(gap[opening - 1]):
            opening -= 1
        return start + opening, start + opening
    done = 0
    for token in _TOKEN.finditer(gap):
        if token.start() and (
            token.end() == len(gap) or all(map(_opens, token[0])) or LINE_BREAK.search(gap, done, token.start())
        ):
            return start + done, start + token.start()
        done = token.end()
    return start + done, end


def _opens(letter: str) -> bool:
    return letter in "¿¡" or unicodedata.category(letter) in ("Ps", "Pi")


def _closes(letter: str) -> bool:
    """Whether it is a mark that belongs to what stands before it."""
    return unicodedata.category(letter)[0] in "PS" and not _opens(letter)


def _glued(ranges: list[_Range], source: str) -> Iterator[_Range]:
    """Ranges that touch where no line may end become one."""
    held: _Range | None = None
    for found in ranges:
        if held and held.end == found.start and not _may_end(source, found.start):
            held = _Range(held.start, found.end, held.start_ms, found.end_ms)
            continue
        if held:
            yield held
        held = found
    if held:
        yield held


def _may_end(source: str, at: int) -> bool:
    """Whether a line may end before source[at], where no white space stands."""
    before, after = source[at - 1], source[at]
    if before in _HYPHENS and after.isalnum():
        return True
    unspaced = _UNSPACED.match(before) or _UNSPACED.match(after)
    return bool(unspaced) and after not in _NEVER_FIRST and grapheme_break(source, at)


def _pieces(whole: _Range, source: str, most: int) -> Iterator[_Range]:
    """A range in parts of at most `most` columns and about the same width; time goes with the width."""
    total = left = columns(source[whole.start : whole.end])
    start, start_ms = whole.start, whole.start_ms
    while left > most:
        cut = _place(source, start, whole.end, math.ceil(left / math.ceil(left / most)), most)
        left -= columns(source[start:cut])
        end_ms = whole.end_ms - (whole.end_ms - whole.start_ms) * left // total
        yield _Range(start, _stripped(source, start, cut)[1], start_ms, end_ms)
        spaces = _stripped(source, cut, whole.end)[0] - cut
        left -= columns(source[cut : cut + spaces])
        start, start_ms = cut + spaces, end_ms
    yield _Range(start, whole.end, start_ms, whole.end_ms)


def _place(source: str, start: int, end: int, wanted: int, most: int) -> int:
    """Where to cut a range wider than `most`: near column `wanted`, if possible at a blank or after a mark."""
    best, best_cost = start + 1, math.inf
    column = columns(source[start])
    for at in range(start + 1, end):
        before, after = source[at - 1], source[at]
        cost = float(abs(column - wanted))
        if _opens(before) or _closes(after) or after in _NEVER_FIRST:
            cost += most
        elif not _closes(before) and not after.isspace():
            cost += most / 3
        if not grapheme_break(source, at):
            cost += 3 * most  # and yet: a cluster can be longer than a line
        if cost <= best_cost:
            best, best_cost = at, cost
        column += columns(after)
        if column > most:
            break
    return best


def _unit(part: _Range, following: _Range | None, source: str) -> Unit:
    text = " ".join(source[part.start : part.end].split())
    gap = source[part.end : following.start] if following else ""
    silence_ms = following.start_ms - part.end_ms if following else 0
    last = following is None or silence_ms >= _LONG_SILENCE_MS or PARAGRAPH.search(gap) is not None
    cut = SENTENCE if last or following is None else _cut(text, gap, source[following.start])
    return Unit(part.start, part.end, part.start_ms, part.end_ms, text, columns(text), bool(gap), cut, last)


def _cut(text: str, gap: str, then: str) -> float:
    """What it costs to stop after a text that a gap of white space or nothing and a character follow."""
    if LINE_BREAK.search(gap) and not then.islower():
        return SENTENCE
    if _SENTENCE_END.search(text):
        if _ABBREVIATED.search(text):
            return WORD
        return CLAUSE if then.islower() else SENTENCE
    if not gap and text[-1] in _HYPHENS and text[-1] != "—":
        return INSIDE
    if _CLAUSE_END.search(text):
        return CLAUSE
    return WORD if gap or _UNSPACED.match(then) or _UNSPACED.match(text[-1]) else INSIDE

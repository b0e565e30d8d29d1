"""Text that is still being written, in pieces to say: each as soon as it is known to be complete.

However the text arrives, the pieces are the same: whether one ends before a character is decided by what stands before
that character, and by it alone.
"""

import re
from dataclasses import dataclass

from chatterbox_plus.text.passages import (
    CLAUSE_PAUSE_S,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    WORD_PAUSE_S,
    grapheme_break,
)
from chatterbox_plus.text.sentences import ENDED, LINE_BREAK, PARAGRAPH, sentences
from chatterbox_plus.text.spans import Spoken

FIRST_CHARS = 15  # of the first clause of a stream: something is to be heard soon
CLAUSE_CHARS = 40  # of a clause that is no sentence; shorter ones sound chopped
LONG_CHARS = 200  # without any mark, a piece ends at the next blank
MOST_CHARS = 400  # and here even without a blank
WRAPPED_CHARS = 60  # a line as long as this without a mark at its end was only wrapped, as in `sentences`
_MARK_CHARS = 40  # an opening bracket this far back still holds a mark such as "[clear throat]" together
_NEAR_CHARS = 12  # hold a mark and all that closes behind it
_CONTEXT_CHARS = 200  # before a full stop, for telling what it means

_CLOSERS = "\"'”’»)\\]」』）"
_DOTTED = re.compile(rf"(?:^|\W)(?:[^\W\d_]{{1,2}}\.){{2,}}[{_CLOSERS}]*$")  # "p.m." may end a sentence, or may not
_STOP = re.compile(rf"\.[{_CLOSERS}]*$")
_END = re.compile(rf"[!?…؟।][{_CLOSERS}]*$")
_WIDE_END = re.compile(rf"[。！？][{_CLOSERS}]*$")  # no blank follows these
_CLAUSE = re.compile(rf"(?<!\d)[,;:–—،؛·][{_CLOSERS}]*$")  # "March 3, 2024" is one date
_WIDE_CLAUSE = re.compile(r"[、，；：]$|(?<=\w)—$")
_GOES_ON = re.compile(rf"[{_CLOSERS}.!?…؟।。！？—]")  # still belongs to the mark before it
_NEXT = "The next one."  # a sentence like any other


@dataclass(frozen=True)
class Clause:
    """A piece to say. text: white space before it included, after it never. start: where in the whole text it begins.

    pause_s: silence after it. lead_s: silence before it, beyond the pause after the one before: a paragraph begins.
    """

    text: str
    start: int
    pause_s: float
    lead_s: float = 0.0


class ClauseSplitter:
    """Takes text as it comes and gives pieces that, joined, are the text."""

    def __init__(self, language: str) -> None:
        """language: BCP 47, for what a full stop means."""
        self._language = language
        self._text = ""  # since the last piece
        self._start = 0  # of it, in the whole text
        self._ink = 0  # where its first character that is no white space stands; its length while there is none
        self._broken = False  # whether a line ended since the last character that is no white space

    def push(self, text: str) -> list[Clause]:
        """The pieces that are complete now."""
        found = []
        for character in text:
            cut, pause_s = self._end_before(character)
            if cut:
                found.append(self._take(cut, pause_s))
            if self._ink == len(self._text) and character.isspace():
                self._ink += 1
            self._broken = (self._broken and character.isspace()) or bool(LINE_BREAK.match(character))
            self._text += character
        return found

    def flush(self) -> list[Clause]:
        """What is there, although nobody knows whether it is complete; without the white space at its end."""
        text = self._text.rstrip()
        return [self._take(len(text), SENTENCE_PAUSE_S if ENDED.search(text) else CLAUSE_PAUSE_S)] if text else []

    @property
    def rest(self) -> str:
        """What no piece has yet; once all is flushed, only white space."""
        return self._text

    def _take(self, cut: int, pause_s: float) -> Clause:
        lead_s = PARAGRAPH_PAUSE_S - SENTENCE_PAUSE_S if PARAGRAPH.search(self._text, 0, self._ink) else 0.0
        clause = Clause(self._text[:cut], self._start, pause_s, lead_s if self._start else 0.0)
        self._text, self._start = self._text[cut:], self._start + cut
        self._ink = len(self._text) - len(self._text.lstrip())
        return clause

    def _end_before(self, character: str) -> tuple[int, float]:
        """Where the piece ends, if it does now that this character follows, and the pause then; 0 if it does not."""
        text = self._text
        length = len(text) - self._ink
        if not length:
            return 0, 0.0
        if text[-1].isspace():
            return self._line_end(character)
        blank = character.isspace()
        if blank and self._in_a_mark():
            return 0, 0.0
        near = text[-_NEAR_CHARS:]
        if not _GOES_ON.match(character) and any(map(str.isalnum, text)):
            if _WIDE_END.search(near) or (blank and (_END.search(near) or self._is_full_stop(near))):
                return len(text), SENTENCE_PAUSE_S
            enough = CLAUSE_CHARS if self._start else FIRST_CHARS
            if length >= enough and (_WIDE_CLAUSE.search(near) or (blank and _CLAUSE.search(near))):
                return len(text), CLAUSE_PAUSE_S
        if blank and length >= LONG_CHARS:
            return len(text), WORD_PAUSE_S
        if length >= MOST_CHARS and grapheme_break(text[-1] + character, 1):
            return len(text), WORD_PAUSE_S
        return 0, 0.0

    def _line_end(self, character: str) -> tuple[int, float]:
        """A line that ended without a mark, as headings and lists do, is a piece: unless it was only wrapped."""
        if not self._broken or character.isspace():
            return 0, 0.0
        body = self._text.rstrip()
        line = LINE_BREAK.split(body)[-1]
        wrapped = character.islower() or (len(line) >= WRAPPED_CHARS and not ENDED.search(line))
        if wrapped and not PARAGRAPH.search(self._text, len(body)):
            return 0, 0.0
        return len(body), SENTENCE_PAUSE_S

    def _in_a_mark(self) -> bool:
        """Whether a bracket is open: "[clear throat]" stays whole."""
        near = self._text[-_MARK_CHARS:]
        return near.rfind("[") > near.rfind("]")

    def _is_full_stop(self, end: str) -> bool:
        """Whether the dot at the end ends a sentence: none of "Dr. ", "1. " or "e.g. " does."""
        if not _STOP.search(end) or _DOTTED.search(end):
            return False
        near = self._text[self._ink :][-_CONTEXT_CHARS:]
        if not any(map(str.isalpha, near)):
            return False
        return sentences(Spoken.of(f"{near} {_NEXT}"), self._language)[-1].text == _NEXT

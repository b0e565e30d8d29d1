"""From a text to the passages an engine says in one go, each with the pause after it."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from chatterbox_plus.text.normalize import TextRules, finish, normalize
from chatterbox_plus.text.sentences import ENDED, LINE_BREAK, PARAGRAPH, sentences
from chatterbox_plus.text.spans import Spoken

Grouping = Literal["each", "smart", "batch"]

MAX_CHARS = 300  # of a passage, where an engine knows nothing better
SMART_CHARS = 100  # smart: short sentences are joined until there are so many (the option's documented figure)
BATCH_CHARS = 400  # batch: as many sentences as fit into so many (the option's documented figure)

# Silence after a passage, beside what engines leave at the ends of theirs. Readers pause about 0.2 s inside a sentence
# and half a second or more between sentences (Campione & Véronis 2002, "A large-scale multilingual study of silent
# pause duration"); engines bring about half of that themselves.
SENTENCE_PAUSE_S = 0.25
PARAGRAPH_PAUSE_S = 0.6
CLAUSE_PAUSE_S = 0.1
WORD_PAUSE_S = 0.0  # a blank or the middle of a word: nobody would pause there

_CLAUSE_MARKS = frozenset(";:,—–…،؛;·")  # only before a blank: 1,000 and 12:30 stay whole
_WIDE_MARKS = frozenset("、，；：。！？")  # CJK: no blank follows
_LETTER = re.compile(r"[^\W\d_]")
_MAX_CLUSTER = 64  # characters; longer clusters are only made to break things and may be cut


@dataclass(frozen=True)
class TextPassage:
    """Text to say in one go, and the silence after it in seconds."""

    spoken: Spoken
    pause_s: float


@dataclass(frozen=True)
class _Piece:
    """A sentence or a part of one."""

    spoken: Spoken
    blank: bool  # white space followed it in the text
    apart: bool  # nothing may be joined to it: a paragraph or an unmarked line (a heading, an item of a list) ends here
    pause_s: float


def passages(
    spoken: Spoken,
    language: str,
    *,
    rules: TextRules,
    max_chars: int = MAX_CHARS,
    grouping: Grouping = "smart",
    sounds: Sequence[str] = (),
) -> list[TextPassage]:
    """Normalise a text and cut it into passages of at most max_chars (batch: 400, if max_chars is not lower than usual)
    characters.

    sounds: marks that the engine performs, such as "[clear throat]": they are written as here whatever their case, stay
    whole, and belong to the sentence before or after them in the line; a sound word changes one only by its brackets.
    Nothing is lost: joined, the passages are the normalised text but for white space. Passages never cross a paragraph.
    Only a text of which the rules leave nothing but white space has no passages.
    """
    if max_chars < 1:
        raise ValueError("max_chars must be at least 1")
    mark = _any_of(tuple(sounds))
    rules = replace(rules, sound_words=(*((sound, sound) for sound in sounds), *rules.sound_words))
    pieces: list[_Piece] = []
    for sentence in _with_marks(sentences(normalize(spoken, rules, language), language), mark):
        pieces += _pieces(sentence, finish(sentence, rules, language), max_chars, mark)
    found = list(_grouped(pieces, grouping, max_chars, mark))
    return [*found[:-1], TextPassage(found[-1].spoken, 0.0)] if found else []


@lru_cache
def _any_of(sounds: tuple[str, ...]) -> re.Pattern[str]:
    """Finds any of the marks; without marks, nothing."""
    return re.compile("|".join(map(re.escape, sounds)) or r"(?!)")


def _with_marks(found: list[Spoken], mark: re.Pattern[str]) -> list[Spoken]:
    """Sentences, of which none is a mark alone that stands behind another in its line: "Very funny. [laugh]"."""
    kept: list[Spoken] = []
    for sentence in found:
        rest, count = mark.subn("", sentence.text)
        if count and kept and not any(c.isalnum() for c in rest) and not _ends_line(kept[-1].text):
            kept[-1] = Spoken.join([kept[-1], sentence])
        else:
            kept.append(sentence)
    return kept


def _ends_line(sentence: str) -> bool:
    return LINE_BREAK.search(sentence, len(sentence.rstrip())) is not None


def _pieces(sentence: Spoken, finished: Spoken, max_chars: int, mark: re.Pattern[str]) -> Iterator[_Piece]:
    """A finished sentence, cut if it is too long; the raw one knows what white space followed."""
    if not finished:
        return
    body = sentence.text.rstrip()
    after = PARAGRAPH_PAUSE_S if PARAGRAPH.search(sentence.text, len(body)) else SENTENCE_PAUSE_S
    unmarked = _ends_line(sentence.text) and not ENDED.search(mark.sub("", body).rstrip())
    apart = after == PARAGRAPH_PAUSE_S or unmarked
    cuts = list(_cuts(finished.text, max_chars, mark))
    for (start, _), (end, pause_s) in pairwise([(0, 0.0), *cuts]):
        if part := finished[start:end].strip():
            whole = end == len(finished)
            blank = len(body) < len(sentence) if whole else finished.text[end].isspace()
            yield _Piece(part, blank, whole and apart, after if whole else pause_s)


def _grouped(pieces: list[_Piece], grouping: Grouping, max_chars: int, mark: re.Pattern[str]) -> Iterator[TextPassage]:
    # An engine that says less well than most is never asked for more than that.
    limit = BATCH_CHARS if grouping == "batch" and max_chars >= MAX_CHARS else max_chars
    enough = {"each": 0, "smart": SMART_CHARS, "batch": limit}[grouping]
    group: _Piece | None = None
    for piece in pieces:
        if group is None:
            group = piece
            continue
        then = _with_capital(piece.spoken, mark) if group.pause_s == SENTENCE_PAUSE_S else piece.spoken
        joined = Spoken.join([group.spoken, then], " " if group.blank else "")
        if len(group.spoken) >= enough or len(joined) > limit or group.apart:
            yield TextPassage(group.spoken, group.pause_s)
            group = piece
        else:
            group = _Piece(joined, piece.blank, piece.apart, piece.pause_s)
    if group is not None:
        yield TextPassage(group.spoken, group.pause_s)


def _with_capital(sentence: Spoken, mark: re.Pattern[str]) -> Spoken:
    """A sentence that follows another in one passage: engines hear no end in a full stop before a small letter.

    It begins behind the marks that stand before it.
    """
    begin = 0
    while (first := _LETTER.search(sentence.text, begin)) and (found := mark.match(sentence.text, first.start() - 1)):
        begin = found.end()
    if first is None or len(first[0].upper()) != 1:
        return sentence
    capital = sentence[first.start() : first.end()].sub(_LETTER, first[0].upper())
    return Spoken.join([sentence[: first.start()], capital, sentence[first.end() :]])


def _cuts(text: str, max_chars: int, mark: re.Pattern[str]) -> Iterator[tuple[int, float]]:
    """Where to cut a sentence so that no part is over max_chars, and the pause at each cut; the last is its end."""
    start = 0
    inside = {at for found in mark.finditer(text) for at in range(found.start() + 1, found.end())}
    while len(text) - start > max_chars:
        cut, pause_s = _cut(text, start, start + max_chars, inside)
        yield cut, pause_s
        start = cut
        while start < len(text) and text[start].isspace():
            start += 1
    yield len(text), SENTENCE_PAUSE_S


def _cut(text: str, start: int, end: int, inside: Collection[int]) -> tuple[int, float]:
    """The best cut in (start, end], end < len(text): after a clause mark unless that is early, at a blank, between
    graphemes. inside: places that are none, but for want of any other."""
    blank = 0
    for cut in range(end, start + (end - start) // 4, -1):
        before, after = text[cut - 1], text[cut]
        if before in _WIDE_MARKS or (before in _CLAUSE_MARKS and after.isspace()):
            return cut, CLAUSE_PAUSE_S
        if not blank and after.isspace() and cut not in inside:
            blank = cut
    for cut in range(end, start, -1):
        if blank:
            break
        if text[cut].isspace() and cut not in inside:
            blank = cut
    if blank:
        return blank, WORD_PAUSE_S
    for cut in range(end, max(start, end - _MAX_CLUSTER), -1):
        if grapheme_break(text, cut) and cut not in inside:
            return cut, WORD_PAUSE_S
    return end, WORD_PAUSE_S


def grapheme_break(text: str, at: int) -> bool:
    """Whether a cut before text[at], 0 < at < len(text), leaves what a reader sees as one character whole.

    The rules of Unicode Standard Annex 29 that matter to speech: combining marks, joined emoji, skin tones, tag
    sequences, flags, Hangul syllables written in parts, CR LF, and Thai and Lao AM.
    """
    before, after = text[at - 1], text[at]
    if after == "\u200d" or before == "\u200d" or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return False
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f" or after in "\u0e33\u0eb3":
        return False
    if "\u1160" <= after <= "\u11ff" and "\u1100" <= before <= "\u11ff":
        return False
    if _is_flag_half(before) and _is_flag_half(after):
        halves = 0
        while halves < at and halves <= _MAX_CLUSTER and _is_flag_half(text[at - 1 - halves]):
            halves += 1
        return halves % 2 == 0
    return (before, after) != ("\r", "\n")


def _is_flag_half(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"

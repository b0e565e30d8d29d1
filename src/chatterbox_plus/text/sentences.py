"""Where sentences end: nupunkt for English, sentencex for every other language, line breaks in all of them."""

import re
from collections.abc import Iterator
from threading import Lock

from chatterbox_plus.text.languages import base
from chatterbox_plus.text.spans import Spoken

LINE_BREAK = re.compile(r"[\r\n\u2028\u2029]\s*")
PARAGRAPH = re.compile(r"(?:(?:\r\n|\n|\r(?!\n))[^\S\r\n]*){2}|\u2029")
"""A blank line, or Unicode's own mark, parts paragraphs."""

_WRAPPED_LINE = 60  # characters: e-mail and plain text files wrap at 65 to 80, headings are shorter
ENDED = re.compile(r"[.!?…:;。！？؟।]['\"”’»)\]]*$")
_INITIAL = re.compile(r"(?:^|[\s(\[«„“\"'.-])([^\W\d_]|\d{1,2})\.\s*$")  # "J." "1."
_DOT_ORDINALS = frozenset(  # "1." means first
    "bs cs da de et fi hr hu lv nb no pl sk sl sr tr".split()  # noqa: SIM905
)
# nupunkt learnt from legal texts to see abbreviations in everyday words: "It is cold. Put on a hat.", "No. Go!"
_PLAIN_END = re.compile(r"(?<![\w.])([a-z]{3,30}|[Nn]o)\.\s+(?=[A-Z])")
_REALLY_ABBREVIATED = frozenset(
    "approx art assn cert cit dept dist eds esp est ext fig figs govt incl mfg misc nat nos obs orig para "  # noqa: SIM905
    "paras pop pts pub sec seq supp tel temp trans vol vols".split()
)
_lock = Lock()  # neither library promises that threads may share its model


def sentences(spoken: Spoken, language: str) -> list[Spoken]:
    """Cut a text into sentences, which joined give it back exactly: white space stays at the end of its sentence.

    A line break ends a sentence too (headings, verses, lists), unless the line was only wrapped: when the next one
    goes on in lower case, or when a line of at least 60 characters has no mark at its end.
    Needs the text in its original case: "Hello. there" and "Hello. There" differ.
    """
    pieces = []
    for start, end in _blocks(spoken.text):
        last = start
        for cut in _cuts(spoken.text[start:end], language):
            pieces.append(spoken[last : start + cut])
            last = start + cut
    return pieces


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of the text between the line breaks that end a sentence; each holds something besides white space."""
    start = 0
    line_start = len(text) - len(text.lstrip())
    for found in LINE_BREAK.finditer(text, line_start):
        if found.end() == len(text):
            break
        line = text[line_start : found.start()].rstrip()
        wrapped = text[found.end()].islower() or (len(line) >= _WRAPPED_LINE and not ENDED.search(line))
        if PARAGRAPH.search(found[0]) or not wrapped:
            yield start, found.end()
            start = found.end()
        line_start = found.end()
    if start < len(text):
        yield start, len(text)


def _cuts(text: str, language: str) -> Iterator[int]:
    """Ends of the sentences in a block, the last of them its length."""
    ends = _english(text) if base(language) == "en" else _other(text, language)
    last = 0
    for end in ends:
        if text[last:end].strip() and not text[end : end + 1].isspace():
            yield end
            last = end
    if last < len(text):
        yield len(text)


def _english(text: str) -> Iterator[int]:
    from nupunkt import sent_spans

    with _lock:
        ends = {end for _, end in sent_spans(text)}
    ends |= {found.end() for found in _PLAIN_END.finditer(text) if found[1] not in _REALLY_ABBREVIATED}
    yield from sorted(ends - {len(text)})


def _other(text: str, language: str) -> Iterator[int]:
    from sentencex import segment

    with _lock:
        pieces = list(segment(base(language), text))
    end = 0
    for piece in pieces[:-1]:
        end += len(piece)
        if not _goes_on(text, end, language):
            yield end


def _goes_on(text: str, end: int, language: str) -> bool:
    """Whether the full stop before `end` belongs to an initial ("J. Doe") or an ordinal ("1. Test")."""
    found = _INITIAL.search(text, max(0, end - 40), end)
    if found is None:
        return False
    return found[1].isupper() or (found[1].isdecimal() and base(language) in _DOT_ORDINALS)

"""Plain text: wrapped lines joined to paragraphs, chapters at lines that are headings by what they say."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from chatterbox_plus.books.book import Book, BookLimits
from chatterbox_plus.books.decoding import decode_plain
from chatterbox_plus.books.headings import Heading, heading, is_contents
from chatterbox_plus.books.paragraphs import BREAK, Block, by_headings, one_line, paragraphs

# Project Gutenberg's frame; the line may be wrapped itself.
_START = re.compile(r"^\*\*\* ?START OF[^*]{1,400}\*\*\*[^\n]*\n", re.MULTILINE)
_END = re.compile(r"^(?:\*\*\* ?END OF|End of (?:the |this )?Project Gutenberg)", re.MULTILINE)
_FIELD = re.compile(r"^(Title|Author|Language):[ \t]*(\S[^\n]*)$", re.MULTILINE)
_HEADER_CHARS = 20_000
_LANGUAGES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
    "dutch": "nl", "polish": "pl", "russian": "ru", "swedish": "sv", "danish": "da", "norwegian": "no",
    "finnish": "fi", "czech": "cs", "hungarian": "hu", "greek": "el", "chinese": "zh", "japanese": "ja",
}  # fmt: skip
_APPARATUS = re.compile(
    r"\[(?:Illustration|Footnote \w{1,5}|Sidenote|Transcriber[’']s Notes?)\b[^\[\]]*+\]|\[\d{1,3}\]"
)
_ITALICS = re.compile(r"(?<!\w)_(?=\S)([^_]{1,2000})(?<=\S)_(?!\w)")

_NEVER_WRAPPED = 120  # characters: where a tenth of the lines is longer, each line is a paragraph
_NEVER_PROSE = 50  # where nine tenths are shorter, lines are verses
_WRAPPED_SHARE = 0.6  # of what is usual; a shorter line was ended on purpose
_HYPHEN = re.compile(r"[^\W\d_]-$")
_INDENT = re.compile(r"(?: {2,}|\t)")
_MOST_HEADING_LINES, _MOST_HEADING_CHARS = 3, 100
_CONTENTS_LINES = 3  # as many lines like headings in one paragraph are a table of contents, and, parted, one more
_CONTENTS_SHARE = 0.8  # of its lines


@dataclass(frozen=True)
class _Piece:
    """Lines between blank ones, and what they are if they are a heading."""

    lines: list[str]
    heading: Heading | None


def read_plain(data: bytes, name: str, limits: BookLimits) -> Book:
    """name: the title of a text that does not say its own. Raises InvalidBook for what is no text."""
    text = decode_plain(data, limits)
    fields: dict[str, str] = {}
    start = _START.search(text)
    if start:
        for key, value in _FIELD.findall(text[: start.start()][-_HEADER_CHARS:]):
            fields.setdefault(key, one_line(value))
        end = _END.search(text, start.end())
        text = text[start.end() : end.start() if end else len(text)]
        text = _ITALICS.sub(r"\1", _APPARATUS.sub("", text))
    title = fields.get("Title") or name
    blocks = list(_blocks(text))
    language = _LANGUAGES.get(fields.get("Language", "").lower())
    return Book(title, fields.get("Author"), language, None, tuple(by_headings(blocks, title)))


def _blocks(text: str) -> Iterator[Block]:
    lines = text.split("\n")
    usual = _usual_length(lines)
    pieces = [_piece(list(group)) for blank, group in groupby(lines, lambda line: not line.strip()) if not blank]
    for piece in _without_contents(pieces):
        raw = BREAK.join(piece.lines) if piece.heading else _joined(piece.lines, usual)
        level = piece.heading.level if piece.heading else 0
        yield from (Block(paragraph, level) for paragraph in paragraphs(raw))


def _piece(lines: list[str]) -> _Piece:
    short = len(lines) <= _MOST_HEADING_LINES and all(len(line) <= _MOST_HEADING_CHARS for line in lines)
    return _Piece(lines, heading(lines[0]) if short else None)


def _usual_length(lines: Iterable[str]) -> int:
    """What nine lines of ten are not longer than."""
    lengths = sorted(len(line) for line in lines if line.strip())
    return lengths[len(lengths) * 9 // 10] if lengths else 0


def _joined(lines: list[str], usual: int) -> str:
    """Raw text of the paragraphs that lines without a blank one between them make."""
    if usual > _NEVER_WRAPPED:
        return (BREAK * 2).join(lines)
    made = [lines[0]]
    for before, line in pairwise(lines):
        if usual >= _NEVER_PROSE and _INDENT.match(line) and not _INDENT.match(before):
            made.append(BREAK * 2)
        elif _HYPHEN.search(before.rstrip()) and line.lstrip()[:1].islower():
            made[-1] = made[-1].rstrip()
            line = line.lstrip()
        elif line.lstrip()[:1].islower() or (usual >= _NEVER_PROSE and len(before) >= _WRAPPED_SHARE * usual):
            made.append(" ")
        else:
            made.append(BREAK)
        made.append(line)
    return "".join(made)


def _without_contents(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Leave out tables of contents: many lines like headings without a text between them."""
    listed = [_lists_chapters(piece) for piece in pieces]
    runs = [
        list(run)
        for is_heading, run in groupby(range(len(pieces)), lambda at: pieces[at].heading is not None)
        if is_heading
    ]
    later: set[str] = set()
    for run in reversed(runs):
        headings = [heading for at in run if (heading := pieces[at].heading)]
        for back, (at, here) in enumerate(zip(reversed(run), reversed(headings), strict=True)):
            # One of a list comes again where its text is. The last begins a text here, and so does a part before it.
            begins = back == 0 or (back == 1 and here.level < headings[-1].level)
            listed[at] |= len(run) > _CONTENTS_LINES and not begins and here.key in later
            later.add(here.key)
    for at, piece in enumerate(pieces):
        over_list = at + 1 < len(pieces) and listed[at + 1] and len(piece.lines) == 1 and is_contents(piece.lines[0])
        if not listed[at] and not over_list:
            yield piece


def _lists_chapters(piece: _Piece) -> bool:
    """Whether all but a few lines are headings."""
    lines = piece.lines[1:] if is_contents(piece.lines[0]) else piece.lines
    if len(lines) < _CONTENTS_LINES or not any(map(heading, lines[:2])):
        return False
    return sum(heading(line) is not None for line in lines) >= _CONTENTS_SHARE * len(lines)

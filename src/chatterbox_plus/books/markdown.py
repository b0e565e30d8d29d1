"""Markdown: its marks taken away, chapters at "#" and "##". Code, pictures and notes are not read."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from chatterbox_plus.books.book import Book, BookLimits
from chatterbox_plus.books.decoding import decode_plain
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.paragraphs import BREAK, Block, by_headings, lone_title, one_line, paragraphs
from chatterbox_plus.books.prose import read_prose

_FRONT = re.compile(r"---[ \t]*\n(?P<fields>(?:[^\n]*\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\n|$)")
_FRONT_CHARS = 20_000
_A_FIELD = re.compile(r"^[A-Za-z][\w-]*[ \t]*:", re.MULTILINE)
_NOTE = re.compile(
    r"^\[\^[^\]\n]{1,100}\]:[^\n]*(?:\n(?:(?:[ \t]*\n)*(?: {4}|\t)[^\n]*|[^\s\[#>-][^\n]*))*", re.MULTILINE
)
_NOTE_MARK = re.compile(r"\[\^[^\]\n]{1,100}\]")
_REFERENCE = re.compile(r"^ {0,3}\[([^\]\[\n^]{1,200})\]:[ \t]*\S", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_TASK = re.compile(r"\[[ xX]\]\s+")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
# A parser of tokens takes a thousand bytes for a short paragraph, and more than linear time for some long ones.
_PIECE_CHARS: Final = 10_000
_LONGEST_PIECE_CHARS: Final = 20_000
_LONGEST_CODE_CHARS: Final = 100_000
_MOST: Final = _LONGEST_PIECE_CHARS - 2
# A line, or as much of one as fits: up to the end of a sentence, of a word, or anything.
_LINE = re.compile(
    rf"[^\n]{{0,{_MOST}}}\n|[^\n]{{1,{_MOST}}}\Z|[^\n]{{1,{_MOST}}}[.!?…。]\s|[^\n]{{1,{_MOST}}}\s|[^\n]{{1,{_MOST}}}"
)
_ENDED = ".,;:!?…。！？؟।"


def read_markdown(data: bytes, name: str, limits: BookLimits) -> Book:
    """name: the title of a text that does not say its own. Raises InvalidBook for what is no text, or a block of
    fields at the beginning that is no YAML."""
    text = decode_plain(data, limits)
    fields, text = _front_matter(text)
    text = _NOTE_MARK.sub("", _NOTE.sub("", text))
    blocks = list(_blocks(text))
    title = _words(fields.get("title")) or lone_title(blocks) or name
    author = _words(fields.get("author")) or _words(fields.get("authors"))
    language = _words(fields.get("language")) or _words(fields.get("lang"))
    return Book(title, author or None, language or None, None, tuple(by_headings(blocks, title)))


def _front_matter(text: str) -> tuple[Mapping[str, Any], str]:
    """Fields, and the text behind them. Two rules with a text between them are no fields."""
    found = _FRONT.match(text[:_FRONT_CHARS])
    if found is None or not _A_FIELD.match(found["fields"]):
        return {}, text
    try:
        fields = yaml.load(found["fields"], Loader=yaml.BaseLoader)  # makes texts, lists and mappings only
    except (yaml.YAMLError, RecursionError):
        message = 'the fields between the lines of --- cannot be read: write `title: "…"`, with quotes'
        raise InvalidBook(message) from None
    return fields if isinstance(fields, dict) else {}, text[found.end() :]


def _words(field: object) -> str:
    """A field that is a text, or a list of texts."""
    texts = field if isinstance(field, list) else [field]
    return one_line(", ".join(text for text in texts if isinstance(text, str)))


def _blocks(text: str) -> Iterator[Block]:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    known = {normalizeReference(label): {"title": "", "href": "#"} for label in _REFERENCE.findall(text)}
    for piece in _pieces(text):
        yield from _read(parser.parse(piece, {"references": dict(known)}))


def _pieces(text: str) -> Iterator[str]:
    """Cut where a paragraph begins at the margin, anywhere if there is no such place, but never in code."""
    piece: list[str] = []
    size = 0
    fence = ""
    after_blank = False
    for line in _LINE.findall(text):
        begins = after_blank and not line[0].isspace()
        if not fence and ((begins and size >= _PIECE_CHARS) or size + len(line) > _LONGEST_PIECE_CHARS):
            yield "".join(piece)
            piece, size = [], 0
        if size > _LONGEST_CODE_CHARS:
            raise InvalidBook(f"more than {_LONGEST_CODE_CHARS} characters of code: does each {fence} have its end?")
        if found := _FENCE.match(line):
            if not fence:
                fence = found[1]
            elif found[1].startswith(fence) and not line.strip(" \t\n`~"):
                fence = ""
        piece.append(line)
        size += len(line)
        after_blank = line.isspace()
    yield "".join(piece)


def _read(tokens: list[Token]) -> Iterator[Block]:
    level = 0
    in_list = 0
    row: list[str] | None = None
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = 0
        elif token.type in ("list_item_open", "list_item_close"):
            in_list += token.nesting
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield from (Block(text) for text in paragraphs(", ".join(filter(None, row or []))))
            row = None
        elif token.type == "html_block":
            yield from read_prose(token.content).blocks
        elif token.type == "inline" and row is not None:
            row.append(_inline(token.children or []).strip())
        elif token.type == "inline":
            raw = _inline(token.children or [])
            for text in paragraphs(_TASK.sub("", raw, count=1) if in_list and _TASK.match(raw) else raw):
                yield Block(_sentence(text) if in_list and not level else text, level)


def _inline(tokens: list[Token]) -> str:
    """What is read of a paragraph; a picture is not, nor is anything within it."""
    pieces = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            pieces.append(token.content.replace(BREAK, " "))
        elif token.type == "softbreak":
            pieces.append(" ")
        elif token.type == "hardbreak" or (token.type == "html_inline" and _LINE_BREAK.fullmatch(token.content)):
            pieces.append(BREAK)
    return "".join(pieces)


def _sentence(text: str) -> str:
    """An item of a list ends like a sentence, so that it is not read as one with the next."""
    return text if text[-1] in _ENDED or not text[-1].isalnum() else text + "."

"""From raw text to paragraphs, and from paragraphs to chapters: what all formats have in common."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from chatterbox_plus.books.book import Chapter

BREAK = "\v"
"""Stands for a line break that is meant, in raw text where "\\n" is only white space; two of them end a paragraph."""

MAX_TITLE_CHARS = 300
_CHAPTER_LEVELS = (1, 2)
_MOST_JOINED = 3  # headings in a row that make one title: part, chapter, subtitle

# Invisible: soft hyphens (a word they part is one word), marks of byte order, word joiners, and control characters.
_INVISIBLE = dict.fromkeys([0xAD, 0xFEFF, 0x2060, 0x7F, *(c for c in range(0x20) if chr(c) not in "\t\n\v\f\r")])
_BLANKS = re.compile(r"[ \t\n\f\r]+")  # no-break spaces stay: they hold numbers together
_PARAGRAPHS = re.compile(r"(?:\v[ \xa0]*+){2,}")
_NOT_SAID = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph (level 0) or heading (1 to 6)."""

    text: str
    level: int = 0


def paragraphs(raw: str) -> Iterator[str]:
    """Paragraphs of raw text. Those without a letter or digit ("* * *") are left out: nobody reads them aloud."""
    text = _BLANKS.sub(" ", raw.translate(_INVISIBLE))
    for paragraph in _PARAGRAPHS.split(text) if BREAK in text else (text,):
        lines = "\n".join(filter(None, (line.strip() for line in paragraph.split(BREAK))))
        if said(lines):
            yield lines


def one_line(raw: str) -> str:
    """A title or a name: one line without invisible characters, cut to 300 characters."""
    return " ".join(raw.translate(_INVISIBLE).split())[:MAX_TITLE_CHARS].rstrip()


def said(text: str) -> str:
    """What of a text is heard, for comparing: letters and digits, whatever their case."""
    return _NOT_SAID.sub("", text).casefold()


def joined_title(titles: Iterable[str]) -> str:
    """From "Part One" and "The Storm" to "Part One: The Storm"; the same one twice is one."""
    distinct = list({said(title): title for title in titles}.values())[:_MOST_JOINED]
    return one_line(": ".join([*(title.rstrip(" .:–—-") for title in distinct[:-1]), *distinct[-1:]]))


def chapter(title: str, blocks: Iterable[Block]) -> Chapter:
    """Its text is what the blocks say, each heading once."""
    return Chapter(title, "\n\n".join(block.text for block in once(blocks)))


def once(blocks: Iterable[Block]) -> list[Block]:
    """Without a heading that says again what stands right before it, or is said again right behind it."""
    kept: list[Block] = []
    for block in blocks:
        before = kept[-1] if kept else Block("")
        if (block.level or before.level) and said(block.text) == said(before.text):
            kept[-1] = before if before.level else block
        else:
            kept.append(block)
    return kept


def sections(blocks: Sequence[Block]) -> list[Sequence[Block]]:
    """Cut at each heading of level 1 or 2; headings in a row begin one section. None of them is empty."""
    blocks = once(blocks)
    starts = [0, *(i for i in range(1, len(blocks)) if opens(blocks[i]) and not opens(blocks[i - 1]))]
    return [blocks[start:end] for start, end in pairwise([*starts, len(blocks)])] if blocks else []


def by_headings(blocks: Sequence[Block], book_title: str) -> list[Chapter]:
    """A chapter a section. The book's own title is read aloud but names only a chapter without another heading."""
    return [chapter(own_title(part, book_title) or book_title, part) for part in sections(blocks)]


def opens(block: Block) -> bool:
    """Whether it is a heading that begins a chapter."""
    return block.level in _CHAPTER_LEVELS


def own_title(blocks: Sequence[Block], book_title: str) -> str:
    """What the headings at the beginning say, without the book's title; "" where there are none."""
    titles = []
    for block in blocks:
        if not block.level:
            break
        if said(block.text) != said(book_title):
            titles += block.text.split("\n")
    return joined_title(titles)


def lone_title(blocks: Sequence[Block]) -> str | None:
    """The heading a text opens with, if it is the only one of level 1 and others follow: the title of the whole."""
    if blocks and blocks[0].level == 1:
        levels = [block.level for block in blocks]
        if levels.count(1) == 1 and 2 in levels:
            return one_line(blocks[0].text)
    return None

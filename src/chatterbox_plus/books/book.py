"""A book as plain data, and the limits under which one is read."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Cover:
    """A picture, looked at only as far as its first bytes."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]


@dataclass(frozen=True)
class Chapter:
    """text: what is read aloud, exactly. Paragraphs are parted by a blank line, lines of verse by a line break; its
    own heading, where the book shows one, is the first paragraph."""

    title: str
    text: str


@dataclass(frozen=True)
class Book:
    """At least one chapter, and none of them without text."""

    title: str
    author: str | None
    language: str | None  # as the book says it: "en", "pt-BR"
    cover: Cover | None
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True, kw_only=True)
class BookLimits:
    """Above any of these a book is refused, except that a cover is left out."""

    max_bytes: int = 48_000_000  # unpacked, of all that is read of a book; pictures are not
    max_entry_bytes: int = 24_000_000  # unpacked, of one file in it
    max_entries: int = 10_000  # files in it, read or not
    max_tags: int = 2_000_000  # in all documents; a long novel has 100,000, Word writes ten times as many
    max_lines: int = 500_000  # of a text file
    max_chars: int = 12_000_000  # of text; the longest novels have 5 million
    max_chapters: int = 2_000
    max_cover_bytes: int = 10_000_000

"""What is asked for of a book, as plain data: kept with its task, and the same for the API and the CLI."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from chatterbox_plus.audio.tags import cover_type
from chatterbox_plus.books.book import Book, Cover
from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.options import SpeechOptions

BOOK_SEED = 1
"""Where nobody asks for another: a book sent again with a sentence changed must find all others as they were spoken."""
BookFormat = Literal["m4b", "mp3"]
Subtitles = Literal["srt", "vtt"]
UNUSED = (
    "trim", "use_auto_editor", "keep_original_wav_ae", "normalize_audio", "export_formats", "timestamps", "streaming",
    "text",
)  # fmt: skip
"""Options of speech that mean nothing to a book: its levels and formats are its own."""


class ChapterText(BaseModel):
    """A chapter as it will be read."""

    model_config = ConfigDict(frozen=True)
    title: str = Field(max_length=500)
    text: str
    voice: str | None = Field(None, max_length=2048, description="Who reads it; default: who reads the book.")


class BookText(BaseModel):
    """A book, ready to be read. cover: JPEG or PNG in base64."""

    model_config = ConfigDict(frozen=True)
    title: str = Field(max_length=500)
    author: str = Field("", max_length=500)
    language: str | None = Field(None, max_length=35)
    cover: str | None = None
    chapters: tuple[ChapterText, ...] = Field(min_length=1)


@dataclass(frozen=True)
class BookOrder:
    """What is to be made of a book. options: of the speech; its text counts for nothing."""

    book: BookText
    options: SpeechOptions
    format: BookFormat = "m4b"
    subtitles: tuple[Subtitles, ...] = ("srt", "vtt")


def told_otherwise(
    book: Book,
    *,
    title: str | None = None,
    author: str | None = None,
    language: str | None = None,
    cover: bytes | None = None,
) -> Book:
    """The book with what somebody says of it instead of what it says itself; None and "" say nothing.

    Raises InvalidOption for a cover that is neither JPEG nor PNG, or too large.
    """
    return replace(
        book,
        title=title or book.title,
        author=author or book.author,
        language=language or book.language,
        cover=book.cover if cover is None else _cover(cover),
    )


def order_for(
    book: Book,
    options: SpeechOptions,
    *,
    voices: Mapping[str, str],
    chapter_voices: Mapping[int, str],
    format: BookFormat,
    subtitles: Sequence[Subtitles],
) -> BookOrder:
    """What is to be made of that book.

    voices: a chapter's number from 1, or its title in any case → who reads it. chapter_voices: by number; these win.
    Raises InvalidOption for a chapter that is not there.
    """
    readers = {**_readers(book, voices), **chapter_voices}
    text = BookText(
        title=book.title,
        author=book.author or "",
        language=book.language,
        cover=base64.b64encode(book.cover.data).decode() if book.cover else None,
        chapters=tuple(
            ChapterText(title=chapter.title, text=chapter.text, voice=readers.get(number))
            for number, chapter in enumerate(book.chapters, 1)
        ),
    )
    return BookOrder(text, options, format, tuple(subtitles))


def _cover(data: bytes) -> Cover:
    return Cover(data, "image/jpeg" if cover_type(data) == "jpeg" else "image/png")


def _readers(book: Book, wanted: Mapping[str, str]) -> dict[int, str]:
    titles: dict[str, list[int]] = {}
    for number, chapter in enumerate(book.chapters, 1):
        titles.setdefault(chapter.title.strip().casefold(), []).append(number)
    readers: dict[int, str] = {}
    for name, voice in wanted.items():
        numbers = titles.get(name.strip().casefold(), [])
        if not numbers and name.strip().isdecimal() and 1 <= int(name) <= len(book.chapters):
            numbers = [int(name)]
        if not numbers:
            raise InvalidOption(f"voices: there is no chapter {name[:80]}", param="voices")
        readers |= dict.fromkeys(numbers, voice)
    return readers

"""What a book would become, before anything is spoken."""

from collections.abc import Callable, Sequence
from typing import Any

from chatterbox_plus.books.book import Book, Chapter
from chatterbox_plus.text.markup import Part, Pause, Speech, parse, voices

CHARS_PER_SECOND = 15.0  # of speech at a usual pace, pauses between sentences included
FALLBACK_LANGUAGE = "en"

ChapterSplit = Callable[[str, str], Sequence[str]]
"""(text, language) → the passages it is spoken in."""


def preview(book: Book, *, chapter_split: ChapterSplit, with_passages: bool = False) -> dict[str, Any]:
    """Ready for JSON. Figures are of what is spoken: marks count for their pauses only.

    with_passages: the passages themselves, not only how many. Raises InvalidOption, naming it, for a mark that cannot
    be read.
    """
    language = book.language or FALLBACK_LANGUAGE
    parsed = [parse(chapter.text) for chapter in book.chapters]
    chapters = [
        _chapter(index, chapter, parts, [p for part in parts for p in _passages(part, language, chapter_split)])
        for index, (chapter, parts) in enumerate(zip(book.chapters, parsed, strict=True))
    ]
    totals = ("characters", "words", "passages", "estimated_seconds")
    found: dict[str, Any] = {
        "title": book.title,
        "author": book.author,
        "language": book.language,
        "has_cover": book.cover is not None,
        **{name: round(sum(chapter[name] for chapter, _ in chapters), 1) for name in totals},
        "voices": list(dict.fromkeys(voice for parts in parsed for voice in voices(parts))),
        "chapters": [chapter for chapter, _ in chapters],
    }
    if with_passages:
        for chapter, texts in chapters:
            chapter["passage_texts"] = texts
    return found


def _chapter(
    index: int, chapter: Chapter, parts: tuple[Part, ...], passages: list[str]
) -> tuple[dict[str, Any], list[str]]:
    spoken = [part.text.strip() for part in parts if isinstance(part, Speech)]
    characters = sum(map(len, spoken))
    pauses_s = sum(part.ms for part in parts if isinstance(part, Pause)) / 1000
    figures = {
        "index": index,
        "title": chapter.title,
        "characters": characters,
        "words": sum(len(text.split()) for text in spoken),
        "passages": len(passages),
        "voices": list(voices(parts)),
        "estimated_seconds": round(characters / CHARS_PER_SECOND + pauses_s, 1),
    }
    return figures, passages


def _passages(part: Part, language: str, split: ChapterSplit) -> Sequence[str]:
    return split(part.text, language) if isinstance(part, Speech) and part.text.strip() else ()

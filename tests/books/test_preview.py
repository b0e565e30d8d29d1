"""A preview says what a book would become, ready for JSON."""

import json

import pytest

from chatterbox_plus.books.book import Book, Chapter, Cover
from chatterbox_plus.books.preview import preview
from chatterbox_plus.errors import InvalidOption

BOOK = Book(
    "A Book",
    "A. Writer",
    "de",
    Cover(b"x", "image/png"),
    (
        Chapter("One", "One\n\nFirst text. It goes on."),
        Chapter("Two", "[voice: Ann]Two[pause: 3s]\n\n[voice: bob]Hello. You.[/voice] [voice: gone] "),
    ),
)


def split(text: str, language: str) -> list[str]:
    assert language == "de"
    return [f"{part}." for part in text.replace("\n", " ").split(".") if part.strip()]


def test_figures_are_of_what_is_spoken():
    found = preview(BOOK, chapter_split=split)
    assert found == {
        "title": "A Book",
        "author": "A. Writer",
        "language": "de",
        "has_cover": True,
        "characters": 42,
        "words": 9,
        "passages": 5,
        "estimated_seconds": 5.8,
        "voices": ["Ann", "bob"],
        "chapters": [
            {
                "index": 0,
                "title": "One",
                "characters": 28,
                "words": 6,
                "passages": 2,
                "voices": [],
                "estimated_seconds": 1.9,
            },
            {
                "index": 1,
                "title": "Two",
                "characters": 14,
                "words": 3,
                "passages": 3,
                "voices": ["Ann", "bob"],
                "estimated_seconds": 3.9,
            },
        ],
    }
    assert json.loads(json.dumps(found)) == found


def test_passages_are_there_for_who_asks():
    found = preview(BOOK, chapter_split=split, with_passages=True)
    assert found["chapters"][1]["passage_texts"] == ["Two.", "Hello.", " You."]


def test_a_mark_that_cannot_be_read_is_named():
    book = Book("A Book", None, None, None, (Chapter("One", "Hi [pause: soon]"),))
    with pytest.raises(InvalidOption, match="pause: soon"):
        preview(book, chapter_split=split)

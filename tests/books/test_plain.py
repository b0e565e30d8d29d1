"""Plain text: chapters by what their headings say, and paragraphs whatever width they were wrapped to."""

import textwrap

import pytest

from chatterbox_plus.books.book import Book, Chapter
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.headings import heading
from chatterbox_plus.books.read import read_book

PROSE = (
    "It was a long story that went on over many lines, and each of them was wrapped at the same width as the one "
    "before it, which is how plain text was kept for many years before anybody thought of long lines."
)
WRAPPED = textwrap.fill(PROSE, 70)


def read(text: str | bytes, name: str = "my_story.txt") -> Book:
    return read_book(text if isinstance(text, bytes) else text.encode(), name)


@pytest.mark.parametrize(
    "line",
    [
        "Chapter 1",
        "CHAPTER IV. Title",
        "CHAPTER XII: THE STORM",
        "Chapter 3 The Storm",
        "Chapter Twenty-One",
        "Chapter the First",
        "PART TWO",
        "Part Two — Home again.",
        "Book the Second",
        "The Second Part",
        "Prologue",
        "EPILOGUE: Later",
        "Kapitel 3",
        "Drittes Kapitel",
        "2. Kapitel",
        "Kapitel Eins",
        "Chapitre 2",
        "CHAPITRE PREMIER",
        "Première partie",
        "Capítulo 1",
        "Capítulo primero",
        "Segunda parte",
        "Capitolo terzo",
        "Hoofdstuk 4",
        "Глава 5",
        "第一章 开始",
        "  * Chapter 7 *",
    ],
)
def test_a_line_is_a_heading(line: str):
    assert heading(line)
    before, chapter = read(f"Before.\n\n{line}\n\nText.\n").chapters
    assert before == Chapter("my story", "Before.")
    assert chapter.text.endswith("\n\nText.")


@pytest.mark.parametrize(
    "line",
    [
        "Part of the problem",
        "Part I of this was known.",
        "Chapter 3 was the worst.",
        "Book a table",
        "Act now",
        "Letter to a friend",
        "The last part of it",
        "Introduction to Botany was her book",
        "Chapter",
        "Teil des Ganzen",
        "Chapter 1. " + "x" * 100,
        "",
    ],
)
def test_a_line_is_none(line: str):
    assert heading(line) is None


def test_chapters_begin_at_headings_between_blank_lines():
    text = f"A Story\n\nPART ONE\n\nCHAPTER I.\nThe Storm\n\n{WRAPPED}\n\nChapter 7\nof it was lost, "
    text += f"and what is left is long.\nThat is all.\nReally.\n\nCHAPTER II\n\n{WRAPPED}\n"
    assert read(text).chapters == (
        Chapter("my story", "A Story"),
        Chapter(
            "PART ONE: CHAPTER I: The Storm",
            f"PART ONE\n\nCHAPTER I.\nThe Storm\n\n{PROSE}\n\n"
            "Chapter 7 of it was lost, and what is left is long.\nThat is all.\nReally.",
        ),
        Chapter("CHAPTER II", f"CHAPTER II\n\n{PROSE}"),
    )


def test_a_text_without_headings_is_one_chapter_named_after_its_file():
    assert read("Hello.\r\n\r\nYou.") == Book("my story", None, None, None, (Chapter("my story", "Hello.\n\nYou."),))


def test_wrapped_lines_are_joined_and_verses_and_indented_paragraphs_are_not():
    verse = "Roses are red\nAnd violets blue"
    indented = textwrap.fill(PROSE, 70, initial_indent="   ")
    text = f"{WRAPPED}\n\n{verse}\n\n{indented}\n{indented}\n\nA well-\nknown one."
    wanted = [PROSE, verse, PROSE, PROSE, "A well-known one."]
    assert read(text).chapters[0].text == "\n\n".join(wanted)


def test_a_line_that_was_never_wrapped_is_a_paragraph():
    assert read(f"{PROSE}\n{PROSE}\n“Yes.”\n{PROSE}").chapters[0].text == "\n\n".join([PROSE, PROSE, "“Yes.”", PROSE])


def test_tables_of_contents_are_not_chapters():
    listed = "\n\n".join(f"Chapter {n}" for n in range(1, 6))
    told = "\n\n".join(f"Chapter {n}\n\nText {n}." for n in range(1, 6))
    dense = "CONTENTS\n\nPreface ..... 1\n" + "\n".join(f"Chapter {n} ..... {n}" for n in range(1, 6))
    for contents in (listed, f"Contents\n\n{listed}", dense, dense.replace("\n\n", "\n")):
        book = read(f"{contents}\n\n{told}")
        assert [chapter.title for chapter in book.chapters] == [f"Chapter {n}" for n in range(1, 6)]
        assert book.chapters[0].text == "Chapter 1\n\nText 1."


def test_parts_that_number_their_chapters_anew_keep_all_of_them():
    parts = "\n\n".join(f"Part {p}\n\nChapter 1\n\nText.\n\nChapter 2\n\nText." for p in ("One", "Two"))
    listed = "Part One\n\nChapter 1\n\nChapter 2\n\nPart Two\n\nChapter 1\n\nChapter 2\n\n"
    wanted = ["Part One: Chapter 1", "Chapter 2", "Part Two: Chapter 1", "Chapter 2"]
    assert [chapter.title for chapter in read(parts).chapters] == wanted
    assert [chapter.title for chapter in read(listed + parts).chapters] == wanted


def test_the_frame_of_project_gutenberg_is_cut_away():
    text = (
        "The Project Gutenberg eBook of A Story\n\nTitle: A Story\nAuthor: A. Writer\nLanguage: English\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK A STORY THAT HAS\nA LONG TITLE ***\n\n[Illustration: a cat]\n\n"
        "CHAPTER I\n\nIt was _very_ late.[1]\n\n*** END OF THE PROJECT GUTENBERG EBOOK A STORY ***\n\nLicence.\n"
    )
    assert read(text) == Book(
        "A Story", "A. Writer", "en", None, (Chapter("CHAPTER I", "CHAPTER I\n\nIt was very late."),)
    )


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_any_usual_encoding_is_read(codec: str):
    assert read("Él dijo: “así”.".encode(codec)).chapters[0].text == "Él dijo: “así”."


@pytest.mark.parametrize("data", [b"", b" \n\n ", b"* * *", b"\x00\x01\x02\xff" * 100, b"text\0text"])
def test_what_holds_no_text_is_refused(data: bytes):
    with pytest.raises(InvalidBook):
        read(data)

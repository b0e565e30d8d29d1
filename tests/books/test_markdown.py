"""Markdown loses its marks and nothing that is read."""

import pytest

from chatterbox_plus.books.book import Book, Chapter
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.read import read_book


def read(text: str, name: str = "notes.md") -> Book:
    return read_book(text.encode(), name)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Some *very* **bold** ~~old~~ `code` word", "Some very bold old code word"),
        ("A [link](http://example.org 'x'), [two][a] and [third]\n\n[a]: /x\n[third]: /y", "A link, two and third"),
        ("Before ![alt](x.png) after ![alt][a].\n\n[a]: x.png", "Before after ."),
        ("wrapped\nline and  \nbroken\\\nline", "wrapped line and\nbroken\nline"),
        ("a\n\n```python\nprint('no')\n```\n\n    no = 1\n\nb", "a\n\nb"),
        ("* apples\n* pears!\n  1. red\n\n- [x] done\n- [ ] “later”", "apples.\n\npears!\n\nred.\n\ndone.\n\n“later”"),
        ("> quoted\n> text\n\n---\n\n***\n\nend", "quoted text\n\nend"),
        ("A note.[^1] More[^long].\n\n[^1]: no\n    no\n\n    no\n\n[^long]: no\nno\n\nEnd.", "A note. More.\n\nEnd."),
        ("<b>bold</b><br>next <!-- no -->\n\n<div><p>kept</p><script>no</script></div>", "bold\nnext\n\nkept"),
        ("| A | B |\n|---|---|\n| 1 | *2* |\n| 3 | |", "A, B\n\n1, 2\n\n3"),
        ("[pause: 1s] Hi [voice: my_own_name] you [sic]", "[pause: 1s] Hi [voice: my_own_name] you [sic]"),
        ("1 < 2 &amp; \\*stars\\* &mdash;", "1 < 2 & *stars* —"),
        ("### Small\n\ntext", "Small\n\ntext"),
    ],
)  # fmt: skip
def test_is_read_as(written: str, text: str):
    assert [chapter.text for chapter in read(written).chapters] == [text]


def test_chapters_begin_at_the_two_highest_headings():
    book = read("Hello.\n\n# One *more*\n\na\n\n### Sub\n\nb\n\nTwo\n---\n\nc\n\n# Part\n## Three #\n\nd")
    assert (book.title, book.chapters) == (
        "notes",
        (
            Chapter("notes", "Hello."),
            Chapter("One more", "One more\n\na\n\nSub\n\nb"),
            Chapter("Two", "Two\n\nc"),
            Chapter("Part: Three", "Part\n\nThree\n\nd"),
        ),
    )


def test_a_lone_heading_over_all_others_is_the_title():
    book = read("# My Book\n\n## One\n\na\n\n## Two\n\nb")
    assert (book.title, [chapter.title for chapter in book.chapters]) == ("My Book", ["One", "Two"])
    assert book.chapters[0].text == "My Book\n\nOne\n\na"


def test_the_front_matter_says_title_author_and_language():
    book = read("---\ntitle: '1984: a book'\nauthor:\n  - A. Writer\n  - B\nlanguage: no\ndate: 2024-99-99\n---\nText.")
    assert book == Book("1984: a book", "A. Writer, B", "no", None, (Chapter("1984: a book", "Text."),))


def test_rules_are_no_front_matter():
    assert read("---\n\nHello.\n\n---\n\nYou.").chapters[0].text == "Hello.\n\nYou."


@pytest.mark.parametrize("fields", ["title: a: b", "title: [" + "[" * 1000, "title: 'open"])
def test_front_matter_that_cannot_be_read_is_refused(fields: str):
    with pytest.raises(InvalidBook, match="quotes"):
        read(f"---\n{fields}\n---\nText.")


def test_a_long_text_is_read_piece_by_piece_like_a_short_one():
    part = "A [link] here.\n\n- one\n- two\n\n```\n\n# no\n\n```\n\n"
    book = read("# Start\n\n" + part * 2000 + "# End\n\ntext\n\n[link]: /x\n", "x.markdown")
    assert [chapter.title for chapter in book.chapters] == ["Start", "End"]
    # lists, code and references across the borders
    assert book.chapters[0].text == "Start\n\n" + "\n\n".join(["A link here.", "one.", "two."] * 2000)


def test_a_line_of_any_length_is_read():
    assert read("word " * 50_000).chapters[0].text.split() == ["word"] * 50_000
    long = "A sentence of some length. " * 1_000
    assert all(part.endswith("length.") for part in read(long).chapters[0].text.split("\n\n"))
    assert read("x" * 90_000).chapters[0].text.replace("\n", "") == "x" * 90_000


def test_long_code_is_not_taken_for_text_and_code_without_end_is_named():
    code = "x = 1\n\n" * 10_000
    assert read(f"a\n\n```\n{code}```\n\nb").chapters[0].text == "a\n\nb"
    with pytest.raises(InvalidBook, match="```"):
        read(f"a\n\n```\n{code * 2}")

"""Documents of a word processor: its headings are the chapters, and what it hides is not read."""

import pytest

from chatterbox_plus.books.book import Book, Chapter
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.read import read_book
from tests.books.making import docx, word, zipped


def text(body: str) -> str:
    return read_book(docx(body), "x.docx").chapters[0].text


def test_headings_are_chapters_whatever_their_styles_are_called():
    body = (
        word("My Book", "Titre") + word("Hello.") + word("One", "berschrift1") + word("First & last.")
        + word("Two", "Mine") + word("Second.") + word("") + word("* * *") + word("Third.", "Unknown")
    )  # fmt: skip
    core = "<dc:title></dc:title><dc:creator>A. Writer</dc:creator>"
    assert read_book(docx(body, core=core), "x.docx") == Book(
        "My Book",
        "A. Writer",
        "fr-FR",
        None,
        (
            Chapter("My Book", "My Book\n\nHello."),
            Chapter("One", "One\n\nFirst & last."),
            Chapter("Two", "Two\n\nSecond.\n\nThird."),
        ),
    )


def test_the_properties_say_title_and_language():
    core = "<dc:title>Said</dc:title><dc:language>pt-BR</dc:language>"
    book = read_book(docx(word("Hello."), core=core), "x.docx")
    assert (book.title, book.author, book.language, book.chapters[0].title) == ("Said", None, "pt-BR", "Said")


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ("<w:p><w:r><w:t>one </w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>word</w:t></w:r></w:p>", "one word"),
        ("<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>", "a b\nc"),
        ("<w:p><w:r><w:t>a</w:t><w:br w:type='page'/><w:br/><w:t>b</w:t></w:r></w:p>", "a\n\nb"),
        (
            "<w:p><w:r><w:t>co</w:t><w:softHyphen/><w:t>op</w:t><w:noBreakHyphen/><w:t>ed</w:t></w:r></w:p>",
            "coop\u2011ed",
        ),
        ("<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id='2'/></w:r><w:r><w:t>.</w:t></w:r></w:p>", "a."),
        ("<w:p><w:del><w:r><w:delText>no</w:delText></w:r></w:del><w:r><w:t>yes</w:t></w:r></w:p>", "yes"),
        ("<w:p><w:moveFrom><w:r><w:t>no</w:t></w:r></w:moveFrom><w:r><w:t>yes</w:t></w:r></w:p>", "yes"),
        ("<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t></w:r><w:r><w:t>yes</w:t></w:r></w:p>", "yes"),
        ("<w:p><w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>yes</w:t></w:r></w:p>", "yes"),
        ("<w:p><w:r><w:instrText>PAGE no</w:instrText></w:r><w:r><w:t>yes</w:t></w:r></w:p>", "yes"),
        (
            "<w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p>"
            "</w:txbxContent></mc:Choice><mc:Fallback><w:p><w:r><w:t>no</w:t></w:r></w:p></mc:Fallback>"
            "</mc:AlternateContent></w:r><w:r><w:t>around</w:t></w:r></w:p>",
            "box\n\naround",
        ),
        ("<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl>" + word("b"), "a\n\nb"),
        (word("Chapter 1 ..... 3", "TM1") + word("b"), "b"),
        ("<w:p><w:pPr><w:outlineLvl w:val='9'/></w:pPr><w:r><w:t>a</w:t></w:r></w:p><w:p/>" + word("b"), "a\n\nb"),
    ],
)  # fmt: skip
def test_is_read_as(body: str, read: str):
    assert text(body) == read


def test_the_document_may_lie_elsewhere():
    rels = '<Relationship Type="http://x/relationships/officeDocument" Target="/word/document2.xml"/>'
    data = docx("", more={"_rels/.rels": rels, "word/document2.xml": word("Here.")})
    assert read_book(data, "x.docx").chapters[0].text == "Here."


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "password"),
        (b"plain", "no zip"),
        (zipped({"x": "y"}), "no document"),
        (docx(word("")), "no text"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, reason: str):
    with pytest.raises(InvalidBook, match=reason):
        read_book(data, "x.docx")

"""Books made to break their reader are refused in words, soon, and without much memory."""

import io
import time
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterbox_plus.books.book import BookLimits
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.read import read_book
from tests.books.making import docx, epub, nav, page, word

PAGE = page("<h1>One</h1><p>First.</p>")


def refused(data: bytes, name: str = "x.epub", **limits: int) -> str:
    with pytest.raises(InvalidBook) as caught:
        read_book(data, name, limits=BookLimits(**limits))
    return caught.value.message


def test_a_file_that_unpacks_to_gigabytes_is_not_unpacked():
    bomb = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(epub({"a.xhtml": PAGE}))) as source, zipfile.ZipFile(bomb, "w") as archive:
        for name in set(source.namelist()) - {"OEBPS/a.xhtml"}:
            with archive.open(zipfile.ZipInfo(name), "w") as entry:
                entry.write(source.read(name))
        packed = zipfile.ZipInfo("OEBPS/a.xhtml")
        packed.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(packed, "w") as entry:
            for _ in range(100):
                entry.write(bytes(1_000_000))
    data = bomb.getvalue()
    tracemalloc.start()
    assert "too large" in refused(data, max_entry_bytes=5_000_000)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_many_files_together_are_no_more_than_one():
    pages = {f"{i}.xhtml": page("<p>" + "word " * 2_000 + "</p>") for i in range(20)}
    assert "too large" in refused(epub(pages), max_bytes=100_000)
    assert len(read_book(epub(pages), "x.epub").chapters) == 1


def test_a_document_listed_many_times_is_read_once():
    data = epub({"a.xhtml": PAGE}, spine=['<itemref idref="p0"/>'] * 1_000)
    assert read_book(data, "x.epub").chapters[0].text == "One\n\nFirst."


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_entries": 4}, "more than 4 files"),
        ({"max_tags": 40}, "more than 40 tags"),
        ({"max_chars": 20}, "too long: 33 characters"),
        ({"max_chapters": 2}, "3 chapters"),
    ],
)
def test_every_limit_is_named(limits: dict[str, int], reason: str):
    pages = {f"{i}.xhtml": PAGE for i in range(3)}
    assert reason in refused(epub(pages), **limits)
    assert len(read_book(epub(pages), "x.epub").chapters) == 3


@pytest.mark.parametrize("name", ["x.txt", "x.md"])
def test_texts_have_limits_too(name: str):
    assert "100 bytes" in refused(b"word " * 21, name, max_bytes=100)
    assert "too long" in refused(b"word " * 21, name, max_chars=100)
    assert "3 lines" in refused(b"word\r\n" * 4, name, max_lines=3)


def test_entities_are_never_defined():
    laughs = '<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">'
    for declared in (laughs, '<!ENTITY x SYSTEM "file:///etc/passwd">', '<!entity % x "y">'):
        doctype = f'<!DOCTYPE html [ <!ELEMENT p ANY> "]>" {declared}]>'
        assert "entities" in refused(epub({"a.xhtml": doctype + page("<p>&b; &x;</p>")}))
        assert "entities" in refused(docx(doctype + word("&x;")), "x.docx")
        assert "entities" in refused(epub({"a.xhtml": PAGE}, toc=doctype + nav(("One", "a.xhtml"))))


def test_names_that_lead_out_of_the_archive_lead_nowhere(tmp_path):
    for href in ("../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "https://example.org/x.xhtml"):
        assert "does not have it" in refused(epub({"a.xhtml": PAGE}, hrefs={"a.xhtml": href}))
    book = read_book(epub({"a.xhtml": PAGE}, more={"../../evil": "x", "/abs": "y", "..\\evil": "z"}), "../../x.epub")
    assert book.chapters[0].title == "One"


def test_a_password_and_unusual_packing_are_named():
    data = bytearray(epub({"a.xhtml": PAGE}))
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"META-INF/container.xml"))
    data[at + 8] |= 1
    assert "password" in refused(bytes(data))
    data[at + 8] &= ~1
    data[at + 10] = 14  # LZMA, which may ask for gigabytes
    assert "packed" in refused(bytes(data))


@pytest.mark.parametrize(
    "body",
    [
        "<div>x" * 20_000,
        "<b>x<p>y" * 15_000,
        "<a href='#'>x" * 20_000 + "</a>" * 20_000 + "<p>" + "y" * 20_000,
        "<sup>1" * 20_000 + "</sup>" * 20_000,
        "<p>" + "</b>" * 100_000,
        "<i>" * 20_000 + "</b>" * 20_000 + "</i>" * 20_000,
        "<table><tr>" + "<td>x " * 20_000,
        "<" * 100_000,
        "<a " * 100_000,
        "<a b='" * 20_000,
        "<!--" * 100_000,
        "<![CDATA[" * 15_000,
        "<!DOCTYPE [" * 15_000,
        "<?" * 60_000,
        "&" * 100_000,
        "&#" * 60_000 + "9" * 100_000 + ";",
        "<p a" + " a" * 60_000 + ">x",
        "<p a" + " " * 100_000 + ">x",
        "<br/>" * 100_000 + "x",
        "x" + "<br/> " * 100_000 + "y",
        "".join(f"<p id='i{i}'>x</p>" for i in range(30_000)),
    ],
)
def test_nonsense_takes_linear_time(body: str):
    began = time.perf_counter()
    data = epub({"a.xhtml": page(f"<p>text</p>{body}")}, toc=nav(("One", "a.xhtml"), ("Two", "a.xhtml#i9")))
    assert read_book(data, "x.epub").chapters[0].text.startswith("text")
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "text",
    ["[" * 30_000, "> " * 90_000, "- " * 90_000, "*a **b " * 5_000, "![a](" * 6_000, "* a\n" * 9_000, "`" * 60_000,
     "# a\n\n" * 1_900, "[^a]: x\n\n" * 20_000, "<a " * 20_000, "a\n" * 30_000],
)  # fmt: skip
def test_nonsense_in_markdown_too(text: str):
    began = time.perf_counter()
    read_book(f"text\n\n{text}\n".encode(), "x.md")
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "text", ["Chapter 1\n\n" * 15_000, "Chapter 1\n" * 15_000, "Contents\n\n" * 15_000, "a-\n" * 50_000]
)
def test_nonsense_in_plain_text_too(text: str):
    began = time.perf_counter()
    read_book(f"text\n\n{text}\ntext".encode(), "x.txt")
    assert time.perf_counter() - began < 5


WHOLE = {
    "x.epub": epub({"a.xhtml": PAGE, "b.xhtml": PAGE}, toc=nav(("One", "a.xhtml"))),
    "x.docx": docx(word("One", "berschrift1") + word("Text.")),
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 200),
)
def test_a_damaged_file_is_read_or_refused(name: str, changes: list[tuple[int, int]], cut: int):
    data = bytearray(WHOLE[name])
    for at, value in changes:
        data[at % len(data)] = value
    data = data[: len(data) - cut] if cut < 100 else data
    try:
        book = read_book(bytes(data), name)
    except InvalidBook:
        return
    assert book.chapters


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300) | st.text(alphabet="<>/&;!-[]?\"'ap #*_\n\v1", max_size=200).map(str.encode),
    st.sampled_from(["txt", "md", "epub"]),
)
def test_anything_is_read_or_refused(data: bytes, kind: str):
    try:
        book = read_book(epub({"a.xhtml": data}) if kind == "epub" else data, f"x.{kind}")
    except InvalidBook:
        return
    for chapter in book.chapters:
        assert chapter.title.strip()
        assert all(paragraph.strip() == paragraph != "" for paragraph in chapter.text.split("\n\n"))

"""EPUBs become chapters: in reading order, under their titles, with nothing in them that is not part of the reading."""

import pytest

from chatterbox_plus.books.book import Chapter
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.read import read_book
from tests.books.making import JPEG, PNG, epub, nav, ncx, page, zipped

STORY = {"a.xhtml": page("<h1>One</h1><p>First.</p>"), "b.xhtml": page("<h1>Two</h1><p>Second.</p>")}


def chapters(data: bytes) -> list[tuple[str, str]]:
    return [(chapter.title, chapter.text) for chapter in read_book(data, "book.epub").chapters]


def text(body: str) -> str:
    """What is read of one page."""
    return read_book(epub({"a.xhtml": page(body)}), "book.epub").chapters[0].text


def test_an_epub_2_has_its_titles_from_the_ncx():
    book = read_book(epub(STORY, toc_ncx=ncx(("I. One", "a.xhtml"), ("II. Two", "b.xhtml"))), "x.epub")
    assert (book.title, book.author, book.language, book.cover) == ("A Book", "A. Writer", "en", None)
    assert book.chapters == (Chapter("I. One", "One\n\nFirst."), Chapter("II. Two", "Two\n\nSecond."))


def test_an_epub_3_has_its_titles_from_the_navigation_document():
    data = epub(STORY, toc=nav(("Uno", "a.xhtml"), ("Due", "b.xhtml")), toc_ncx=ncx(("no", "a.xhtml")))
    assert chapters(data) == [("Uno", "One\n\nFirst."), ("Due", "Two\n\nSecond.")]


def test_the_navigation_document_is_not_read_even_in_the_reading_order():
    data = epub(STORY, toc=nav(("Uno", "a.xhtml"), ("Due", "b.xhtml")), spine=[
        '<itemref idref="nav"/>', '<itemref idref="p0"/>', '<itemref idref="p1"/>'])  # fmt: skip
    assert [title for title, _ in chapters(data)] == ["Uno", "Due"]


def test_a_chapter_may_begin_in_the_middle_of_a_file():
    body = (
        '<p>Before.</p><h2 id="c1">One</h2><p>First.</p><p>Still<a id="c2"/> second</p><section id="c3"><h2>Three</h2>'
        "<p>Third.</p></section>"
    )
    toc = nav(("One", "a.xhtml#c1"), ("Two", "a.xhtml#c2"), ("Three", "a.xhtml#c3"), ("Lost", "a.xhtml#gone"))
    assert chapters(epub({"a.xhtml": page(body)}, toc=toc)) == [
        ("Lost", "Before."),
        ("One", "One\n\nFirst.\n\nStill"),
        ("Two", "second"),
        ("Three", "Three\n\nThird."),
    ]


def test_a_file_without_an_entry_continues_the_chapter_before_it():
    pages = {"t.xhtml": page("<h1>A Book</h1><p>To all.</p>"), **STORY, "c.xhtml": page("<p>More.</p>")}
    assert chapters(epub(pages, toc=nav(("Uno", "a.xhtml"), ("Due", "b.xhtml")))) == [
        ("A Book", "A Book\n\nTo all."),
        ("Uno", "One\n\nFirst."),
        ("Due", "Two\n\nSecond.\n\nMore."),
    ]


def test_what_stands_before_the_first_entry_is_named_by_its_own_heading():
    pages = {"t.xhtml": page("<h2>A Word Before</h2><p>Hear.</p>"), **STORY}
    assert chapters(epub(pages, toc=nav(("Uno", "a.xhtml"), ("Due", "b.xhtml"))))[0][0] == "A Word Before"


def test_parts_and_chapters_at_one_place_are_one():
    toc = page(
        '<nav epub:type="landmarks"><a epub:type="bodymatter" href="b.xhtml">no</a></nav><nav epub:type="toc"><ol>'
        '<li><a href="a.xhtml">Part One</a><ol><li><a href="a.xhtml#x"><em>The</em> Start</a></li></ol></li>'
        '<li><span>Part Two</span><ol><li><a href="b.xhtml">The End</a></li></ol></li></ol></nav>'
    )
    pages = {"a.xhtml": page('<h1 id="x">One</h1><p>First.</p>'), "b.xhtml": STORY["b.xhtml"]}
    assert [title for title, _ in chapters(epub(pages, toc=toc))] == ["Part One: The Start", "The End"]


def test_without_a_table_chapters_begin_at_headings():
    pages = {
        "t.xhtml": page("<h1>A Book</h1><h2>by A. Writer</h2>"),
        "a.xhtml": page("<h1>Part One</h1><h2>1</h2><p>First.</p><h3>Sub</h3><p>More.</p><h2>2</h2><p>Second.</p>"),
        "b.xhtml": page("<p>Goes on.</p><h1>Part Two<br/>The Storm</h1><p>Third.</p>"),
    }
    assert chapters(epub(pages)) == [
        ("by A. Writer", "A Book\n\nby A. Writer"),
        ("Part One: 1", "Part One\n\n1\n\nFirst.\n\nSub\n\nMore."),
        ("2", "2\n\nSecond.\n\nGoes on."),
        ("Part Two: The Storm", "Part Two\nThe Storm\n\nThird."),
    ]


def test_a_table_that_holds_only_the_start_does_not_hide_the_chapters():
    assert [title for title, _ in chapters(epub(STORY, toc=nav(("Start", "a.xhtml"))))] == ["One", "Two"]


def test_a_heading_is_read_once():
    body = "<p class='running'>Chapter 1</p><h1>CHAPTER 1</h1><h2>Chapter 1.</h2><p>Text. Chapter 1</p>"
    assert text(body) == "CHAPTER 1\n\nText. Chapter 1"


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ('He came.<a epub:type="noteref" href="#n">1</a> She', "He came. She"),
        ('He came.<sup><a href="n.xhtml#n1">12</a></sup> She', "He came. She"),
        ('He came<a href="#n1"><sup>3</sup></a>.', "He came."),
        ('He came.<a href="#n1" id="r1">[4]</a> <a href="#n2">*</a>She', "He came. She"),
        ("He came.<sup>5</sup> She said so<sup>†</sup>.", "He came. She said so."),
        ("10<sup>6</sup> people on 3 km<sup>2</sup>, the 1<sup>st</sup> E=mc<sup>2</sup>", None),
        ('See <a href="b.xhtml">chapter 3</a>, <a href="#x">12</a>.', "See chapter 3, 12."),
        ('a<aside epub:type="footnote">no</aside>b', "a\n\nb"),
        ('a<aside epub:type="note">no</aside><aside>yes</aside>', "a\n\nyes"),
        ('a<section role="doc-endnotes"><h2>Notes</h2><p>no</p></section>', "a"),
        ('a<div class="footnote x"><p>no</p></div>', "a"),
        ('a<section class="pg-boilerplate" id="pg-footer"><p>licence</p></section>', "a"),
        ('one <span epub:type="pagebreak" id="p9" title="9">9</span>line<span class="pagenum">[10]</span>', "one line"),
        ('one <span role="doc-pagebreak" aria-label="9"/>line', "one line"),
        ('a<nav epub:type="toc"><ol><li>no</li></ol></nav>', "a"),
        ("a<script>if (a < b && c > d) no('<p>')</script><style>no</style>", "a"),
        ('a<img src="x.png" alt="no"/><svg><title>no</title></svg>', "a"),
        ('a<p hidden="hidden">no</p><p style="display: none">no</p>', "a"),
        ("<ruby>漢<rt>kan</rt>字<rp>(</rp><rt>ji</rt></ruby>", "漢字"),
        ("a<!-- no --><![CDATA[ <b> & c ]]>", "a <b> & c"),
        ("<p>a</p><p>* * *</p><hr/><p>&nbsp;</p><p>b</p>", "a\n\nb"),
        ("<p>some\n  text\n</p>", "some text"),
        ("<p>verse one<br/>verse two<br/><br/>next</p>", "verse one\nverse two\n\nnext"),
        ("<pre>x\ny</pre>", "x\ny"),
        ("<table>\n<tr>\n<td>a</td>\n<td>b</td></tr><tr><td>c</td></tr></table>", "a, b\n\nc"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>", "a\n\nb\n\nc"),
        ("<p><span class='drop'>T</span>he com\u00adputer&#173; &mdash; &eacute;t&#233; &#x2014; &#150;", None),
        ("AT&T &unknown; &lt;b&gt; 1 < 2 &amp;amp; 10&nbsp;000", "AT&T &unknown; <b> 1 < 2 &amp; 10\xa0000"),
        ("<p>un<p>closed <i>tags</b>, <a name=x>too <p title='it's'>here", "un\n\nclosed tags, too\n\nhere"),
        ("<html:p>prefixed</html:p><P>upper</P>", "prefixed\n\nupper"),
    ],
)
def test_is_read_as(body: str, read: str | None):
    wanted = {
        "10": "10" + "6 people on 3 km2, the 1st E=mc2",
        "<p": "The computer — été — –",
    }
    assert text(body) == (read if read is not None else wanted[body[:2]])


def test_covers_contents_and_what_is_only_looked_up_are_not_read():
    links = "".join(f'<p><a href="a.xhtml">Chapter {i}</a></p>' for i in range(6))
    pages = {
        "cover.xhtml": page("<p>A Book</p>", attributes='epub:type="cover"'),
        "cover2.xhtml": page("<p>A Book</p>"),
        "toc.xhtml": page(f"<h1>Contents</h1>{links}"),
        "listed.xhtml": page("<h1>Contents of this</h1><p>all of it</p>" + links[: 2 * len(links) // 6]),
        "a.xhtml": page("<h1>One</h1><p>First.</p>"),
        "pictures.xhtml": page('<img src="x.jpg" alt="A map"/>'),
        "notes.xhtml": page("<h1>Notes</h1><p>1. Not read.</p>"),
        "end.xhtml": page("<p>no</p>", attributes='epub:type="backmatter endnotes"'),
    }
    spine = [f'<itemref idref="p{i}"{" linear=" + chr(34) + "no" + chr(34) if i == 6 else ""}/>' for i in range(8)]
    guide = '<guide><reference type="cover" href="cover2.xhtml"/><reference type="toc" href="a.xhtml#x"/></guide>'
    toc = nav(("Cover", "cover.xhtml"), ("One", "a.xhtml"), ("Elsewhere", "https://example.org/a.xhtml"))
    assert chapters(epub(pages, spine=spine, guide=guide, toc=toc)) == [
        ("Contents of this", "Contents of this\n\nall of it\n\nChapter 0\n\nChapter 1"),
        ("One", "One\n\nFirst."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "href"),
    [
        ("Text/One More.xhtml", "Text/One%20More.xhtml"),
        ("Text/One%20More.xhtml", "Text/One%20More.xhtml"),
        ("Text/ONE.XHTML", "text/one.xhtml"),
        ("Text/Fünf.xhtml", "Text/Fu%CC%88nf.xhtml"),
        ("Text/one.xhtml", "../OEBPS/./Text/../Text/one.xhtml"),
        ("Text/one.xhtml", "Text\\one.xhtml"),
    ],
)
def test_names_are_found_however_they_are_written(name: str, href: str):
    pages = {name: page("<h1>One</h1><p>First.</p>"), "b.xhtml": STORY["b.xhtml"]}
    data = epub(pages, hrefs={name: href}, toc=nav(("Uno", href + "#"), ("Due", "b.xhtml")))
    assert chapters(data) == [("Uno", "One\n\nFirst."), ("Due", "Two\n\nSecond.")]


@pytest.mark.parametrize("folder", ["", "OEBPS/", "a/b/"])
def test_the_package_may_lie_anywhere(folder: str):
    assert len(chapters(epub(STORY, opf=f"{folder}book.opf"))) == 2


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-be"),
        ("utf-16", "utf-8"),
        ("iso-8859-1", "cp1252"),
        ("windows-1252", "cp1252"),
        ("ISO-8859-15", "iso-8859-15"),
        ("utf-8", "cp1252"),
        ("no-such-codec", "utf-8"),
        ("zip", "utf-8"),
    ],
)
def test_encodings_are_known_by_their_bytes_and_what_they_say(declared: str, codec: str):
    markup = page("<p>Été “so”</p>" if "1252" in codec or "utf" in codec else "<p>Été €</p>")
    data = markup.replace('encoding="utf-8"', f'encoding="{declared}"').encode(codec)
    assert chapters(epub({"a.xhtml": data}))[0][1] in ("Été “so”", "Été €")


def test_titles_and_authors_are_those_that_are_called_so():
    metadata = (
        '<dc:title id="s">A Series</dc:title><dc:title id="t">The  Very\nBook</dc:title>'
        '<meta refines="#s" property="title-type">collection</meta><meta refines="#t" property="title-type">main</meta>'
        '<dc:creator id="e">An Editor</dc:creator><meta refines="#e" property="role">edt</meta>'
        '<dc:creator opf:role="aut">First &amp; Last</dc:creator><dc:creator>Second</dc:creator>'
        "<dc:language>pt-BR</dc:language><dc:language>en</dc:language>"
    )
    book = read_book(epub(STORY, metadata=metadata), "x.epub")
    assert (book.title, book.author, book.language) == ("The Very Book", "First & Last, Second", "pt-BR")


def test_a_book_without_a_title_has_that_of_its_file():
    book = read_book(epub(STORY, metadata="<dc:title> </dc:title>"), "C:\\books\\My_Book.v2.epub")
    assert (book.title, book.author, book.language) == ("My Book.v2", None, None)


@pytest.mark.parametrize(
    ("item", "metadata", "data", "media_type"),
    [
        ('<item id="i" href="i.jpg" media-type="image/jpeg" properties="cover-image"/>', "", JPEG, "image/jpeg"),
        ('<item id="i" href="i.jpg" media-type="image/png"/>', '<meta name="cover" content="i"/>', PNG, "image/png"),
        ('<item id="cover-img" href="i.jpg" media-type="image/jpeg"/>', "", JPEG, "image/jpeg"),
        ('<item id="cover" href="i.jpg" media-type="image/jpeg"/>', "", b"GIF89a", None),
        ('<item id="cover" href="gone.jpg" media-type="image/jpeg"/>', "", JPEG, None),
        ('<item id="i" href="i.jpg" media-type="image/jpeg"/>', "", JPEG, None),
    ],
)  # fmt: skip
def test_a_cover_is_a_picture_that_the_book_calls_so(item: str, metadata: str, data: bytes, media_type: str | None):
    book = epub(STORY, manifest=item, metadata=metadata, more={"OEBPS/i.jpg": data})
    cover = read_book(book, "x.epub").cover
    assert (cover.data, cover.media_type) == (data, media_type) if cover else media_type is None


def encryption(algorithm: str, uri: str) -> dict[str, str]:
    return {
        "META-INF/encryption.xml": f'<encryption><enc:EncryptedData><enc:EncryptionMethod Algorithm="{algorithm}"/>'
        "<ds:KeyInfo><enc:EncryptedKey><enc:EncryptionMethod Algorithm='rsa'/></enc:EncryptedKey></ds:KeyInfo>"
        f'<enc:CipherData><enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
    }


def test_a_protected_book_is_refused_and_scrambled_fonts_are_not():
    with pytest.raises(InvalidBook, match="DRM"):
        chapters(epub(STORY, more=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/b.xhtml")))
    assert len(chapters(epub(STORY, more=encryption("http://www.idpf.org/2008/embedding", "OEBPS/f.otf")))) == 2


@pytest.mark.parametrize("mimetype", [None, "application/zip", "application/epub+zip\n"])
def test_a_wrong_mimetype_hides_no_book(mimetype: str | None):
    assert len(chapters(epub(STORY, more={} if mimetype is None else {"mimetype": mimetype}))) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no zip"),
        (b"%PDF-1.7", "no zip"),
        (zipped({"a.txt": "hello"}), "no META-INF/container.xml"),
        (zipped({"META-INF/container.xml": "<rootfile full-path='../../etc/passwd'/>"}), "is not in it"),
        (epub({"a.xhtml": page("<img src='a.png'/>")}), "no text"),
        (epub({}), "no text"),
        (epub(STORY, spine=['<itemref idref="p7"/>']), "does not list"),
        (epub(STORY, hrefs={"b.xhtml": "gone.xhtml"}), "gone.xhtml"),
        (epub(STORY)[:-30], "damaged"),
        (epub(STORY)[:300], "damaged"),
    ],
)
def test_what_is_no_whole_book_is_refused(data: bytes, reason: str):
    with pytest.raises(InvalidBook, match=reason) as caught:
        read_book(data, "book.epub")
    assert (caught.value.status, caught.value.code) == (400, "INVALID_BOOK")

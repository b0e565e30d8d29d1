"""DOCX: paragraphs and headings of a word processor's document. Notes, pictures and deleted text are not read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chatterbox_plus.books.archive import Archive
from chatterbox_plus.books.book import Book, BookLimits
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.paragraphs import BREAK, Block, by_headings, lone_title, one_line, paragraphs
from chatterbox_plus.books.tags import Tag, elements, read

_DOCUMENT = "word/document.xml"
_OLE = b"\xd0\xcf\x11\xe0"  # a document with a password, or one of Word before 2007
_TITLE = -1  # a style's level: the title of the whole
_CONTENTS = -2  # a line of the table of contents
_DEEPEST = 6
_MOST_STYLES_APART = 20  # a style based on a style based on …
# mc:Fallback says again what is beside it; moved text is read where it is now; a field's result is, its code is not.
_SILENT = frozenset(["mc:fallback", "w:movefrom", "w:instrtext", "w:del", "w:rt"])
_CHARACTERS = {"w:tab": " ", "w:br": BREAK, "w:cr": BREAK, "w:nobreakhyphen": "\u2011"}


def read_docx(data: bytes, name: str, limits: BookLimits) -> Book:
    """name: the title of a document that has none. Raises InvalidBook for what is no DOCX."""
    if data.startswith(_OLE):
        raise InvalidBook("the document has a password or is one of Word before 2007: save it again as .docx without")
    archive = Archive(data, limits)
    document = archive.find(_main_part(archive))
    if document is None:
        raise InvalidBook("the file is no DOCX: it has no document in it")
    styles, language = _styles(archive)
    reader = _Reader(styles)
    for token in read(archive.markup(document)):
        if isinstance(token, str):
            reader.text(token)
        else:
            reader.tag(token)
    core = _core(archive)
    title = core.get("title") or reader.title or lone_title(reader.blocks) or name
    made = tuple(by_headings(reader.blocks, title))
    return Book(title, core.get("creator") or None, core.get("language") or language, None, made)


@dataclass
class _Paragraph:
    """One that is being read; one in a text box stands within another."""

    level: int = 0
    pieces: list[str] = field(default_factory=list)


@dataclass
class _Reader:
    """The state while tags come by."""

    styles: Mapping[str, int]
    blocks: list[Block] = field(default_factory=list)
    title: str = ""
    open: list[_Paragraph] = field(default_factory=list)
    silent: int = 0  # elements within which nothing is read
    in_text: bool = False
    hidden: bool = False  # this run

    def text(self, text: str) -> None:
        if self.in_text and self.open and not self.silent and not self.hidden:
            self.open[-1].pieces.append(text)

    def tag(self, tag: Tag) -> None:
        name = tag.qualified
        if name in _SILENT:
            self.silent = max(0, self.silent + tag.opens - tag.closes)
        elif name == "w:p":
            self._paragraph(tag)
        elif name == "w:t":
            self.in_text = tag.opens and not tag.closes
        elif name == "w:r":
            self.hidden = False
        elif tag.opens and self.open and not self.silent:
            self._detail(name, tag)

    def _paragraph(self, tag: Tag) -> None:
        if tag.opens and not tag.closes:
            self.open.append(_Paragraph())
        elif tag.closes and not tag.opens and self.open:
            self._end(self.open.pop())

    def _detail(self, name: str, tag: Tag) -> None:
        paragraph = self.open[-1]
        if name == "w:pstyle":
            paragraph.level = self.styles.get(tag.attributes().get("w:val", ""), 0)
        elif name == "w:outlinelvl":
            paragraph.level = _heading(tag.attributes().get("w:val", "")) or paragraph.level
        elif name == "w:vanish":
            self.hidden = tag.attributes().get("w:val", "1") not in ("0", "false")
        elif name in _CHARACTERS and not self.hidden:
            # A tab stop of the paragraph is a w:tab too; at its beginning it is a blank that nobody hears.
            paragraph.pieces.append(_CHARACTERS[name])

    def _end(self, paragraph: _Paragraph) -> None:
        if self.silent or paragraph.level == _CONTENTS:
            return
        for text in paragraphs("".join(paragraph.pieces)):
            if paragraph.level == _TITLE and not self.title:
                self.title = one_line(text)
            self.blocks.append(Block(text, 1 if paragraph.level == _TITLE else paragraph.level))


def _main_part(archive: Archive) -> str:
    relations = archive.find("_rels/.rels")
    if relations:
        for tag, _ in elements(archive.markup(relations)):
            attributes = tag.attributes()
            if attributes.get("type", "").endswith("/officeDocument"):
                return attributes.get("target", "").lstrip("/")
    return _DOCUMENT


def _core(archive: Archive) -> dict[str, str]:
    """Title, creator and language as the document's properties say them."""
    name = archive.find("docProps/core.xml")
    return {tag.name: one_line(text) for tag, text in elements(archive.markup(name))} if name else {}


def _styles(archive: Archive) -> tuple[dict[str, int], str | None]:
    """Levels by the id of a style, and the language of the document."""
    name = archive.find("word/styles.xml")
    levels: dict[str, int] = {}
    based_on: dict[str, str] = {}
    language = None
    style = ""
    for tag, _ in elements(archive.markup(name)) if name else ():
        value = tag.attributes().get("w:val", "")
        if tag.qualified == "w:style":
            style = tag.attributes().get("w:styleid", "")
        elif tag.qualified == "w:lang":
            language = language or value or None
        elif tag.qualified == "w:name":
            levels[style] = _named(value) or levels.get(style, 0)
        elif tag.qualified == "w:outlinelvl":
            levels[style] = levels.get(style, 0) or _heading(value)
        elif tag.qualified == "w:basedon":
            based_on[style] = value
    for style in based_on:
        above = style
        for _ in range(_MOST_STYLES_APART):
            if levels.get(above) or above not in based_on:
                break
            above = based_on[above]
        levels[style] = levels.get(above, 0)
    return levels, language


def _named(name: str) -> int:
    """The level of one of Word's own styles, whose names are English in every language; 0: none."""
    words = name.lower().split()
    if words == ["title"]:
        return _TITLE
    if words[:1] == ["toc"]:
        return _CONTENTS
    if len(words) == 2 and words[0] == "heading" and words[1] in tuple("123456789"):
        return min(int(words[1]), _DEEPEST)
    return 0


def _heading(outline: str) -> int:
    """The level of a heading for an outline level, which counts from 0; 0: none."""
    return min(int(outline) + 1, _DEEPEST) if outline in tuple("012345678") else 0

"""From an XHTML document to what is read aloud of it: paragraphs and headings, and where its anchors lie among them."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from chatterbox_plus.books.paragraphs import BREAK, Block, paragraphs
from chatterbox_plus.books.tags import Tag, read

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_TEXT_BLOCKS = frozenset("p li dt dd blockquote figcaption caption td th pre".split())  # noqa: SIM905
_BLOCKS = (
    frozenset(
        "address article aside body center dir div dl fieldset figure footer form header hr html main nav ol "  # noqa: SIM905
        "section table tbody tfoot thead tr ul".split()
    )
    | _TEXT_BLOCKS
    | _HEADINGS.keys()
)
_CELLS = frozenset(["td", "th"])
_FLUSHED = _BLOCKS - _CELLS  # a paragraph ends where they begin or end; cells only part it
_PAGES = frozenset("body section article div main".split())  # noqa: SIM905
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905
_SILENT = frozenset(
    "annotation annotation-xml audio canvas head iframe map nav noscript object rp rt script select style svg "  # noqa: SIM905
    "template textarea video".split()
)
# What epub:type, role (there with "doc-" before it) and class say of things that are not part of the reading.
_APART = frozenset(
    "footnote footnotes endnote endnotes rearnote rearnotes noteref backlink pagebreak page-list pagelist toc "  # noqa: SIM905
    "landmarks loi lot loa lov".split()
)
_APART_CLASSES = frozenset(
    "footnote footnotes endnote endnotes noteref footnoteref footnote-ref fnanchor pagenum pagenumber page-number "  # noqa: SIM905
    "pageno pagebreak pg-boilerplate".split()
)
_NOTE_ASIDES = frozenset(["note", "notes"])
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
# A reference to a note: between brackets or a mark of its own; bare digits only if raised, and not behind "m" or "10".
_MARKED = re.compile(r"[\[({]\s*(?:\d{1,4}|[a-z]|[ivx]{1,5})\s*[\])}]|[*†‡§¶⁎∗]{1,5}")
_DIGITS = re.compile(r"\d{1,4}")
_NOTE_PIECES, _NOTE_CONTEXT = 6, 20  # a reference is no longer; characters before it that are looked at
_TAKES_EXPONENT = re.compile(r"(?:\d|\b[^\W\d_]{1,2})$")


@dataclass(frozen=True)
class Document:
    """What one document says."""

    blocks: tuple[Block, ...]
    anchors: Mapping[str, int]  # id → the first block that begins at or after it
    kinds: frozenset[str]  # what its body, or all of it, says it is: "cover", "toc"
    chars: int  # of text, as read aloud
    linked_chars: int  # of those, in links to other places in the book
    links: int


@dataclass(slots=True)
class _Open:
    """An element that has begun."""

    name: str
    level: int  # of headings in it
    silent: bool
    linked: bool  # in a link to another place
    paragraph: int  # which one was being read when it began
    pieces: int  # how many of that were read before it


@dataclass
class _Reader:
    """The state while tags come by. Every step takes the same time, however deep the elements are nested."""

    cut_at: Collection[str]
    blocks: list[Block] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    stack: list[_Open] = field(default_factory=lambda: [_Open("", 0, False, False, 0, 0)])
    open_names: Counter[str] = field(default_factory=Counter)
    paragraph: int = 0
    pieces: list[str] = field(default_factory=list)  # of the paragraph that is being read
    begun: bool = False  # there is more than white space in it
    linked_chars: int = 0
    links: int = 0

    def text(self, text: str) -> None:
        top = self.stack[-1]
        if top.silent:
            return
        text = text.replace(BREAK, " ")
        if self.open_names["pre"]:
            text = text.replace("\n", BREAK)
        self.pieces.append(text)
        if not text.isspace():
            self.begun = True
            self.linked_chars += len(text) if top.linked else 0

    def opened(self, tag: Tag) -> None:
        name, attributes = tag.name, tag.attributes() if tag.written else {}
        for anchor in (attributes.get("id"), attributes.get("name") if name == "a" else None):
            if anchor:
                if anchor in self.cut_at:
                    self.flush()
                self.anchors.setdefault(anchor, len(self.blocks))
        if name == "body":
            self.closed("head")  # where nobody else ended it, all of the book would be in it
        if name in _FLUSHED:
            self.flush()
        elif name in _CELLS and self.begun:
            while self.pieces[-1].isspace():
                self.pieces.pop()
            self.pieces.append(", ")
        elif name == "br" and not self.stack[-1].silent:
            self.pieces.append(BREAK)
        if not tag.closes and name not in _VOID:
            self.stack.append(self._element(name, attributes))
            self.open_names[name] += 1

    def _element(self, name: str, attributes: Mapping[str, str]) -> _Open:
        outer = self.stack[-1]
        types = _types(attributes)
        if name in _PAGES and not self.blocks:
            self.kinds |= types
        level = _HEADINGS.get(name, 0 if name in _TEXT_BLOCKS else outer.level)
        link = name == "a" and bool(attributes.get("href")) and "://" not in attributes["href"]
        self.links += link
        silent = outer.silent or name in _SILENT or _is_apart(name, types, attributes)
        return _Open(name, level, silent, outer.linked or link, self.paragraph, len(self.pieces))

    def closed(self, name: str) -> None:
        """Ends the innermost element of that name, and all in it that never ended."""
        while self.open_names[name]:
            ended = self.stack.pop()
            self.open_names[ended.name] -= 1
            if ended.name in _FLUSHED:
                self.flush(ended.level)
            elif ended.name in ("sup", "a") and ended.paragraph == self.paragraph:
                self._drop_note(ended)
            if ended.name == name:
                return

    def _drop_note(self, ended: _Open) -> None:
        """Take a link or a raised text out of the paragraph again, if it is a reference to a note."""
        raised = ended.name == "sup" or self.open_names["sup"] > 0
        if not (raised or ended.linked) or not 0 < len(self.pieces) - ended.pieces <= _NOTE_PIECES:
            return
        said = "".join(self.pieces[ended.pieces :]).strip()
        before = "".join(self.pieces[max(0, ended.pieces - _NOTE_PIECES) : ended.pieces])[-_NOTE_CONTEXT:]
        if _MARKED.fullmatch(said) or (
            raised
            and _DIGITS.fullmatch(said)
            and (ended.linked or (before.strip() and not _TAKES_EXPONENT.search(before)))
        ):
            del self.pieces[ended.pieces :]

    def flush(self, level: int | None = None) -> None:
        """End the paragraph, if one is being read. level: that of the heading it is, unless what is open tells."""
        if self.begun:
            level = self.stack[-1].level if level is None else level
            self.blocks += (Block(text, level) for text in paragraphs("".join(self.pieces)))
        self.pieces.clear()
        self.begun = False
        self.paragraph += 1


def read_prose(markup: str, cut_at: Collection[str] = ()) -> Document:
    """cut_at: ids at which a paragraph ends even in its middle, because a chapter begins there.

    Raises InvalidBook where entities are declared.
    """
    reader = _Reader(cut_at)
    for token in read(markup):
        if isinstance(token, str):
            reader.text(token)
        elif token.opens:
            reader.opened(token)
        else:
            reader.closed(token.name)
    reader.flush()
    return Document(
        tuple(reader.blocks),
        reader.anchors,
        frozenset(reader.kinds),
        sum(len(block.text) for block in reader.blocks),
        reader.linked_chars,
        reader.links,
    )


def _types(attributes: Mapping[str, str]) -> set[str]:
    """What epub:type and role say, in one vocabulary."""
    role = attributes.get("role", "").lower().split()
    return {*attributes.get("epub:type", "").lower().split(), *(word.removeprefix("doc-") for word in role)}


def _is_apart(name: str, types: set[str], attributes: Mapping[str, str]) -> bool:
    if types & _APART or (name == "aside" and types & _NOTE_ASIDES):
        return True
    classes = {*attributes.get("class", "").lower().split()}
    if name == "aside" and classes & _NOTE_ASIDES:
        return True
    hidden = "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style", "")))
    return hidden or bool(classes & _APART_CLASSES)

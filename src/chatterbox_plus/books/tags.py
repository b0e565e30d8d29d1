"""XML and HTML as a row of tags and texts: one reader for everything inside a book, in linear time.

Books are full of what a strict parser refuses: `&nbsp;` without a declaration, a bare `&` in a title, blanks before the
XML declaration, unclosed tags. Nothing here acts on a document type: no entity is ever defined, no file ever named is
opened, and a document that declares entities is refused.
"""

import html.entities
import re
from collections.abc import Iterator
from dataclasses import dataclass

from chatterbox_plus.books.errors import InvalidBook

# A "<" ends the search for a closing quote, and what is possessive (`*+`) is never looked at twice: time stays linear.
_TAG = re.compile(r"""<(/?)([A-Za-z_][^\s/<>]*+)((?:[^<>"']|"[^"<]*+"|'[^'<]*+')*+)>""")
_LOOSE_TAG = re.compile(r"<(/?)([A-Za-z_][^\s/<>]*+)([^<>]*+)>")  # with a stray quote in it
_ATTRIBUTE = re.compile(r"""([^\s=/"'<>]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?""")
_ATTRIBUTES_WITHIN = 20_000  # characters of a tag
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));")


@dataclass(frozen=True, slots=True)
class Tag:
    """`<name …>`, `</name>` or, both at once, `<name …/>`. Names are in lower case."""

    qualified: str  # with its prefix: "w:p"
    opens: bool
    closes: bool
    written: str  # the attributes

    @property
    def name(self) -> str:
        """Without its prefix."""
        return self.qualified.rpartition(":")[2]

    def attributes(self) -> dict[str, str]:
        """By their names as written, in lower case ("epub:type"); of two with one name the first counts."""
        found: dict[str, str] = {}
        for name, *values in _ATTRIBUTE.findall(self.written[:_ATTRIBUTES_WITHIN]):
            found.setdefault(name.lower(), unescape("".join(values)))
        return found


def read(markup: str) -> Iterator[Tag | str]:
    """Tags and the texts between them. Comments, instructions and document types are left out.

    Raises InvalidBook where an entity is declared.
    """
    at = 0
    while at < len(markup):
        begins = markup.find("<", at)
        if begins < 0:
            begins = len(markup)
        if at < begins:
            yield unescape(markup[at:begins])
        if begins == len(markup):
            return
        follows = markup[begins + 1 : begins + 2]
        if follows in ("!", "?"):
            at = _after_declaration(markup, begins)
            if markup.startswith("<![CDATA[", begins):
                yield markup[begins + 9 : at - 3]
        elif found := _TAG.match(markup, begins) or _LOOSE_TAG.match(markup, begins):
            slash, name, written = found.groups()
            yield Tag(name.lower(), not slash, bool(slash) or written.endswith("/"), written)
            at = found.end()
        else:
            yield "<"
            at = begins + 1


def elements(markup: str) -> Iterator[tuple[Tag, str]]:
    """Each opening tag with the text right behind it: all that lists and metadata need."""
    tag: Tag | None = None
    texts: list[str] = []
    for token in read(markup):
        if isinstance(token, str):
            texts.append(token)
            continue
        if tag is not None:
            yield tag, "".join(texts).strip()
        tag = token if token.opens else None
        texts = []
    if tag is not None:
        yield tag, "".join(texts).strip()


def unescape(text: str) -> str:
    """`&amp;`, `&mdash;`, `&#8212;` as characters; what is no known entity stays as it is."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return html.entities.html5.get(name + ";", match[0])
    code = int(decimal) if decimal else int(hexadecimal, 16)
    if 0x80 <= code < 0xA0:  # meant as Windows-1252, in every browser
        return bytes([code]).decode("cp1252", "ignore")
    return "" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)


def _after_declaration(markup: str, at: int) -> int:
    """Where a comment, a CDATA section, an instruction or a document type ends; what never ends takes the rest."""
    if markup.startswith("<!--", at):
        return _after(markup, "-->", at + 4)
    if markup.startswith("<![CDATA[", at):
        return _after(markup, "]]>", at + 9)
    if markup[at + 2 : at + 8].upper() == "ENTITY":
        raise InvalidBook("the book declares entities of its own, which only attacks on readers need")
    end = _after(markup, ">", at)
    inner = markup.find("[", at, end)  # a document type with declarations: they are met one by one
    return end if inner < 0 or markup[at + 1] == "?" else inner + 1


def _after(markup: str, what: str, at: int) -> int:
    found = markup.find(what, at)
    return len(markup) if found < 0 else found + len(what)

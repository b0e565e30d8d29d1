"""What an EPUB says about itself: its title, its files and the order in which they are read."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from chatterbox_plus.books.archive import Archive, shown
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.paragraphs import one_line
from chatterbox_plus.books.tags import Tag, elements

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PACKAGE_TYPE = "application/oebps-package+xml"
_NCX_TYPE = "application/x-dtbncx+xml"
_MOST_TAGS = 200_000  # of the package file, which is held as a whole
_DOCUMENT_TYPES = "application/xhtml+xml", "text/html", "text/x-oeb1-document", "application/xml", "text/xml"
_DOCUMENT_NAMES = ".xhtml", ".html", ".htm"
# Fonts may be scrambled so that they cannot be taken out of a book; that hides no text.
_FONT_SCRAMBLING = "http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"


@dataclass(frozen=True)
class Package:
    """Names are those of entries in the archive."""

    title: str  # "" where the book has none
    author: str | None
    language: str | None
    documents: tuple[str, ...]  # in reading order, without those that are only for looking something up
    nav: str | None  # EPUB 3's table of contents
    ncx: str | None  # EPUB 2's
    cover: str | None  # a picture
    guide: tuple[tuple[str, str], ...]  # ("cover" or "toc" …, document)


@dataclass(frozen=True)
class _Item:
    """A line of the manifest."""

    name: str | None  # None: not in the archive
    href: str
    media_type: str
    properties: frozenset[str]


def read_package(archive: Archive) -> Package:
    """Raises InvalidBook where it is no EPUB, is protected, or names a document that it does not have."""
    opf = _opf(archive)
    markup = archive.markup(opf)
    if markup.count("<") > _MOST_TAGS:
        raise InvalidBook(f"the book's package file has more than {_MOST_TAGS} tags in it")
    listed = list(elements(markup))
    items: dict[str, _Item] = {}
    spine: list[dict[str, str]] = []
    guide = []
    ncx_id = None
    for tag, _ in listed:
        if tag.name == "item":
            attributes = tag.attributes()
            items.setdefault(attributes.get("id", ""), _item(archive, opf, attributes))
        elif tag.name == "spine":
            ncx_id = tag.attributes().get("toc")
        elif tag.name == "itemref":
            spine.append(tag.attributes())
        elif tag.name == "reference":
            attributes = tag.attributes()
            if found := target(archive, opf, attributes.get("href", ""))[0]:
                guide.append((attributes.get("type", "").lower(), found))
    nav = next((item.name for item in items.values() if "nav" in item.properties), None)
    ncx = items[ncx_id] if ncx_id in items else next((i for i in items.values() if i.media_type == _NCX_TYPE), None)
    documents = tuple(dict.fromkeys(_documents(items, spine)))
    _refuse_protected(archive, {opf, *documents})
    return Package(
        title=_title(listed),
        author=_author(listed),
        language=next((text for text in _values(listed, "language") if text), None),
        documents=tuple(name for name in documents if name != nav),
        nav=nav,
        ncx=ncx.name if ncx else None,
        cover=_cover(items, listed),
        guide=tuple(guide),
    )


def target(archive: Archive, base: str, href: str) -> tuple[str | None, str]:
    """(entry, fragment) that an href in the entry `base` means; (None, …) for what is not in the archive."""
    path, _, fragment = href.strip().partition("#")
    if not path:
        return base, unquote(fragment)
    names = []
    for written in (unquote(path), path):  # some archives hold names as they are written in links
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(base), written.replace("\\", "/")))
        names.append(joined.lstrip("/"))
    return archive.find(*names), unquote(fragment)


def _opf(archive: Archive) -> str:
    container = archive.find(_CONTAINER)
    if container is None:
        raise InvalidBook("the file is no EPUB: it has no META-INF/container.xml")
    roots = [tag.attributes() for tag, _ in elements(archive.markup(container)) if tag.name == "rootfile"]
    for root in [r for r in roots if r.get("media-type", _PACKAGE_TYPE) == _PACKAGE_TYPE] + roots:
        if found := archive.find(root.get("full-path", "").lstrip("/")):
            return found
    raise InvalidBook("the file is no EPUB: what its META-INF/container.xml names is not in it")


def _item(archive: Archive, opf: str, attributes: dict[str, str]) -> _Item:
    href = attributes.get("href", "")
    return _Item(
        target(archive, opf, href)[0] if href else None,
        href,
        attributes.get("media-type", "").strip().lower(),
        frozenset(attributes.get("properties", "").split()),
    )


def _documents(items: dict[str, _Item], spine: list[dict[str, str]]) -> Iterator[str]:
    for reference in spine:
        item = items.get(reference.get("idref", ""))
        if item is None:
            raise InvalidBook("the book is damaged: its reading order names a file that it does not list")
        if reference.get("linear", "").strip().lower() == "no":
            continue
        path = item.href.partition("#")[0].lower()
        if item.media_type in _DOCUMENT_TYPES or path.endswith(_DOCUMENT_NAMES):
            if item.name is None:
                raise InvalidBook(f"the book is damaged: it lists {shown(item.href)} but does not have it")
            yield item.name


def _refuse_protected(archive: Archive, needed: set[str]) -> None:
    encryption = archive.find(_ENCRYPTION)
    if encryption is None:
        return
    method = ""
    for tag, _ in elements(archive.markup(encryption)):
        if tag.name == "encrypteddata":
            method = ""
        elif tag.name == "encryptionmethod":
            method = method or tag.attributes().get("algorithm", "")  # a key inside has another, behind it
        elif tag.name == "cipherreference" and method not in _FONT_SCRAMBLING:
            uri = tag.attributes().get("uri", "")
            if target(archive, "", uri)[0] in needed:
                raise InvalidBook("the book is protected (DRM): only a copy without protection can be read aloud")


def _values(listed: list[tuple[Tag, str]], name: str) -> list[str]:
    """Metadata by its name in Dublin Core."""
    return [one_line(text) for tag, text in listed if tag.name == name]


def _refined(listed: list[tuple[Tag, str]], wanted: str) -> dict[str, str]:
    """EPUB 3 says more of an element beside it: id → the value of that property."""
    found = {}
    for tag, text in listed:
        if tag.name == "meta" and tag.written:
            attributes = tag.attributes()
            if attributes.get("property") == wanted:
                found[attributes.get("refines", "").lstrip("#")] = text.strip().lower()
    return found


def _title(listed: list[tuple[Tag, str]]) -> str:
    kinds = _refined(listed, "title-type")
    titles = [(tag, one_line(text)) for tag, text in listed if tag.name == "title"]
    main = [text for tag, text in titles if text and kinds.get(tag.attributes().get("id", "-")) == "main"]
    return next(iter([*main, *(text for _, text in titles if text)]), "")


def _author(listed: list[tuple[Tag, str]]) -> str | None:
    """All authors; where no creator is said to be one, all creators."""
    roles = _refined(listed, "role")
    creators = []
    for tag, text in listed:
        if tag.name == "creator" and one_line(text):
            attributes = tag.attributes()
            creators.append((attributes.get("opf:role") or roles.get(attributes.get("id", "-"), "aut"), one_line(text)))
    authors = [name for role, name in creators if role == "aut"] or [name for _, name in creators]
    return one_line(", ".join(dict.fromkeys(authors))) or None


def _cover(items: dict[str, _Item], listed: list[tuple[Tag, str]]) -> str | None:
    """The entry of the cover's picture: as EPUB 3 says it, as EPUB 2 does, or by its name."""
    pictures = {key: item for key, item in items.items() if item.media_type.startswith("image/") and item.name}
    for item in pictures.values():
        if "cover-image" in item.properties:
            return item.name
    for tag, _ in listed:
        attributes = tag.attributes() if tag.name == "meta" else {}
        if attributes.get("name", "").lower() == "cover" and attributes.get("content") in pictures:
            return pictures[attributes["content"]].name
    for key, item in pictures.items():
        if key.lower().startswith("cover") or posixpath.basename(item.href).lower().startswith("cover"):
            return item.name
    return None

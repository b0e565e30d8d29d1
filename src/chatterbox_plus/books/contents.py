"""Tables of contents: EPUB 3's navigation document and EPUB 2's NCX."""

from dataclasses import dataclass

from chatterbox_plus.books.archive import Archive
from chatterbox_plus.books.package import Package, target
from chatterbox_plus.books.paragraphs import one_line, said
from chatterbox_plus.books.tags import Tag, read


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents."""

    title: str
    document: str  # an entry of the archive
    fragment: str  # "": the document's beginning


@dataclass(frozen=True)
class Contents:
    """entries: in the order of the table. landmarks: ("cover" or "toc" …, document)."""

    entries: tuple[Entry, ...] = ()
    landmarks: tuple[tuple[str, str], ...] = ()


def read_contents(archive: Archive, package: Package) -> Contents:
    """The navigation document's table, else the NCX's, else an empty one. Raises what `Archive.markup` does."""
    contents = _nav(archive, package.nav) if package.nav else Contents()
    if not contents.entries and package.ncx:
        return Contents(_ncx(archive, package.ncx), contents.landmarks)
    return contents


def _nav(archive: Archive, nav: str) -> Contents:
    tables: list[tuple[set[str], list[tuple[dict[str, str], list[str]]]]] = []  # (what it is, its links)
    depth = 0
    in_link = False
    for token in read(archive.markup(nav)):
        if isinstance(token, str):
            if in_link:
                tables[-1][1][-1][1].append(token)
        elif token.name == "nav":
            depth = max(0, depth + token.opens - token.closes)
            if token.opens:
                tables.append((_kinds(token), []))
            in_link = False
        elif token.name == "a" and depth:
            if token.opens:
                tables[-1][1].append((token.attributes(), []))
            in_link = token.opens and not token.closes
    entries, landmarks = [], []
    wanted = next((kinds for kinds, _ in tables if "toc" in kinds), next((k for k, _ in tables if not k), None))
    for kinds, links in tables:
        for attributes, texts in links:
            document, fragment = target(archive, nav, attributes.get("href", ""))
            if document is None:
                continue
            if kinds is wanted:
                entries.append(Entry(one_line("".join(texts)), document, fragment))
            elif "landmarks" in kinds:
                landmarks += [(kind, document) for kind in attributes.get("epub:type", "").lower().split()]
    return Contents(tuple(e for e in entries if said(e.title)), tuple(landmarks))


def _kinds(tag: Tag) -> set[str]:
    attributes = tag.attributes()
    role = attributes.get("role", "").lower().removeprefix("doc-")
    return {*attributes.get("epub:type", "").lower().split(), *role.split()}


def _ncx(archive: Archive, ncx: str) -> tuple[Entry, ...]:
    entries = []
    title, source = "", None
    in_map = in_text = False
    texts: list[str] = []
    for token in read(archive.markup(ncx)):
        if isinstance(token, str):
            texts += [token] if in_text else []
        elif token.name == "navmap":
            in_map = token.opens
        elif token.name == "navpoint":
            title, source = "", None
        elif token.name == "text" and in_map:
            in_text = token.opens and not token.closes
            if token.closes:
                title = one_line("".join(texts))
            texts = []
        elif token.name == "content" and in_map and token.opens:
            source = token.attributes().get("src", "")
        if said(title) and source is not None:
            document, fragment = target(archive, ncx, source)
            if document is not None:
                entries.append(Entry(title, document, fragment))
            title, source = "", None
    return tuple(entries)

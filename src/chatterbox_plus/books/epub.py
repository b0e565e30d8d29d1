"""EPUB 2 and 3: documents in reading order, cut into chapters where the table of contents says."""

from collections import defaultdict
from itertools import pairwise

from chatterbox_plus.books.archive import Archive
from chatterbox_plus.books.book import Book, BookLimits, Chapter, Cover
from chatterbox_plus.books.contents import Contents, Entry, read_contents
from chatterbox_plus.books.package import Package, read_package
from chatterbox_plus.books.paragraphs import Block, by_headings, chapter, joined_title, opens, own_title, sections
from chatterbox_plus.books.prose import Document, read_prose

# A book that calls one of its chapters its cover or its contents is wrong: they are as short, and of as many links.
_COVER_CHARS = 2_000
_CONTENTS_LINKS = 5
_CONTENTS_SHARE, _CALLED_CONTENTS_SHARE = 0.8, 0.5  # of the text, in links


def read_epub(data: bytes, name: str, limits: BookLimits) -> Book:
    """name: the title of a book that has none. Raises InvalidBook for what is no whole, open EPUB."""
    archive = Archive(data, limits)
    package = read_package(archive)
    contents = read_contents(archive, package)
    title = package.title or name
    documents = _documents(archive, package, contents)
    made = _by_contents(documents, contents.entries, title)
    if len(made) <= 1:  # many tables hold nothing but "Start"
        made = max(made, _by_headings(documents, title), key=len)
    return Book(title, package.author, package.language, _cover(archive, package, limits), tuple(made))


def _documents(archive: Archive, package: Package, contents: Contents) -> dict[str, Document]:
    """What is read, by name, in reading order."""
    fragments = defaultdict(set)
    for entry in contents.entries:
        fragments[entry.document].add(entry.fragment)
    called = {(kind.removeprefix("text."), document) for kind, document in package.guide + contents.landmarks}
    documents = {}
    for name in package.documents:
        document = read_prose(archive.markup(name), fragments[name])
        kinds = document.kinds | {kind for kind in ("cover", "toc") if (kind, name) in called}
        if document.blocks and not _beside_the_text(document, kinds):
            documents[name] = document
    return documents


def _beside_the_text(document: Document, kinds: frozenset[str]) -> bool:
    """Whether it is a cover or a table of contents."""
    if "cover" in kinds and document.chars <= _COVER_CHARS:
        return True
    share = _CALLED_CONTENTS_SHARE if "toc" in kinds else _CONTENTS_SHARE
    return document.links >= _CONTENTS_LINKS and document.linked_chars >= share * document.chars


def _by_contents(documents: dict[str, Document], entries: tuple[Entry, ...], book_title: str) -> list[Chapter]:
    """A chapter from each place that the table names to the next; [] where it names none."""
    blocks: list[Block] = []
    titles: dict[int, list[str]] = {}
    lost: list[tuple[int, str]] = []
    by_document = defaultdict(list)
    for entry in entries:
        by_document[entry.document].append(entry)
    for name, document in documents.items():
        for entry in by_document[name]:
            at = document.anchors.get(entry.fragment, 0)
            if entry.fragment and entry.fragment not in document.anchors:
                lost.append((len(blocks), entry.title))
            elif at < len(document.blocks):
                titles.setdefault(len(blocks) + at, []).append(entry.title)
        blocks += document.blocks
    for at, title in lost:  # the document is right at least, unless another chapter begins there
        titles.setdefault(at, [title])
    starts = sorted(titles)
    made = [chapter(joined_title(titles[at]), blocks[at:end]) for at, end in pairwise([*starts, len(blocks)])]
    if starts and starts[0] > 0:
        front = blocks[: starts[0]]
        made.insert(0, chapter(own_title(front, book_title) or book_title, front))
    return made


def _by_headings(documents: dict[str, Document], book_title: str) -> list[Chapter]:
    """Headings in a row make one title only within a document: a title page is none of the first chapter."""
    parts: list[list[Block]] = []
    for document in documents.values():
        for part in sections(document.blocks):
            if parts and not opens(part[0]):
                parts[-1] += part
            else:
                parts.append([*part])
    return [made for part in parts for made in by_headings(part, book_title)]


def _cover(archive: Archive, package: Package, limits: BookLimits) -> Cover | None:
    """None where there is none that can be shown everywhere."""
    if package.cover is None or archive.size(package.cover) > limits.max_cover_bytes:
        return None
    data = archive.read(package.cover)
    if data.startswith(b"\xff\xd8\xff"):
        return Cover(data, "image/jpeg")
    return Cover(data, "image/png") if data.startswith(b"\x89PNG\r\n\x1a\n") else None

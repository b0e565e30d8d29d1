"""The door: any file that may be a book, as a book."""

from chatterbox_plus.books.book import Book, BookLimits
from chatterbox_plus.books.docx import read_docx
from chatterbox_plus.books.epub import read_epub
from chatterbox_plus.books.errors import InvalidBook
from chatterbox_plus.books.markdown import read_markdown
from chatterbox_plus.books.paragraphs import one_line
from chatterbox_plus.books.plain import read_plain

_READERS = {
    "epub": read_epub,
    "docx": read_docx,
    "md": read_markdown,
    "markdown": read_markdown,
    "txt": read_plain,
}
EXTENSIONS = tuple(_READERS)
"""Of the files that can be read, without the dot."""

DEFAULT_LIMITS = BookLimits()
_UNNAMED = "Untitled"


def read_book(data: bytes, filename: str, *, limits: BookLimits = DEFAULT_LIMITS) -> Book:
    """filename: its extension says what the data are, and the rest is the title of a book that has none.

    Raises InvalidBook for every file that cannot be read, is over a limit, or has no text.
    """
    stem, dot, extension = filename.replace("\\", "/").rpartition("/")[2].rpartition(".")
    reader = _READERS.get(extension.strip().lower()) if dot else None
    if reader is None:
        raise InvalidBook(f"books are read from these files: {', '.join('.' + e for e in EXTENSIONS)}")
    if reader in (read_markdown, read_plain) and len(data) > limits.max_bytes:
        raise InvalidBook(f"the text is too large: more than {limits.max_bytes} bytes")
    book = reader(data, one_line(stem.replace("_", " ")) or _UNNAMED, limits)
    if not book.chapters:
        raise InvalidBook("the book has no text in it: it may hold nothing but pictures")
    chars = sum(len(chapter.text) for chapter in book.chapters)
    if chars > limits.max_chars:
        raise InvalidBook(f"the book is too long: {chars} characters of text, {limits.max_chars} are allowed")
    if len(book.chapters) > limits.max_chapters:
        raise InvalidBook(f"the book has {len(book.chapters)} chapters, {limits.max_chapters} are allowed")
    return book

"""A zip held in memory and never unpacked to disk: names in it are only keys. Everything read is counted."""

import io
import struct
import unicodedata
import zipfile
import zlib

from chatterbox_plus.books.book import BookLimits
from chatterbox_plus.books.decoding import decode_markup
from chatterbox_plus.books.errors import InvalidBook

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)
_METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED  # all that EPUB and DOCX allow; others may ask for gigabytes
_ENTRY = b"PK\x01\x02"  # begins each entry of the table of contents
_ENCRYPTED = 0x1


class Archive:
    """Entries by name; a name is also found in another case, or in another Unicode form."""

    def __init__(self, data: bytes, limits: BookLimits) -> None:
        """Raises InvalidBook for what is no zip file, or has too many entries."""
        if not data.startswith(b"PK"):
            raise InvalidBook("the file is not what its name says: it is no zip archive")
        if data.count(_ENTRY) > limits.max_entries:  # counted before a table of millions is built
            raise InvalidBook(f"the book holds more than {limits.max_entries} files")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN:
            raise InvalidBook("the book is damaged: it may not have been copied or downloaded to its end") from None
        self._limits = limits
        self._bytes_left = limits.max_bytes
        self._tags_left = limits.max_tags
        self._exact = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        self._loose = {_loose(name): name for name in self._exact}

    def find(self, *names: str) -> str | None:
        """The entry that one of the names means, the first that means any."""
        for name in names:
            if name in self._exact:
                return name
            if found := self._loose.get(_loose(name)):
                return found
        return None

    def size(self, name: str) -> int:
        """What the archive claims; only `read` knows."""
        return self._exact[name].file_size

    def read(self, name: str) -> bytes:
        """name: as `find` gives it. Raises InvalidBook for a damaged, locked or too large entry."""
        info = self._exact[name]
        if info.flag_bits & _ENCRYPTED:
            raise InvalidBook("the book is locked with a password")
        if info.compress_type not in _METHODS:
            raise InvalidBook(f"{shown(name)} in the book is packed in a way that books are not")
        most = min(self._limits.max_entry_bytes, self._bytes_left)
        try:
            with self._zip.open(info) as entry:
                data = entry.read(most + 1)
        except _BROKEN:
            raise InvalidBook(f"the book is damaged: {shown(name)} in it cannot be read") from None
        if len(data) > most:
            raise InvalidBook("the book is too large: unpacked, it has more text than can be read")
        self._bytes_left -= len(data)
        return data

    def markup(self, name: str) -> str:
        """The text of an XML or HTML entry. Raises InvalidBook as `read` does, or where it has too many tags."""
        text = decode_markup(self.read(name))
        self._tags_left -= text.count("<")
        if self._tags_left < 0:
            raise InvalidBook(f"the book has more than {self._limits.max_tags} tags in it")
        return text


def shown(name: str) -> str:
    """An entry's name for a message: short, and nothing that moves a cursor."""
    return "".join(c for c in name if c.isprintable())[-80:]


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

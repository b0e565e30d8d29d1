"""From bytes to text, whatever they say about themselves."""

import codecs
import re

from chatterbox_plus.books.book import BookLimits
from chatterbox_plus.books.errors import InvalidBook

_MARKS = (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")
_DECLARED = re.compile(rb"""(?:encoding|charset)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""")
_DECLARED_WITHIN = 2_000  # bytes
# Python knows codecs that are none of a text's, and some that take quadratic time.
_TRUSTED = re.compile(
    r"utf-8|ascii|iso8859-|cp\d|koi8-|mac-|big5|gb|euc_|shift_jis|iso2022_|tis-620|hp-roman8|johab|ptcp154|kz1048"
)
_FALLBACK = "cp1252"  # what most old files are in that do not say; a superset of ISO 8859-1 in practice
_SAMPLE = 4_096  # bytes


def decode_markup(data: bytes) -> str:
    """XML or HTML: its byte order mark, else UTF-16 seen by its zeros, else what is declared, UTF-8, Windows-1252."""
    if text := _by_mark(data):
        return text
    if codec := _wide(data):
        return data.decode(codec, "replace")
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    declared = _codec(found[1].decode("ascii")) if found else None
    return _first_of(data, *filter(None, (declared, "utf-8")))


def decode_plain(data: bytes, limits: BookLimits) -> str:
    """Plain text without a declaration; line ends become "\\n". Raises InvalidBook for what is no text
    or over a limit."""
    text = _by_mark(data)
    if not text:
        codec = _wide(data)
        text = data.decode(codec, "replace") if codec else _first_of(data, "utf-8")
    if "\0" in text:
        raise InvalidBook("the file is not what its name says: it is no text")
    if len(text) > limits.max_chars:
        raise InvalidBook(f"the book is too long: {len(text)} characters of text, {limits.max_chars} are allowed")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.count("\n") >= limits.max_lines:
        raise InvalidBook(f"the book has more than {limits.max_lines} lines")
    return text


def _by_mark(data: bytes) -> str:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    return ""


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of most texts is zero then."""
    sample = data[:_SAMPLE]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 5 < len(sample):
        return None
    return "utf-16-le" if even * 10 < odd else "utf-16-be" if odd * 10 < even else None


def _codec(name: str) -> str | None:
    try:
        known = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if known == "iso8859-1":
        return _FALLBACK  # as every browser does
    return known if _TRUSTED.match(known) else None


def _first_of(data: bytes, *names: str) -> str:
    for name in names:
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return data.decode(_FALLBACK, "replace")

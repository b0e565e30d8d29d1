"""A table as a file: CSV or JSON lines, bytes to records. What the columns mean is not known here."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_LINES, _TABLES = (".jsonl", ".ndjson"), (".csv", ".tsv", ".txt")


class Unreadable(Exception):
    """Why a file, or one line of it, is no table. line: from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Record:
    """One row of a table: the line of the file on which it begins, from 1, and its cells."""

    line: int
    cells: tuple[str, ...]


def decode(data: bytes | str) -> str:
    """UTF-8, with or without a byte order mark, or UTF-16 with one. Raises Unreadable."""
    if isinstance(data, str):
        text = data.removeprefix("\ufeff")
    else:
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = "utf-16" if wide else "utf-8-sig"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data[: error.start].decode(encoding, "ignore").count("\n") + 1
            raise Unreadable(line, "is not UTF-8: save the file as “CSV UTF-8”") from None
    if (zero := text.find("\0")) >= 0:
        raise Unreadable(text.count("\n", 0, zero) + 1, "has a NUL character in it: save the file as UTF-8")
    return text


def is_lines(filename: str, text: str) -> bool:
    """Whether it is JSON lines and not CSV: by its extension, without one by its first character.

    Raises Unreadable for an extension of something else.
    """
    suffix = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    if not suffix:
        return text.lstrip().startswith("{")
    if suffix not in _LINES + _TABLES:
        raise Unreadable(1, f"the file's name must end with one of {' '.join((*_TABLES[:2], *_LINES))}")
    return suffix in _LINES


def csv_records(text: str) -> Iterator[Record]:
    """Every row that has something in it; the first is the header. Raises Unreadable when its turn comes."""
    parser = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    while True:
        line = parser.line_num + 1
        try:
            cells = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unreadable(line, _csv_reason(error)) from None
        if any(cell.strip() for cell in cells):
            yield Record(line, tuple(cells))


def json_objects(text: str) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    """(line, object) of every line that has something in it; in place of an object, why the line is none."""
    for line, source in enumerate(text.split("\n"), 1):  # no splitlines: U+2028 may stand inside a JSON string
        if not source.strip():
            continue
        try:
            yield line, _object(line, source)
        except Unreadable as unreadable:
            yield line, unreadable


def _delimiter(text: str) -> str:
    """The one that the header uses: no column's name has any of them in it."""
    for line, header in enumerate(io.StringIO(text, newline=""), 1):
        if header.strip():
            found = [delimiter for delimiter in _DELIMITERS if delimiter in header]
            if len(found) > 1:
                names = " and ".join(_DELIMITERS[delimiter] for delimiter in found)
                raise Unreadable(line, f"the header has {names} in it: separate its columns with one of them")
            return found[0] if found else ","
    return ","


def _csv_reason(error: csv.Error) -> str:
    if "field larger" in str(error):
        return f"a cell has more than {csv.field_size_limit():,} characters, or a quote that is never closed"
    return 'a quote " is not closed, or something stands between it and the next column (inside quotes, write "")'


def _object(line: int, source: str) -> dict[str, Any]:
    try:
        value = json.loads(source, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise Unreadable(line, f"is not valid JSON, from character {error.colno} on") from None
    except RecursionError:
        raise Unreadable(line, "is nested too deeply") from None
    except ValueError as error:  # ours, below, or a number of thousands of digits
        raise Unreadable(
            line, error.args[0] if isinstance(error, _Wrong) else "has a number that is too long"
        ) from None
    if not isinstance(value, dict):
        raise Unreadable(line, "is no JSON object: { … }")
    return value


class _Wrong(ValueError):
    """JSON that Python would take."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Wrong("names a field twice")
    return found


def _no_number(name: str) -> Any:
    raise _Wrong(f"has {name} in it, which is not JSON")

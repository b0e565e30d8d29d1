"""The rows of a batch, from a file or a JSON body, checked before any of them is worked on.

Everything that is wrong is told at once, each with its line and column: nobody mends a table one error at a time.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from chatterbox_plus.errors import FileTooLarge, InvalidOption, PlusError
from chatterbox_plus.jobs.batch_cells import NAME, TEXT, meaning, read_cell
from chatterbox_plus.jobs.batch_reading import Record, Unreadable, csv_records, decode, is_lines, json_objects
from chatterbox_plus.library.naming import any_spelling, output_name, shown
from chatterbox_plus.synthesis.options import SpeechOptions

MAX_ROWS = 10_000
MAX_BYTES = 20 * 2**20
MAX_PROBLEMS = 20
_COMMON = 0  # the "line" of what all rows share
_FOLDERS = frozenset({"project", "folder"})  # two names of one thing


@dataclass(frozen=True)
class Row:
    """One result to be made. number: from 1. name: of the result, safe, without extension and unique in its batch; None
    leaves it to the server. options: JSON-ready fields of SpeechOptions, only those that were given."""

    number: int
    name: str | None
    options: Mapping[str, Any]
    line: int = dataclasses.field(default=0, compare=False)  # where it begins, as problems are told


@dataclass(frozen=True)
class RowProblem:
    """line: of the file on which the row begins, or which item of a JSON body, from 1; 0 is what all rows share.
    column: as it was written, "" for the line as a whole."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line != _COMMON else "what all rows share"
        return f"{place}, {self.column}: {self.message}" if self.column else f"{place}: {self.message}"


class InvalidRows(InvalidOption):
    """What is wrong with a batch: the first 20 problems."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        """problems: at least one."""
        self.problems = tuple(problems)
        self.details = tuple((f"{problem.line}.{problem.column}".rstrip("."), str(problem)) for problem in problems)
        message, more = str(self.problems[0]), len(self.problems) - 1
        if more:
            message += f" (and {'at least ' if len(self.problems) >= MAX_PROBLEMS else ''}{more} more)"
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return InvalidRows, (self.problems,)


def read_rows(data: bytes | str, filename: str, *, common: Mapping[str, Any]) -> tuple[Row, ...]:
    """The rows of a CSV file (commas, semicolons or tabs; a header) or of JSON lines.

    filename: tells which by its extension; without one the content does. common: what rows have that do not say
    otherwise, under the names of columns. Columns are `text`, `voice`, `name` (or `filename`) and the fields of
    SpeechOptions. A blank cell, or null, is as good as none; lines that are blank altogether are left out.

    Raises InvalidRows, and FileTooLarge over 20 MiB.
    """
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise FileTooLarge(f"the rows of a batch may have {MAX_BYTES // 2**20} MB, these are larger")
    batch = _Batch(common)
    try:
        text = decode(data)
        if is_lines(filename, text):
            _read_lines(batch, text)
        else:
            _read_table(batch, csv_records(text))
    except Unreadable as unreadable:
        batch.problem(unreadable.line, "", unreadable.reason)
    return batch.rows()


def rows_of_items(items: Sequence[Any], common: Mapping[str, Any]) -> tuple[Row, ...]:
    """The same from the items of a JSON body, objects with the columns as their fields. Raises InvalidRows."""
    batch = _Batch(common)
    for line, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            batch.add(line, batch.meant(line, item))
        else:
            batch.problem(line, "", "is no JSON object: { … }")
    return batch.rows()


class _Cell(NamedTuple):
    """A value under its column, and the field that the column sets."""

    column: str
    field: str
    value: Any


class _Batch:
    """The rows so far, and what is wrong with them."""

    def __init__(self, common: Mapping[str, Any]) -> None:
        """Raises InvalidRows for what would be wrong with every row."""
        self._rows: list[Row] = []
        self._problems: list[RowProblem] = []
        shared = self._given(_COMMON, self.meant(_COMMON, common))
        for field in {TEXT, NAME} & shared.keys():
            self.problem(_COMMON, shared.pop(field).column, "every row has its own")
        self._common = {field: cell.value for field, cell in shared.items()}
        self._options(_COMMON, {TEXT: _Cell(TEXT, TEXT, "."), **shared})
        if self._problems:
            raise InvalidRows(self._problems)

    def problem(self, line: int, column: str, message: str) -> None:
        """Raises InvalidRows when these are enough."""
        self._problems.append(RowProblem(line, shown(column), message))
        if len(self._problems) >= MAX_PROBLEMS:
            raise InvalidRows(self._problems)

    def meant(self, line: int, item: Mapping[str, Any]) -> Iterator[_Cell]:
        """The fields of a JSON object."""
        for column, value in item.items():
            try:
                yield _Cell(column, meaning(column), value)
            except ValueError as error:
                self.problem(line, column, str(error))

    def add(self, line: int, cells: Iterable[_Cell]) -> None:
        """The next row."""
        number, before = len(self._rows) + 1, len(self._problems)
        if number > MAX_ROWS:
            self.problem(line, "", f"a batch may have {MAX_ROWS:,} rows, here is one more")
            raise InvalidRows(self._problems)
        given = self._given(line, cells)
        name = self._name(line, given.pop(NAME)) if NAME in given else None
        if TEXT not in given and len(self._problems) == before:
            self.problem(line, TEXT, "is missing")
        # what is wrong in itself is not checked together with the rest: it would be told twice
        options = self._options(line, given) if len(self._problems) == before else {}
        self._rows.append(Row(number, name, options, line))

    def rows(self) -> tuple[Row, ...]:
        """All of them, no name twice. Raises InvalidRows if anything is wrong, or if there are none."""
        if not self._problems and not self._rows:
            self.problem(1, "", "there are no rows")
        if self._problems:
            raise InvalidRows(self._problems)
        return tuple(_named_once(self._rows))

    def _given(self, line: int, cells: Iterable[_Cell]) -> dict[str, _Cell]:
        """By field, without the empty ones."""
        found: dict[str, _Cell] = {}
        for cell in cells:
            if cell.value is None:
                continue
            if cell.field in found:
                self.problem(line, cell.column, f"says the same as {found[cell.field].column}: give one of them")
            found[cell.field] = cell
        return found

    def _name(self, line: int, cell: _Cell) -> str | None:
        if not isinstance(cell.value, str):
            self.problem(line, cell.column, "must be text")
            return None
        if not cell.value.strip():
            return None
        try:
            return output_name(cell.value)
        except PlusError as error:
            self.problem(line, cell.column, error.message)
            return None

    def _options(self, line: int, given: Mapping[str, _Cell]) -> dict[str, Any]:
        """What was given, over what all rows share, as SpeechOptions takes it; {} if it does not."""
        hidden = _FOLDERS if _FOLDERS & given.keys() else frozenset()
        values = {field: value for field, value in self._common.items() if field not in hidden}
        values.update((field, cell.value) for field, cell in given.items())
        try:
            return SpeechOptions.model_validate(values).model_dump(mode="json", exclude_unset=True)
        except ValidationError as error:
            messages: dict[str, str] = {}  # the first of a field: the others often follow from it
            for item in error.errors(include_url=False, include_context=False):
                messages.setdefault(str(item["loc"][0]) if item["loc"] else "", item["msg"])
            for field, message in messages.items():
                column = given[field].column if field in given else field
                self.problem(line, column, message.removeprefix("Value error, "))
            return {}


def _read_lines(batch: _Batch, text: str) -> None:
    for line, item in json_objects(text):
        if isinstance(item, Unreadable):
            batch.problem(line, "", item.reason)
        else:
            batch.add(line, batch.meant(line, item))


def _read_table(batch: _Batch, records: Iterator[Record]) -> None:
    header = next(records, None)
    if header is None:
        raise Unreadable(1, "there is no header: the first line names the columns")
    columns = _columns(batch, header)
    for record in records:
        extra = record.cells[len(columns) :]
        if any(cell.strip() for cell in extra):
            message = f'has {len(record.cells)} cells, the header {len(columns)}: a text with separators in it needs ""'
            batch.problem(record.line, "", message)
        else:
            batch.add(record.line, _cells(batch, columns, record))


def _columns(batch: _Batch, header: Record) -> list[_Cell | None]:
    """Every column with its field, None for one that is unknown. Raises Unreadable for a header nothing fits under."""
    columns: list[_Cell | None] = []
    fields: dict[str, str] = {}
    for cell in header.cells:
        column = cell.strip().lower()
        try:
            field = meaning(column) if column else ""
        except ValueError as error:
            batch.problem(header.line, cell.strip(), str(error))
            columns.append(None)
            continue
        if field and field in fields:
            raise Unreadable(header.line, f"the header names {fields[field]} and {column}, which is the same")
        fields[field] = column
        columns.append(_Cell(column, field, None))
    if TEXT not in fields:
        raise Unreadable(header.line, "the header names no column text")
    return columns


def _cells(batch: _Batch, columns: Sequence[_Cell | None], record: Record) -> Iterator[_Cell]:
    for place, (column, cell) in enumerate(zip(columns, record.cells, strict=False), 1):
        if column is None:
            continue
        if column.field:
            try:
                yield column._replace(value=read_cell(column.field, cell))
            except ValueError as error:
                batch.problem(record.line, column.column, str(error))
        elif cell.strip():
            batch.problem(record.line, "", f"has something in cell {place}, a column without a name")


def _named_once(rows: Sequence[Row]) -> Iterator[Row]:
    """A repeated name gets a number; one that some row asks for itself is no number's."""
    wanted = {any_spelling(Path(row.name)) for row in rows if row.name is not None}
    taken: set[str] = set()
    counts: defaultdict[str, int] = defaultdict(lambda: 1)
    for row in rows:
        if row.name is None:
            yield row
            continue
        name, key = row.name, any_spelling(Path(row.name))
        if key in taken:
            while any_spelling(Path(name)) in wanted or any_spelling(Path(name)) in taken:
                counts[key] += 1
                name = f"{row.name}_{counts[key]}"
        taken.add(any_spelling(Path(name)))
        yield replace(row, name=name)

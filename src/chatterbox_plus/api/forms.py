"""Multipart forms: files go to the request's temporary folder as they arrive; only short fields are held in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from chatterbox_plus.api.bridge import Bridge
from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import BadRequest, FileTooLarge, InvalidAudio, UnsupportedFormat
from chatterbox_plus.library.library import Library, Temporary
from chatterbox_plus.library.writing import room_checked

MAX_PARTS = 400
MAX_HEADER_BYTES = 16 * 2**10  # of one part
MAX_TEXT_BYTES = 2 * 2**20  # of all fields that are no files
BATCH_BYTES = 256 * 2**10  # no thread is bothered for less


@dataclass
class Upload:
    """A file that was sent along. name: what the client calls it, without folders. media_type: what the client says it
    is, "" if nothing. size: bytes."""

    name: str
    path: Path
    media_type: str = ""
    size: int = 0

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.lower()


class Form:
    """What was sent, in order. Its files are gone when `read_form` ends, unless they were taken over before."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []
        self.uploads: list[tuple[str, Upload]] = []
        self.holds = ExitStack()

    def keep(self) -> ExitStack:
        """Takes the files over: they live until what this returns is closed."""
        return self.holds.pop_all()

    def file(self, name: str) -> Upload | None:
        """The audio file sent under that name, None if none was chosen.

        Raises BadRequest for text in its place or several files, UnsupportedFormat by its extension, InvalidAudio if
        it is empty.
        """
        found = self.files(name)
        if len(found) > 1:
            raise BadRequest(f"{name} must be one file", param=name)
        if not found:
            return None
        if found[0].suffix not in INPUT_SUFFIXES:
            raise UnsupportedFormat(f"{name} must be audio by its name: {' '.join(INPUT_SUFFIXES)}", param=name)
        if not found[0].size:
            raise InvalidAudio(f"{name} is empty", param=name)
        return found[0]

    def files(self, name: str) -> list[Upload]:
        """What was sent under that name, in order, whatever it is. Raises BadRequest for text in its place."""
        if any(key == name and text for key, text in self.texts):
            raise BadRequest(f"{name} must be a file", param=name)
        return [file for key, file in self.uploads if key == name and (file.name or file.size)]

    def values(self, lists: tuple[str, ...] = ()) -> dict[str, Any]:
        """The text fields that are filled in; of repeated ones the last, but all of `lists` as lists.

        A list is a repeated field, comma separated, or a JSON array. Raises BadRequest for broken JSON.
        """
        found: dict[str, Any] = {}
        for name, value in self.texts:
            if not value.strip():
                continue
            if name in lists:
                found.setdefault(name, []).extend(_items(name, value))
            else:
                found[name] = value
        return found


@asynccontextmanager
async def read_form(request: Request, bridge: Bridge, library: Library, max_file_mb: float) -> AsyncIterator[Form]:
    """The form that the request brings.

    max_file_mb: MiB that each of its files may have, counted as they arrive.

    Raises BadRequest for one that is broken or cut short, FileTooLarge for too much in it, StorageFull.
    """
    boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary")
    if not boundary:
        raise BadRequest("The form does not say its boundary")
    form = Form()
    try:
        folder = await bridge.call(form.holds.enter_context, library.temporary())
        try:
            reader = _Reader(boundary, form, folder, max_file_mb)
        except FormParserError:
            raise BadRequest("The boundary of the form is too long") from None
        batch = bytearray()
        async for chunk in request.stream():
            batch += chunk
            if len(batch) >= BATCH_BYTES:
                await bridge.call(reader.feed, bytes(batch))
                batch.clear()
        await bridge.call(reader.feed, bytes(batch))
        if not reader.complete:
            raise BadRequest("The form ends too early")
        yield form
    finally:
        await bridge.call(form.holds.close)


class _Reader:
    """Takes a body apart. Everything here may write to disk: not for the event loop."""

    def __init__(self, boundary: bytes, form: Form, folder: Temporary, max_file_mb: float) -> None:
        self.complete = False
        self._form, self._folder, self._max_file_mb = form, folder, max_file_mb
        self._parts, self._text_bytes = 0, 0
        self._key, self._value = b"", b""
        self._disposition, self._media_type = b"", b""
        self._name, self._text = "", bytearray()
        self._upload: Upload | None = None
        self._file: BinaryIO | None = None
        form.holds.callback(self._close)
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> None:
        try:
            with room_checked():
                self._parser.write(data)
        except FormParserError:
            raise BadRequest("The form is broken") from None

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise BadRequest(f"The form has more than {MAX_PARTS} parts")
        self._key = self._value = self._disposition = self._media_type = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._key += data[start:end]
        self._check_header()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._key) + len(self._value) > MAX_HEADER_BYTES:
            raise BadRequest("A part of the form has too long a header")

    def _on_header_end(self) -> None:
        if self._key.lower() == b"content-disposition":
            self._disposition = self._value
        elif self._key.lower() == b"content-type":
            self._media_type = self._value
        self._key, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise BadRequest("A part of the form has no name")
        self._name, self._text = _decode(options[b"name"]), bytearray()
        if b"filename" not in options:
            self._upload = None
            return
        name = PurePosixPath(_decode(options[b"filename"]).replace("\\", "/")).name
        media_type = _decode(self._media_type).partition(";")[0].strip().lower()
        self._upload = Upload(name, self._folder.path(), media_type)
        if self._upload.suffix in INPUT_SUFFIXES:
            self._upload.path = self._folder.path(self._upload.suffix)
        self._file = self._upload.path.open("xb")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None and self._upload is not None:
            self._upload.size += end - start
            if self._upload.size > self._max_file_mb * 2**20:
                raise FileTooLarge(f"{self._name} is larger than {self._max_file_mb:g} MB, the most a file may have")
            self._file.write(memoryview(data)[start:end])
            return
        self._text_bytes += end - start
        if self._text_bytes > MAX_TEXT_BYTES:
            raise FileTooLarge(f"The fields of the form are larger than {MAX_TEXT_BYTES // 2**20} MB")
        self._text += data[start:end]

    def _on_part_end(self) -> None:
        self._close()
        if self._upload is not None:
            self._form.uploads.append((self._name, self._upload))
        else:
            self._form.texts.append((self._name, _decode(bytes(self._text))))

    def _on_end(self) -> None:
        self.complete = True

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")  # what old clients send


def _items(name: str, value: str) -> list[Any]:
    if not value.lstrip().startswith("["):
        return [item.strip() for item in value.split(",") if item.strip()]
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        raise BadRequest(f"{name} is not a valid JSON array", param=name) from None
    assert isinstance(items, list)
    return items

"""How made audio is answered with: as the finished file, as JSON with links, or live."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

import anyio
from fastapi import Query, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from chatterbox_plus.api.bridge import LiveResponse, MakeLive, request_id
from chatterbox_plus.api.errors import ErrorBody, Reply, now, wrong
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.audio.formats import FORMATS, NATIVE_FORMATS
from chatterbox_plus.errors import NotFound
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.synthesis.export import MadeFile
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.results import Result

Mode = Literal["stream", "url", "live"]
_MODES: dict[str, Mode] = {"stream": "stream", "file": "stream", "download": "stream", "url": "url", "live": "live"}
_MAX_NOTES_CHARS = 4096

ResponseMode = Annotated[
    str | None,
    Query(
        description="`stream` (default): the finished file. `url`: JSON with links. `live`: audio while it is made.",
        json_schema_extra={"enum": ["stream", "url", "live", "file", "download"]},
    ),
]
ReturnFormat = Annotated[
    str | None,
    Query(
        description="Which format to send; by default the first of `export_formats`. Added to them when missing.",
        json_schema_extra={"enum": list(NATIVE_FORMATS)},
    ),
]

_AUDIO = {FORMATS[name].media_type: {"schema": {"type": "string", "format": "binary"}} for name in NATIVE_FORMATS}
MEANINGS = {
    400: "The request makes no sense, or a file is not audio.",
    401: "The server asks for a key, and none of its own was shown.",
    403: "A name leads out of its folder, a URL to a host that is not public, or the caller is not welcome.",
    404: "A voice, input or output does not exist.",
    408: "The request stopped arriving half-way.",
    409: "The model is not installed, or a name is ambiguous.",
    413: "The request is too large.",
    422: "A field is missing or out of its range.",
    429: "More requests in a minute than this caller may make; see Retry-After.",
    431: "The head of the request is too large.",
    500: "The engine failed.",
    502: "What a URL points to could not be fetched.",
    503: "Too many requests are waiting; see Retry-After.",
    504: "No progress for too long.",
    507: "No room is left in the data folder; nothing was stored.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": text} for status, text in MEANINGS.items()
}


def audio_responses(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """What a route that makes audio answers. example: its reply in url mode."""
    made = {
        "description": "Audio (stream and live mode) or links to it (url mode).",
        "content": {**_AUDIO, "application/json": {"example": example}},
    }
    return {200: made, **ERRORS}


class StoredFile(FileResponse):
    """A file of a store, which retention leaves alone while it is sent; who deletes it meanwhile cuts nothing off."""

    _opened: anyio.AsyncFile[bytes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises NotFound if it is gone already."""
        with Hold(Path(self.path)):
            try:
                self._opened = await anyio.open_file(self.path, "rb")  # before anything is promised
            except FileNotFoundError:
                raise NotFound("The file was deleted before it could be sent") from None
            try:
                if self.stat_result is None:
                    self.stat_result = os.fstat(self._opened.wrapped.fileno())
                    self.set_stat_headers(self.stat_result)
                await super().__call__(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._opened.aclose()

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[anyio.AsyncFile[bytes]]:
        """What Starlette reads from."""
        yield self._opened


def mode_of(value: str | None, where: str = "query") -> Mode:
    """The mode meant. Raises a 422 for a word that means none."""
    if value is None:
        return "stream"
    mode = _MODES.get(value.strip().lower())
    if mode is None:
        raise wrong(where, "response_mode", "must be stream, url or live", value)
    return mode


def format_of(value: str | None) -> str | None:
    """The native format meant, None if none is asked for. Raises a 422 for another."""
    if value is None:
        return None
    name = value.strip().lower()
    if name not in NATIVE_FORMATS:
        raise wrong("query", "return_format", f"must be one of {', '.join(NATIVE_FORMATS)}", value)
    return name


def file_reply(state: ApiState, result: Result, format: str | None, headers: dict[str, str]) -> Response:
    """The finished file of that format (None: the first), with links to the others."""
    sent = result.files[0] if format is None else next(file for file in result.files if file.format == format)
    others = [f"{file.format}:{file.url}" for file in result.files if file is not sent]
    if others:
        headers["X-Alternative-Formats"] = "|".join(others)
    headers["X-Processing-Time"] = f"{result.processing_s:.3f}"
    headers["X-Audio-Duration"] = f"{result.duration_s:.3f}"
    headers["Content-Disposition"] = disposition(sent.filename)
    path = state.studio.library.outputs.root / PurePosixPath(sent.path)
    return StoredFile(path, media_type=FORMATS[sent.format].media_type, headers=headers)


async def live_reply(
    request: Request, state: ApiState, sent: SpeechOptions | ConversionOptions | JoinOptions, make: MakeLive
) -> Response:
    """The audio while it is made."""
    stream = await state.bridge.open(request, make)
    live = stream.live
    notes = list(live.notes)
    if "export_formats" in sent.model_fields_set and len(sent.export_formats) > 1:
        notes.append(f"export_formats: live mode makes only {live.format.name}")
    headers = made_headers(live.model, notes, live.seed)
    headers["Content-Disposition"] = disposition(live.filename)
    headers["X-Accel-Buffering"] = "no"
    return LiveResponse(stream, media_type=live.format.media_type, headers=headers)


def json_reply(request: Request, message: str, result: Result, extra: dict[str, Any]) -> Response:
    """What url mode answers, whatever was made; `extra` is added to it and wins."""
    body: dict[str, Any] = {
        "success": True,
        "message": message,
        "output_files": links(result.files),
        "processing_time_seconds": round(result.processing_s, 3),
        "total_duration_seconds": round(result.duration_s, 3),
        "notes": list(result.notes),
        "request_id": request_id(request.scope),
        "timestamp": now(),
    }
    return Reply({**body, **extra})


def links(files: Iterable[MadeFile]) -> list[dict[str, Any]]:
    """What was made, in order."""
    return [file.link() for file in files]


def made_headers(model: str | None, notes: Iterable[str], seed: int | None = None) -> dict[str, str]:
    """Headers about how audio was made: ASCII, one line each."""
    headers = {}
    if model:
        headers["X-Chatterbox-Model"] = _ascii(model)
    if seed is not None:
        headers["X-Generation-Seed"] = str(seed)
    remarks = _ascii("; ".join(notes))[:_MAX_NOTES_CHARS]
    if remarks:
        headers["X-Chatterbox-Notes"] = remarks
    return headers


def disposition(name: str) -> str:
    """Content-Disposition (RFC 6266) for a file name: quoted, and in full beside it where ASCII cannot say it."""
    plain = "".join(c if c not in '"\\%' else "_" for c in _ascii(name, "_"))
    value = f'attachment; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"


def _ascii(text: str, other: str = "?") -> str:
    return "".join(c if " " <= c <= "~" else other for c in text)

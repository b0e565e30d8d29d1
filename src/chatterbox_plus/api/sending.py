"""A stored file, sent as it is: ranges, validators, and nothing but audio."""

import os
import re
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from chatterbox_plus.api.errors import reply
from chatterbox_plus.api.replies import ERRORS, StoredFile, disposition
from chatterbox_plus.api.state import State
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.library.store import Store

MEDIA_TYPES = {
    **{format.suffix: format.media_type for format in FORMATS.values()},
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
    ".mp4": "audio/mp4",
    ".webm": "audio/webm",
}
_RANGE = r"(\d{1,18}-\d{0,18}|-\d{1,18})"  # no file is larger, and longer numbers are not even read
_RANGES = re.compile(rf"bytes=\s*{_RANGE}(\s*,\s*{_RANGE})*\s*", re.IGNORECASE | re.ASCII)
SENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of it that was asked for."},
    304: {"description": "Not changed."},
    401: ERRORS[401],
    403: ERRORS[403],
    404: ERRORS[404],
    416: {**ERRORS[404], "description": "The range lies outside the file."},
}
"""What a route that sends a file answers."""

RECORDING = {**SENT, 400: ERRORS[400], 409: ERRORS[409]}
"""The same, of a file that is found by its name."""


async def recording(request: Request, state: State, store: Store, name: str) -> Response:
    """The file that `name` means in a store of recordings, which may be replaced: browsers ask whether theirs is still
    the newest. Raises as `Store.resolve` does."""

    def find() -> tuple[Path, os.stat_result]:
        found = store.resolve(name)
        try:
            return found, found.stat()
        except FileNotFoundError:
            raise store.not_found(name) from None

    found, stat = await state.bridge.call(find)
    return sent(request, found, stat, cache="private, no-cache")


def sent(request: Request, found: Path, stat: os.stat_result, *, cache: str) -> Response:
    """The file, or the part of it that was asked for. cache: who may keep it, and for how long (Cache-Control)."""
    response = StoredFile(
        found,
        stat_result=stat,
        media_type=MEDIA_TYPES[found.suffix.lower()],
        headers={
            "Content-Disposition": disposition(found.name),
            "Cache-Control": cache,
        },
    )
    if _unchanged(request.headers, response.headers):
        kept = ("cache-control", "etag", "last-modified")
        return Response(status_code=304, headers={name: response.headers[name] for name in kept})
    asked = request.headers.get("range")
    if asked is not None and not _applies(asked, request, response.headers):
        del MutableHeaders(scope=request.scope)["range"]
    elif asked is not None and _outside(asked, stat.st_size):
        message = f"The file has {stat.st_size} bytes"
        return reply(
            request.scope, 416, "RANGE_NOT_SATISFIABLE", message, headers={"Content-Range": f"bytes */{stat.st_size}"}
        )
    return response


def _unchanged(request: Headers, response: Headers) -> bool:
    tags = request.get("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in known or response["etag"] in known
    try:
        since = parsedate_to_datetime(request["if-modified-since"])
        return since >= parsedate_to_datetime(response["last-modified"])
    except (KeyError, ValueError, TypeError, OverflowError):  # none, or no date that there is
        return False


def _applies(asked: str, request: Request, response: Headers) -> bool:
    """Whether a range counts at all (RFC 9110, 13.1.5 and 14.2): of a GET, well formed, of the file as it still is."""
    if request.method != "GET" or not _RANGES.fullmatch(asked):
        return False
    if any(last and int(first) > int(last) for first, last in _ends(asked) if first):
        return False
    return request.headers.get("if-range") in (None, response["etag"], response["last-modified"])


def _ends(asked: str) -> list[tuple[str, str]]:
    return [(first, last) for first, _, last in (part.strip().partition("-") for part in asked[6:].split(","))]


def _outside(asked: str, size: int) -> bool:
    """Whether no byte of the file is asked for."""
    return all(int(first) >= size if first else not size or not int(last) for first, last in _ends(asked))

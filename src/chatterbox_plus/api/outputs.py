"""GET and HEAD /outputs/…: what was made, as files: ranges, validators, and nothing but audio."""

import os
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from chatterbox_plus.api.errors import reply
from chatterbox_plus.api.replies import ERRORS, StoredFile, disposition
from chatterbox_plus.api.state import State
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.errors import NotFound, UnsupportedFormat

router = APIRouter(tags=["outputs"])
CACHE_SECONDS = 3600
MEDIA_TYPES = {
    **{format.suffix: format.media_type for format in FORMATS.values()},
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".webm": "audio/webm",
}
_RANGES = re.compile(r"bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*", re.IGNORECASE)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of it that was asked for."},
    304: {"description": "Not changed."},
    401: ERRORS[401],
    403: ERRORS[403],
    404: ERRORS[404],
    416: {**ERRORS[404], "description": "The range lies outside the file."},
}


@router.get("/outputs/{path:path}", summary="Fetch a file", responses=_RESPONSES)
@router.head("/outputs/{path:path}", include_in_schema=False)
async def fetch(path: str, request: Request, state: State) -> Response:
    """A file by the URL that a reply gave."""
    outputs = state.studio.library.outputs
    if not state.caller.may_read_output(path):
        raise _missing(path)
    found, stat = await state.bridge.call(_find, outputs.exact, path.removeprefix(outputs.prefix))
    keys = state.settings.api.api_key_required
    response = StoredFile(
        found,
        stat_result=stat,
        media_type=MEDIA_TYPES[found.suffix.lower()],
        headers={
            "Content-Disposition": disposition(found.name),
            "Cache-Control": f"{'private' if keys else 'public'}, max-age={CACHE_SECONDS}",
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


def _find(exact: Callable[[str], Path], path: str) -> tuple[Path, os.stat_result]:
    """Raises NotFound, also for what is no audio: its existence is nobody's business."""
    try:
        found = exact(path)
        if found.suffix.lower() in MEDIA_TYPES:
            return found, found.stat()
    except (UnsupportedFormat, FileNotFoundError):
        pass
    raise _missing(path)


def _missing(path: str) -> NotFound:
    return NotFound(f"File not found: {Path(path).name[:200]}")


def _unchanged(request: Headers, response: Headers) -> bool:
    tags = request.get("if-none-match")
    if tags is not None:
        known = [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        return "*" in known or response["etag"] in known
    try:
        since = parsedate_to_datetime(request["if-modified-since"])
        return since >= parsedate_to_datetime(response["last-modified"])
    except (KeyError, ValueError, TypeError):
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

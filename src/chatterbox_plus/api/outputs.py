"""What was made: listed, described, deleted, and GET and HEAD /outputs/…: ranges, validators, nothing but audio."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from chatterbox_plus.api import stored
from chatterbox_plus.api.errors import Reply, now, reply
from chatterbox_plus.api.lists import (
    MAX_PAGE,
    NAMED,
    All,
    Confirm,
    ExactFilters,
    Filenames,
    Flag,
    Folder,
    Kind,
    OnePage,
    Project,
    Search,
    SortOrder,
    delete_one,
    delete_some,
    details,
    folders_reply,
    list_reply,
    seconds,
    utc,
)
from chatterbox_plus.api.replies import ERRORS, StoredFile, disposition
from chatterbox_plus.api.state import State
from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES, FORMATS
from chatterbox_plus.errors import NotFound, UnsupportedFormat
from chatterbox_plus.library.catalog import Order, filter_of, siblings
from chatterbox_plus.library.entries import Entry
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.library import output_url
from chatterbox_plus.library.records import finite
from chatterbox_plus.library.store import Store

router = APIRouter(tags=["outputs"])
CACHE_SECONDS = 3600
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
GenerationType = Annotated[
    Literal["tts", "vc", "concat", "book"] | None, Query(description="Only what was made in this way.")
]
FilePath = Annotated[str, PathParameter(description=NAMED, examples=["intro.wav"])]
SortBy = Annotated[
    Literal["created_date", "filename", "file_size", "generation_type"], Query(description="What the order goes by.")
]
_RANGE = r"(\d{1,18}-\d{0,18}|-\d{1,18})"  # no file is larger, and longer numbers are not even read
_RANGES = re.compile(rf"bytes=\s*{_RANGE}(\s*,\s*{_RANGE})*\s*", re.IGNORECASE | re.ASCII)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The part of it that was asked for."},
    304: {"description": "Not changed."},
    401: ERRORS[401],
    403: ERRORS[403],
    404: ERRORS[404],
    416: {**ERRORS[404], "description": "The range lies outside the file."},
}


@router.get("/outputs/{path:path}", summary="Fetch a file", responses=_RESPONSES, response_class=Response)
@router.head("/outputs/{path:path}", include_in_schema=False)
async def fetch(path: FilePath, request: Request, state: State) -> Response:
    """A file by the URL that a reply gave."""
    outputs = state.studio.library.outputs
    if not state.caller.may_read_output(path):
        raise _missing(path)
    find = outputs.attached if path.lower().endswith(ATTACHED_SUFFIXES) else outputs.exact
    found, stat = await state.bridge.call(_find, find, path.removeprefix(outputs.prefix))
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


def item(store: Store, snapshot: Snapshot, entry: Entry, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """An output in a list."""
    made, parameters, sources = (sidecar.get(name) for name in ("generation_info", "parameters", "source_files"))
    took_s = finite(made.get("processing_time_seconds")) if isinstance(made, dict) else None
    parameters = parameters if isinstance(parameters, dict) else {}
    return {
        "filename": entry.filename,
        "path": entry.path,
        "url": output_url(store.prefix + entry.path),
        "generation_type": entry.type,
        "folder_path": entry.folder or None,
        "file_size_bytes": entry.stat.size,
        "duration_seconds": seconds(entry.duration_s),
        "format": entry.format,
        "created_date": utc(entry),
        "parameters": parameters,
        "source_files": sources if isinstance(sources, list) else [],
        "formats": [
            {
                "format": other.format,
                "filename": other.filename,
                "url": output_url(store.prefix + other.path),
                "file_size_bytes": other.stat.size,
            }
            for other in siblings(snapshot, entry)
        ],
        "metadata": {"processing_time_seconds": took_s, "parameters": parameters},
    }


KIND = Kind("files", "Output", item, summed=True)


@router.get(
    "/api/v1/outputs", summary="List outputs", responses=stored.replies(stored.OutputList, stored.OUTPUT_LIST, 403, 422)
)
async def outputs(
    state: State,
    page: OnePage,
    limit: Annotated[
        int | None, Query(ge=1, le=MAX_PAGE, description="Another name for `page_size`, which it overrides.")
    ] = None,
    generation_type: GenerationType = None,
    search: Search = None,
    filenames: Filenames = None,
    folder: Folder = None,
    project: Project = None,
    date_from: Annotated[str | None, Query(description="ISO 8601; UTC where no offset is said.")] = None,
    date_to: Annotated[str | None, Query(description="The same; a date alone means to the end of that day.")] = None,
    sort_by: SortBy = "created_date",
    sort_order: SortOrder = None,
) -> Response:
    """Every file, the newest first, with all formats of its generation and a summary of all pages."""
    found = filter_of(
        folder=folder or project,
        search=search,
        type=generation_type,
        filenames=filenames,
        date_from=date_from,
        date_to=date_to,
    )
    order = Order(sort_by, sort_order != "asc")
    page = page if limit is None else replace(page, size=limit)
    return await list_reply(state, state.studio.library.outputs, KIND, found, order, page)


@router.get(
    "/api/v1/outputs/folders",
    summary="List the folders of outputs",
    responses=stored.replies(stored.FolderList, stored.FOLDER_LIST),
)
async def folders(state: State) -> Response:
    """Every folder with the number of files directly in it, the root first."""
    return await folders_reply(state, state.studio.library.outputs)


@router.get(
    "/api/v1/outputs/{path:path}/metadata",
    summary="How an output was made",
    responses=stored.replies(stored.OutputReply, stored.OUTPUT_REPLY, 400, 403, 404, 409, 422),
)
async def metadata(path: FilePath, state: State) -> Response:
    """The sidecar as `metadata`, and its parts beside what a list tells of the file."""
    told, sidecar = await details(state, state.studio.library.outputs, KIND, path)
    parts = {name: sidecar[name] for name in ("type", "generation_info", "files") if name in sidecar}
    return Reply({**told, **parts, "success": True, "metadata": sidecar, "timestamp": now()})


@router.delete(
    "/api/v1/output/{path:path}",
    summary="Delete an output",
    responses=stored.replies(stored.DeleteReply, stored.DELETE_REPLY, 400, 403, 404, 409, 422),
)
async def remove(
    path: FilePath,
    state: State,
    confirm: Confirm = False,
    all_formats: Annotated[Flag, Query(description="`true` deletes all files of the same generation.")] = False,
) -> Response:
    """Delete one file; its sidecar goes with the last file of the generation."""
    store = state.studio.library.outputs
    return await delete_one(state, store, KIND, path, confirm=confirm, all_formats=all_formats)


@router.delete(
    "/api/v1/outputs",
    summary="Delete many outputs",
    dependencies=[ExactFilters],
    responses=stored.replies(stored.DeleteReply, stored.DELETE_REPLY, 400, 403, 409, 422),
)
async def remove_many(
    state: State,
    confirm: Confirm = False,
    all: All = False,
    generation_type: GenerationType = None,
    search: Search = None,
    filenames: Filenames = None,
    folder: Folder = None,
    project: Project = None,
) -> Response:
    """Delete exactly what the list with these filters shows, and the folders that are empty then."""
    found = filter_of(folder=folder or project, search=search, type=generation_type, filenames=filenames)
    return await delete_some(state, state.studio.library.outputs, KIND, found, confirm=confirm, all=all)


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

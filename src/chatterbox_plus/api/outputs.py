"""What was made: listed, described, deleted, and GET and HEAD /outputs/…: ranges, validators, nothing but audio."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from chatterbox_plus.api import stored
from chatterbox_plus.api.errors import Reply, now
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
from chatterbox_plus.api.sending import MEDIA_TYPES, SENT, sent
from chatterbox_plus.api.state import State
from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES
from chatterbox_plus.errors import NotFound, UnsupportedFormat
from chatterbox_plus.library.catalog import Order, filter_of, siblings
from chatterbox_plus.library.entries import Entry
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.library import output_url
from chatterbox_plus.library.records import finite
from chatterbox_plus.library.store import Store

router = APIRouter(tags=["outputs"])
CACHE_SECONDS = 3600
GenerationType = Annotated[
    Literal["tts", "vc", "concat", "book"] | None, Query(description="Only what was made in this way.")
]
DateFrom = Annotated[str | None, Query(description="ISO 8601; UTC where no offset is said.")]
DateTo = Annotated[str | None, Query(description="The same; a date alone means to the end of that day.")]
Anywhere = Annotated[
    str | None,
    Query(description="As `search`, and part of the text that was spoken. No deletion goes by it.", max_length=500),
]
FilePath = Annotated[str, PathParameter(description=NAMED, examples=["intro.wav"])]
SortBy = Annotated[
    Literal["created_date", "filename", "file_size", "generation_type"], Query(description="What the order goes by.")
]


@router.get("/outputs/{path:path}", summary="Fetch a file", responses=SENT, response_class=Response)
@router.head("/outputs/{path:path}", include_in_schema=False)
async def fetch(path: FilePath, request: Request, state: State) -> Response:
    """A file by the URL that a reply gave."""
    outputs = state.studio.library.outputs
    if not state.caller.may_read_output(path):
        raise _missing(path)
    find = outputs.attached if path.lower().endswith(ATTACHED_SUFFIXES) else outputs.exact
    found, stat = await state.bridge.call(_find, find, path.removeprefix(outputs.prefix))
    whose = "private" if state.settings.api.api_key_required else "public"
    return sent(request, found, stat, cache=f"{whose}, max-age={CACHE_SECONDS}")


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
    date_from: DateFrom = None,
    date_to: DateTo = None,
    q: Anywhere = None,
    sort_by: SortBy = "created_date",
    sort_order: SortOrder = None,
) -> Response:
    """Every file, the newest first, with all formats of its generation and a summary of all pages."""
    found = filter_of(
        folder=folder or project,
        search=search,
        anywhere=q,
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

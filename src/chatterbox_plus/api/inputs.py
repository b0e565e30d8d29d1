"""Conversion inputs: recordings in vc_inputs/ whose words are to be said in another voice."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import Field
from starlette.responses import Response

from chatterbox_plus.api import stored
from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.errors import Reply, checked, now
from chatterbox_plus.api.forms import read_form
from chatterbox_plus.api.lists import (
    NAMED,
    All,
    Confirm,
    ExactFilters,
    Filenames,
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
from chatterbox_plus.api.sending import RECORDING, recording
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.uploads import Arrival, Place, file_of, is_form, keep, placed
from chatterbox_plus.library.catalog import Order, filter_of
from chatterbox_plus.library.entries import Entry, moment
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.records import text_of, timestamp
from chatterbox_plus.library.store import Store

router = APIRouter(tags=["conversion inputs"])
FilePath = Annotated[str, PathParameter(description=NAMED, examples=["interview.wav"])]
SortBy = Annotated[
    Literal["created_date", "filename", "file_size", "duration"], Query(description="What the order goes by.")
]


class _NewInput(Place):
    """The fields of an upload."""

    text: str | None = Field(None, max_length=20_000, description="What is said in it.")


def item(store: Store, snapshot: Snapshot, entry: Entry, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """An input in a list."""
    uploaded = moment(sidecar.get("upload_date"))
    return {
        "filename": entry.filename,
        "path": entry.path,
        "folder_path": entry.folder or None,
        "text": text_of(sidecar.get("text")),
        "file_size_bytes": entry.stat.size,
        "duration_seconds": seconds(entry.duration_s),
        "sample_rate": entry.rate,
        "format": entry.format,
        "created_date": utc(entry),
        "upload_date": timestamp(uploaded) if uploaded else utc(entry),
    }


KIND = Kind("files", "VC input", item)


@router.post(
    "/api/v1/vc_input",
    summary="Upload a conversion input",
    responses=stored.replies(stored.InputReply, stored.INPUT_REPLY, 400, 403, 409, 422, 507),
    openapi_extra=stored.form(
        _NewInput, {"text": "An interview", "folder_path": "team"}, vc_input_file="The recording."
    ),
)
async def upload(request: Request, state: State) -> Response:
    """Keep a recording for `input_audio_source` of POST /api/v1/vc."""
    is_form(request)
    async with read_form(request, state.bridge, state.studio.library, state.settings.api.max_upload_mb) as form:
        fields = checked(_NewInput, placed(form.values()))
        arrival = Arrival(form, file_of(form, "vc_input_file"), fields)
        told = await state.bridge.run(request, partial(_keep, state, arrival, fields))
    return _input_reply(f"VC input '{told['filename']}' uploaded successfully", told)


@router.get(
    "/api/v1/vc_inputs",
    summary="List conversion inputs",
    responses=stored.replies(stored.InputList, stored.INPUT_LIST, 403, 422),
)
async def inputs(
    state: State,
    page: OnePage,
    search: Search = None,
    filenames: Filenames = None,
    folder: Folder = None,
    project: Project = None,
    sort_by: SortBy = "created_date",
    sort_order: SortOrder = None,
) -> Response:
    """Every input, the newest first; `path` is what a request names it by."""
    found = filter_of(folder=folder or project, search=search, filenames=filenames)
    order = Order(sort_by, sort_order != "asc")
    return await list_reply(state, state.studio.library.inputs, KIND, found, order, page)


@router.get(
    "/api/v1/vc_inputs/folders",
    summary="List the folders of conversion inputs",
    responses=stored.replies(stored.FolderList, stored.FOLDER_LIST),
)
async def folders(state: State) -> Response:
    """Every folder with the number of files directly in it, the root first."""
    return await folders_reply(state, state.studio.library.inputs)


@router.get(
    "/api/v1/vc_inputs/{path:path}/audio", summary="Hear an input", responses=RECORDING, response_class=Response
)
@router.head("/api/v1/vc_inputs/{path:path}/audio", include_in_schema=False)
async def audio(path: FilePath, request: Request, state: State) -> Response:
    """The recording itself, as it was sent."""
    return await recording(request, state, state.studio.library.inputs, path)


@router.get(
    "/api/v1/vc_inputs/{path:path}",
    summary="Details of a conversion input",
    responses=stored.replies(stored.InputReply, stored.INPUT_REPLY, 400, 403, 404, 409, 422),
)
async def details_of_one(path: FilePath, state: State) -> Response:
    """One input."""
    told, _ = await details(state, state.studio.library.inputs, KIND, path)
    return _input_reply(f"VC input '{told['filename']}'", told, flat=True)


@router.delete(
    "/api/v1/vc_input/{path:path}",
    summary="Delete a conversion input",
    responses=stored.replies(stored.DeleteReply, stored.DELETE_REPLY, 400, 403, 404, 409, 422),
)
async def remove(path: FilePath, state: State, confirm: Confirm = False) -> Response:
    """Delete one input and what is known of it."""
    return await delete_one(state, state.studio.library.inputs, KIND, path, confirm=confirm)


@router.delete(
    "/api/v1/vc_inputs",
    summary="Delete many conversion inputs",
    dependencies=[ExactFilters],
    responses=stored.replies(stored.DeleteReply, stored.DELETE_REPLY, 400, 403, 409, 422),
)
async def remove_many(
    state: State,
    confirm: Confirm = False,
    all: All = False,
    search: Search = None,
    filenames: Filenames = None,
    folder: Folder = None,
    project: Project = None,
) -> Response:
    """Delete exactly what the list with these filters shows, and the folders that are empty then."""
    found = filter_of(folder=folder or project, search=search, filenames=filenames)
    return await delete_some(state, state.studio.library.inputs, KIND, found, confirm=confirm, all=all)


def _keep(state: ApiState, arrival: Arrival, fields: _NewInput, cancel: Cancel) -> dict[str, Any]:
    return keep(state, state.studio.library.inputs, KIND, arrival, lambda _: {"text": fields.text}, cancel)[0]


def _input_reply(message: str, told: dict[str, Any], *, flat: bool = False) -> Response:
    body = {"success": True, "message": message, "metadata": told, "filename": told["filename"], "timestamp": now()}
    return Reply({**told, **body} if flat else body)

"""GET /api/v1/outputs/zip: what a list shows, as one archive that is never whole in memory."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api.lists import Filenames, Folder, Project, Search
from chatterbox_plus.api.outputs import Anywhere, DateFrom, DateTo, GenerationType
from chatterbox_plus.api.replies import ERRORS, disposition
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.errors import BadRequest, NotFound
from chatterbox_plus.jobs.zip_stream import ZipEntry, zip_chunks, zip_size
from chatterbox_plus.library.catalog import Filter, Order, filter_of
from chatterbox_plus.library.holds import Hold

router = APIRouter(tags=["outputs"])
MAX_FILES = 1000
_NAME = "outputs.zip"
_REFUSED = re.compile(r"^~(?=[^/]*/)|[:\\]|(?<![^/])[ .]+(?![^/])")
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (400, 403, 404, 422)},
    200: {
        "description": "The files, each under its path.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.get(
    "/api/v1/outputs/zip",
    summary="Many outputs as one archive",
    responses=_ANSWERS,
    response_class=Response,
)
async def zipped(
    state: State,
    generation_type: GenerationType = None,
    search: Search = None,
    filenames: Filenames = None,
    folder: Folder = None,
    project: Project = None,
    date_from: DateFrom = None,
    date_to: DateTo = None,
    q: Anywhere = None,
) -> Response:
    """Exactly what the list with these filters shows, 1000 files at most. Streamed without being built first."""
    found = filter_of(
        folder=folder or project,
        search=search,
        anywhere=q,
        type=generation_type,
        filenames=filenames,
        date_from=date_from,
        date_to=date_to,
    )
    holds = ExitStack()
    try:
        entries, size = await state.bridge.call(_entries, state, found, holds)
    except BaseException:
        holds.close()
        raise
    headers = {"Content-Disposition": disposition(_NAME), "Content-Length": str(size)}
    return StreamingResponse(_chunks(state, entries, holds), media_type="application/zip", headers=headers)


async def _chunks(state: ApiState, entries: list[ZipEntry], holds: ExitStack) -> AsyncIterator[bytes]:
    with holds:
        chunks = iter(zip_chunks(entries))
        while chunk := await state.bridge.call(next, chunks, b""):
            yield chunk


def _entries(state: ApiState, found: Filter, holds: ExitStack) -> tuple[list[ZipEntry], int]:
    """What goes in, and how large that will be. Raises BadRequest for too many files, NotFound for none."""
    store = state.studio.library.outputs
    listed = found.of(store.index.snapshot(), Order("filename"))
    if len(listed) > MAX_FILES:
        raise BadRequest(f"An archive holds {MAX_FILES} files at most, not {len(listed)}: say which with filters")
    entries = []
    for entry in listed:
        try:
            path = store.known(entry.path) or store.exact(entry.path)  # another server may have it
            holds.enter_context(Hold(path))
            changed = datetime.fromtimestamp(path.stat().st_mtime)
        except (NotFound, FileNotFoundError):  # deleted since it was listed
            continue
        entries.append(ZipEntry(_inside(entry.path), path, changed))
    if not entries:
        raise NotFound("There is no such output")
    return entries, zip_size(entries)


def _inside(path: str) -> str:
    """The path as an archive can have it: a file that somebody put there by hand, under whatever name, keeps no other
    from being sent."""
    return _REFUSED.sub("_", path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))

"""POST /api/v1/batch: many texts at once, each a row with options of its own; and what came of them, as one zip."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api.conversion import is_form, is_json
from chatterbox_plus.api.errors import Reply, checked, now
from chatterbox_plus.api.forms import Form, read_form
from chatterbox_plus.api.replies import ERRORS, disposition
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.submitting import LATER, IdempotencyKey, Priority, Submission, accepted, accepting
from chatterbox_plus.api.task_replies import BatchAccepted, BatchPreview
from chatterbox_plus.api.tasks import TaskId
from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES
from chatterbox_plus.books.preview import CHARS_PER_SECOND
from chatterbox_plus.errors import BadRequest, NotFound
from chatterbox_plus.jobs.batch_check import check_rows
from chatterbox_plus.jobs.batch_input import Row, read_rows, rows_of_items
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.states import Kind, Lane, Status
from chatterbox_plus.jobs.tasks import TaskStore
from chatterbox_plus.jobs.work import OPTIONS, SEED
from chatterbox_plus.jobs.zip_stream import ZipEntry, zip_chunks, zip_size
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.library.naming import safe_folder
from chatterbox_plus.library.store import Store
from chatterbox_plus.synthesis.plan import new_seed

router = APIRouter(tags=["tasks"])
_FIELDS = frozenset({"items", "options", "name", "webhook_url"})
_ROWS_AT_ONCE = 100
_ROWS_SHOWN = 100  # of a preview
_TABLES = frozenset({".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json"})


class BatchRequest(BaseModel):
    """Many texts, each with options of its own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [{"text": "Welcome.", "name": "welcome"}, {"text": "Goodbye.", "voice": "speaker2.wav"}],
                    "options": {"reference_audio_filename": "speaker1.wav", "export_formats": ["wav"]},
                }
            ]
        }
    )

    items: list[dict[str, Any]] = Field(
        min_length=1, description="Rows: `text`, and if you like `voice`, `name` and any field of /api/v1/tts."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="What rows have that do not say otherwise: any field of /api/v1/tts but text."
    )
    name: str | None = Field(None, max_length=200, description="What the batch is called in lists.")
    webhook_url: str | None = Field(None, max_length=2048, description="Told when every row has ended.")


_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "Rows as .csv (with a header) or .jsonl."},
        "options": {"type": "string", "description": "What rows have that do not say otherwise, as a JSON object."},
        "name": {"type": "string", "description": "What the batch is called in lists."},
        "webhook_url": {"type": "string", "description": "Told when every row has ended."},
    },
}
_FORM_EXAMPLE = {"file": "text,name\nHello there.,hello\n", "options": '{"speed_factor": 1.1}', "name": "lines"}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": BatchRequest.model_json_schema()},
            "multipart/form-data": {"schema": _FORM, "example": _FORM_EXAMPLE},
        },
    }
}
_ACCEPTED = accepting(BatchAccepted, rows=2)
_PREVIEW_EXAMPLE = {
    "success": True,
    "name": "lines.csv",
    "count": 1,
    "characters": 12,
    "estimated_seconds": 0.8,
    "rows": [{"row": 1, "line": 2, "name": "hello", "text": "Hello there.", "voice": None, "options": {}}],
    "timestamp": "2025-06-22T14:30:22.000Z",
}
_PREVIEW: dict[int | str, dict[str, Any]] = {
    **LATER,
    200: {
        "model": BatchPreview,
        "description": "How the rows are read.",
        "content": {"application/json": {"example": _PREVIEW_EXAMPLE}},
    },
}
_ZIP: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (404, 422, 503)},
    200: {
        "description": "The files that the task has made; of a batch, those of every row that has succeeded so far.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.post("/api/v1/batch", summary="Speak many texts", status_code=202, responses=_ACCEPTED, openapi_extra=_BODY)
async def batch(
    request: Request, state: State, priority: Priority = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """A task for each row and one for all. Every row is checked first: if one is wrong, all that is wrong is said and
    nothing is made."""
    asked, data, filename = await _read(request, state)
    submission = Submission(
        request,
        state,
        webhook_url=asked.webhook_url,
        priority=priority,
        lane=Lane.BATCH,
        idempotency_key=idempotency_key,
    )
    found = await state.bridge.call(_rows, state, asked, data, filename)
    submitted = await submission.submit(
        Kind.BATCH,
        {OPTIONS: asked.options, SEED: new_seed(), "source": filename or None},
        rows=[(row.name, {OPTIONS: dict(row.options), SEED: new_seed()}) for row in found],
        name=asked.name or filename or None,
    )
    return accepted(submitted, {"rows": len(found)})


@router.post("/api/v1/batch/preview", summary="See how rows are read", responses=_PREVIEW, openapi_extra=_BODY)
async def batch_preview(request: Request, state: State) -> Response:
    """The rows as they would be spoken, without a sound: the first hundred, and how many there are. What is wrong with
    them is said as when they are sent."""
    asked, data, filename = await _read(request, state)
    found = await state.bridge.call(_rows, state, asked, data, filename)
    characters = sum(len(row.options["text"]) for row in found)
    return Reply(
        {
            "success": True,
            "name": asked.name or filename or None,
            "count": len(found),
            "characters": characters,
            "estimated_seconds": round(characters / CHARS_PER_SECOND, 1),
            "rows": [_row(row) for row in found[:_ROWS_SHOWN]],
            "timestamp": now(),
        }
    )


@router.get("/api/v1/tasks/{id}/zip", summary="All files of a task", responses=_ZIP, response_class=Response)
async def zipped(
    id: TaskId,
    state: State,
    format: Annotated[
        Literal["wav", "mp3", "flac", "m4b", "srt", "vtt"] | None,
        Query(description="Only files of that format; by default all of them."),
    ] = None,
) -> Response:
    """What a task has made, subtitles too; of a batch, what its rows have made so far, in order. Streamed without being
    built first."""
    holds = ExitStack()
    try:
        entries, size, name = await state.bridge.call(_entries, state, id, format, holds)
    except BaseException:
        holds.close()
        raise
    headers = {"Content-Disposition": disposition(f"{name}.zip"), "Content-Length": str(size)}
    return StreamingResponse(_chunks(state, entries, holds), media_type="application/zip", headers=headers)


async def _read(request: Request, state: ApiState) -> tuple[BatchRequest, bytes | None, str]:
    """What is asked for; the file, if the rows are in one, and its name."""
    if is_form(request):
        most = state.settings.api.max_upload_mb
        async with read_form(request, state.bridge, state.studio.library, most) as form:
            return await state.bridge.call(_from_form, form)
    if is_json(request):
        return checked(BatchRequest, await read_json(request)), None, ""
    raise BadRequest("Send JSON (application/json) with items, or a file (multipart/form-data)")


def _rows(state: ApiState, asked: BatchRequest, data: bytes | None, filename: str) -> tuple[Row, ...]:
    """Every row, checked. Raises InvalidRows, PermissionDenied for a folder elsewhere."""
    found = (
        rows_of_items(asked.items, asked.options) if data is None else read_rows(data, filename, common=asked.options)
    )
    check_rows(state.studio, found)
    for folder in {row.options.get("project") or row.options.get("folder") or "" for row in found}:
        safe_folder(folder)
    return found


def _row(row: Row) -> dict[str, Any]:
    options = dict(row.options)
    return {
        "row": row.number,
        "line": row.line,
        "name": row.name,
        "text": options.pop("text"),
        "voice": options.pop("reference_audio_filename", None),
        "options": options,
    }


async def _chunks(state: ApiState, entries: list[ZipEntry], holds: ExitStack) -> AsyncIterator[bytes]:
    with holds:
        chunks = iter(zip_chunks(entries))
        while chunk := await state.bridge.call(next, chunks, b""):
            yield chunk


def _entries(state: ApiState, id: str, format: str | None, holds: ExitStack) -> tuple[list[ZipEntry], int, str]:
    """What goes into the zip, how large that will be, and what it is called."""
    state.jobs.open()
    task = state.jobs.store.get(id, project=state.caller.project)
    outputs = state.studio.library.outputs
    entries: list[ZipEntry] = []
    for one in _makers(state.jobs.store, task):
        for file in _files(one, format):
            try:
                path = _stored(outputs, file["path"].removeprefix("outputs/"))
                holds.enter_context(Hold(path))
                changed = datetime.fromtimestamp(path.stat().st_mtime)
            except (NotFound, FileNotFoundError):  # somebody has deleted it: the others are there all the same
                continue
            entries.append(ZipEntry(_entry_name(one, file), path, changed))
    if not entries:
        raise NotFound("No such file has been made for this task yet, or all were deleted")
    return entries, zip_size(entries), _zip_name(task)


def _makers(store: TaskStore, task: Task) -> Iterator[Task]:
    """The task itself, or of a batch the rows that have succeeded, in order."""
    if task.kind is not Kind.BATCH:
        yield task
        return
    offset = 0
    while True:
        found, _ = store.listed(parent=task.id, status=Status.SUCCEEDED, offset=offset, limit=_ROWS_AT_ONCE)
        yield from found
        offset += len(found)
        if len(found) < _ROWS_AT_ONCE:
            return


def _stored(outputs: Store, path: str) -> Path:
    """Where a file that was made lies. Raises NotFound for one that was deleted."""
    relative = path.removeprefix(outputs.prefix)
    return (outputs.attached if path.lower().endswith(ATTACHED_SUFFIXES) else outputs.exact)(relative)


def _files(task: Task, format: str | None) -> list[Mapping[str, Any]]:
    result = task.result or {}
    made = [*result.get("output_files", []), *result.get("subtitle_files", [])]
    return [file for file in made if format in (None, file["format"])]


def _entry_name(task: Task, file: Mapping[str, Any]) -> str:
    if task.parent is None:
        return str(file["filename"])
    suffix = PurePosixPath(file["filename"]).suffix
    return f"{task.name}{suffix}" if task.name else f"{task.number:04d}_{file['filename']}"


def _zip_name(task: Task) -> str:
    """Of a batch its own, without the extension of the file it came from."""
    name = PurePosixPath(task.name or task.id)
    return name.stem if name.suffix.lower() in _TABLES else name.name


async def read_json(request: Request) -> dict[str, Any]:
    """The body as an object. Raises RequestValidationError."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": ""}]) from None
    if not isinstance(body, dict):
        raise RequestValidationError([{"type": "dict_type", "loc": ("body",), "msg": "The body must be a JSON object"}])
    return body


def _from_form(form: Form) -> tuple[BatchRequest, bytes, str]:
    """What was asked for, and the file with its name."""
    found = form.files("file")
    if len(found) != 1:
        raise BadRequest("Send the rows as one file, under the name `file`", param="file")
    values = form.values()
    options: Any = {}
    if "options" in values:
        try:
            options = json.loads(values["options"])
        except (ValueError, RecursionError):
            raise BadRequest("options must be a JSON object", param="options") from None
    if unknown := set(values) - _FIELDS:
        raise BadRequest(f"There is no field {sorted(unknown)[0]} here: put it into options", param="options")
    asked = {"items": [{}], "options": options, "name": values.get("name"), "webhook_url": values.get("webhook_url")}
    return checked(BatchRequest, asked), found[0].path.read_bytes(), found[0].name

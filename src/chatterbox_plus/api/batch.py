"""POST /api/v1/batch: many texts at once, each a row with options of its own; and what came of them, as one zip."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api.conversion import is_form, is_json
from chatterbox_plus.api.errors import checked
from chatterbox_plus.api.forms import Form, read_form
from chatterbox_plus.api.replies import ERRORS, disposition
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.submitting import (
    ACCEPTED,
    ACCEPTED_EXAMPLE,
    IdempotencyKey,
    Priority,
    Submission,
    accepted,
)
from chatterbox_plus.api.tasks import TaskId
from chatterbox_plus.audio.formats import NATIVE_FORMATS
from chatterbox_plus.errors import BadRequest, NotFound, PlusError, WrongState
from chatterbox_plus.jobs.batch_input import InvalidRows, Row, RowProblem, read_rows, rows_of_items
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.states import Kind, Lane, Status
from chatterbox_plus.jobs.work import OPTIONS, SEED
from chatterbox_plus.jobs.zip_stream import ZipEntry, zip_chunks, zip_size
from chatterbox_plus.library.holds import Hold
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import new_seed
from chatterbox_plus.synthesis.studio import Studio

router = APIRouter(tags=["tasks"])
_FIELDS = frozenset({"items", "options", "name", "webhook_url"})
_ROWS_AT_ONCE = 100


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
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": BatchRequest.model_json_schema()},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    **ACCEPTED,
    202: {
        **ACCEPTED[202],
        "content": {"application/json": {"example": {**ACCEPTED_EXAMPLE, "rows": 2}}},
    },
}
_ZIP: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "description": "The audio of every row that has succeeded so far.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
}


@router.post("/api/v1/batch", summary="Speak many texts", status_code=202, responses=_ACCEPTED, openapi_extra=_BODY)
async def batch(
    request: Request, state: State, priority: Priority = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """A task for each row and one for all. Every row is checked first: if one is wrong, all that is wrong is said and
    nothing is made."""
    if is_form(request):
        most = state.settings.api.max_upload_mb
        async with read_form(request, state.bridge, state.studio.library, most) as form:
            asked, data, filename = await state.bridge.call(_from_form, form)
    elif is_json(request):
        asked, data, filename = checked(BatchRequest, await read_json(request)), None, ""
    else:
        raise BadRequest("Send JSON (application/json) with items, or a file (multipart/form-data)")
    submission = Submission(
        request,
        state,
        webhook_url=asked.webhook_url,
        priority=priority,
        lane=Lane.BATCH,
        idempotency_key=idempotency_key,
    )

    def rows() -> tuple[Row, ...]:
        if data is None:
            found = rows_of_items(asked.items, asked.options)
        else:
            found = read_rows(data, filename, common=asked.options)
        _check(state.studio, found)
        return found

    found = await state.bridge.call(rows)
    submitted = await submission.submit(
        Kind.BATCH,
        {OPTIONS: asked.options, SEED: new_seed(), "source": filename or None},
        rows=[(row.name, {OPTIONS: dict(row.options), SEED: new_seed()}) for row in found],
        name=asked.name or filename or None,
    )
    return accepted(submitted, {"rows": len(found)})


@router.get("/api/v1/tasks/{id}/zip", summary="All audio of a batch", responses=_ZIP)
async def zipped(
    id: TaskId,
    state: State,
    format: Annotated[
        str | None,
        Query(
            description="Only files of that format; by default all of them.",
            json_schema_extra={"enum": list(NATIVE_FORMATS)},
        ),
    ] = None,
) -> Response:
    """One file for each row that has succeeded, in order, streamed without being built first."""
    holds = ExitStack()
    try:
        entries, size, name = await state.bridge.call(_entries, state, id, format, holds)
    except BaseException:
        holds.close()
        raise
    headers = {"Content-Disposition": disposition(f"{name}.zip"), "Content-Length": str(size)}
    return StreamingResponse(_chunks(state, entries, holds), media_type="application/zip", headers=headers)


async def _chunks(state: ApiState, entries: list[ZipEntry], holds: ExitStack) -> AsyncIterator[bytes]:
    with holds:
        chunks = iter(zip_chunks(entries))
        while chunk := await state.bridge.call(next, chunks, b""):
            yield chunk


def _entries(state: ApiState, id: str, format: str | None, holds: ExitStack) -> tuple[list[ZipEntry], int, str]:
    """What goes into the zip, how large that will be, and what it is called."""
    state.jobs.open()
    store = state.jobs.store
    task = store.get(id, project=state.caller.project)
    if task.kind is not Kind.BATCH:
        raise WrongState("Only a batch has a zip: this task has its files in output_files")
    outputs = state.studio.library.outputs
    entries: list[ZipEntry] = []
    offset = 0
    while True:
        found, _ = store.listed(parent=id, status=Status.SUCCEEDED, offset=offset, limit=_ROWS_AT_ONCE)
        for row in found:
            for file in _files(row, format):
                path = outputs.resolve(file["path"].removeprefix("outputs/"))
                holds.enter_context(Hold(path))
                entries.append(ZipEntry(_entry_name(row, file), path, datetime.fromtimestamp(path.stat().st_mtime)))
        offset += len(found)
        if len(found) < _ROWS_AT_ONCE:
            break
    if not entries:
        raise NotFound("No row of this batch has such audio yet")
    return entries, zip_size(entries), task.name.rpartition(".")[0] or task.name if task.name else id


def _files(row: Task, format: str | None) -> list[Mapping[str, Any]]:
    return [file for file in (row.result or {}).get("output_files", []) if format in (None, file["format"])]


def _entry_name(row: Task, file: Mapping[str, Any]) -> str:
    suffix = PurePosixPath(file["filename"]).suffix
    return f"{row.name}{suffix}" if row.name else f"{row.number:04d}_{file['filename']}"


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


def _check(studio: Studio, rows: tuple[Row, ...]) -> None:
    """Raises InvalidRows for voices, models and languages that are not there, and texts that are too long."""
    problems: list[RowProblem] = []
    known: dict[tuple[Any, ...], PlusError | None] = {}
    for row in rows:
        options = SpeechOptions.model_validate(row.options)
        who = (options.reference_audio_filename, options.language, options.model, len(options.text) > 1000)
        if who not in known or who[-1]:
            try:
                studio.check_speech(options, plan=False)
                known[who] = None
            except PlusError as error:
                known[who] = error
        wrong = known[who]
        if wrong is not None:
            problems.append(RowProblem(row.number, wrong.param or "", wrong.message))
        if len(problems) >= 20:
            break
    if problems:
        raise InvalidRows(problems)

"""POST /api/v1/concat/mixed: stored outputs, files sent along and silences, in order, as one recording."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.concat import EXAMPLE, OPTIONS, Keep, check_kept
from chatterbox_plus.api.concat_body import parse
from chatterbox_plus.api.forms import MAX_PARTS, Form, Upload, read_form
from chatterbox_plus.api.replies import (
    ResponseMode,
    ReturnFormat,
    audio_responses,
    file_reply,
    format_of,
    json_reply,
    links,
    live_reply,
    made_headers,
    mode_of,
)
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.audio.decode import check_suffix
from chatterbox_plus.errors import BadRequest, InvalidAudio, InvalidOption, NotFound
from chatterbox_plus.library.naming import output_name, shown
from chatterbox_plus.synthesis.options import FileSegment, JoinOptions, SilenceSegment, UploadSegment
from chatterbox_plus.synthesis.results import JoinResult, LiveAudio

router = APIRouter(tags=["joining"])
_FILES = "uploaded_files"
_REQUEST = {
    "segments": [
        {"type": "server_file", "source": "intro.wav"},
        {"type": "silence", "source": "(500ms)"},
        {"type": "upload", "index": 0},
    ],
    "export_formats": ["wav", "mp3"],
    "normalize_levels": True,
}
_INFO = {
    "audio_segment_count": 2,
    "silence_segment_count": 1,
    "upload_count": 1,
    "crossfade_applied": False,
    "normalization_applied": True,
    "trim_applied": False,
    "manual_silence_mode": True,
    "natural_pauses_added": 0,
    "files_trimmed": 0,
    "total_silence_removed_ms": 0,
}
_EXAMPLE = {
    **EXAMPLE,
    "metadata": {
        **EXAMPLE["metadata"],
        "type": "concat",
        "status": "success",
        "processing_metadata": [
            {"segment_index": 0, "type": "server_file", "source": "intro.wav", "trim_info": None},
            {"segment_index": 1, "type": "silence", "source": "(500ms)", "duration_ms": 500},
            {"segment_index": 2, "type": "upload", "index": 0, "filename": "mine.mp3", "trim_info": None},
        ],
        "generation_info": _INFO,
    },
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["segments"],
    "properties": {
        "segments": {
            "type": "array",
            "minItems": 1,
            "description": "In order. A name or a silence such as (1s) may stand for its object.",
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "required": ["type", "source"],
                        "properties": {
                            "type": {"const": "server_file"},
                            "source": {"type": "string", "description": "A file in outputs/; `filename` is the same."},
                        },
                    },
                    {
                        "type": "object",
                        "required": ["type", "index"],
                        "properties": {
                            "type": {"const": "upload"},
                            "index": {"type": "integer", "minimum": 0, "description": "Its place among the files."},
                        },
                    },
                    {
                        "type": "object",
                        "required": ["type", "source"],
                        "properties": {
                            "type": {"const": "silence"},
                            "source": {"type": "string", "pattern": r"^\(\d+(\.\d+)?(ms|s)\)$"},
                        },
                    },
                    {"type": "string"},
                ]
            },
        },
        **OPTIONS,
        "processing": {"type": "object", "properties": OPTIONS, "description": "The options may stand in here too."},
    },
}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["request_json"],
    "properties": {
        "request_json": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": _SCHEMA,
            "description": "What to join, and how.",
        },
        _FILES: {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "The files that upload segments mean, the first being index 0.",
        },
    },
}
_STORED = {"segments": [{"type": "server_file", "source": "intro.wav"}, {"type": "server_file", "source": "outro.wav"}]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _FORM,
                "examples": {
                    "upload": {
                        "summary": "A stored file and one sent along",
                        "value": {"request_json": json.dumps(_REQUEST)},
                    },
                    "stored": {"summary": "Stored files only", "value": {"request_json": json.dumps(_STORED)}},
                },
            },
            "application/x-www-form-urlencoded": {
                "schema": {**_FORM, "properties": {"request_json": _FORM["properties"]["request_json"]}},
                "example": {"request_json": json.dumps(_STORED)},
            },
        },
    }
}


@dataclass(frozen=True)
class _Job:
    """One join. The uploads live as long as it does."""

    options: JoinOptions
    uploads: tuple[Upload, ...]
    form: Form
    notes: tuple[str, ...]
    mode: str | None

    def run(self, state: ApiState, cancel: Cancel, also: str | None) -> JoinResult:
        with self.form.keep():
            self._look_up(state)
            result = state.studio.join(self.options, cancel=cancel, also=also, uploads=self._files())
        return replace(result, notes=(*result.notes, *self.notes))

    def open(self, state: ApiState, cancel: Cancel, holds: ExitStack, format: str | None, keep: bool) -> LiveAudio:
        holds.enter_context(self.form.keep())
        self._look_up(state)
        live = state.studio.join_live(self.options, cancel=cancel, format=format, uploads=self._files(), keep=keep)
        live.notes = (*live.notes, *self.notes)
        return live

    def _files(self) -> list[tuple[str, Any]]:
        return [(upload.name or f"upload {index}", upload.path) for index, upload in enumerate(self.uploads)]

    def _look_up(self, state: ApiState) -> None:
        """Raises NotFound in the words of this route."""
        for segment in self.options.segments:
            if isinstance(segment, FileSegment):
                try:
                    state.studio.library.outputs.resolve(segment.filename)
                except NotFound:
                    raise NotFound(f"Server file not found: {shown(segment.filename)}") from None


@router.post(
    "/api/v1/concat/mixed",
    summary="Join stored files and files sent along",
    responses=audio_responses(_EXAMPLE),
    openapi_extra=_BODY,
)
async def concat_mixed(
    request: Request,
    state: State,
    response_mode: ResponseMode = None,
    return_format: ReturnFormat = None,
    keep: Keep = True,
) -> Response:
    """Stored outputs, files sent along and silences, in order, as one recording.

    The form has `request_json`, which says what to join, and any number of `uploaded_files`. One silence segment
    switches natural pauses off for the whole request.
    """
    wanted = format_of(return_format)
    mode = None if response_mode is None else mode_of(response_mode)
    async with _form(request, state) as form:
        job = _job(form)
        check_kept(keep, response_mode or job.mode)
        mode = mode or mode_of(job.mode, "body")
        if mode == "live" or not keep:
            return await live_reply(
                request, state, job.options, lambda cancel, holds: job.open(state, cancel, holds, wanted, keep)
            )
        result = await state.bridge.run(request, lambda cancel: job.run(state, cancel, wanted))
    if mode == "stream":
        return file_reply(state, result, wanted, made_headers(None, result.notes))
    metadata = _metadata(job.options, result)
    extra = {
        "output_files": [file.filename for file in result.files],
        "files": links(result.files),
        "file_count": metadata["file_count"],
        "metadata": metadata,
        "generation_info": {**result.metadata, **metadata["generation_info"]},
    }
    return json_reply(request, "Audio concatenation completed successfully", result, extra)


@asynccontextmanager
async def _form(request: Request, state: ApiState) -> AsyncIterator[Form]:
    """The form, also one without files in the encoding that clients then use."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with read_form(request, state.bridge, state.studio.library, state.settings.api.max_upload_mb) as form:
            yield form
        return
    form = Form()
    if kind == "application/x-www-form-urlencoded":
        try:
            fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MAX_PARTS)
        except ValueError:
            raise BadRequest(f"The form has more than {MAX_PARTS} fields") from None
        form.texts = [(name, value) for name, values in fields.items() for value in values]
    yield form


def _job(form: Form) -> _Job:
    sent = form.values().get("request_json")
    if sent is None:
        missing = {"type": "missing", "loc": ("body", "request_json"), "msg": "Field required"}
        raise RequestValidationError([missing])
    options, mode = _parsed(sent)
    uploads = tuple(form.files(_FILES))
    _check_indices(options, len(uploads))
    for upload in uploads:
        _check_audio(upload)
    notes = []
    if options.pause_duration_ms and any(isinstance(segment, SilenceSegment) for segment in options.segments):
        notes.append("pause_duration_ms had no effect: a silence segment switches natural pauses off")
        options = options.model_copy(update={"pause_duration_ms": 0})
    return _Job(options, uploads, form, tuple(notes), mode)


def _parsed(text: str) -> tuple[JoinOptions, str | None]:
    """What `request_json` means. Raises BadRequest for whatever is wrong with it: here that is no 422."""
    try:
        body = json.loads(text)
    except RecursionError:
        raise BadRequest("Invalid JSON in request: it is nested too deeply", param="request_json") from None
    except ValueError as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadRequest(f"Invalid JSON in request: it cannot be read{place}", param="request_json") from None
    if not isinstance(body, dict):
        raise BadRequest("Invalid request format: send a JSON object", param="request_json")
    if body.get("segments") is None:
        raise BadRequest("Invalid request format: segments is missing", param="request_json")
    try:
        options, mode = parse(body, uploads=True)
        if options.output_filename:
            name = f"{output_name(options.output_filename)}_{time.time_ns() // 10**6}"
            options = options.model_copy(update={"output_filename": name})
        return options, mode
    except InvalidOption as error:
        raise BadRequest(f"Invalid request format: {error.message}", param="request_json") from None
    except RequestValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        said = str(first["msg"]).removeprefix("Value error, ")
        message = f"{place}: {said}" if place else said
        raise BadRequest(f"Invalid request format: {message}", param="request_json") from None


def _check_indices(options: JoinOptions, sent: int) -> None:
    meant = {segment.index for segment in options.segments if isinstance(segment, UploadSegment)}
    expected = max(meant, default=-1) + 1
    missing = sorted(set(range(expected)) - meant)
    if missing:
        raise BadRequest(f"Upload indices must run from 0 without holes: {missing[0]} is missing", param="segments")
    if sent != expected:
        raise BadRequest(f"Expected {expected} uploaded files, got {sent}", param=_FILES)


def _check_audio(upload: Upload) -> None:
    """By what the client calls it; what is in it shows when it is decoded."""
    if not upload.media_type.startswith("audio/"):
        check_suffix(upload.name)
    if not upload.size:
        raise InvalidAudio(f"{shown(upload.name)} is empty", param=_FILES)


def _metadata(options: JoinOptions, result: JoinResult) -> dict[str, Any]:
    """What /concat tells, and what the original tells here."""
    told = result.metadata
    details = told["processing_details"]
    of_segments = [item for item in details if item["type"] != "natural_pause"]
    kinds = [segment.type for segment in options.segments]
    neighbours = any(a["type"] == b["type"] == "file" for a, b in pairwise(details))
    info = {
        "audio_segment_count": len(kinds) - kinds.count("silence"),
        "silence_segment_count": kinds.count("silence"),
        "upload_count": kinds.count("upload"),
        "crossfade_applied": options.crossfade_ms > 0 and neighbours,
        "normalization_applied": options.normalize_levels,
        "trim_applied": options.trim,
        "manual_silence_mode": "silence" in kinds,
        "natural_pauses_added": told["natural_pauses"],
        "files_trimmed": told["files_trimmed"],
        "total_silence_removed_ms": round(told["total_silence_removed_seconds"] * 1000),
    }
    segments = [
        {"segment_index": index, "type": segment.type, **_segment(segment, item)}
        for index, (segment, item) in enumerate(zip(options.segments, of_segments, strict=True))
    ]
    done = {"type": "concat", "status": "success", "processing_metadata": segments, "generation_info": info}
    return {**told, **done}


def _segment(segment: FileSegment | SilenceSegment | UploadSegment, detail: dict[str, Any]) -> dict[str, Any]:
    if isinstance(segment, SilenceSegment):
        return {"source": segment.notation, "duration_ms": segment.duration_ms}
    named = {"source": segment.filename} if isinstance(segment, FileSegment) else {"index": segment.index}
    found = {key: detail.get(key) for key in ("filename", "duration_seconds", "trim_info")}
    return {**named, **found}

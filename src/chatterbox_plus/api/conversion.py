"""POST /api/v1/vc: the same words in another voice; as JSON about stored files, or with the files themselves."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.errors import checked
from chatterbox_plus.api.forms import Form, Upload, read_form
from chatterbox_plus.api.replies import (
    ResponseMode,
    ReturnFormat,
    audio_responses,
    file_reply,
    format_of,
    json_reply,
    live_reply,
    made_headers,
    mode_of,
)
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.errors import BadRequest
from chatterbox_plus.synthesis.options import ConversionOptions
from chatterbox_plus.synthesis.results import ConversionResult, LiveAudio

router = APIRouter(tags=["conversion"])
_EXAMPLE = {
    "success": True,
    "message": "Voice conversion completed successfully",
    "output_files": [{"format": "wav", "filename": "vc_….wav", "url": "/outputs/vc_….wav", "path": "outputs/vc_….wav"}],
    "processing_time_seconds": 8.7,
    "total_duration_seconds": 30.0,
    "model": "builtin",
    "notes": [],
    "request_id": "req_1f0c",
    "timestamp": "2025-06-22T14:30:22.000Z",
}


def _form_schema() -> dict[str, Any]:
    """The fields of the form: those of the JSON body and the two files."""
    schema = ConversionOptions.model_json_schema()
    binary = {"type": "string", "format": "binary"}
    properties = {
        "input_audio": {**binary, "description": "The recording to convert, unless input_audio_source names one."},
        "target_voice": {**binary, "description": "The voice to sound like, unless target_voice_source names one."},
        **schema["properties"],
        "export_formats": {"type": "string", "default": "wav,mp3", "description": "Comma separated, or a JSON array."},
    }
    return {"type": "object", "properties": properties}


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ConversionOptions.model_json_schema()},
            "multipart/form-data": {
                "schema": _form_schema(),
                "example": {"target_voice_source": "speaker2.wav", "chunk_sec": "30", "export_formats": "wav"},
            },
        },
    }
}


@dataclass(frozen=True)
class ConversionRequest:
    """One conversion: of stored files by name, or of uploads, which live as long as it does."""

    options: ConversionOptions
    source: Upload | None = None
    target: Upload | None = None
    form: Form | None = None

    def run(self, state: ApiState, cancel: Cancel, also: str | None) -> ConversionResult:
        with ExitStack() as holds:
            return state.studio.convert(self.options, cancel=cancel, also=also, **self._files(holds))

    def open(self, state: ApiState, cancel: Cancel, holds: ExitStack, format: str | None) -> LiveAudio:
        return state.studio.convert_live(self.options, cancel=cancel, format=format, **self._files(holds))

    def _files(self, holds: ExitStack) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.form is not None:
            holds.enter_context(self.form.keep())
        if self.source is not None:
            found |= {"source": self.source.path, "source_name": self.source.name}
        if self.target is not None:
            found["target"] = self.target.path
        return found


@router.post(
    "/api/v1/vc",
    summary="Convert a recording to another voice",
    responses=audio_responses(_EXAMPLE),
    openapi_extra=BODY,
)
async def convert(
    request: Request, state: State, response_mode: ResponseMode = None, return_format: ReturnFormat = None
) -> Response:
    """Voice conversion: the words and the timing stay, the voice changes.

    JSON names stored files (`vc_inputs/`, `reference_audio/`); a multipart form can bring its own.
    """
    mode, wanted = mode_of(response_mode), format_of(return_format)
    if is_form(request):
        most = state.settings.api.max_upload_mb
        async with read_form(request, state.bridge, state.studio.library, most) as form:
            return await _answer(request, state, from_form(form), mode, wanted)
    if is_json(request):
        return await _answer(request, state, await from_json(request), mode, wanted)
    raise BadRequest("Send JSON (application/json), or files (multipart/form-data) with input_audio")


async def _answer(request: Request, state: ApiState, job: ConversionRequest, mode: str, wanted: str | None) -> Response:
    if mode == "live":
        return await live_reply(
            request, state, job.options, lambda cancel, holds: job.open(state, cancel, holds, wanted)
        )
    result = await state.bridge.run(request, lambda cancel: job.run(state, cancel, wanted))
    if mode == "stream":
        return file_reply(state, result, wanted, made_headers(result.model, result.notes))
    return json_reply(request, "Voice conversion completed successfully", result, {"model": result.model})


def is_form(request: Request) -> bool:
    return _kind(request) == "multipart/form-data"


def is_json(request: Request) -> bool:
    kind = _kind(request)
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def from_json(request: Request) -> ConversionRequest:
    """What is asked for about stored files. Raises RequestValidationError."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body",), "msg": ""}]) from None
    if not isinstance(body, dict):
        raise RequestValidationError([{"type": "dict_type", "loc": ("body",), "msg": "The body must be a JSON object"}])
    options = checked(ConversionOptions, body)
    if not options.input_audio_source:
        missing = {"type": "missing", "loc": ("body", "input_audio_source"), "msg": "Field required"}
        raise RequestValidationError([missing])
    return ConversionRequest(options)


def from_form(form: Form) -> ConversionRequest:
    """The same, with files sent along. Raises BadRequest, RequestValidationError."""
    source, target = form.file("input_audio"), form.file("target_voice")
    values = form.values(lists=("export_formats",))
    _one_of("input_audio", source, "input_audio_source", values)
    _one_of("target_voice", target, "target_voice_source", values)
    if target is not None:
        values["target_voice_source"] = target.name
    return ConversionRequest(checked(ConversionOptions, values), source, target, form)


def _one_of(file_name: str, file: Upload | None, field: str, values: dict[str, Any]) -> None:
    if file is None and field not in values:
        raise BadRequest(f"Send {field}, or a file as {file_name}", param=field)
    if file is not None and field in values:
        raise BadRequest(f"Send {file_name} or {field}, not both", param=field)

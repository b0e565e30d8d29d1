"""POST /api/v1/tts/async, /vc/async, /concat/async: the same requests, answered at once and worked on later."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from chatterbox_plus.api import conversion
from chatterbox_plus.api.concat import BODIES, SCHEMA
from chatterbox_plus.api.concat_body import parse
from chatterbox_plus.api.conversion import ConversionRequest
from chatterbox_plus.api.forms import read_form
from chatterbox_plus.api.state import State
from chatterbox_plus.api.submitting import ACCEPTED, IdempotencyKey, Priority, Submission, accepted, spec_of
from chatterbox_plus.errors import BadRequest
from chatterbox_plus.jobs.states import Kind
from chatterbox_plus.synthesis.options import SpeechOptions

router = APIRouter(tags=["tasks"])


@router.post("/api/v1/tts/async", summary="Speak a text later", status_code=202, responses=ACCEPTED)
async def speak(
    options: SpeechOptions,
    request: Request,
    state: State,
    priority: Priority = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Text to speech as a task: what is wrong with the request is said now, the audio comes later. With `webhook_url`
    that URL is told when it is there."""
    submission = Submission(
        request, state, webhook_url=options.webhook_url, priority=priority, idempotency_key=idempotency_key
    )
    await state.bridge.call(state.studio.check_speech, options)
    return accepted(await submission.submit(Kind.TTS, spec_of(options)))


@router.post(
    "/api/v1/vc/async",
    summary="Convert a recording later",
    status_code=202,
    responses=ACCEPTED,
    openapi_extra=conversion.BODY,
)
async def convert(
    request: Request, state: State, priority: Priority = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """Voice conversion as a task. `webhook_url` may stand among the fields."""
    if conversion.is_form(request):
        most = state.settings.api.max_upload_mb
        async with read_form(request, state.bridge, state.studio.library, most) as form:
            return await _convert(request, state, conversion.from_form(form), priority, idempotency_key)
    if conversion.is_json(request):
        return await _convert(request, state, await conversion.from_json(request), priority, idempotency_key)
    raise BadRequest("Send JSON (application/json), or files (multipart/form-data) with input_audio")


async def _convert(
    request: Request, state: State, asked: ConversionRequest, priority: str | None, idempotency_key: str | None
) -> Response:
    options, extra = asked.options, asked.options.model_extra or {}
    submission = Submission(
        request, state, webhook_url=extra.get("webhook_url"), priority=priority, idempotency_key=idempotency_key
    )
    sent = {"input_audio": asked.source, "target_voice": asked.target}
    files = {field: upload for field, upload in sent.items() if upload is not None}

    def look() -> dict[str, str]:
        studio = state.studio
        studio.check_conversion(options, source=asked.source is not None, target=asked.target is not None)
        for field, upload in files.items():  # what cannot be decoded is known now
            studio.decoder.probe(upload.path, name=upload.name or field)
        return {field: _file_digest(upload.path) for field, upload in files.items()}

    digests = await state.bridge.call(look)
    submitted = await submission.submit(
        Kind.VC,
        spec_of(options, {field: upload.name for field, upload in files.items()}),
        files={field: upload.path for field, upload in files.items()},
        digests=digests,
    )
    return accepted(submitted)


@router.post("/api/v1/concat/async", summary="Join recordings later", status_code=202, responses=ACCEPTED)
async def concat(
    body: Annotated[dict[str, Any], Body(openapi_examples=BODIES, json_schema_extra=SCHEMA)],
    request: Request,
    state: State,
    priority: Priority = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Joining as a task; the body as at `/api/v1/concat`, with `webhook_url` if you like."""
    options, _ = parse(body)
    extra = options.model_extra or {}
    submission = Submission(
        request, state, webhook_url=extra.get("webhook_url"), priority=priority, idempotency_key=idempotency_key
    )
    await state.bridge.call(state.studio.check_join, options)
    return accepted(await submission.submit(Kind.CONCAT, spec_of(options)))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""POST /api/v1/voice/check: how good a reference a recording would be, before it is a voice. Nothing is stored."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from chatterbox_plus.api import stored
from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.forms import Form, Upload, read_form
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.uploads import file_of, is_form
from chatterbox_plus.audio.quality import assess_file, check_length
from chatterbox_plus.library.naming import shown

router = APIRouter(tags=["voices"])
_QUALITY = {"score": 95, "rating": "good", "advice": []}


class _Nothing(BaseModel):
    """No field but the recording."""


class Checked(stored.Reply):
    filename: str
    duration_seconds: float
    sample_rate: int = Field(description="Hz")
    channels: int
    file_size_bytes: int
    quality: dict[str, Any] = Field(description="As the reply to an upload has it: score, rating, advice, measures.")


_CHECKED = {
    "success": True,
    "filename": "take-1.wav",
    "duration_seconds": 12.5,
    "sample_rate": 24000,
    "channels": 1,
    "file_size_bytes": 600044,
    "quality": _QUALITY,
    "timestamp": "2025-06-22T14:30:22.000Z",
}
_FORM = stored.form(
    _Nothing,
    {},
    voice_file="A recording of one person; at least 0.3 s, best 10 to 30 s.",
    audio_file="Another name for voice_file.",
)


@router.post(
    "/api/v1/voice/check",
    summary="Check a recording",
    responses=stored.replies(Checked, _CHECKED, 400, 413, 422, 507),
    openapi_extra=_FORM,
)
async def check(request: Request, state: State) -> Response:
    """What an upload would say of the recording, and what would make it better; it is forgotten then."""
    is_form(request)
    async with read_form(request, state.bridge, state.studio.library, state.settings.api.max_upload_mb) as form:
        upload = file_of(form, "voice_file", "audio_file")
        told = await state.bridge.run(request, partial(_looked_at, state, form, upload))
    return Reply({"success": True, **told, "timestamp": now()})


def _looked_at(state: ApiState, form: Form, upload: Upload, cancel: Cancel) -> dict[str, Any]:
    name, decoder = shown(upload.name), state.studio.decoder
    with form.keep():  # its files go with the work, which may outlive a client that left
        info = decoder.probe(upload.path, thorough=True, cancel=cancel, name=name)
        check_length(info.duration_s, name)
        quality = assess_file(decoder, upload.path, name=name, cancel=cancel)
    return {
        "filename": name,
        "duration_seconds": round(info.duration_s, 3),
        "sample_rate": info.rate,
        "channels": info.channels,
        "file_size_bytes": upload.size,
        "quality": json.loads(json.dumps(quality.as_json())),
    }

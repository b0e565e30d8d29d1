"""POST /api/v1/tts: text in, speech out."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

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
from chatterbox_plus.api.state import State
from chatterbox_plus.synthesis.options import SpeechOptions

router = APIRouter(tags=["speech"])
_EXAMPLE = {
    "success": True,
    "message": "TTS generation completed successfully",
    "output_files": [
        {
            "format": "wav",
            "filename": "tts_2025-06-22_143022_000456_temp0.75_seed42.wav",
            "url": "/outputs/tts_2025-06-22_143022_000456_temp0.75_seed42.wav",
            "path": "outputs/tts_2025-06-22_143022_000456_temp0.75_seed42.wav",
            "file_size_bytes": 96044,
        }
    ],
    "generation_seed_used": 42,
    "processing_time_seconds": 0.05,
    "total_duration_seconds": 2.0,
    "model": "builtin",
    "notes": [],
    "request_id": "req_1f0c",
    "timestamp": "2025-06-22T14:30:22.000Z",
}


@router.post("/api/v1/tts", summary="Speak a text", responses=audio_responses(_EXAMPLE))
async def speak(
    options: SpeechOptions,
    request: Request,
    state: State,
    response_mode: ResponseMode = None,
    return_format: ReturnFormat = None,
) -> Response:
    """Text to speech, in a stored voice or one of the engine's own.

    `url` mode answers links (and `words` with `timestamps`); `stream` the finished file; `live` the first format while
    it is made.
    """
    mode, wanted = mode_of(response_mode), format_of(return_format)
    studio = state.studio
    if mode == "live":
        return await live_reply(
            request, state, options, lambda cancel, _: studio.speak_live(options, cancel=cancel, format=wanted)
        )
    result = await state.bridge.run(request, lambda cancel: studio.speak(options, cancel=cancel, also=wanted))
    if mode == "stream":
        return file_reply(state, result, wanted, made_headers(result.model, result.notes, result.seed))
    extra: dict[str, Any] = {"generation_seed_used": result.seed, "model": result.model, "passages": result.passages}
    if result.uncut:
        extra["uncut_file"] = links([result.uncut])[0]
    if options.timestamps:
        extra |= {"words": [asdict(word) for word in result.words], "words_estimated": result.words_estimated}
    return json_reply(request, "TTS generation completed successfully", result, extra)

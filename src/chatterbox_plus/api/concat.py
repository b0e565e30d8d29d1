"""POST /api/v1/concat: stored outputs and silences, in order, as one recording."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from chatterbox_plus.api.concat_body import parse
from chatterbox_plus.api.errors import wrong
from chatterbox_plus.api.lists import Flag
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
from chatterbox_plus.synthesis.options import JoinOptions

router = APIRouter(tags=["joining"])
Keep = Annotated[
    Flag, Query(description="`false`: to hear how it will be. Nothing is stored, and the reply is live audio.")
]
EXAMPLE: dict[str, Any] = {
    "success": True,
    "message": "Audio concatenation completed successfully",
    "output_files": ["concat_2025-06-22_143022_000456_2files_leveled.wav"],
    "total_duration_seconds": 8.45,
    "file_count": 2,
    "processing_time_seconds": 0.23,
    "metadata": {"total_duration_seconds": 8.45, "file_count": 2, "crossfade_ms": 100, "normalized": True},
}
BODIES: dict[str, Any] = {
    "segments": {
        "summary": "Segments and processing",
        "value": {
            "segments": [{"type": "server_file", "filename": "intro.wav"}, {"type": "silence", "duration_ms": 500}],
            "processing": {"normalize_levels": True, "crossfade_ms": 100},
            "export_formats": ["wav", "mp3"],
        },
    },
    "files": {"summary": "Files with silences", "value": {"files": ["(1s)", "intro.wav", "(500ms)", "outro.wav"]}},
    "names": {"summary": "Names", "value": {"segments": ["intro.wav", "outro.wav"], "crossfade_ms": 100}},
}
_ITEM: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "object"}]}
OPTIONS = {name: value for name, value in JoinOptions.model_json_schema()["properties"].items() if name != "segments"}
SCHEMA: dict[str, Any] = {
    "properties": {
        "segments": {"type": "array", "items": _ITEM, "description": "Files and silences; or send `files`."},
        "files": {
            "type": "array",
            "items": _ITEM,
            "description": "Names, with silences such as (1s) or (500ms) between.",
        },
        **OPTIONS,
        "processing": {"type": "object", "properties": OPTIONS, "description": "The options may stand in here too."},
        "response_mode": {"type": "string", "enum": ["stream", "url", "live"], "description": "The query wins."},
    }
}


@router.post("/api/v1/concat", summary="Join recordings", responses=audio_responses(EXAMPLE))
async def concat(
    body: Annotated[dict[str, Any], Body(openapi_examples=BODIES, json_schema_extra=SCHEMA)],
    request: Request,
    state: State,
    response_mode: ResponseMode = None,
    return_format: ReturnFormat = None,
    keep: Keep = True,
) -> Response:
    """Stored outputs and silences, in order, as one recording. The body may be written in three ways."""
    options, mode_in_body = parse(body)
    check_kept(keep, response_mode or mode_in_body)
    mode = mode_of(response_mode) if response_mode is not None else mode_of(mode_in_body, "body")
    wanted = format_of(return_format)
    studio = state.studio
    if mode == "live" or not keep:
        return await live_reply(
            request,
            state,
            options,
            lambda cancel, _: studio.join_live(options, cancel=cancel, format=wanted, keep=keep),
        )
    result = await state.bridge.run(request, lambda cancel: studio.join(options, cancel=cancel, also=wanted))
    if mode == "stream":
        return file_reply(state, result, wanted, made_headers(None, result.notes))
    extra = {
        "output_files": [file.filename for file in result.files],
        "files": links(result.files),
        "file_count": result.metadata["file_count"],
        "metadata": result.metadata,
        "generation_info": result.metadata,
    }
    return json_reply(request, "Audio concatenation completed successfully", result, extra)


def check_kept(keep: bool, response_mode: str | None) -> None:
    """Raises a 422 where a file is asked for that is not to be stored."""
    if not keep and response_mode is not None and mode_of(response_mode) != "live":
        raise wrong("query", "keep", "what is not kept is live: leave response_mode out, or say live", keep)

"""GET /api/v1/options: everything that can be asked for, as a form needs it: no client need have a list of its own."""

import hashlib
from types import MappingProxyType
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import Response

from chatterbox_plus.api.book import BookRequest
from chatterbox_plus.api.errors import render
from chatterbox_plus.api.models import default_model
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.system import conversion_defaults, limits_of, speech_defaults
from chatterbox_plus.audio.formats import INPUT_SUFFIXES, NATIVE_FORMATS, OPENAI_FORMATS
from chatterbox_plus.engines.builtin import voices as builtin_voices
from chatterbox_plus.engines.chatterbox.families import options_of, sounds_of
from chatterbox_plus.engines.registry import BUILTIN, ModelInfo
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.shelf import Place
from chatterbox_plus.synthesis.fields import (
    FIRST,
    INPUT,
    Groups,
    Hearing,
    conversion_fields,
    form_fields,
    joining_fields,
    speech_fields,
)
from chatterbox_plus.synthesis.options import MAX_SEGMENTS, MAX_SILENCE_MS, MIN_SILENCE_MS

router = APIRouter(tags=["system"])
BOOK: Groups = MappingProxyType(
    {
        INPUT: ("chapters", "text", "voices", "skip", "options"),
        FIRST: ("title", "author", "language", "format"),
        "output": ("subtitles", "project", "webhook_url"),
    }
)
_FIELD_EXAMPLE = {
    "name": "temperature",
    "group": "first",
    "type": "number",
    "default": None,
    "minimum": 0.1,
    "maximum": 2,
    "choices": None,
    "description": "How varied.",
    "models": ["turbo", "nano"],
    "step": 0.05,
}
_MODEL_EXAMPLE = {
    "name": "nano",
    "title": "Chatterbox Nano",
    "installed": True,
    "preview": False,
    "default": True,
    "languages": ["en"],
    "options": {"temperature": 0.8, "top_k": 1000},
    "sounds": ["[laugh]"],
}
_EXAMPLE = {
    "speech": [_FIELD_EXAMPLE],
    "conversion": [],
    "joining": [],
    "book": [],
    "models": [_MODEL_EXAMPLE],
    "formats": list(NATIVE_FORMATS),
    "openai_formats": list(OPENAI_FORMATS),
    "input_formats": [suffix.removeprefix(".") for suffix in INPUT_SUFFIXES],
    "limits": {"max_text_length": 10000, "max_file_size_mb": 100, "max_audio_seconds": 14400},
    "pieces": {"max": MAX_SEGMENTS, "min_silence_ms": MIN_SILENCE_MS, "max_silence_ms": MAX_SILENCE_MS},
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Fields in the order of a form, models, formats and limits; with an ETag.",
        "content": {"application/json": {"example": _EXAMPLE}},
    },
    304: {"description": "Nothing has changed since the ETag that was sent."},
}


@router.get("/api/v1/options", summary="What can be asked for, field by field", responses=_ANSWERS)
async def options(
    state: State,
    if_none_match: Annotated[str, Header(description="The ETag of the last answer: a 304 if nothing is new.")] = "",
) -> Response:
    """Type, default, range, choices and words of every option, which models hear it (null: all), and what belongs
    together. Defaults are this server's; null is the model's own, which `models` tells."""
    body = render(await state.bridge.call(_told, state))
    tag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in (seen.strip().removeprefix("W/") for seen in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _told(state: ApiState) -> dict[str, Any]:
    shelf = {place.name: place for place in state.models.shelf.look()}
    engines = {model.name: model for model in state.studio.models()}
    default, names = default_model(state), dict.fromkeys((*engines, *shelf))
    hearing = [_hearing(state, name, _family(name, shelf.get(name))) for name in names]
    return {
        "speech": speech_fields(hearing, speech_defaults(state)),
        "conversion": conversion_fields(hearing, conversion_defaults(state)),
        "joining": joining_fields(),
        "book": form_fields(BookRequest, BOOK),
        "models": [_model(name, shelf.get(name), engines.get(name), default) for name in names],
        "formats": list(NATIVE_FORMATS),
        "openai_formats": list(OPENAI_FORMATS),
        "input_formats": [suffix.removeprefix(".") for suffix in INPUT_SUFFIXES],
        "limits": limits_of(state),
        "pieces": {"max": MAX_SEGMENTS, "min_silence_ms": MIN_SILENCE_MS, "max_silence_ms": MAX_SILENCE_MS},
    }


def _family(name: str, place: Place | None) -> str | None:
    if place is not None and place.installed:
        return place.installed.family
    return CATALOG[name].family if name in CATALOG else None


def _hearing(state: ApiState, name: str, family: str | None) -> Hearing:
    """Told of models that are not here, too; nothing is loaded for it."""
    if family is not None:
        return Hearing(name, frozenset(options_of(family)))
    if name == BUILTIN:
        return Hearing.of(name, builtin_voices.describe())
    host = state.studio.engines.running().get(name)
    return Hearing.of(name, host.info) if host is not None else Hearing(name, frozenset())


def _model(name: str, place: Place | None, engine: ModelInfo | None, default: str | None) -> dict[str, Any]:
    family, spec, here = _family(name, place), CATALOG.get(name), place.installed if place else None
    languages = here.languages if here else spec.languages if spec else ()
    if name == BUILTIN:
        languages = builtin_voices.describe().languages
    return {
        "name": name,
        "title": "Built-in voice" if name == BUILTIN else here.title if here else spec.title if spec else name,
        "installed": here is not None or (engine is not None and engine.installed),
        "preview": engine is not None and engine.preview,
        "default": name == default,
        "languages": list(languages),
        "options": dict(options_of(family)),
        "sounds": list(sounds_of(family)),
    }

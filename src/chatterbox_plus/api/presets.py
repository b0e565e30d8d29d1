"""/api/v1/presets: options under a name, kept on the server. With keys, each project has its own."""

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Header, Query
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now, wrong
from chatterbox_plus.api.lists import Flag
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import State
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.presets import MAX_NAME_CHARS
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, Options, SpeechOptions

router = APIRouter(tags=["presets"])
Kind = Literal["speech", "conversion", "joining"]
_MODELS: dict[Kind, tuple[type[Options], dict[str, Any]]] = {
    "speech": (SpeechOptions, {"text": "."}),
    "conversion": (ConversionOptions, {"target_voice_source": "."}),
    "joining": (JoinOptions, {"segments": [{"filename": "."}]}),
}
"""Kind -> the options it is checked as, and what such a request cannot be without."""
NOT_KEPT: dict[Kind, frozenset[str]] = {
    "speech": frozenset({"text", "webhook_url"}),
    "conversion": frozenset({"input_audio_source"}),
    "joining": frozenset({"segments"}),
}
"""What one request is about, and no preset can settle."""

_PRESET: dict[str, Any] = {
    "name": "Calm narrator",
    "kind": "speech",
    "options": {"speed_factor": 0.9, "reference_audio_filename": "speaker1.wav"},
    "created_date": "2025-06-22T14:30:22.000456Z",
    "updated_date": "2025-06-22T14:30:22.000456Z",
}
_WHEN = {"timestamp": "2025-06-22T14:30:22.000Z"}


def _answers(description: str, example: dict[str, Any], *errors: int) -> dict[int | str, dict[str, Any]]:
    told = {"success": True, **example, **_WHEN}
    answer = {"description": description, "content": {"application/json": {"example": told}}}
    return {200: answer, **{status: ERRORS[status] for status in errors}}


_MANY = _answers("By name.", {"presets": [_PRESET], "count": 1})
_ONE = _answers("The preset.", _PRESET, 404)
_SAVED = _answers("As it is kept.", _PRESET, 400, 409, 422, 507)
_SAVED[409] = {**ERRORS[409], "description": "There is such a preset already, and it was not to be replaced."}
_DELETED = _answers("It is gone.", {"message": "Preset 'Calm narrator' deleted successfully", **_PRESET}, 404)

Name = Annotated[
    str,
    PathParameter(
        description="What people call it; the same in any case.", max_length=MAX_NAME_CHARS, examples=["Calm narrator"]
    ),
]


class PresetBody(BaseModel):
    """Options to keep."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "speech", "options": {"speed_factor": 0.9, "reference_audio_filename": "speaker1.wav"}},
                {"kind": "joining", "options": {"crossfade_ms": 50}},
            ]
        }
    )

    kind: Kind = Field("speech", description="Whose options they are.")
    options: dict[str, Any] = Field(description="Fields of such a request; null ones are left out.")


@router.get("/api/v1/presets", summary="List presets", responses=_MANY)
async def listed(
    state: State,
    kind: Annotated[Kind | None, Query(description="Only presets of that kind.")] = None,
) -> Response:
    """All of them, or those of your project."""
    found = await state.bridge.call(state.studio.library.presets.all)
    told = [preset.as_json() for preset in found if kind is None or preset.kind == kind]
    return Reply({"success": True, "presets": told, "count": len(told), "timestamp": now()})


@router.get("/api/v1/presets/{name}", summary="One preset", responses=_ONE)
async def one(name: Name, state: State) -> Response:
    """The options that were kept under that name."""
    found = await state.bridge.call(state.studio.library.presets.get, name)
    return Reply({"success": True, **found.as_json(), "timestamp": now()})


@router.put("/api/v1/presets/{name}", summary="Keep a preset", responses=_SAVED)
async def save(
    name: Name,
    body: PresetBody,
    state: State,
    overwrite: Annotated[Flag, Query(description="`false`: a 409 instead of replacing a preset of that name.")] = True,
    if_none_match: Annotated[str | None, Header(description="`*`: the same as `overwrite=false`.")] = None,
) -> Response:
    """Options are checked as in a request; what one request is about (its text, its files) is not kept."""
    if if_none_match is not None and if_none_match.strip() != "*":
        raise wrong("header", "If-None-Match", "must be *", if_none_match)
    options = _checked(body)
    keep = overwrite and if_none_match is None

    saved = await state.bridge.call(lambda: state.studio.library.presets.save(name, body.kind, options, overwrite=keep))
    return Reply({"success": True, **saved.as_json(), "timestamp": now()})


@router.delete("/api/v1/presets/{name}", summary="Delete a preset", responses=_DELETED)
async def delete(name: Name, state: State) -> Response:
    """What was made with it stays as it is."""
    gone = await state.bridge.call(state.studio.library.presets.delete, name)
    message = f"Preset '{gone.name}' deleted successfully"
    return Reply({"success": True, "message": message, **gone.as_json(), "timestamp": now()})


def _checked(body: PresetBody) -> dict[str, Any]:
    """The options as they are kept. Raises a 422 for each field that a request of that kind would refuse."""
    model, needed = _MODELS[body.kind]
    sent = {name: value for name, value in body.options.items() if value is not None}
    for name in sent:
        if name not in model.model_fields:
            raise _wrong(name, "there is no such option")
        if name in NOT_KEPT[body.kind]:
            raise _wrong(name, "cannot be kept in a preset")
    try:
        known = model.model_validate({**needed, **sent})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", "options", *item["loc"])} for item in found]) from None
    return known.model_dump(mode="json", include=set(sent))


def _wrong(name: str, message: str) -> RequestValidationError:
    return RequestValidationError(
        [{"type": "value_error", "loc": ("body", "options", shown(name)), "msg": message, "input": None}]
    )


assert set(_MODELS) == set(NOT_KEPT) == set(get_args(Kind))

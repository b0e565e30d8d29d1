"""OpenAI's routes for voices of one's own, and for the recordings that say they may be used; also without `/v1`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.errors import OpenAIErrorBody, Reply, checked
from chatterbox_plus.api.forms import Form, Upload, read_form
from chatterbox_plus.api.lists import Flag
from chatterbox_plus.api.openai import lower
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.uploads import Arrival, Place, is_form
from chatterbox_plus.api.voices import VoiceChange, keep_voice, remove
from chatterbox_plus.audio.formats import INPUT_MEDIA_TYPES, INPUT_SUFFIXES
from chatterbox_plus.audio.quality import check_length
from chatterbox_plus.errors import BadRequest, Cancelled, InvalidAudio, InvalidOption, UnsupportedFormat
from chatterbox_plus.library.consents import Consent, Consents
from chatterbox_plus.library.entries import moment
from chatterbox_plus.library.naming import safe_name, shown, without_audio_suffix

router = APIRouter(tags=["OpenAI"])
MAX_MB = 10.0
"""What OpenAI takes of a recording, in MiB; less where the server takes less of every file."""
_MEANINGS = {
    400: "A field is missing or wrong, or the recording is not audio.",
    403: "The voice is another project's.",
    404: "There is no such consent or voice.",
    409: "There is a voice of that name already, or several have it.",
    413: "The recording is too large.",
    507: "No room is left in the data folder; nothing was stored.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        "default": {"model": OpenAIErrorBody, "description": "Any other error."},
        **{status: {"model": OpenAIErrorBody, "description": _MEANINGS[status]} for status in statuses},
    }


def _answers(description: str, example: dict[str, Any], *errors: int) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": description, "content": {"application/json": {"example": example}}},
        **_errors(*errors),
    }


def _form(fields: type[BaseModel], example: dict[str, str], file: str, description: str) -> dict[str, Any]:
    described = fields.model_json_schema()
    properties = {
        **described["properties"],
        file: {"type": "string", "format": "binary", "description": f"{description} At most {MAX_MB:g} MiB."},
    }
    schema = {"type": "object", "properties": properties, "required": [*described.get("required", ()), file]}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema, "example": example}}}
    }


class _NewVoice(BaseModel):
    name: str = Field(min_length=1, max_length=200, description="What people call it; the file is named so, too.")
    consent: str | None = Field(None, max_length=200, description="The id of a consent; kept with the voice.")
    type: Annotated[Literal["audio_sample", "prompt"], BeforeValidator(lower)] = Field(
        "audio_sample", description="`prompt` cannot be done here."
    )
    overwrite: Flag = Field(False, description="Replace a voice of that name instead of answering 409.")


class _NewConsent(BaseModel):
    name: str = Field(min_length=1, max_length=200, description="Whose it is.")
    language: str = Field(min_length=1, max_length=35, description="Of what is said, such as en-US.")


class ConsentChange(BaseModel):
    """What can be changed of a consent."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Narrator"}]})

    name: str = Field(min_length=1, max_length=200, description="Whose it is.")


_VOICE = {
    "object": "audio.voice",
    "id": "Narrator.wav",
    "name": "Narrator",
    "created_at": 1_750_000_000,
    "type": "audio_sample",
}
_VOICE_DELETED = {"object": "audio.voice.deleted", "id": "Narrator.wav", "deleted": True}
_CONSENT = {
    "object": "audio.voice_consent",
    "id": "cons_0123456789abcdef01234567",
    "name": "Narrator",
    "language": "en-US",
    "created_at": 1_750_000_000,
}
_CONSENTS = {
    "object": "list",
    "data": [_CONSENT],
    "first_id": _CONSENT["id"],
    "last_id": _CONSENT["id"],
    "has_more": False,
}
_DELETED = {"object": "audio.voice_consent", "id": _CONSENT["id"], "deleted": True}
ConsentId = Annotated[
    str,
    PathParameter(
        description="As it was answered when the consent was sent.",
        max_length=200,
        examples=["cons_0123456789abcdef01234567"],
    ),
]


@router.post(
    "/v1/audio/voices",
    summary="Keep a voice, as OpenAI does",
    responses=_answers("The voice; its `id` is what `voice` may be.", _VOICE, 400, 403, 404, 409, 413, 507),
    openapi_extra=_form(_NewVoice, {"name": "Narrator"}, "audio_sample", "A recording of one person, best 10 to 30 s."),
)
@router.post("/audio/voices", include_in_schema=False)
async def create_voice(request: Request, state: State) -> Response:
    """A stored voice like any other: it is in every list of voices, and changed and deleted as they are."""
    is_form(request)
    async with read_form(request, state.bridge, state.studio.library, _most_mb(state)) as form:
        fields = checked(_NewVoice, form.values())
        if fields.type == "prompt":
            raise InvalidOption("A voice is made of a recording here, not of a prompt: send audio_sample", param="type")
        recording = _recording(form, "audio_sample")
        return Reply(await state.bridge.run(request, partial(_keep_voice, state, form, recording, fields)))


@router.delete(
    "/v1/audio/voices/{voice_id:path}",
    summary="Delete a voice, as OpenAI does",
    responses=_answers("It is gone.", _VOICE_DELETED, 403, 404, 409, 507),
)
@router.delete("/audio/voices/{voice_id:path}", include_in_schema=False)
async def delete_voice(
    voice_id: Annotated[str, PathParameter(description="As the lists have it.", examples=["Narrator.wav"])],
    state: State,
) -> Response:
    """As `DELETE /api/v1/voice/{path}` does, sure of it: for a day it can be had back there. Its consent stays."""
    await remove(voice_id, state, confirm=True)
    return Reply({**_VOICE_DELETED, "id": voice_id})


@router.post(
    "/v1/audio/voice_consents",
    summary="Keep a consent",
    responses=_answers("The consent.", _CONSENT, 400, 413, 507),
    openapi_extra=_form(
        _NewConsent,
        {"name": "Narrator", "language": "en-US"},
        "recording",
        "Its owner allows the use of a voice.",
    ),
)
@router.post("/audio/voice_consents", include_in_schema=False)
async def create_consent(request: Request, state: State) -> Response:
    """Nobody listens to what is said in it: it is kept, so that there is something to show."""
    is_form(request)
    async with read_form(request, state.bridge, state.studio.library, _most_mb(state)) as form:
        fields = checked(_NewConsent, form.values())
        recording = _recording(form, "recording")
        return Reply(await state.bridge.run(request, partial(_keep_consent, state, form, recording, fields)))


@router.get(
    "/v1/audio/voice_consents",
    summary="List consents",
    responses=_answers("A page of them.", _CONSENTS, 400, 404),
)
@router.get("/audio/voice_consents", include_in_schema=False)
async def list_consents(
    state: State,
    after: Annotated[str | None, Query(description="The last id of the page before.", max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many a page has at most.")] = 20,
) -> Response:
    """Newest first; only those that the caller's project sent, and for an admin all."""
    found, more = await state.bridge.call(_consents(state).page, after or None, limit)
    told = [_told(consent) for consent in found]
    ends = {"first_id": told[0]["id"], "last_id": told[-1]["id"]} if told else {"first_id": None, "last_id": None}
    return Reply({"object": "list", "data": told, **ends, "has_more": more})


@router.get(
    "/v1/audio/voice_consents/{consent_id}",
    summary="One consent",
    responses=_answers("The consent.", _CONSENT, 404),
)
@router.get("/audio/voice_consents/{consent_id}", include_in_schema=False)
async def get_consent(consent_id: ConsentId, state: State) -> Response:
    """What is known of it."""
    return Reply(_told(await state.bridge.call(_consents(state).find, consent_id)))


@router.post(
    "/v1/audio/voice_consents/{consent_id}",
    summary="Rename a consent",
    responses=_answers("The consent.", _CONSENT, 400, 404, 507),
)
@router.post("/audio/voice_consents/{consent_id}", include_in_schema=False)
async def update_consent(consent_id: ConsentId, body: ConsentChange, state: State) -> Response:
    """The recording stays as it is."""
    return Reply(_told(await state.bridge.call(_consents(state).rename, consent_id, body.name)))


@router.delete(
    "/v1/audio/voice_consents/{consent_id}",
    summary="Delete a consent",
    responses=_answers("It is gone.", _DELETED, 404),
)
@router.delete("/audio/voice_consents/{consent_id}", include_in_schema=False)
async def delete_consent(consent_id: ConsentId, state: State) -> Response:
    """With its recording. Voices that name it stay."""
    await state.bridge.call(_consents(state).remove, consent_id)
    return Reply({**_DELETED, "id": consent_id})


@dataclass(frozen=True)
class _Recording:
    """suffix: of the format that it has by its name or by what the client says it is: ".wav"."""

    upload: Upload
    suffix: str


def _recording(form: Form, name: str) -> _Recording:
    """The one file of that name. Raises InvalidOption, BadRequest, UnsupportedFormat, InvalidAudio."""
    found = form.files(name)
    if not found:
        raise InvalidOption(f"{name} is missing: the recording", param=name)
    if len(found) > 1:
        raise BadRequest(f"{name} must be one file", param=name)
    upload = found[0]
    suffix = upload.suffix if upload.suffix in INPUT_SUFFIXES else INPUT_MEDIA_TYPES.get(upload.media_type)
    if suffix is None:
        raise UnsupportedFormat(
            f"{name} must be audio by its name ({' '.join(INPUT_SUFFIXES)}) or by its media type", param=name
        )
    if not upload.size:
        raise InvalidAudio(f"{name} is empty", param=name)
    return _Recording(upload, suffix)


def _keep_voice(
    state: ApiState, form: Form, recording: _Recording, fields: _NewVoice, cancel: Cancel
) -> dict[str, Any]:
    facts = {}
    if fields.consent is not None:
        facts["consent"] = _consents(state).find(fields.consent).id
    stem = safe_name(without_audio_suffix(fields.name))
    arrival = Arrival(form, replace(recording.upload, name=stem + recording.suffix), Place(overwrite=fields.overwrite))
    told = keep_voice(state, arrival, VoiceChange(name=fields.name), cancel, facts)
    return {**_VOICE, "id": told["url"], "name": told["name"], "created_at": _unix(told)}


def _keep_consent(
    state: ApiState, form: Form, recording: _Recording, fields: _NewConsent, cancel: Cancel
) -> dict[str, Any]:
    name = shown(recording.upload.name or "recording")
    with form.keep():
        info = state.studio.decoder.probe(recording.upload.path, thorough=True, cancel=cancel, name=name)
        check_length(info.duration_s, name)
        if cancel.is_set():
            raise Cancelled("the client left")
        owner = None if state.caller.is_admin else state.caller.project
        kept = _consents(state).add(
            recording.upload.path, recording.suffix, name=fields.name, language=fields.language, owner=owner
        )
    return _told(kept)


def _consents(state: ApiState) -> Consents:
    return Consents(state.studio.library.consents, state.caller.may_change)


def _most_mb(state: ApiState) -> float:
    return min(MAX_MB, state.settings.api.max_upload_mb)


def _told(consent: Consent) -> dict[str, Any]:
    return {
        "object": "audio.voice_consent",
        "id": consent.id,
        "name": consent.name,
        "language": consent.language,
        "created_at": consent.created_at,
    }


def _unix(told: Mapping[str, Any]) -> int:
    created = moment(told["created_date"])
    assert created is not None
    return int(created.timestamp())

"""Voices: recordings in reference_audio/ that speech can sound like. Shared by all; changed by whoever sent them."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from starlette.responses import Response

from chatterbox_plus.api import stored
from chatterbox_plus.api.bridge import Cancel
from chatterbox_plus.api.errors import Reply, checked, now
from chatterbox_plus.api.forms import Form, read_form
from chatterbox_plus.api.lists import (
    NAMED,
    All,
    Confirm,
    ExactFilters,
    Filenames,
    Flag,
    Folder,
    Kind,
    OnePage,
    Project,
    Search,
    SortOrder,
    delete_one,
    delete_some,
    details,
    folders_reply,
    list_reply,
    look,
    seconds,
    utc,
)
from chatterbox_plus.api.sending import RECORDING, recording
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.uploads import Arrival, Place, file_of, is_form, json_object, keep, placed
from chatterbox_plus.audio.decode import AudioInfo
from chatterbox_plus.audio.quality import assess_file, check_length
from chatterbox_plus.errors import PermissionDenied
from chatterbox_plus.library.catalog import Order, filter_of
from chatterbox_plus.library.changes import revise
from chatterbox_plus.library.entries import Entry
from chatterbox_plus.library.index import Snapshot
from chatterbox_plus.library.naming import shown
from chatterbox_plus.library.records import text_of
from chatterbox_plus.library.store import Store
from chatterbox_plus.synthesis.options import SpeechOptions

router = APIRouter(tags=["voices"])
NOT_A_DEFAULT = ("text", "reference_audio_filename", "webhook_url")
"""Fields of a speech request that no voice can settle beforehand."""

_NOTHING_ELSE: Mapping[str, Any] = {}
_Tag = Annotated[str, Field(min_length=1, max_length=100)]
Tag = Annotated[str | None, Query(description="One of a voice's tags, in any case.", max_length=100)]
FilePath = Annotated[str, PathParameter(description=NAMED, examples=["speaker1.wav"])]
Forever = Annotated[Flag, Query(description="`true`: not into the trash, gone at once.")]
SortBy = Annotated[
    Literal["name", "created_date", "duration", "usage_count"], Query(description="What the order goes by.")
]


def _tags(value: object) -> object:
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, list | tuple):
        tags = [tag.strip() if isinstance(tag, str) else tag for tag in value]
        return tuple(dict.fromkeys(tag for tag in tags if tag != "")) if all(isinstance(t, str) for t in tags) else tags
    return value


class VoiceChange(BaseModel):
    """What is known of a voice; null and missing fields stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"description": "Calm and low", "default_parameters": {"speed_factor": 0.9}}]}
    )

    name: str | None = Field(None, max_length=200, description="What people call it.")
    description: str | None = Field(None, max_length=5000, description="What it sounds like, for whoever chooses.")
    tags: Annotated[tuple[_Tag, ...], Field(max_length=100), BeforeValidator(_tags)] | None = Field(
        None, description="Replace the tags it has."
    )
    folder_path: str | None = Field(None, max_length=512, description='Folder to move it to, "" for the root.')
    default_parameters: dict[str, Any] | None = Field(
        None, description="Fields of POST /api/v1/tts for requests that name this voice and do not set them."
    )

    @field_validator("default_parameters")
    @classmethod
    def _are_speech_options(cls, values: dict[str, Any] | None) -> dict[str, Any] | None:
        if values is None:
            return None
        sent = {name: value for name, value in values.items() if value is not None}
        for name in sent:
            if name not in SpeechOptions.model_fields or name in NOT_A_DEFAULT:
                raise ValueError(f"{shown(name)} cannot be set beforehand")
        try:
            SpeechOptions.model_validate({**sent, "text": "."})
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return sent

    def facts(self) -> dict[str, Any]:
        """What was sent, for the sidecar."""
        sent = self.model_dump(exclude_none=True, exclude={"folder_path"})
        return {**sent, "tags": list(sent["tags"])} if "tags" in sent else sent


class _NewVoice(VoiceChange, Place):
    """The fields of an upload."""


def item(store: Store, snapshot: Snapshot, entry: Entry, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """A voice in a list."""
    parameters, quality = sidecar.get("default_parameters"), sidecar.get("quality")
    return {
        "name": entry.name,
        "filename": entry.filename,
        "url": entry.path,
        "description": text_of(sidecar.get("description")) or f"Voice file: {entry.name}",
        "duration_seconds": seconds(entry.duration_s),
        "sample_rate": entry.rate,
        "file_size_bytes": entry.stat.size,
        "format": entry.format,
        "default_parameters": parameters if isinstance(parameters, dict) else {},
        "tags": list(entry.tags),
        "created_date": utc(entry),
        "last_used": text_of(sidecar.get("last_used")),
        "usage_count": entry.usage_count,
        "folder_path": entry.folder or None,
        "rating": text_of(quality.get("rating")) if isinstance(quality, dict) else None,
    }


KIND = Kind("voices", "Voice", item, prune=False)


@router.post(
    "/api/v1/voice",
    summary="Upload a voice",
    responses=stored.replies(stored.VoiceReply, stored.VOICE_REPLY, 400, 403, 409, 422, 507),
    openapi_extra=stored.form(
        _NewVoice,
        {"name": "Narrator", "tags": "calm, low", "folder_path": "book"},
        voice_file="A recording of one person; at least 0.3 s, best 10 to 30 s.",
    ),
)
async def upload(request: Request, state: State) -> Response:
    """Keep a recording as a voice. The reply says how good a reference it is, and what would make it better.

    Over an existing voice (`overwrite`) its counts and its first date stay; everything else is as sent now.
    """
    is_form(request)
    async with read_form(request, state.bridge, state.studio.library, state.settings.api.max_upload_mb) as form:
        fields = checked(_NewVoice, _sent(form))
        arrival = Arrival(form, file_of(form, "voice_file", "audio_file"), fields)
        told = await state.bridge.run(request, partial(keep_voice, state, arrival, fields))
    return voice_reply(f"Voice '{told['name']}' uploaded successfully", told)


@router.get(
    "/api/v1/voices",
    summary="List voices",
    responses=stored.replies(stored.VoiceList, stored.VOICE_LIST, 403, 422),
)
async def voices(
    state: State,
    page: OnePage,
    search: Search = None,
    folder: Folder = None,
    project: Project = None,
    tag: Tag = None,
    filenames: Filenames = None,
    sort_by: SortBy = "name",
    sort_order: SortOrder = None,
) -> Response:
    """Every voice; `url` is what a request names it by."""
    found = filter_of(folder=folder or project, search=search, tag=tag, filenames=filenames)
    order = Order(sort_by, sort_order == "desc")
    return await list_reply(state, state.studio.library.voices, KIND, found, order, page)


@router.get(
    "/api/v1/voices/folders",
    summary="List the folders of voices",
    responses=stored.replies(stored.FolderList, stored.FOLDER_LIST),
)
async def folders(state: State) -> Response:
    """Every folder with the number of voices directly in it, the root first."""
    return await folders_reply(state, state.studio.library.voices)


@router.get(
    "/api/v1/voices/{path:path}/audio", summary="Hear a voice's recording", responses=RECORDING, response_class=Response
)
@router.head("/api/v1/voices/{path:path}/audio", include_in_schema=False)
async def audio(path: FilePath, request: Request, state: State) -> Response:
    """The recording itself, as it was sent."""
    return await recording(request, state, state.studio.library.voices, path)


@router.get(
    "/api/v1/voices/{path:path}",
    summary="Details of a voice",
    responses=stored.replies(stored.VoiceReply, stored.VOICE_REPLY, 400, 403, 404, 409, 422),
)
async def voice(path: FilePath, state: State) -> Response:
    """One voice, with what was measured when it was uploaded."""
    told, sidecar = await details(state, state.studio.library.voices, KIND, path)
    return voice_reply(f"Voice '{told['name']}'", told | {"quality": sidecar.get("quality")}, flat=True)


@router.put(
    "/api/v1/voice/{path:path}/metadata",
    summary="Change what is known of a voice",
    responses=stored.replies(stored.VoiceReply, stored.VOICE_REPLY, 400, 403, 404, 409, 422, 507),
)
async def change(path: FilePath, body: VoiceChange, state: State) -> Response:
    """Rename, describe or tag a voice, settle its defaults, or move it to another folder."""

    def work() -> dict[str, Any]:
        store = state.studio.library.voices

        def edit(known: dict[str, Any]) -> None:
            _check_owner(state, known)
            known.update(body.facts())

        moved = revise(store, store.resolve(path), edit, body.folder_path)
        told, sidecar = look(state, store, KIND, moved)
        return told | {"quality": sidecar.get("quality")}

    return voice_reply("Metadata updated successfully", await state.bridge.call(work))


@router.delete(
    "/api/v1/voice/{path:path}",
    summary="Delete a voice",
    responses=stored.replies(stored.TrashReply, stored.TRASH_REPLY, 400, 403, 404, 409, 422, 507),
)
async def remove(path: FilePath, state: State, confirm: Confirm = False, forever: Forever = False) -> Response:
    """Delete one voice and what is known of it. For a day it can be had back: `trash_id`, `restore_until`."""
    library, allow = state.studio.library, partial(_check_owner, state)
    return await delete_one(
        state,
        library.voices,
        KIND,
        path,
        confirm=confirm,
        allow=allow,
        trash=library.trash,
        forever=forever,
    )


@router.delete(
    "/api/v1/voices",
    summary="Delete many voices",
    dependencies=[ExactFilters],
    responses=stored.replies(stored.TrashReply, stored.TRASH_REPLY, 400, 403, 409, 422, 507),
)
async def remove_many(
    state: State,
    confirm: Confirm = False,
    forever: Forever = False,
    all: All = False,
    search: Search = None,
    folder: Folder = None,
    project: Project = None,
    tag: Tag = None,
    filenames: Filenames = None,
) -> Response:
    """Delete exactly what the list with these filters shows. Folders stay; so do voices of other projects. For a day
    they can be had back, one by one: `trash_ids`."""
    found = filter_of(folder=folder or project, search=search, tag=tag, filenames=filenames)

    def mine(entry: Entry) -> bool:
        return state.caller.may_change(entry.owner)

    library = state.studio.library
    return await delete_some(
        state,
        library.voices,
        KIND,
        found,
        confirm=confirm,
        all=all,
        mine=mine,
        trash=library.trash,
        forever=forever,
    )


def _sent(form: Form) -> dict[str, Any]:
    """The fields of the form; those of `metadata` where the form itself has none."""
    values = form.values(lists=("tags",))
    if "metadata" in values:
        values = json_object("metadata", values["metadata"]) | {k: v for k, v in values.items() if k != "metadata"}
    if values.get("default_parameters") is not None:
        values["default_parameters"] = json_object("default_parameters", values["default_parameters"])
    return placed(values)


def keep_voice(
    state: ApiState, arrival: Arrival, fields: VoiceChange, cancel: Cancel, facts: Mapping[str, Any] = _NOTHING_ELSE
) -> dict[str, Any]:
    """Checks a recording and keeps it as a voice of the caller's; what a list tells of it, and its quality. Blocks.

    facts: what else the sidecar is to say. Raises as `uploads.keep` does, and PermissionDenied for another's voice.
    """
    store = state.studio.library.voices

    def describe(info: AudioInfo) -> dict[str, Any]:
        name = shown(arrival.name)
        check_length(info.duration_s, name)
        quality = assess_file(state.studio.decoder, arrival.upload.path, name=name, cancel=cancel)
        owner = {} if state.caller.is_admin else {"owner": state.caller.project}
        told = json.loads(json.dumps(quality.as_json()))
        return {**fields.facts(), **facts, "quality": told, "usage_count": 0, **owner}

    told, sidecar = keep(state, store, KIND, arrival, describe, cancel, partial(_check_owner, state))
    return told | {"quality": sidecar["quality"]}


def _check_owner(state: ApiState, sidecar: Mapping[str, Any]) -> None:
    if not state.caller.may_change(text_of(sidecar.get("owner"))):
        raise PermissionDenied("This voice is not of your project: only its owner and admins may change it")


def voice_reply(message: str, told: dict[str, Any], *, flat: bool = False) -> Response:
    """What is answered about one voice. told: as in a list, with `quality`. flat: its fields beside the others."""
    body = {
        "success": True,
        "message": message,
        "voice_metadata": told,
        "voice_info": told,
        "filename": told["filename"],
        "quality": told["quality"],
        "timestamp": now(),
    }
    return Reply({**told, **body} if flat else body)

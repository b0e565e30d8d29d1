"""/api/v1/models: which models there are, and how they come and go. Changes are for admins."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api import model_replies as told
from chatterbox_plus.api.errors import Reply, now, render
from chatterbox_plus.api.lists import Confirm
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import AdminState, ApiState, State
from chatterbox_plus.engines.chatterbox.families import options_of, sounds_of
from chatterbox_plus.engines.registry import AUTO, BUILTIN, ModelInfo
from chatterbox_plus.errors import BadRequest, NotFound, PlusError, WrongState
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.pulls import PullState
from chatterbox_plus.models.shelf import Place

router = APIRouter(tags=["models"])
LOOK_S = 0.25  # between two looks at a pull that somebody watches
ALIVE_S = 15.0  # a comment, so that proxies keep a silent stream open
_PULLS = "/api/v1/models/pulls"
_EVENT_STREAM = "text/event-stream"

Name = Annotated[str, PathParameter(description="As the list has it.", examples=["nano"], max_length=200)]


def _answers(
    model: type[BaseModel], description: str, example: dict[str, Any], *errors: int, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    body = {"model": model, "description": description, "content": {"application/json": {"example": example}}}
    return {status: body, **{code: ERRORS[code] for code in errors}}


_MANY = _answers(told.ModelList, "All that requests can name.", told.MODELS)
_ONE = _answers(told.ModelReply, "The model.", told.ONE_MODEL, 404)
_REMOVED = _answers(told.ModelReply, "The model as it stands then.", told.ONE_MODEL, 404, 409)
_UNLOADED = _answers(told.ModelReply, "It is not in memory.", told.ONE_MODEL, 404, 409)
_BEGUN = _answers(told.PullReply, "The pull is under way.", told.ONE_PULL, 409, 422, 503, status=202)
_CANCELLED = _answers(told.PullReply, "It ends in a moment.", told.ONE_PULL, 404, 409)
_PULL = _answers(told.PullReply, "How it stands; as events, until it has ended.", told.ONE_PULL, 404)
_PULL[200]["content"][_EVENT_STREAM] = {"schema": {"type": "string"}, "example": told.EVENTS}


class PullRequest(BaseModel):
    """What to pull."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "nano"}]})

    model: str = Field(
        min_length=1,
        max_length=64,
        description="Which: english, multilingual, multilingual-v3, turbo or nano.",
    )


@router.get("/api/v1/models", summary="List models", responses=_MANY)
async def listed(state: State) -> Response:
    """All models that requests can name, here or not: the official ones, and those that somebody added."""
    engines_here = state.studio.engines
    places, default, why = await state.bridge.call(
        lambda: (state.models.shelf.look(), default_model(state), engines_here.why)
    )
    machine = engines_here.machine
    shelf = {place.name: place for place in places}
    engines = {model.name: model for model in state.studio.models()}
    names = dict.fromkeys((*engines, *shelf))
    found = [_model(state, name, shelf.get(name), engines.get(name), default) for name in names]
    return Reply(
        {
            "success": True,
            "models": found,
            "count": len(found),
            "default": default,
            "why": why,
            "device": machine.device if machine.known else None,
            "precision": state.settings.models.precision,
            "timestamp": now(),
        }
    )


@router.get("/api/v1/models/{name}", summary="One model", responses=_ONE)
async def one(name: Name, state: State) -> Response:
    """Whether it is here, where from, and what is wrong with it if something is."""
    return await _told(state, name)


@router.delete("/api/v1/models/{name}", summary="Remove a model", responses=_REMOVED)
async def remove(name: Name, state: AdminState, confirm: Confirm = False) -> Response:
    """Deletes its files in the data folder. Of a folder that was added only the name is forgotten; its files, and the
    hub's cache, are left alone."""
    if not confirm:
        raise BadRequest("Deletion requires confirm=true: nothing was deleted", param="confirm")
    await state.bridge.call(state.models.remove, name)
    if name in CATALOG:
        return await _told(state, name)
    return Reply({"success": True, **_model(state, name, Place(name), None, None), "timestamp": now()})


@router.post("/api/v1/models/{name}/unload", summary="Give back a model's memory", responses=_UNLOADED)
async def unload(name: Name, state: AdminState) -> Response:
    """Ends a model's process, if nobody uses it; the next request that needs it starts it again. One that is not in
    memory is answered with how it stands; the built-in engine stays."""
    host = state.studio.engines.running().get(name)
    if host is not None and host.info.preview:
        raise WrongState(f"the {host.info.title} stays, for all who name no model")
    if host is not None and not await state.bridge.call(host.unload):
        raise WrongState(f"the {host.info.title or host.info.name} is at work: try again when nobody uses it")
    return await _told(state, name)


@router.post("/api/v1/models/pull", status_code=202, summary="Pull a model from the hub", responses=_BEGUN)
async def pull(body: PullRequest, state: AdminState) -> Response:
    """Begins to fetch a model, or to go on where an earlier pull stopped, and answers at once. A pull that is under way
    is answered with itself."""
    return _pull_reply(await state.bridge.call(state.models.start, body.model), 202)


@router.get(_PULLS + "/{name}", summary="How a pull stands", responses=_PULL)
async def pull_state(
    name: Name,
    state: AdminState,
    accept: Annotated[str, Header(description="`text/event-stream`: progress as it is made, until the end.")] = "",
) -> Response:
    """The last pull of a model since the server started; kept until there is another."""
    found = state.models.get(name)
    if _EVENT_STREAM not in accept.lower():
        return _pull_reply(found)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(state, name), media_type=_EVENT_STREAM, headers=headers)


@router.delete(_PULLS + "/{name}", summary="Call a pull off", responses=_CANCELLED)
async def cancel(name: Name, state: AdminState) -> Response:
    """What has come is kept: another pull goes on with it."""
    return _pull_reply(await state.bridge.call(state.models.cancel, name))


def default_model(state: ApiState) -> str | None:
    """What `auto` means for English; None if what the settings name cannot be used. May look for a GPU."""
    try:
        return state.studio.engines.get(AUTO).info.name
    except PlusError:
        return None


def _loaded(state: ApiState, name: str) -> bool:
    host = state.studio.engines.running().get(name)
    return host is not None and host.health().loaded > 0


def _model(
    state: ApiState, name: str, place: Place | None, engine: ModelInfo | None, default: str | None
) -> dict[str, Any]:
    """engine: the model as the engines know it; place: as the shelf does. One of them there is."""
    spec, here, last = CATALOG.get(name), place.installed if place else None, state.models.last(name)
    title = here.title if here else spec.title if spec else name
    size = last.total_bytes if last and last.total_bytes else spec.download_bytes if spec else None
    languages = here.languages if here else spec.languages if spec else None
    family = here.family if here else spec.family if spec else None
    own = engine is not None and engine.installed and place is None  # an engine that needs no files
    return {
        "name": name,
        "title": "Built-in voice" if name == BUILTIN else title,
        "description": engine.description if engine else title,
        "family": family,
        "languages": list(languages) if languages else None,
        "options": dict(options_of(family)),
        "sounds": list(sounds_of(family)),
        "installed": here is not None or own,
        "source": here.source if here else "built in" if own else None,
        "size_bytes": here.size if here else None,
        "download_bytes": size,
        "repository": spec.repo if spec else None,
        "licence": spec.licence if spec else None,
        "preview": engine.preview if engine else False,
        "default": name == default,
        "loaded": _loaded(state, name),
        "problem": place.problem if place else None,
        "unfinished": place.begun if place else False,
        "pull": _pull(last) if last else None,
    }


async def _told(state: ApiState, name: str) -> Response:
    engine = next((model for model in state.studio.models() if model.name == name), None)
    place = None
    try:
        place, default = await state.bridge.call(lambda: (state.models.shelf.place(name), default_model(state)))
    except NotFound:
        if engine is None:
            raise
        default = await state.bridge.call(default_model, state)
    return Reply({"success": True, **_model(state, name, place, engine, default), "timestamp": now()})


def _pull(found: PullState) -> dict[str, Any]:
    ended = found.status.is_final
    return {
        "model": found.model,
        "status": found.status.value,
        "success": found.status.value == "succeeded" if ended else None,
        "bytes_done": found.bytes_done,
        "total_bytes": found.total_bytes,
        "percent": round(100 * found.bytes_done / found.total_bytes, 1) if found.total_bytes else None,
        "file": found.file,
        "error": found.error,
        "error_code": found.error_code,
        "started_at": _time(found.started),
        "finished_at": _time(found.finished) if found.finished else None,
        "status_url": f"{_PULLS}/{found.model}",
    }


def _pull_reply(found: PullState, status: int = 200) -> Response:
    return Reply({**_pull(found), "timestamp": now()}, status)


async def _events(state: ApiState, name: str) -> AsyncIterator[bytes]:
    """Progress whenever there is some, and the end. A pull that is begun meanwhile is another."""
    seen: PullState | None = None
    yield b"retry: 1000\n\n"
    said = time.monotonic()
    while not state.bridge.stopping:
        found = state.models.get(name)
        if found != seen:
            seen, said = found, time.monotonic()
            kind = b"finished" if found.status.is_final else b"progress"
            yield b"event: " + kind + b"\ndata: " + render(_pull(found)) + b"\n\n"
        elif time.monotonic() - said > ALIVE_S:
            said = time.monotonic()
            yield b": still here\n\n"
        if found.status.is_final:
            return
        await asyncio.sleep(LOOK_S)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

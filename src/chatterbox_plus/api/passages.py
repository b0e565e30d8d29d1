"""/api/v1/tasks/{id}/passages: a task sentence by sentence, for who keeps some takes and drops others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.lists import OnePage
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.submitting import ACCEPTED, IdempotencyKey, Priority, Submission, accepted
from chatterbox_plus.api.tasks import TaskId, paging
from chatterbox_plus.errors import BadRequest, NotFound, WrongState
from chatterbox_plus.jobs.book import order_of
from chatterbox_plus.jobs.edits import EDITS, Retake, as_spec, edits_of, with_chosen
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.states import Kind, Lane
from chatterbox_plus.jobs.work import OPTIONS, PLACES, SEED
from chatterbox_plus.synthesis.editing import PassageView, Script
from chatterbox_plus.synthesis.options import MAX_SEED, SpeechOptions
from chatterbox_plus.synthesis.plan import Edit, new_seed

router = APIRouter(tags=["tasks"])
T = TypeVar("T")
Number = Annotated[int, PathParameter(ge=1, description="Which passage, from 1.", examples=[1])]
_TAKE_EXAMPLE = {
    "take": "take_3f2a1b0c9d8e7f6a5b4c3d2e",
    "text": None,
    "seed": 7,
    "seconds": 1.9,
    "chosen": True,
    "audio_url": "/api/v1/tasks/task_5f0c2a9b4d1e7788aabbccdd/passages/1/audio?take=take_3f2a1b0c9d8e7f6a5b4c3d2e",
}
_PASSAGE_EXAMPLE: dict[str, Any] = {
    "number": 1,
    "chapter": None,
    "text": "Hello there.",
    "char_start": 0,
    "char_end": 12,
    "state": "kept",
    "seed": 2716935742,
    "seconds": 1.9,
    "pause_seconds": 0.3,
    "start_seconds": 0.0,
    "end_seconds": 1.9,
    "audio_url": "/api/v1/tasks/task_5f0c2a9b4d1e7788aabbccdd/passages/1/audio",
    "takes": [_TAKE_EXAMPLE],
}


def _answers(example: Mapping[str, Any], description: str) -> dict[int | str, dict[str, Any]]:
    told = {"success": True, **example, "timestamp": "2025-06-22T14:30:24.000Z"}
    return {**ERRORS, 200: {"description": description, "content": {"application/json": {"example": told}}}}


_MANY = _answers({"passages": [_PASSAGE_EXAMPLE], "count": 1, "total": 1, "page": 1}, "One page, in order.")
_ONE = _answers({"passage": _PASSAGE_EXAMPLE, "take": _TAKE_EXAMPLE}, "The passage, and the new take.")
_CHOSEN = _answers({"passage": _PASSAGE_EXAMPLE}, "The passage as it is now wanted.")
_AUDIO: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "description": "How it sounds, before speed and levels.",
        "content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}},
    },
}


class RetakeRequest(BaseModel):
    """How the passage is to be said this time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"seed": 7}, {"text": "Hello, everybody."}]})

    seed: int | None = Field(None, ge=1, le=MAX_SEED, description="Default: a new one, unless the text is new.")
    text: str | None = Field(None, min_length=1, max_length=10_000, description="Instead of its own.")
    choose: bool = Field(True, description="`false` keeps the take without wanting it.")


class ChoiceRequest(BaseModel):
    """Which take of the passage is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"take": "original"}]})

    take: str | None = Field(description="Its id; `original` or null: the passage as it was.", max_length=60)


class RenderRequest(BaseModel):
    """A new task with the takes that are wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"webhook_url": None}]})

    webhook_url: str | None = Field(None, max_length=2048, description="Told when it is there.")


@router.get("/api/v1/tasks/{id}/passages", summary="A task, passage by passage", responses=_MANY)
async def passages(id: TaskId, state: State, page: OnePage) -> Response:
    """The text of a speech or a book as it is said, each part with its takes; while it is being made, too. `state`:
    `kept` (spoken, and still there) or `missing`. `seconds` is how long it is as spoken (null: missing), before
    `pause_seconds`; `start_seconds` and `end_seconds` are in the task's own sound, as far as that is known (of speech).
    """

    def look() -> tuple[list[dict[str, Any]], int]:
        task, made = _task(state, id)
        script = _script(state, task, with_chosen(task, made))
        found, first = script.passages(), (page.number - 1) * page.size
        views, places = found[first : first + page.size], _places(state, task, made, script)
        lengths = script.lengths(range(first, first + len(views)))
        return [_passage(task, view, made, lengths[view.number], places) for view in views], len(found)

    told, total = await state.bridge.call(look)
    return Reply({"success": True, "passages": told, **paging(page.number, page.size, len(told), total)})


@router.get(
    "/api/v1/tasks/{id}/passages/{number}/audio", summary="Hear a passage", responses=_AUDIO, response_class=Response
)
async def audio(
    id: TaskId,
    number: Number,
    request: Request,
    state: State,
    take: Annotated[
        str | None, Query(description="A take of it, or `original`; by default the one that is wanted.", max_length=60)
    ] = None,
) -> Response:
    """A wav, spoken now if it is not kept any more."""

    def edits(task: Task, made: list[Retake]) -> dict[int, Edit]:
        wanted = with_chosen(task, made)
        if take is None:
            return wanted
        found = [one for one in made if one.number == number and one.id == take]
        if not found and take != "original":
            raise NotFound(f"Passage {number} has no take of that id: {take[:60]}")
        wanted.pop(number - 1, None)
        return {**wanted, **({number - 1: found[0].edit} if found else {})}

    wav, _ = await _spoken(request, state, id, number, edits)
    return Response(wav, media_type="audio/wav", headers={"Cache-Control": "private, no-store"})


@router.post("/api/v1/tasks/{id}/passages/{number}/retake", summary="Say a passage again", responses=_ONE)
async def retake(id: TaskId, number: Number, body: RetakeRequest, request: Request, state: State) -> Response:
    """Says it at once, with another seed or another text, and keeps both takes. `render` makes the whole of the takes
    that are wanted then."""
    edit = Edit(body.text, body.seed or (None if body.text else new_seed()))
    _, seconds = await _spoken(
        request, state, id, number, lambda task, made: {**with_chosen(task, made), number - 1: edit}
    )

    def keep() -> tuple[dict[str, Any], dict[str, Any]]:
        new = state.jobs.retakes.add(id, number, edit, round(seconds, 3), chosen=body.choose)
        return _one(state, id, number), _take(id, new)

    passage, made = await state.bridge.call(keep)
    return Reply({"success": True, "passage": passage, "take": made, "timestamp": now()})


@router.put("/api/v1/tasks/{id}/passages/{number}", summary="Choose a take", responses=_CHOSEN)
async def choose(id: TaskId, number: Number, body: ChoiceRequest, state: State) -> Response:
    """Which take `render` uses."""

    def work() -> dict[str, Any]:
        _task(state, id)
        state.jobs.retakes.choose(id, number, None if body.take == "original" else body.take)
        return _one(state, id, number)

    return Reply({"success": True, "passage": await state.bridge.call(work), "timestamp": now()})


@router.post("/api/v1/tasks/{id}/render", summary="Make it of the chosen takes", status_code=202, responses=ACCEPTED)
async def render(
    id: TaskId,
    request: Request,
    state: State,
    body: RenderRequest | None = None,
    priority: Priority = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A new task and a new file: what is kept is not spoken again, so it costs no more than putting it together."""
    task, made = await state.bridge.call(_task, state, id)
    lane = Lane.BATCH if task.kind is Kind.BOOK else Lane.INTERACTIVE
    submission = Submission(
        request,
        state,
        webhook_url=body.webhook_url if body else None,
        priority=priority,
        lane=lane,
        idempotency_key=idempotency_key,
    )
    spec = {**task.spec, EDITS: as_spec(with_chosen(task, made))}
    return accepted(await submission.submit(task.kind, spec, name=task.name), {"rendered_from": id})


def _task(state: ApiState, id: str) -> tuple[Task, list[Retake]]:
    """With what was edited. Raises NotFound, WrongState for a task that has no passages."""
    state.jobs.open()
    task = state.jobs.store.whole(id, project=state.caller.project)
    if task.kind not in (Kind.TTS, Kind.BOOK):
        raise WrongState("Only speech and books have passages")
    return task, state.jobs.retakes.of_task(id)


def _script(state: ApiState, task: Task, edits: Mapping[int, Edit]) -> Script:
    studio = state.studio.within(task.project)
    seed = int(task.spec[SEED])
    if task.kind is Kind.BOOK:
        return Script.of_book(studio, order_of(task.spec), seed, edits)
    return Script.of_speech(studio, SpeechOptions.model_validate(task.spec[OPTIONS]), seed, edits)


async def _spoken(
    request: Request,
    state: ApiState,
    id: str,
    number: int,
    edits: Callable[[Task, list[Retake]], Mapping[int, Edit]],
) -> tuple[bytes, float]:
    def prepare() -> Script:
        task, made = _task(state, id)
        script = _script(state, task, edits(task, made))
        if number > len(script.passages()):
            raise NotFound(f"There is no passage {number}")
        return script

    script = await state.bridge.call(prepare)
    if state.studio.takes is None:
        raise BadRequest("This server keeps no takes")
    return await state.bridge.run(request, lambda cancel: script.wav(number - 1, cancel=cancel))


def _one(state: ApiState, id: str, number: int) -> dict[str, Any]:
    task, made = _task(state, id)
    script = _script(state, task, with_chosen(task, made))
    found = script.passages()
    if number > len(found):
        raise NotFound(f"There is no passage {number}")
    length = script.lengths(range(number - 1, number))[number - 1]
    return _passage(task, found[number - 1], made, length, _places(state, task, made, script))


def _places(state: ApiState, task: Task, made: list[Retake], script: Script) -> Sequence[Sequence[float]]:
    """Where passages sound in the task's own sound, in seconds: of a speech, and as far as that is known."""
    if task.kind is not Kind.TTS:
        return ()
    known: Sequence[Sequence[float]] = (task.result or {}).get(PLACES) or ()
    if known:
        return known
    changed = any(take.chosen for take in made)  # after the task was begun: its own sound is another
    return (_script(state, task, edits_of(task.spec)) if changed else script).places()


def _passage(
    task: Task,
    view: PassageView,
    made: list[Retake],
    length: tuple[float | None, float],
    places: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """length: seconds as it is spoken, and of the pause after it. places: see `_places`."""
    number, (seconds, pause_s) = view.number + 1, length
    start_s, end_s = places[view.number] if view.number < len(places) else (None, None)
    return {
        "number": number,
        "chapter": None if view.chapter is None else view.chapter + 1,
        "text": view.text,
        "char_start": view.char_start,
        "char_end": view.char_end,
        "state": "kept" if view.kept else "missing",
        "seed": view.seed,
        "seconds": None if seconds is None else round(seconds, 3),
        "pause_seconds": round(pause_s, 3),
        "start_seconds": start_s,
        "end_seconds": end_s,
        "audio_url": f"/api/v1/tasks/{task.id}/passages/{number}/audio",
        "takes": [_take(task.id, take) for take in made if take.number == number],
    }


def _take(task: str, take: Retake) -> dict[str, Any]:
    return {
        "take": take.id,
        "text": take.text,
        "seed": take.seed,
        "seconds": take.seconds,
        "chosen": take.chosen,
        "audio_url": f"/api/v1/tasks/{task}/passages/{take.number}/audio?take={take.id}",
        "created_at": take.created_at,
    }

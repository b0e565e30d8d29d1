"""GET /api/v1/tasks/{id}/audio: a speech task as it is being made, from its beginning; once it has ended, its file."""

from contextlib import ExitStack
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from chatterbox_plus.api.bridge import Cancel, LiveResponse
from chatterbox_plus.api.errors import wrong
from chatterbox_plus.api.replies import ERRORS, disposition, made_headers
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.tasks import TaskId
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.errors import BadRequest, DatabaseAway, NotFound, PlusError, WrongState
from chatterbox_plus.jobs.records import Task
from chatterbox_plus.jobs.states import Kind, Status
from chatterbox_plus.jobs.work import OPTIONS, commission_of
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.synthesis.gate import Gate
from chatterbox_plus.synthesis.listening import listen
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.results import LiveAudio

router = APIRouter(tags=["tasks"])
MOST_LISTENERS = 8  # each has a thread that mostly waits: too many would keep others from theirs
_gate = Gate(MOST_LISTENERS)
_ENDED = {
    Status.SUCCEEDED: "Some of its passages are not kept any more: its files are in output_files",
    Status.FAILED: "The task has failed",
    Status.CANCELLED: "The task was cancelled",
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "description": "The sound, each passage as soon as it is spoken, until the task has ended.",
        "content": {format.media_type: _BINARY for format in FORMATS.values()},
    },
    307: {"description": "It has ended, and has a file of that format: there it is."},
}


@router.get(
    "/api/v1/tasks/{id}/audio", summary="Hear a task while it is made", responses=_ANSWERS, response_class=Response
)
async def audio(
    id: TaskId,
    request: Request,
    state: State,
    format: Annotated[
        str, Query(description="Of the sound, whatever the task's files are.", json_schema_extra={"enum": [*FORMATS]})
    ] = "wav",
) -> Response:
    """The sound that the task is making, and nothing else: what is heard is what its file will hold. If the task fails
    or is cancelled, the connection breaks: half a speech never looks whole."""
    name = format.strip().lower()
    if name not in FORMATS:
        raise wrong("query", "format", f"must be one of {', '.join(FORMATS)}", format)
    task, url = await state.bridge.call(_look, state, id, name)
    if url is not None:
        return RedirectResponse(url, 307, headers={"Cache-Control": "no-store"})
    takes = state.studio.takes
    if takes is None or not takes.store.keeps:
        raise BadRequest("This server keeps no passages (jobs.takes_max_gb): hear the task's file when it has ended")
    return await _live(request, state, task, takes.store, name)


async def _live(request: Request, state: ApiState, task: Task, store: ContentStore, format: str) -> Response:
    def make(cancel: Cancel, holds: ExitStack) -> LiveAudio:
        _gate.enter()
        holds.callback(_gate.leave)
        return listen(
            state.studio.within(task.project),
            SpeechOptions.model_validate(task.spec[OPTIONS]),
            lambda: _ended(state, task.id),
            commission=commission_of(task),
            store=store,
            format=format,
            cancel=cancel,
        )

    stream = await state.bridge.open(request, make)
    live = stream.live
    headers = made_headers(live.model, live.notes, live.seed)
    headers |= {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    headers["Content-Disposition"] = disposition(live.filename).replace("attachment", "inline", 1)
    return LiveResponse(stream, media_type=live.format.media_type, headers=headers)


def _look(state: ApiState, id: str, format: str) -> tuple[Task, str | None]:
    """The task, and where its finished sound is, if that is there in that format.

    Raises NotFound, WrongState for a task that is no speech, or that came to nothing.
    """
    state.jobs.open()
    task = state.jobs.store.whole(id, project=state.caller.project)
    if task.kind is not Kind.TTS:
        raise WrongState("Only speech can be heard while it is made")
    if task.status in (Status.FAILED, Status.CANCELLED):
        raise WrongState(_ENDED[task.status])
    for file in (task.result or {}).get("output_files", ()) if task.status is Status.SUCCEEDED else ():
        if file["format"] == format and _is_there(state, file["path"]):
            return task, urlsplit(file["url"]).path
    return task, None


def _is_there(state: ApiState, path: str) -> bool:
    try:
        state.studio.library.outputs.exact(path.removeprefix("outputs/"))
    except PlusError:  # deleted since: its passages may still be there
        return False
    return True


def _ended(state: ApiState, id: str) -> PlusError | None:
    """What to say of a passage that is not there; None while it may still come."""
    try:
        status = state.jobs.store.status(id)
    except DatabaseAway:  # it comes back, and nothing is lost
        return None
    except NotFound as gone:
        return gone
    if not status.is_final:
        return None
    return NotFound(_ENDED[status]) if status is Status.SUCCEEDED else WrongState(_ENDED[status])

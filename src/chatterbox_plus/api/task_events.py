"""GET /api/v1/tasks/{id}/events: what happens to a task, as it happens (Server-Sent Events)."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.tasks import TaskId
from chatterbox_plus.errors import DatabaseAway, NotFound
from chatterbox_plus.jobs.records import TaskEvent
from chatterbox_plus.jobs.states import EventType

router = APIRouter(tags=["tasks"])
LOOK_S = 0.05  # between two looks, for one listener; of many each looks more seldom
SHARE_S = 0.002
ALIVE_S = 15.0  # a comment, so that proxies keep a silent stream open
_log = logging.getLogger(__name__)
_EXAMPLE = (
    'id: 1\nevent: queued\ndata: {"at":"2025-06-22T14:30:22.000000Z"}\n\n'
    'id: 3\nevent: passage\ndata: {"passage":1,"passages":8,"audio_seconds":2.1,"at":"2025-06-22T14:30:22.400000Z"}\n\n'
)
_EVENTS: dict[int | str, dict[str, Any]] = {
    404: ERRORS[404],
    503: ERRORS[503],
    200: {
        "description": "Events until the task has ended: queued, started, passage, progress, chapter, row, waiting, "
        "paused, resumed, finished.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
}


class _Listeners:
    """How many there are, of all tasks: the more, the more seldom each looks."""

    count = 0


@router.get("/api/v1/tasks/{id}/events", summary="Watch a task", responses=_EVENTS, response_class=Response)
async def events(
    id: TaskId,
    request: Request,
    state: State,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The last event that was seen; those after it follow.")
    ] = None,
    after: Annotated[int, Query(ge=0, description="The same, for who cannot set a header.")] = 0,
) -> Response:
    """Everything that has happened to the task, then whatever happens, until it has ended. A client that comes back
    with `Last-Event-ID` misses nothing and gets nothing twice."""

    def look() -> None:
        state.jobs.open()
        state.jobs.store.get(id, project=state.caller.project)

    await state.bridge.call(look)
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 10 else after
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(state, id, seen), media_type="text/event-stream", headers=headers)


async def _stream(state: ApiState, id: str, seen: int) -> AsyncIterator[bytes]:
    _Listeners.count += 1
    try:
        yield b"retry: 1000\n\n"
        said = time.monotonic()
        while not state.bridge.stopping:
            try:
                found, over = await state.bridge.call(_look, state, id, seen)
            except DatabaseAway:  # it comes back, and nothing is lost
                found, over = [], False
            except NotFound:
                return
            if found:
                seen = found[-1].seq
                said = time.monotonic()
                yield b"".join(map(_framed, found))
            elif over:
                return
            elif time.monotonic() - said > ALIVE_S:
                said = time.monotonic()
                yield b": still here\n\n"
            if not found:
                await asyncio.sleep(max(LOOK_S, SHARE_S * _Listeners.count))
    finally:
        _Listeners.count -= 1


def _look(state: ApiState, id: str, seen: int) -> tuple[list[TaskEvent], bool]:
    """What is new, and whether that is all there will be."""
    status = state.jobs.store.status(id)  # before the events: what ends it is written together with its state
    found = state.jobs.store.events_after(id, seen)
    return found, status.is_final and not found


def _framed(event: TaskEvent) -> bytes:
    data = json.dumps({**event.data, "at": event.at}, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.seq}\nevent: {EventType(event.type).value}\ndata: {data}\n\n".encode("utf-8", "replace")

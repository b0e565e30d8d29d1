"""GET /api/v1/tasks/events: how all tasks stand, told whenever one of them changes, over one connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from chatterbox_plus.api.errors import render
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.tasks import task_json
from chatterbox_plus.errors import DatabaseAway, NotFound
from chatterbox_plus.jobs.records import Task, moment, parsed

router = APIRouter(tags=["tasks"])
LOOK_S = 0.25  # between two looks, for one listener; of many each looks more seldom
SHARE_S = 0.01
SPARING = 10  # a look that took long is repeated only after so many times as long
_PAGE = 500
ALIVE_S = 15.0  # a comment, so that proxies keep a silent stream open
OVERLAP = timedelta(seconds=5)  # servers' clocks differ, and what is written is seen a little later
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DIGITS = 16  # of microseconds: no clock is that far
_EXAMPLE = (
    'id: 1781800000000000\nevent: task\ndata: {"task_id":"task_5f0c2a9b4d1e7788aabbccdd","kind":"tts",'
    '"status":"running","progress":{"done":3,"total":8,"unit":"passages","percent":37.5}}\n\n'
)
_CHANGES: dict[int | str, dict[str, Any]] = {
    **{status: ERRORS[status] for status in (404, 422, 503)},
    200: {
        "description": "`task` events, each with a task as the list has it.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
}


class _Listeners:
    """How many there are: the more, the more seldom each looks."""

    count = 0


@router.get("/api/v1/tasks/events", summary="Watch all tasks", responses=_CHANGES, response_class=Response)
async def changes(
    state: State,
    batch: Annotated[
        str | None, Query(max_length=60, description="The rows of this batch, instead of tasks that are no rows.")
    ] = None,
    seconds: Annotated[int, Query(ge=1, le=600, description="How long the stream lasts.")] = 30,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", description="The last event that was seen: go on from there.")
    ] = None,
) -> Response:
    """Every task that changes, as it stands then; an admin hears of everybody's. What changed in the last five seconds
    comes first. A client that comes back with `Last-Event-ID` misses nothing, and may hear of a task twice."""

    def look() -> None:
        state.jobs.open()
        if batch is not None:
            if not (batch.isascii() and batch.isprintable()):
                raise NotFound("There is no batch of that id")
            state.jobs.store.get(batch, project=state.caller.project)

    await state.bridge.call(look)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(state, batch, _when(last_event_id), time.monotonic() + seconds)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _when(last_event_id: str | None) -> datetime:
    if last_event_id and last_event_id.isdecimal() and len(last_event_id) <= _MOST_DIGITS:
        return min(_EPOCH + timedelta(microseconds=int(last_event_id)), datetime.now(UTC))
    return datetime.now(UTC)


async def _stream(state: ApiState, batch: str | None, since: datetime, until: float) -> AsyncIterator[bytes]:
    told: dict[str, str] = {}  # task -> when it had changed as it was told last
    _Listeners.count += 1
    try:
        yield b"retry: 1000\n\n"
        said = time.monotonic()
        while not state.bridge.stopping and time.monotonic() < until:
            began, at, seen = time.monotonic(), (moment(since - OVERLAP), ""), dict[str, str]()
            try:
                while True:  # however much came at once: never all of it in memory
                    page, new, data = await state.bridge.call(_look, state, batch, at, told)
                    seen |= {task.id: task.updated_at for task in page}
                    if new:
                        since = max(since, parsed(new[-1].updated_at))
                        said = time.monotonic()
                        yield data
                    if len(page) < _PAGE or state.bridge.stopping:
                        break
                    at = page[-1].updated_at, page[-1].id
            except DatabaseAway:  # it comes back, and nothing is lost
                pass
            if seen:
                told = {id: at for id, at in seen.items() if at >= moment(since - OVERLAP)}
            if time.monotonic() - said > ALIVE_S:
                said = time.monotonic()
                yield b": still here\n\n"
            took_s = time.monotonic() - began
            await asyncio.sleep(max(LOOK_S, SHARE_S * _Listeners.count, SPARING * took_s))
    finally:
        _Listeners.count -= 1


def _look(
    state: ApiState, batch: str | None, at: tuple[str, str], told: Mapping[str, str]
) -> tuple[list[Task], list[Task], bytes]:
    """The next page from `at` (moment, id) on, what is new in it, and that as events."""
    page = state.jobs.store.changed_since(*at, project=state.caller.project, parent=batch, limit=_PAGE)
    new = [task for task in page if told.get(task.id) != task.updated_at]
    return page, new, b"".join(map(_framed, new))


def _framed(task: Task) -> bytes:
    id = round((parsed(task.updated_at) - _EPOCH) / timedelta(microseconds=1))
    return f"id: {id}\nevent: task\ndata: ".encode() + render(task_json(task)) + b"\n\n"

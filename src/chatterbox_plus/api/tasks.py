"""/api/v1/tasks: how asynchronous work stands, and what can be done with it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import AfterValidator
from starlette.responses import Response

from chatterbox_plus.api import task_replies as told
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.lists import OnePage, Page
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.errors import NotFound
from chatterbox_plus.jobs.messages import Delivery
from chatterbox_plus.jobs.records import RowCounts, Task, parsed
from chatterbox_plus.jobs.states import Kind, Status

router = APIRouter(tags=["tasks"])
_UNITS = {Kind.TTS: "passages", Kind.VC: "seconds", Kind.CONCAT: "steps", Kind.BATCH: "rows", Kind.BOOK: "passages"}
_LAST = 2**31  # no list is longer, and no database counts much further


def _known_letters(id: str) -> str:
    """Raises NotFound for what no id is made of; databases refuse some of it in ways of their own."""
    if not (id.isascii() and id.isprintable()):
        raise NotFound("There is no task or delivery of that id")
    return id


TaskId = Annotated[
    str,
    PathParameter(description="As the 202 named it.", examples=["task_5f0c2a9b4d1e7788aabbccdd"]),
    AfterValidator(_known_letters),
]
DeliveryId = Annotated[
    str,
    PathParameter(description="As the list names it.", examples=["msg_9d3e2f1a0b4c5d6e7f809a1b"]),
    AfterValidator(_known_letters),
]
_TASK = {**told.TASK, "timestamp": told.TASK["updated_at"]}
_ONE = told.replies(told.TaskReply, _TASK, "The task as it stands.", errors=(404, 503))
_CHANGED = told.replies(told.TaskReply, _TASK, "The task as it stands now.", errors=(404, 409, 503))
_MANY = told.replies(told.TaskList, told.TASK_LIST, "One page, newest first.", errors=(422, 503))
_ROWS = told.replies(told.TaskList, told.TASK_LIST, "One page, in order.", errors=(404, 422, 503))
_DELIVERIES = told.replies(told.DeliveryList, told.DELIVERY_LIST, "Every message, in order.", errors=(404, 503))
_REDELIVERED = told.replies(told.DeliveryReply, told.DELIVERY_REPLY, "The new message, due at once.", errors=(404, 503))


@router.get("/api/v1/tasks", summary="List tasks", responses=_MANY)
async def listed(
    state: State,
    page: OnePage,
    status: Annotated[Status | None, Query(description="Only tasks that stand so.")] = None,
    kind: Annotated[Kind | None, Query(description="Only tasks that do this.")] = None,
) -> Response:
    """Your tasks, newest first; an admin sees everybody's. Rows of batches are listed with their batch."""

    def look() -> tuple[list[Task], int]:
        state.jobs.open()
        return state.jobs.store.listed(
            project=state.caller.project, status=status, kind=kind, offset=_offset(page), limit=page.size
        )

    found, total = await state.bridge.call(look)
    return Reply(
        {
            "success": True,
            "tasks": [task_json(task) for task in found],
            **paging(page.number, page.size, len(found), total),
        }
    )


@router.get("/api/v1/tasks/{id}", summary="How a task stands", responses=_ONE)
async def one(id: TaskId, state: State) -> Response:
    """State, progress, an estimate, and in the end what came of it."""
    return await _told(state, await _get(state, id))


@router.get("/api/v1/tasks/{id}/rows", summary="The rows of a batch", responses=_ROWS)
async def rows(
    id: TaskId,
    state: State,
    page: OnePage,
    status: Annotated[Status | None, Query(description="Only rows that stand so.")] = None,
) -> Response:
    """Each row is a task of its own, with the same fields; in the order of the batch."""
    await _get(state, id)

    def look() -> tuple[list[Task], int]:
        return state.jobs.store.listed(parent=id, status=status, offset=_offset(page), limit=page.size)

    found, total = await state.bridge.call(look)
    return Reply(
        {
            "success": True,
            "tasks": [task_json(task) for task in found],
            **paging(page.number, page.size, len(found), total),
        }
    )


@router.delete("/api/v1/tasks/{id}", summary="Call a task off", responses=_CHANGED)
async def cancel(id: TaskId, state: State) -> Response:
    """Takes effect within a second, with all rows of a batch. Nothing of it stays but its passages, for another try."""
    return await _change(state, state.jobs.store.cancel, id)


@router.post("/api/v1/tasks/{id}/pause", summary="Pause a task", responses=_CHANGED)
async def pause(id: TaskId, state: State) -> Response:
    """What is done is kept."""
    return await _change(state, state.jobs.store.pause, id)


@router.post("/api/v1/tasks/{id}/resume", summary="Go on with a paused task", responses=_CHANGED)
async def resume(id: TaskId, state: State) -> Response:
    """It goes on where it stopped."""
    return await _change(state, state.jobs.store.resume, id)


@router.post("/api/v1/tasks/{id}/retry", summary="Try again what failed", responses=_CHANGED)
async def retry(id: TaskId, state: State) -> Response:
    """Does only what is missing: passages that are done are kept, rows that succeeded stay as they are."""
    return await _change(state, state.jobs.store.retry, id)


@router.get("/api/v1/tasks/{id}/deliveries", summary="What the webhook was told", responses=_DELIVERIES)
async def deliveries(id: TaskId, state: State) -> Response:
    """Every message about the task, how often it was tried, and what the receiver said."""
    await _get(state, id)
    found = await state.bridge.call(state.jobs.outbox.of_task, id)
    listed = [_delivery(delivery) for delivery in found]
    return Reply({"success": True, "deliveries": listed, "count": len(listed), "timestamp": now()})


@router.post(
    "/api/v1/tasks/{id}/deliveries/{delivery}/redeliver", summary="Tell the webhook again", responses=_REDELIVERED
)
async def redeliver(id: TaskId, delivery: DeliveryId, state: State) -> Response:
    """Sends the message once more, as a new one."""
    await _get(state, id)
    made = await state.bridge.call(state.jobs.redeliver, id, delivery)
    return Reply({"success": True, "delivery": _delivery(made), "timestamp": now()})


def task_json(task: Task, counts: RowCounts | None = None) -> dict[str, Any]:
    """A task as replies show it."""
    result, error = task.result or {}, task.error or {}
    ended = task.status.is_final
    shown: dict[str, Any] = {
        "task_id": task.id,
        "kind": task.kind.value,
        "status": task.status.value,
        "success": task.status is Status.SUCCEEDED if ended else None,
        "name": task.name,
        "about": task.about,
        "progress": {
            "done": _number(task.done),
            "total": None if task.total is None else _number(task.total),
            "unit": _UNITS[task.kind],
            "percent": round(100 * task.done / task.total, 1) if task.total else None,
            "audio_seconds": _audio_s(task, result),
        },
        "elapsed_seconds": _elapsed_s(task),
        "estimated_seconds_left": _left_s(task),
        "output_url": result.get("output_url"),
        "output_files": result.get("output_files", []),
        "result": {name: value for name, value in result.items() if not name.startswith("output_")} or None,
        "error": error.get("message"),
        "error_code": error.get("code"),
        "attempt": task.attempt,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "links": _links(task),
    }
    if task.parent is not None:
        shown |= {"parent_task_id": task.parent, "row": task.number}
    if counts is not None:
        shown["rows"] = {"total": counts.total, **{status.value: counts.counts.get(status, 0) for status in Status}}
    return shown


def paging(number: int, size: int, count: int, total: int) -> dict[str, Any]:
    """Where in a list a page is, in both of the documented shapes."""
    pages = max(1, -(-total // size))
    more = {"has_next": number < pages, "has_previous": number > 1}
    return {
        "count": count,
        "total": total,
        "page": number,
        "page_size": size,
        "total_pages": pages,
        **more,
        "pagination": {"current_page": number, "page_size": size, "total_pages": pages, **more},
        "timestamp": now(),
    }


async def _get(state: ApiState, id: str) -> Task:
    def look() -> Task:
        state.jobs.open()
        return state.jobs.store.get(id, project=state.caller.project)

    return await state.bridge.call(look)


async def _change(state: ApiState, how: Any, id: str) -> Response:
    return await _told(state, await state.bridge.call(state.jobs.change, how, id, state.caller.project))


async def _told(state: ApiState, task: Task) -> Response:
    """`success` is the task's own: null until it has ended, then whether it went well."""
    counts = None
    if task.kind is Kind.BATCH:
        counts = await state.bridge.call(state.jobs.store.row_counts, task.id)
    return Reply({**task_json(task, counts), "timestamp": now()})


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "url": delivery.url,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "first_attempt_at": delivery.first_at,
        "last_attempt_at": delivery.last_at,
        "next_attempt_at": delivery.next_at,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": delivery.created_at,
    }


def _links(task: Task) -> dict[str, str]:
    here = f"/api/v1/tasks/{task.id}"
    links = {"self": here, "events": f"{here}/events", "deliveries": f"{here}/deliveries"}
    if task.kind is Kind.BATCH:
        links["rows"] = f"{here}/rows"
    if task.kind is Kind.TTS:
        links["audio"] = f"{here}/audio"
    if task.kind in (Kind.TTS, Kind.BOOK):
        links["passages"] = f"{here}/passages"
    if task.kind is Kind.BATCH or task.status is Status.SUCCEEDED:
        links["zip"] = f"{here}/zip"
    return links


def _offset(page: Page) -> int:
    return min((page.number - 1) * page.size, _LAST)


def _audio_s(task: Task, result: Mapping[str, Any]) -> float:
    """Of a join nothing is heard before its end: it listens twice, and only then is anything made."""
    made = result.get("total_duration_seconds", task.audio_s)
    return round(float(made), 3)


def _elapsed_s(task: Task) -> float | None:
    if task.started_at is None:
        return None
    end = parsed(task.finished_at) if task.finished_at else datetime.now(UTC)
    return round((end - parsed(task.started_at)).total_seconds(), 3)


def _left_s(task: Task) -> float | None:
    """What is left takes as long for each part as what is done did."""
    elapsed = _elapsed_s(task)
    if task.status is not Status.RUNNING or not task.done or not task.total or not elapsed:
        return None
    return round(max(0.0, (task.total - task.done) * elapsed / task.done), 1)


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 3)

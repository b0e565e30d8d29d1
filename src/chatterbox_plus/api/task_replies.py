"""How replies about tasks look, for the OpenAPI document: nothing is built or checked with these at run time."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.jobs.states import Kind, Status

_WHEN = "2025-06-22T14:30:22.000456Z"
_ID = "task_5f0c2a9b4d1e7788aabbccdd"
_NOT_NOW = "The task is not in a state in which that can be done."
_AWAY = "The database of tasks cannot be reached, or the server is being stopped; see Retry-After."


class _Reply(BaseModel):
    model_config = ConfigDict(extra="allow")

    timestamp: str = Field(description="UTC, ISO 8601.")


class Progress(BaseModel):
    done: float
    total: float | None = Field(description="null until it is known.")
    unit: str = Field(description="What is counted: passages, seconds, steps or rows.")
    percent: float | None
    audio_seconds: float = Field(description="Seconds of sound made so far.")


class File(BaseModel):
    format: str
    filename: str
    url: str = Field(description="Where to fetch it.")
    path: str = Field(description="Below the data folder.")
    file_size_bytes: int


class RowsOfBatch(BaseModel):
    """How many rows there are, and how many stand how."""

    total: int
    queued: int
    running: int
    paused: int
    succeeded: int
    failed: int
    cancelled: int


class TaskState(BaseModel):
    """A task as it stands."""

    model_config = ConfigDict(extra="allow")

    task_id: str
    kind: Kind
    status: Status
    success: bool | None = Field(description="null until the task has ended, then whether it went well.")
    name: str | None = Field(description="Of a row or a batch: what it was called.")
    about: str | None = Field(description="In a line: the beginning of what is said, or the files worked on.")
    progress: Progress
    elapsed_seconds: float | None = Field(description="Since work began; null before.")
    estimated_seconds_left: float | None = Field(description="While it runs, as far as can be told.")
    output_url: str | None = Field(description="The first file, once there is one.")
    output_files: list[File]
    result: dict[str, Any] | None = Field(description="What else is known of what came of it; depends on the kind.")
    error: str | None = Field(description="Why it failed, for a person.")
    error_code: str | None = Field(description="The same, for a program: a code of any other error reply.")
    attempt: int = Field(description="From 1; another one for every time it was taken up again.")
    created_at: str
    updated_at: str
    started_at: str | None
    finished_at: str | None
    links: dict[str, str] = Field(description="Where else to look.")
    rows: RowsOfBatch | None = Field(None, description="Of a batch that is asked for by itself.")
    parent_task_id: str | None = Field(None, description="Of a row: its batch.")
    row: int | None = Field(None, description="Of a row: its number, from 1.")


class TaskReply(TaskState, _Reply):
    """The task, as it stands now."""


class TaskPages(BaseModel):
    current_page: int
    page_size: int
    total_pages: int = Field(description="At least 1.")
    has_next: bool
    has_previous: bool


class TaskList(_Reply):
    success: bool = Field(description="Always true.")
    tasks: list[TaskState]
    count: int = Field(description="Tasks on this page.")
    total: int = Field(description="Tasks on all pages.")
    page: int
    page_size: int
    total_pages: int
    has_next: bool
    has_previous: bool
    pagination: TaskPages


class DeliveryState(BaseModel):
    """A message to a webhook, on its way or at its end."""

    id: str = Field(description="Its webhook-id, the same at every attempt.")
    url: str
    state: str = Field(description="pending, delivered, gone (the receiver said 410) or given_up.")
    attempts: int
    first_attempt_at: str | None
    last_attempt_at: str | None
    next_attempt_at: str | None = Field(description="null: there will be none.")
    last_status: int | None = Field(description="What the receiver answered.")
    last_error: str | None
    created_at: str


class DeliveryList(_Reply):
    success: bool = Field(description="Always true.")
    deliveries: list[DeliveryState]
    count: int


class DeliveryReply(_Reply):
    success: bool = Field(description="Always true.")
    delivery: DeliveryState


class Accepted(_Reply):
    """The task is safely kept."""

    success: bool = Field(description="Always true.")
    message: str
    task_id: str
    status: Status
    status_url: str
    events_url: str
    created_at: str


class BatchAccepted(Accepted):
    rows: int = Field(description="As many tasks are there for it.")


class BookAccepted(Accepted):
    title: str
    chapters: int


class RowPreview(BaseModel):
    row: int = Field(description="Its number, from 1.")
    line: int = Field(description="Of the file, on which it begins; or its place in `items`.")
    name: str | None
    text: str
    voice: str | None
    options: dict[str, Any] = Field(description="All else that was said for it, what all rows share included.")


class BatchPreview(_Reply):
    success: bool = Field(description="Always true.")
    name: str | None
    count: int = Field(description="How many rows there are.")
    characters: int
    estimated_seconds: float
    rows: list[RowPreview] = Field(description="The first hundred.")


class ChapterPreview(BaseModel):
    index: int = Field(description="From 0.")
    title: str
    characters: int
    words: int
    passages: int = Field(description="What is said in one go each.")
    voices: list[str] = Field(description="Those that its marks name.")
    estimated_seconds: float
    passage_texts: list[str] | None = Field(None, description="With `passages=true`.")


class BookPreview(_Reply):
    success: bool = Field(description="Always true.")
    title: str
    author: str | None
    language: str | None
    has_cover: bool
    characters: int
    words: int
    passages: int
    estimated_seconds: float
    voices: list[str]
    chapters: list[ChapterPreview]


_FILE: dict[str, Any] = {
    "format": "wav",
    "filename": "tts_2025-06-22_143022_000456_tempauto.wav",
    "url": "/outputs/tts_2025-06-22_143022_000456_tempauto.wav",
    "path": "outputs/tts_2025-06-22_143022_000456_tempauto.wav",
    "file_size_bytes": 96044,
}
TASK: dict[str, Any] = {
    "task_id": _ID,
    "kind": "tts",
    "status": "succeeded",
    "success": True,
    "name": None,
    "about": "Hello there. This is the beginning of a longer text.",
    "progress": {"done": 8, "total": 8, "unit": "passages", "percent": 100.0, "audio_seconds": 24.8},
    "elapsed_seconds": 2.4,
    "estimated_seconds_left": None,
    "output_url": _FILE["url"],
    "output_files": [_FILE],
    "result": {"total_duration_seconds": 24.8, "generation_seed_used": 42, "model": "builtin", "notes": []},
    "error": None,
    "error_code": None,
    "attempt": 1,
    "created_at": _WHEN,
    "updated_at": _WHEN,
    "started_at": _WHEN,
    "finished_at": _WHEN,
    "links": {"self": f"/api/v1/tasks/{_ID}", "events": f"/api/v1/tasks/{_ID}/events"},
}
_PAGE: dict[str, Any] = {"total_pages": 1, "has_next": False, "has_previous": False}
TASK_LIST = {
    "success": True,
    "tasks": [TASK],
    "count": 1,
    "total": 1,
    "page": 1,
    "page_size": 50,
    **_PAGE,
    "pagination": {"current_page": 1, "page_size": 50, **_PAGE},
    "timestamp": _WHEN,
}
DELIVERY: dict[str, Any] = {
    "id": "msg_9d3e2f1a0b4c5d6e7f809a1b",
    "url": "http://localhost:5000/tts-complete",
    "state": "pending",
    "attempts": 2,
    "first_attempt_at": _WHEN,
    "last_attempt_at": _WHEN,
    "next_attempt_at": "2025-06-22T14:30:34.000000Z",
    "last_status": 500,
    "last_error": "the receiver answered 500",
    "created_at": _WHEN,
}
DELIVERY_LIST = {"success": True, "deliveries": [DELIVERY], "count": 1, "timestamp": _WHEN}
DELIVERY_REPLY = {"success": True, "delivery": DELIVERY, "timestamp": _WHEN}
ACCEPTED_EXAMPLE = {
    "success": True,
    "message": "The task is queued",
    "task_id": _ID,
    "status": "queued",
    "status_url": f"/api/v1/tasks/{_ID}",
    "events_url": f"/api/v1/tasks/{_ID}/events",
    "created_at": _WHEN,
    "timestamp": _WHEN,
}


def replies(
    body: type[BaseModel], example: Mapping[str, Any], description: str, *, status: int = 200, errors: tuple[int, ...]
) -> dict[int | str, dict[str, Any]]:
    """What a route about tasks answers. errors: the statuses it has besides those that every route has."""
    meanings = {409: _NOT_NOW, 503: _AWAY}
    return {
        status: {"model": body, "description": description, "content": {"application/json": {"example": example}}},
        **{code: {**ERRORS[code], **_described(meanings, code)} for code in errors},
    }


def _described(meanings: Mapping[int, str], code: int) -> dict[str, str]:
    return {"description": meanings[code]} if code in meanings else {}

"""POST /api/v1/warmup: load a model now, so that nobody waits for it later."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import State
from chatterbox_plus.engines.base import TASKS
from chatterbox_plus.errors import InvalidOption

router = APIRouter(tags=["models"])


def _names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class WarmupRequest(BaseModel):
    """What to load. Without a body: what `auto` means, for speech and conversion."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "auto", "tasks": ["tts"]}]})

    model: str = Field("auto", max_length=200, description="As in a request for speech.")
    tasks: Annotated[list[str], BeforeValidator(_names)] = Field(
        list(TASKS), min_length=1, max_length=8, description="`tts`: for speech; `vc`: for conversion."
    )


class WarmupReply(BaseModel):
    """What was loaded."""

    success: bool = Field(description="Always true.")
    message: str
    model: str = Field(description="Which model `auto` means, where that was asked for.")
    tasks: list[str]
    seconds: float = Field(description="How long it took; next to nothing if it was loaded already.")
    models_loaded: dict[str, bool]
    timestamp: str


_EXAMPLE = {
    "success": True,
    "message": "The nano model is loaded",
    "model": "nano",
    "tasks": ["tts"],
    "seconds": 1.84,
    "models_loaded": {"tts": True, "vc": False},
    "timestamp": "2025-06-22T14:30:22.000Z",
}
_REPLIES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": WarmupReply,
        "description": "It is loaded.",
        "content": {"application/json": {"example": _EXAMPLE}},
    },
    **{status: ERRORS[status] for status in (400, 409, 422, 503, 504)},
}


@router.post("/api/v1/warmup", summary="Load a model", responses=_REPLIES)
async def warmup(request: Request, state: State, body: WarmupRequest | None = None) -> Response:
    """Loads a model and answers when it can work at once. What is loaded already stays as it is."""
    asked = body or WarmupRequest()
    tasks = frozenset(task.strip().lower() for task in asked.tasks)
    if unknown := sorted(tasks - set(TASKS)):
        raise InvalidOption(f"there is no task {unknown[0][:50]!r}; there are {', '.join(TASKS)}", param="tasks")
    done = await state.bridge.run(request, lambda cancel: state.studio.warm_up(asked.model, tasks, cancel=cancel))
    return Reply(
        {
            "success": True,
            "message": f"The {done.model} model is loaded",
            "model": done.model,
            "tasks": sorted(tasks),
            "seconds": round(done.seconds, 3),
            "models_loaded": {task: task in tasks for task in TASKS},
            "timestamp": now(),
        }
    )

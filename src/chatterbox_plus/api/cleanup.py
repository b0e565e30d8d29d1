"""POST /api/v1/cleanup and what came of the last ones. With keys on, for admins only."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import AdminState
from chatterbox_plus.library.retention import Target

router = APIRouter(tags=["administration"])
_HOUR_S = 3600
_MOST_HOURS = 24 * 365 * 100
_OLD_HOURS = 24.0  # the age that the original documents
_ERRORS: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (401, 403, 413, 422, 429)}
_NOTHING = {"files_removed": 0, "bytes_freed": 0, "directories_cleaned": 0, "details": []}
_REPORT: dict[str, Any] = {
    "timestamp": "2025-06-22T14:30:22.000Z",
    "status": "completed",
    "target": "all",
    "dry_run": True,
    "forced": True,
    "actions": {
        "corrupted_files_cleanup": _NOTHING,
        "temp_age_cleanup": {
            "files_removed": 1,
            "bytes_freed": 96044,
            "directories_cleaned": 0,
            "details": ["temp/download_1750000000.wav"],
        },
        "temp_count_cleanup": _NOTHING,
        "output_size_cleanup": _NOTHING,
        "output_age_cleanup": _NOTHING,
        "vc_inputs_size_cleanup": _NOTHING,
    },
    "total_files_removed": 1,
    "total_bytes_freed": 96044,
    "files_removed": 1,
    "bytes_freed": 96044,
    "errors": [],
    "start_time": "2025-06-22T14:30:22.000Z",
    "end_time": "2025-06-22T14:30:22.011Z",
    "duration_seconds": 0.011,
}
_STATUS = {
    "timestamp": "2025-06-22T14:30:22.000Z",
    "scheduler": {
        "running": True,
        "cleanup_on_startup": True,
        "cleanup_interval_hours": 5.0,
        "last_cleanup_time": "2025-06-22T14:30:22.011Z",
        "cleanup_count": 1,
        "next_cleanup_time": "2025-06-22T19:30:22Z",
    },
    "history": [],
    "recent_cleanups": [],
}


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


class CleanupRequest(BaseModel):
    """What to remove. Without a body, or with an empty one: all policies of the configuration."""

    model_config = ConfigDict(
        allow_inf_nan=False, json_schema_extra={"examples": [{"target": "all", "max_age_hours": 24, "dry_run": True}]}
    )

    target: Annotated[Target, BeforeValidator(_lower)] = Field(
        "all",
        description="`all`: every policy. `outputs`, `temp`: those of that folder. `old_files`: generations and "
        "temporary files older than `max_age_hours`, whatever their size.",
    )
    max_age_hours: float | None = Field(
        None,
        gt=0,
        le=_MOST_HOURS,
        description="For temporary files in place of the configured age; for `old_files` 24 unless told. Outputs are "
        "never removed for their age otherwise.",
    )
    dry_run: bool = Field(False, description="Only say what would go; nothing is touched.")


@router.post(
    "/api/v1/cleanup",
    summary="Remove what may go",
    responses={
        200: {"description": "What went, or would go.", "content": {"application/json": {"example": _REPORT}}},
        **_ERRORS,
    },
)
async def clean_up(request: Request, state: AdminState, body: CleanupRequest | None = None) -> Response:
    """Leftovers of crashed writers, old temporary files, and the oldest generations beyond the size that is kept.

    Never: voices, what is in use or younger than an hour, files in outputs that no generation made; conversion inputs
    only if a size for them is set. At most 1000 names are listed for each policy.
    """
    asked = body or CleanupRequest()
    hours = _OLD_HOURS if asked.target == "old_files" and asked.max_age_hours is None else asked.max_age_hours
    max_age_s = None if hours is None else hours * _HOUR_S
    cleaner = state.watch.cleaner
    report = await state.bridge.run(
        request,
        lambda cancel: cleaner.run(asked.target, max_age_s=max_age_s, dry_run=asked.dry_run, stop=cancel),
    )
    return Reply({"success": True, **report})


@router.get(
    "/api/v1/cleanup/status",
    summary="When is cleaned, and what went",
    responses={
        200: {"description": "Newest first.", "content": {"application/json": {"example": _STATUS}}},
        **{status: ERRORS[status] for status in (401, 403, 429)},
    },
)
async def cleanup_status(state: AdminState) -> Response:
    """The timetable and the last five cleanings; dry runs do not count."""
    return Reply(state.watch.cleaner.status())

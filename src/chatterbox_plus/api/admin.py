"""For whoever runs the server: figures, resources and the last errors. With keys on, for admins only."""

import math
import time
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now, wrong
from chatterbox_plus.api.failures import Failure, GroupBy, Level
from chatterbox_plus.api.history import SLICE_S
from chatterbox_plus.api.metrics import WINDOW_HOURS
from chatterbox_plus.api.prometheus import CONTENT_TYPE, Exposition
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import AdminState
from chatterbox_plus.api.system import (
    GB,
    MB,
    directories_of,
    disk_of,
    engine_state,
    file_counts,
    memory_of,
    warnings_of,
)
from chatterbox_plus.api.watch import Machine

router = APIRouter(tags=["administration"])
MOST_ERRORS = 500  # in one reply
MOST_COUNTED = 50  # as `count`, which the original capped there
_ERRORS: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (401, 403, 422, 429)}


def _answers(description: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {"application/json": {"example": example}}}, **_ERRORS}


_TIMES = {"min_ms": 1.2, "max_ms": 84.0, "avg_ms": 9.6, "count": 120}
_SLICE = {
    "at": "2025-06-22T14:30:20Z",
    "requests": 12,
    "errors": 0,
    "refused": 1,
    "audio_seconds": 4.5,
    "processing_seconds": 0.13,
    "real_time_factor": 0.0286,
    "requests_inside": 0,
    "tasks_queued": 0,
    "tasks_running": 1,
    "memory_mb": 180.5,
    "cpu_percent": 12.5,
}
_METRICS = _answers(
    "Figures since the start and of the last hour.",
    {
        "timestamp": "2025-06-22T14:30:22.000Z",
        "uptime_seconds": 3600.5,
        "system": {
            "cpu_percent": 12.5,
            "memory_percent": 41.0,
            "disk_usage_percent": 63.2,
            "memory": {"rss_mb": 96.1, "vms_mb": 512.0, "percent": 0.6},
            "disk": {"free_gb": 120.5, "usage_percent": 63.2},
            "file_counts": {"outputs": 12, "temp": 0, "vc_inputs": 3, "reference_audio": 5},
        },
        "performance": {
            "time_window_minutes": 60,
            "processing_times": _TIMES,
            "response_times": _TIMES,
            "sample_count": {"processing_times": 120, "response_times": 120},
        },
        "api": {
            "total_requests": 120,
            "requests_per_minute": 2.0,
            "average_response_time_ms": 9.6,
            "error_rate_percent": 0.0,
        },
        "models": {"tts_loaded": True, "vc_loaded": True, "tts_memory_mb": 88.0, "vc_memory_mb": 88.0},
        "generations": {
            "tts": {"count": 7, "audio_seconds": 31.5, "processing_seconds": 0.9, "real_time_factor": 0.0286}
        },
        "history": {"slice_seconds": 10.0, "slices": [_SLICE]},
    },
)
_RESOURCES = _answers(
    "Room, and what takes it. A limit of null is none.",
    {
        "timestamp": "2025-06-22T14:30:22.000Z",
        "directories": {
            "outputs": {
                "size_bytes": 1048576,
                "size_mb": 1.0,
                "file_count": 12,
                "max_size_mb": 5120.0,
                "usage_percent": 0.0,
            },
            "temp": {"size_bytes": 0, "size_mb": 0.0, "file_count": 0, "max_files": 200, "usage_percent": 0.0},
        },
        "warnings": [],
        "disk": {
            "total_gb": 256.0,
            "used_gb": 135.5,
            "available_gb": 120.5,
            "usage_percent": 52.9,
            "outputs_size_mb": 1.0,
            "temp_files_count": 0,
        },
        "memory": {"total_mb": 16384.0, "used_mb": 6717.0, "process_mb": 96.1, "models_mb": 88.0},
        "limits": {"max_file_size_mb": 100.0, "max_concurrent_requests": 2, "max_waiting_requests": 64},
    },
)
_ONE_ERROR = {
    "timestamp": "2025-06-22T14:30:22.000Z",
    "level": "error",
    "endpoint": "POST /api/v1/tts",
    "error_code": "GENERATION_ERROR",
    "message": "The engine failed at this request; the same request may work again.",
    "category": "permanent",
    "severity": "high",
    "request_id": "req_1f0c",
}
_SUMMARY = _answers(
    "What went wrong through the server's fault; clients' own errors (4xx) are only counted, as `total_warnings`.",
    {
        "timestamp": "2025-06-22T14:30:22.000Z",
        "period_hours": 24,
        "total_errors": 1,
        "total_warnings": 4,
        "error_rate_percent": 0.8,
        "by_category": {"permanent": 1},
        "by_severity": {"high": 1},
        "by_operation": {"POST /api/v1/tts": 1},
        "by_type": {"GENERATION_ERROR": 1},
        "by_endpoint": {"POST /api/v1/tts": 1},
        "group_by": "type",
        "groups": {"GENERATION_ERROR": 1},
        "most_frequent": {},
        "unresolved_count": 1,
        "trends": {"increasing": True, "peak_hour": "2025-06-22T14:00:00Z"},
        "recent_errors": [_ONE_ERROR],
    },
)
_RECENT = _answers(
    "The newest first.",
    {
        "timestamp": "2025-06-22T14:30:22.000Z",
        "recent_errors": [_ONE_ERROR],
        "errors": [_ONE_ERROR],
        "total_stored": 1,
        "pagination": {"total": 1, "page": 1, "page_size": 10, "total_pages": 1},
    },
)
_PROMETHEUS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus' text format.",
        "content": {"text/plain": {"example": 'chatterbox_http_requests_total{method="GET",route="/",status="2xx"} 1'}},
    },
    **_ERRORS,
}


@router.get("/api/v1/metrics", summary="Figures", responses=_METRICS)
async def metrics(state: AdminState) -> Response:
    """Requests, generations, times and the machine: since the start, of the last hour, and for charts the last ten
    minutes in slices of ten seconds."""
    machine = await state.watch.machine.get()
    folders = await state.watch.folders.get()
    disk, engine = machine.disk if machine else None, await engine_state(state)
    models_mb = round(machine.children_resident / MB, 1) if machine else None
    system = {
        "cpu_percent": machine.cpu_percent if machine else None,
        "memory_percent": round(100 * machine.memory_used / machine.memory_total, 1) if machine else None,
        "disk_usage_percent": disk.percent if disk else None,
        "memory": memory_of(machine),
        "disk": disk_of(disk),
        "file_counts": file_counts(folders),
    }
    return Reply(
        {
            "timestamp": now(),
            "uptime_seconds": round(state.metrics.uptime_s, 1),
            "system": system,
            "performance": state.metrics.performance(),
            "api": state.metrics.traffic(),
            "models": {
                "tts_loaded": engine.loaded,
                "vc_loaded": engine.loaded,
                "tts_memory_mb": models_mb,  # one engine does both
                "vc_memory_mb": models_mb,
            },
            "generations": state.metrics.generations(),
            "history": {"slice_seconds": SLICE_S, "slices": state.metrics.history.as_json()},
        }
    )


@router.get("/metrics", summary="Figures for Prometheus", responses=_PROMETHEUS, response_class=Response)
async def prometheus(state: AdminState) -> Response:
    """The same as `/api/v1/metrics` and more, as Prometheus collects it."""
    exposition = Exposition(
        state.metrics,
        await state.watch.machine.get(),
        await state.watch.folders.get(),
        await state.watch.tasks.get(),
        {name: host.health() for name, host in state.studio.engines.running().items()},
        state.studio.busy,
        time.time() - state.metrics.uptime_s,
    )
    return Response(await state.bridge.call(exposition.text), media_type=CONTENT_TYPE)


@router.get("/api/v1/resources", summary="Room, and what takes it", responses=_RESOURCES)
async def resources(state: AdminState) -> Response:
    """Sizes of the data folder's parts, counted now, beside their limits."""
    machine, folders = await state.watch.machine.get(), await state.watch.folders.fresh()
    settings = state.settings
    return Reply(
        {
            "timestamp": now(),
            "directories": directories_of(state, folders),
            "warnings": warnings_of(state, machine, folders, await engine_state(state)),
            "disk": {
                **_room(machine),
                "outputs_size_mb": round(folders.outputs.size_bytes / MB, 2),
                "temp_files_count": folders.temp.files,
            },
            "memory": {
                "total_mb": round(machine.memory_total / MB, 1) if machine else None,
                "used_mb": round(machine.memory_used / MB, 1) if machine else None,
                "process_mb": memory_of(machine)["rss_mb"],
                "models_mb": round(machine.children_resident / MB, 1) if machine else None,
            },
            "limits": {
                "max_file_size_mb": settings.api.max_upload_mb,
                "max_concurrent_requests": settings.models.workers,
                "max_waiting_requests": settings.api.queue_limit,
            },
        }
    )


@router.get("/api/v1/errors/summary", summary="What went wrong", responses=_SUMMARY)
async def errors_summary(
    state: AdminState,
    hours: Annotated[int, Query(description=f"Of the last so many hours, 1 to {WINDOW_HOURS}.")] = 24,
    group_by: Annotated[
        str, Query(description="What `groups` counts.", json_schema_extra={"enum": list(get_args(GroupBy))})
    ] = "type",
) -> Response:
    """Errors by code, route, category, severity and hour. Hours outside their range count as its ends."""
    period = min(max(hours, 1), WINDOW_HOURS)
    by = next((by for by in get_args(GroupBy) if by == group_by.strip().lower()), None)
    if by is None:
        raise wrong("query", "group_by", f"must be one of {', '.join(get_args(GroupBy))}", group_by)
    summary = state.metrics.failures.summary(period, by)
    rate = state.metrics.error_rate_percent(period)
    return Reply({"timestamp": now(), **summary, "error_rate_percent": rate})


@router.get("/api/v1/errors/recent", summary="The last errors", responses=_RECENT)
async def recent_errors(
    state: AdminState,
    count: Annotated[int | None, Query(description=f"How many, 1 to {MOST_COUNTED}; 10 unless told.")] = None,
    limit: Annotated[int | None, Query(description=f"The same, 1 to {MOST_ERRORS}.")] = None,
    page: Annotated[int, Query(description="From 1.")] = 1,
    page_size: Annotated[int | None, Query(description="The same as `limit`.")] = None,
    level: Annotated[
        str | None,
        Query(
            description="`error`: the server's; `warning`: clients' own (4xx).",
            json_schema_extra={"enum": list(get_args(Level))},
        ),
    ] = None,
    endpoint: Annotated[
        str | None, Query(description="Only of this route, as in `endpoint`, with or without the method.")
    ] = None,
) -> Response:
    """Numbers outside their range count as its ends."""
    wanted = next((kept for kept in get_args(Level) if level and kept == level.strip().lower()), None)
    if level is not None and wanted is None:
        raise wrong("query", "level", f"must be one of {', '.join(get_args(Level))}", level)
    size = next((n for n in (limit, page_size) if n is not None), min(10 if count is None else count, MOST_COUNTED))
    size = min(max(size, 1), MOST_ERRORS)
    found = [failure for failure in state.metrics.failures.all(wanted) if endpoint is None or _is_at(failure, endpoint)]
    pages = max(1, math.ceil(len(found) / size))
    number = max(page, 1)
    first = min((number - 1) * size, len(found))
    shown = [failure.as_json() for failure in found[first : first + size]]
    return Reply(
        {
            "timestamp": now(),
            "recent_errors": shown,
            "errors": shown,
            "count": len(shown),
            "total_stored": len(found),
            "pagination": {
                "total": len(found),
                "page": number,
                "page_size": size,
                "total_pages": pages,
                "has_next": number < pages,
                "has_previous": number > 1,
            },
        }
    )


def _is_at(failure: Failure, endpoint: str) -> bool:
    return endpoint in (failure.endpoint, failure.endpoint.partition(" ")[2])


def _room(machine: Machine | None) -> dict[str, float | None]:
    disk = machine.disk if machine else None
    return {
        "total_gb": round(disk.total / GB, 2) if disk else None,
        "used_gb": round(disk.used / GB, 2) if disk else None,
        "available_gb": round(disk.free / GB, 2) if disk else None,
        "usage_percent": disk.percent if disk else None,
    }

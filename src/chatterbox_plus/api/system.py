"""How the server is and how it is set up."""

import logging
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from chatterbox_plus import __version__
from chatterbox_plus.api.errors import Reply, envelope, now
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.api.watch import Disk, Folders, Machine, Tasks
from chatterbox_plus.audio.formats import INPUT_SUFFIXES, NATIVE_FORMATS, OPENAI_FORMATS
from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.host import Health
from chatterbox_plus.engines.registry import AUTO
from chatterbox_plus.errors import PlusError
from chatterbox_plus.jobs.states import Status
from chatterbox_plus.library.survey import Tally
from chatterbox_plus.synthesis.options import ConversionOptions, Options, SpeechOptions

router = APIRouter(tags=["system"])
MB, GB = 2**20, 2**30
_GLANCE_S = 0.05  # health waits so long for a count of files, and else tells the last one
_NO_FOLDER = "the outputs folder is not there, or cannot be looked at"
_log = logging.getLogger(__name__)

_HEALTH_EXAMPLE = {
    "success": True,
    "message": "API is healthy",
    "timestamp": "2025-06-22T14:30:22.000Z",
    "status": "healthy",
    "version": __version__,
    "models_loaded": {"tts": True, "vc": True},
    "engine": {"name": "builtin", "preview": True, "workers": 2, "running": 2, "busy": 0, "loads": 2},
    "engines": [{"name": "builtin", "preview": True, "workers": 2, "running": 2, "busy": 0, "loads": 2}],
    "tasks": {"queued": 3, "running": 1, "paused": 0, "succeeded": 8, "failed": 0, "cancelled": 0, "working": True},
    "uptime_seconds": 3600.5,
    "uptime": "1h 0m 0s",
    "warnings": None,
}
_HEALTH: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The process answers. Without a key, where keys are asked for, only the fields up to `engine`.",
        "content": {"application/json": {"example": _HEALTH_EXAMPLE}},
    }
}
_CONFIG_EXAMPLE = {
    "version": __version__,
    "model": "auto",
    "models": [{"name": "builtin", "installed": True, "preview": True, "description": "A preview voice."}],
    "tts_defaults": {"speed_factor": 1.0, "temperature": None, "export_formats": ["wav", "mp3"]},
    "vc_defaults": {"chunk_sec": 60, "overlap_sec": 0.1, "export_formats": ["wav", "mp3"]},
    "supported_formats": list(NATIVE_FORMATS),
    "openai_formats": list(OPENAI_FORMATS),
    "input_formats": [suffix.removeprefix(".") for suffix in INPUT_SUFFIXES],
    "api_limits": {"max_text_length": 10000, "download_timeout_seconds": 30, "max_file_size_mb": 100},
}
_CONFIG: dict[int | str, dict[str, Any]] = {
    200: {"description": "The settings.", "content": {"application/json": {"example": _CONFIG_EXAMPLE}}}
}
_READY: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Requests will be served.",
        "content": {
            "application/json": {
                "example": {"status": "ready", "reason": None, "timestamp": "2025-06-22T14:30:22.000Z"}
            }
        },
    },
    503: {
        "description": "Not now, as an error with two fields more: `status` is loading, degraded or stopping, `reason` "
        "says why; see Retry-After."
    },
}
_RETRY_AFTER_S = {"loading": 2, "degraded": 10, "stopping": 5}


@dataclass(frozen=True)
class EngineState:
    """Who speaks when nobody is named. about: as health shows it; problem: why nobody can, in words."""

    about: dict[str, Any] | None
    problem: str | None
    starting: bool = False
    loaded: bool = False


@router.get("/api/v1/health", summary="Whether all is well", responses=_HEALTH)
async def health(state: State) -> Response:
    """Liveness: 200 for as long as the process answers, and cheap. `engine` says who speaks, and whether that is only a
    preview voice."""
    engine = await engine_state(state)
    body = {
        "success": True,
        "message": "API is healthy" if engine.problem is None else "API is running without a voice",
        "timestamp": now(),
        "status": "healthy" if engine.problem is None else "degraded",
        "version": __version__,
        "models_loaded": {"tts": engine.loaded, "vc": engine.loaded},
    }
    if not state.caller.is_admin:  # how much others make, and of what, is no business of one project's
        return Reply({**body, "engine": engine.about and {name: engine.about[name] for name in ("name", "preview")}})
    machine = await state.watch.machine.get()
    folders = await state.watch.folders.get(_GLANCE_S)
    tasks = await state.watch.tasks.get(_GLANCE_S)
    disk = machine.disk if machine else None
    warnings = warnings_of(state, machine, folders, engine)
    metrics, uptime_s = state.metrics.summary(), state.metrics.uptime_s
    return Reply(
        {
            **body,
            "engine": engine.about,
            "engines": engines_of(state),
            "tasks": _tasks_of(tasks),
            "uptime_seconds": round(uptime_s, 1),
            "uptime": _spoken(uptime_s),
            "metrics": {**metrics, "model_loads": engine.about["loads"] if engine.about else 0},
            "system_info": {
                "cpu_percent": machine.cpu_percent if machine else None,
                "memory": memory_of(machine),
                "disk": disk_of(disk),
                "file_counts": file_counts(folders),
            },
            "resource_status": {
                "timestamp": body["timestamp"],
                "directories": directories_of(state, folders),
                "warnings": warnings,
            },
            "warnings": warnings or None,
            "error_summary": metrics["errors_by_type"] or None,
        }
    )


@router.get("/api/v1/ready", summary="Whether requests will be served", responses=_READY)
async def ready(request: Request, state: State) -> Response:
    """Readiness: for whoever decides where requests go. 503 while an engine loads, when none can be used, when the
    outputs folder is gone, and when the server is being stopped."""
    status, reason = await _readiness(state)
    if reason is None:
        return Reply({"status": status, "reason": None, "timestamp": now()})
    body = {**envelope(request.scope, "NOT_READY", reason), "status": status, "reason": reason}
    return Reply(body, 503, headers={"Retry-After": str(_RETRY_AFTER_S[status])})


async def _readiness(state: ApiState) -> tuple[Literal["ready", "loading", "degraded", "stopping"], str | None]:
    if state.bridge.stopping:
        return "stopping", "the server is being stopped"
    engine = await engine_state(state)
    if engine.starting and not engine.loaded:
        return "loading", "the engine is being started"
    if engine.problem is not None:
        return "degraded", engine.problem
    machine = await state.watch.machine.get()
    if machine is not None and machine.disk is None:
        return "degraded", _NO_FOLDER
    return "ready", None


@router.get("/api/v1/config", summary="How the server is set up", responses=_CONFIG)
async def config(state: State) -> Response:
    """Defaults (null: the model's own), formats and limits. Nothing here is secret."""
    settings = state.settings
    return Reply(
        {
            "version": __version__,
            "model": settings.models.model,
            "models": [
                {
                    "name": model.name,
                    "installed": model.installed,
                    "preview": model.preview,
                    "description": model.description,
                }
                for model in state.studio.models()
            ],
            "tts_defaults": speech_defaults(state),
            "vc_defaults": conversion_defaults(state),
            "supported_formats": list(NATIVE_FORMATS),
            "openai_formats": list(OPENAI_FORMATS),
            "input_formats": [suffix.removeprefix(".") for suffix in INPUT_SUFFIXES],
            "api_limits": limits_of(state),
        }
    )


def limits_of(state: ApiState) -> dict[str, Any]:
    """What this server takes at most."""
    api = state.settings.api
    return {
        "max_text_length": api.max_text_length,
        "download_timeout_seconds": api.download_timeout_seconds,
        "max_file_size_mb": api.max_upload_mb,
        "max_audio_seconds": api.max_audio_s,
        "max_chunk_size_sec": 300,
        "request_timeout_seconds": api.request_timeout_seconds,
        "queue_limit": api.queue_limit,
    }


def speech_defaults(state: ApiState) -> dict[str, Any]:
    """By option: the configuration's, else the option's own."""
    settings = state.settings
    speed = {"speed_factor": settings.speed_factor.default_speed_factor}
    return {**_defaults(SpeechOptions), **speed, **settings.tts_defaults}


def conversion_defaults(state: ApiState) -> dict[str, Any]:
    """The same for conversions."""
    return {**_defaults(ConversionOptions), **state.settings.vc_defaults}


def about() -> dict[str, Any]:
    """What `/` tells a program."""
    return {
        "message": "Chatterbox TTS Extended Plus API",
        "version": __version__,
        "endpoints": {
            "api_docs": "/docs",
            "gradio_ui": "/ui",
            "health_check": "/api/v1/health",
            "metrics": "/api/v1/metrics",
            "readiness": "/api/v1/ready",
            "resources": "/api/v1/resources",
            "tts_generation": "/api/v1/tts",
            "voice_conversion": "/api/v1/vc",
            "concatenation": "/api/v1/concat",
            "tasks": "/api/v1/tasks",
            "openai_speech": "/v1/audio/speech",
        },
    }


async def engine_state(state: ApiState) -> EngineState:
    engines = state.studio.engines
    try:
        host = engines.get(AUTO) if engines.settled else await state.bridge.call(engines.get, AUTO)
    except PlusError as error:
        return EngineState(None, error.message)
    health = host.health()
    about = _about(host.info, health)
    models, problem = state.settings.models, health.failure
    if not health.running and host.info.preview and models.preload_models and not models.idle_unload_s:
        problem = "no engine is running: it could not be started, or has just stopped"
    return EngineState(about, problem, health.starting > 0, health.loaded > 0)


def _about(info: EngineInfo, health: Health) -> dict[str, Any]:
    return {
        "name": info.name,
        "preview": info.preview,
        "workers": health.workers,
        "running": health.running,
        "busy": health.busy,
        "loads": health.running + health.restarts,
    }


def engines_of(state: ApiState) -> list[dict[str, Any]]:
    """All that are in memory."""
    looked = [(host.info, host.health()) for host in state.studio.engines.running().values()]
    return [_about(info, health) for info, health in looked if health.running]


def warnings_of(
    state: ApiState, machine: Machine | None, folders: Folders | None, engine: EngineState | None = None
) -> list[str]:
    """What somebody should look after, in words."""
    cleanup = state.settings.resource_management.cleanup
    threshold = cleanup.warning_threshold_percent
    warnings = [engine.problem] if engine and engine.problem else []
    if machine is not None and machine.disk is None:
        warnings.append(_NO_FOLDER)
    elif machine is not None and machine.disk is not None and machine.disk.percent >= threshold:
        warnings.append(f"the disk is {machine.disk.percent:.0f} % full")
    for name, directory in directories_of(state, folders).items():
        percent = directory["usage_percent"]
        if percent is not None and percent >= threshold:
            oldest = {"outputs": ": beyond that the oldest generations go", "vc_inputs": ": beyond that the oldest go"}
            warnings.append(f"{name} is at {percent:.0f} % of what is kept there{oldest.get(name, '')}")
    return warnings


def directories_of(state: ApiState, folders: Folders | None) -> dict[str, dict[str, Any]]:
    """Sizes and limits of the data folder's parts; empty as long as nobody has counted. A limit of null is none."""
    if folders is None:
        return {}
    cleanup = state.settings.resource_management.cleanup
    most_files = cleanup.temp_dir_max_files or None
    return {
        "outputs": _directory(folders.outputs, cleanup.output_dir_max_size_gb),
        "temp": {
            **_sizes(folders.temp),
            "max_files": most_files,
            "usage_percent": round(100 * folders.temp.files / most_files, 1) if most_files else None,
        },
        "vc_inputs": _directory(folders.vc_inputs, cleanup.vc_inputs_max_size_gb),
        "reference_audio": _directory(folders.reference_audio, 0),
    }


def _directory(found: Tally, most_gb: float) -> dict[str, Any]:
    return {
        **_sizes(found),
        "max_size_mb": round(most_gb * GB / MB, 1) if most_gb else None,
        "usage_percent": round(100 * found.size_bytes / (most_gb * GB), 1) if most_gb else None,
    }


def _sizes(found: Tally) -> dict[str, Any]:
    return {
        "size_bytes": found.size_bytes,
        "size_mb": round(found.size_bytes / MB, 2),
        "file_count": found.files,
    }


def file_counts(folders: Folders | None) -> dict[str, int | None]:
    return {
        "outputs": folders.outputs.files if folders else None,
        "temp": folders.temp.files if folders else None,
        "vc_inputs": folders.vc_inputs.files if folders else None,
        "reference_audio": folders.reference_audio.files if folders else None,
    }


def _tasks_of(tasks: Tasks | None) -> dict[str, int | bool | None]:
    """nulls while the database is away, or has not been asked yet."""
    counts = tasks.counts if tasks else None
    told = {status.value: counts[status.value] if counts else None for status in Status}
    return {**told, "working": tasks.working if tasks else None}


def disk_of(disk: Disk | None) -> dict[str, float | None]:
    """Of the disk that outputs lie on; nulls if somebody took the folder away."""
    if disk is None:
        return {"free_gb": None, "usage_percent": None}
    return {"free_gb": round(disk.free / GB, 2), "usage_percent": disk.percent}


def memory_of(machine: Machine | None) -> dict[str, float | None]:
    """Of the server's own process."""
    if machine is None:
        return {"rss_mb": None, "vms_mb": None, "percent": None}
    return {
        "rss_mb": round(machine.resident / MB, 1),
        "vms_mb": round(machine.virtual / MB, 1),
        "percent": machine.memory_percent,
    }


def _defaults(kind: type[Options]) -> dict[str, Any]:
    """Every option that has a default, by name."""
    fields = {name: info for name, info in kind.model_fields.items() if not info.is_required()}
    return {
        name: list(info.default) if isinstance(info.default, tuple) else info.default for name, info in fields.items()
    }


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h {minutes % 60}m {rest}s"

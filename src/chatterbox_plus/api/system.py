"""How the server is and how it is set up."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import psutil
from fastapi import APIRouter
from starlette.responses import Response

from chatterbox_plus import __version__
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.audio.formats import INPUT_SUFFIXES, NATIVE_FORMATS, OPENAI_FORMATS
from chatterbox_plus.errors import PlusError
from chatterbox_plus.synthesis.options import ConversionOptions, Options, SpeechOptions

router = APIRouter(tags=["system"])
_process = psutil.Process()
_MB, _GB = 2**20, 2**30
_log = logging.getLogger(__name__)


@router.get("/api/v1/health", summary="Whether all is well")
@router.head("/api/v1/health", include_in_schema=False)
async def health(state: State) -> Response:
    """Cheap: nothing is counted on disk. `engine` says who speaks, and whether that is only a preview voice."""
    engine, problem = _engine(state)
    loaded = engine is not None and engine["running"] > 0
    if problem is None and not loaded and not state.settings.models.idle_unload_s:
        problem = "no engine is running: it could not be started, or has just stopped"
    disk = await asyncio.to_thread(_disk, state.studio.library.outputs.root)
    uptime_s = state.metrics.uptime_s
    warnings = [problem] if problem else []
    threshold = state.settings.resource_management.cleanup.warning_threshold_percent
    percent = disk["usage_percent"]
    if percent is None:
        warnings.append("the outputs folder is not there, or cannot be looked at")
    elif percent >= threshold:
        warnings.append(f"the disk is {percent:.0f} % full")
    metrics = state.metrics.summary()
    return Reply(
        {
            "success": True,
            "message": "API is healthy" if problem is None else "API is running without a voice",
            "timestamp": now(),
            "status": "healthy" if problem is None else "degraded",
            "version": __version__,
            "models_loaded": {"tts": loaded, "vc": loaded},
            "engine": engine,
            "uptime_seconds": round(uptime_s, 1),
            "uptime": _spoken(uptime_s),
            "metrics": {**metrics, "model_loads": engine["loads"] if engine else 0},
            "system_info": {
                "cpu_percent": psutil.cpu_percent(),
                "memory": _memory(),
                "disk": disk,
                "file_counts": {"outputs": None, "temp": None},
            },
            "resource_status": {"timestamp": now(), "directories": {}, "warnings": warnings},
            "warnings": warnings or None,
            "error_summary": metrics["errors_by_type"] or None,
        }
    )


@router.get("/api/v1/config", summary="How the server is set up")
async def config(state: State) -> Response:
    """Defaults (null: the model's own), formats and limits. Nothing here is secret."""
    settings, api = state.settings, state.settings.api
    speed = {"speed_factor": settings.speed_factor.default_speed_factor}
    limits = {
        "max_text_length": api.max_text_length,
        "download_timeout_seconds": api.download_timeout_seconds,
        "max_file_size_mb": api.max_upload_mb,
        "max_audio_seconds": api.max_audio_s,
        "max_chunk_size_sec": 300,
        "request_timeout_seconds": api.request_timeout_seconds,
        "queue_limit": api.queue_limit,
    }
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
            "tts_defaults": {**_defaults(SpeechOptions), **speed, **settings.tts_defaults},
            "vc_defaults": {**_defaults(ConversionOptions), **settings.vc_defaults},
            "supported_formats": list(NATIVE_FORMATS),
            "openai_formats": list(OPENAI_FORMATS),
            "input_formats": [suffix.removeprefix(".") for suffix in INPUT_SUFFIXES],
            "api_limits": limits,
        }
    )


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
            "tts_generation": "/api/v1/tts",
            "voice_conversion": "/api/v1/vc",
            "concatenation": "/api/v1/concat",
            "openai_speech": "/v1/audio/speech",
        },
    }


def _engine(state: ApiState) -> tuple[dict[str, Any] | None, str | None]:
    """Who speaks when nobody is named, and what is wrong if nobody can."""
    try:
        host = state.studio.engines.get("auto")
    except PlusError as error:
        _log.warning("no engine: %s", error.message)
        return None, error.message
    health = host.health()
    return {
        "name": host.info.name,
        "preview": host.info.preview,
        "workers": health.workers,
        "running": health.running,
        "busy": health.busy,
        "loads": health.running + health.restarts,
    }, None


def _defaults(kind: type[Options]) -> dict[str, Any]:
    """Every option that has a default, by name."""
    fields = {name: info for name, info in kind.model_fields.items() if not info.is_required()}
    return {
        name: list(info.default) if isinstance(info.default, tuple) else info.default for name, info in fields.items()
    }


def _disk(folder: Path) -> dict[str, float | None]:
    """Of the disk that the folder lies on; nulls if somebody took the folder away."""
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return {"free_gb": None, "usage_percent": None}
    return {"free_gb": round(usage.free / _GB, 2), "usage_percent": usage.percent}


def _memory() -> dict[str, float]:
    with _process.oneshot():
        memory, percent = _process.memory_info(), _process.memory_percent()
    return {"rss_mb": round(memory.rss / _MB, 1), "vms_mb": round(memory.vms / _MB, 1), "percent": round(percent, 2)}


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}h {minutes % 60}m {rest}s"

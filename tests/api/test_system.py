"""Health and configuration."""

from pathlib import Path

import pytest

from chatterbox_plus.settings import Api, Models, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

DOCUMENTED = {
    "success", "message", "timestamp", "status", "models_loaded", "version", "uptime_seconds", "uptime", "metrics",
    "system_info", "resource_status", "warnings", "error_summary",
}  # fmt: skip


def test_health_has_every_documented_field_and_says_who_speaks(server: LiveServer) -> None:
    body = server.get("/api/v1/health").json()
    assert set(body) >= DOCUMENTED
    assert (body["status"], body["success"]) == ("healthy", True)
    assert body["models_loaded"] == {"tts": True, "vc": True}
    assert body["engine"] == {"name": "fake", "preview": True, "workers": 2, "running": 2, "busy": 1, "loads": 5}
    assert body["metrics"]["model_loads"] == 5
    assert {"cpu_percent", "memory", "disk", "file_counts"} == set(body["system_info"])
    assert server.ask("HEAD", "/api/v1/health").status_code == 200


@pytest.mark.parametrize(("idle_unload_s", "status"), [(0, "degraded"), (60, "healthy")])
def test_health_tells_when_nobody_speaks_any_more(idle_unload_s: int, status: str, tmp_path: Path) -> None:
    """An engine that was unloaded because nobody needed it comes back when somebody does."""
    studio = FakeStudio(tmp_path)
    studio.running = 0
    with serve(Settings(models=Models(idle_unload_s=idle_unload_s)), studio) as server:
        body = server.get("/api/v1/health").json()
    assert (body["status"], body["models_loaded"]["tts"], bool(body["warnings"])) == (
        status,
        False,
        status != "healthy",
    )


def test_health_answers_without_the_outputs_folder(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path)
    with serve(Settings(), studio) as server:
        assert server.get("/api/v1/health").json()["system_info"]["disk"]["free_gb"] > 0
        studio.library.outputs.root.rmdir()
        answer = server.get("/api/v1/health")
    assert answer.status_code == 200
    assert answer.json()["system_info"]["disk"] == {"free_gb": None, "usage_percent": None}
    assert any("outputs folder" in warning for warning in answer.json()["warnings"])


def test_requests_are_counted_by_route_not_by_address(studio: FakeStudio) -> None:
    with serve(Settings(), studio) as server:
        server.post("/api/v1/tts", {"text": "hello"})
        for n in range(5):
            server.get(f"/outputs/none{n}.wav")
            server.get(f"/none/{n}")
        metrics = server.get("/api/v1/health").json()["metrics"]
    assert metrics["requests_total"] == 11
    assert (metrics["requests_success"], metrics["tts_generations"]) == (1, 1)
    assert metrics["errors_by_type"] == {"RESOURCE_NOT_FOUND": 10}
    times = metrics["processing_times"]
    assert times["count"] == 11
    assert 0 < times["min_ms"] <= times["avg_ms"] <= times["max_ms"]
    assert len(metrics["requests_by_endpoint"]) == 3


def test_the_configuration_shows_defaults_and_limits(tmp_path: Path) -> None:
    settings = Settings(api=Api(max_text_length=500, max_upload_mb=7), tts_defaults={"temperature": 0.6})
    with serve(settings, FakeStudio(tmp_path)) as server:
        body = server.get("/api/v1/config").json()
    assert body["supported_formats"] == ["wav", "mp3", "flac"]
    assert body["tts_defaults"]["temperature"] == 0.6
    assert body["tts_defaults"]["export_formats"] == ["wav", "mp3"]
    assert body["vc_defaults"]["chunk_sec"] == 60
    limits = body["api_limits"]
    assert (limits["max_text_length"], limits["max_file_size_mb"], limits["max_chunk_size_sec"]) == (500, 7, 300)
    assert str(tmp_path) not in str(body)


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/config"])
def test_nothing_tells_where_the_data_lies(path: str, server: LiveServer, outputs: Path) -> None:
    assert str(outputs.parent) not in server.get(path).text

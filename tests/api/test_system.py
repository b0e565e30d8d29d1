"""Health, readiness and configuration."""

import asyncio
import threading
from pathlib import Path

import pytest

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.api.app import create_app
from chatterbox_plus.api.watch import Reading
from chatterbox_plus.engines.host import Health
from chatterbox_plus.settings import Api, Models, Paths, Settings
from tests.api.fake_studio import WAIT_S, FakeStudio
from tests.api.live_server import LiveServer, serve

DOCUMENTED = {
    "success", "message", "timestamp", "status", "models_loaded", "version", "uptime_seconds", "uptime", "metrics",
    "system_info", "resource_status", "warnings", "error_summary",
}  # fmt: skip
COUNTED = {
    "requests_total", "requests_success", "requests_error", "tts_generations", "vc_generations",
    "total_processing_time", "average_processing_time", "model_loads", "errors_by_type", "requests_by_endpoint",
    "processing_times", "success_rate", "error_rate",
}  # fmt: skip
HEALTH, READY = "/api/v1/health", "/api/v1/ready"


def test_health_has_every_documented_field_and_says_who_speaks(server: LiveServer) -> None:
    body = server.get(HEALTH).json()
    assert set(body) >= DOCUMENTED
    assert (body["status"], body["success"]) == ("healthy", True)
    assert body["models_loaded"] == {"tts": True, "vc": True}
    assert body["engine"] == {"name": "fake", "preview": True, "workers": 2, "running": 2, "busy": 1, "loads": 5}
    assert set(body["metrics"]) >= COUNTED
    assert body["metrics"]["model_loads"] == 5
    info = body["system_info"]
    assert {"cpu_percent", "memory", "disk", "file_counts"} == set(info)
    assert info["memory"]["vms_mb"] > info["memory"]["rss_mb"] > 1
    assert {"outputs", "temp"} <= set(info["file_counts"])
    assert {"timestamp", "directories", "warnings"} == set(body["resource_status"])


def test_health_tells_only_admins_much_where_keys_are_asked_for(tmp_path: Path) -> None:
    store = KeyStore.at(tmp_path)
    key = store.add("me", role=Role.ADMIN, project=None, rate_limit_per_minute=None)[1]
    other = store.add("other")[1]
    guarded = Settings(api=Api(api_key_required=True), paths=Paths(data_dir=tmp_path))
    with serve(guarded, FakeStudio(tmp_path)) as server:
        short, ready = server.get(HEALTH).json(), server.get(READY)
        whole = server.get(HEALTH, headers={"x-api-key": key}).json()
        assert set(server.get(HEALTH, headers={"x-api-key": other}).json()) == set(short)
        assert server.get("/metrics").status_code == 401
        assert server.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert set(short) == {"success", "message", "timestamp", "status", "version", "models_loaded", "engine"}
    assert short["engine"] == {"name": "fake", "preview": True}
    assert set(whole) >= DOCUMENTED
    assert ready.status_code == 200


def test_health_counts_files_without_being_asked_to_wait(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path)
    for name in ("a.wav", "b.mp3", "b.json"):
        (studio.library.outputs.root / name).write_bytes(b"1234")
    with serve(Settings(), studio) as server:
        server.get("/api/v1/resources")  # counts at once; health tells what was counted last
        body = server.get(HEALTH).json()
    assert body["system_info"]["file_counts"] == {"outputs": 2, "temp": 0, "vc_inputs": 0, "reference_audio": 0}
    assert body["resource_status"]["directories"]["outputs"]["size_bytes"] == 12


@pytest.mark.parametrize(("idle_unload_s", "status"), [(0, "degraded"), (60, "healthy")])
def test_health_tells_when_nobody_speaks_any_more(idle_unload_s: int, status: str, tmp_path: Path) -> None:
    """An engine that was unloaded because nobody needed it comes back when somebody does."""
    studio = FakeStudio(tmp_path)
    studio.running = 0
    with serve(Settings(models=Models(idle_unload_s=idle_unload_s)), studio) as server:
        body, ready = server.get(HEALTH).json(), server.get(READY)
    assert (body["status"], body["models_loaded"]["tts"], bool(body["warnings"])) == (
        status,
        False,
        status != "healthy",
    )
    assert ready.status_code == (503 if status == "degraded" else 200)


def test_health_answers_without_the_outputs_folder_and_readiness_does_not(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path)
    studio.library.outputs.root.rmdir()
    with serve(Settings(), studio) as server:
        answer, ready = server.get(HEALTH), server.get(READY)
    assert answer.status_code == 200
    assert answer.json()["system_info"]["disk"] == {"free_gb": None, "usage_percent": None}
    assert any("outputs folder" in warning for warning in answer.json()["warnings"])
    assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
    assert "outputs folder" in ready.json()["reason"]


def test_ready_says_so(server: LiveServer) -> None:
    body = server.get(READY).json()
    assert (body["status"], body["reason"]) == ("ready", None)


def test_ready_tells_loading_from_stopping_and_when_to_ask_again(tmp_path: Path) -> None:
    studio = FakeStudio(tmp_path)
    host = studio.engines.get("auto")
    with serve(Settings(), studio) as server:
        host.health = lambda: Health(2, 0, 0, 0, 0, starting=1)
        studio.engines.get = lambda model: host
        loading = server.get(READY)
        server.app.state.api.bridge.stop()
        stopping, alive = server.get(READY), server.get(HEALTH)
    assert (loading.status_code, loading.json()["status"]) == (503, "loading")
    assert (stopping.status_code, stopping.json()["status"]) == (503, "stopping")
    assert int(loading.headers["Retry-After"]) > 0 < int(stopping.headers["Retry-After"])
    assert alive.status_code == 200


def test_every_get_of_ours_answers_head_with_the_same_headers_and_no_body(server: LiveServer) -> None:
    paths = [path for path, methods in create_app(Settings()).openapi()["paths"].items() if "get" in methods]
    asked = 0
    for path in (path for path in paths if "{" not in path):
        get, head = server.get(path), server.ask("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["Content-Type"] == get.headers["Content-Type"], path
        asked += 1
    assert asked > 8
    assert server.ask("HEAD", "/api/v1/tts").status_code == 405


def test_requests_are_counted_by_route_not_by_address(studio: FakeStudio) -> None:
    with serve(Settings(), studio) as server:
        server.post("/api/v1/tts", {"text": "hello"})
        server.ask("HEAD", "/api/v1/config")
        for n in range(5):
            server.get(f"/outputs/none{n}.wav")
            server.get(f"/none/{n}")
        metrics = server.get(HEALTH).json()["metrics"]
    assert metrics["requests_total"] == 12
    assert (metrics["requests_success"], metrics["tts_generations"]) == (2, 1)
    assert metrics["errors_by_type"] == {"RESOURCE_NOT_FOUND": 10}
    times = metrics["processing_times"]
    assert times["count"] == 12
    assert 0 < times["min_ms"] <= times["avg_ms"] <= times["max_ms"]
    assert metrics["requests_by_endpoint"] == {
        "POST /api/v1/tts": 1, "HEAD /api/v1/config": 1, "GET /outputs/{path:path}": 5, "GET (none)": 5,
    }  # fmt: skip


def test_a_strange_method_makes_no_figure_of_its_own(server: LiveServer) -> None:
    server.ask("PROPFIND", "/somewhere")
    assert not [name for name in server.get(HEALTH).json()["metrics"]["requests_by_endpoint"] if "PROPFIND" in name]


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


def test_the_root_links_to_what_is_there(server: LiveServer) -> None:
    spec = create_app(Settings()).openapi()["paths"]
    for name, path in server.get("/").json()["endpoints"].items():
        assert path in spec or server.get(path).status_code == 200, name


@pytest.mark.parametrize("path", [HEALTH, READY, "/api/v1/config", "/api/v1/metrics", "/api/v1/resources", "/metrics"])
def test_nothing_tells_where_the_data_lies(path: str, server: LiveServer, outputs: Path) -> None:
    assert str(outputs.parent) not in server.get(path).text


def test_a_reading_is_made_once_for_all_who_wait_and_never_hangs_them() -> None:
    looked, go = [0], threading.Event()

    def look() -> int:
        looked[0] += 1
        if looked[0] > 1:
            assert go.wait(WAIT_S)
        return looked[0]

    async def ask() -> None:
        reading = Reading(look, 0.0)
        assert await reading.get() == 1
        hanging = asyncio.create_task(reading.fresh())
        assert await asyncio.gather(*(reading.get(0.01) for _ in range(5))) == [1] * 5, "the old one, while it hangs"
        assert looked[0] <= 2
        go.set()
        assert (await hanging, await reading.fresh()) == (2, 3)
        slow = Reading(look, 1000.0)
        assert [await slow.get(), await slow.get()] == [4, 4]

    asyncio.run(ask())

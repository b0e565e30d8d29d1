"""Figures, resources, errors and cleaning, over HTTP."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatterbox_plus.api.cleaner import POLICIES
from chatterbox_plus.settings import Api, Cleanup, ErrorHandling, ErrorTracking, ResourceManagement, Settings
from tests.api.fake_studio import WAIT_S, FakeStudio
from tests.api.live_server import LiveServer, serve

TTS, VC, CONCAT = "/api/v1/tts", "/api/v1/vc", "/api/v1/concat"
METRICS, RESOURCES = "/api/v1/metrics", "/api/v1/resources"
CLEANUP, STATUS = "/api/v1/cleanup", "/api/v1/cleanup/status"
SUMMARY, RECENT = "/api/v1/errors/summary", "/api/v1/errors/recent"
DAY_S = 86_400
TIMES = {"min_ms", "max_ms", "avg_ms", "count"}


def settings(**cleanup: Any) -> Settings:
    """No cleaning but the ones a test asks for."""
    quiet = {"cleanup_on_startup": False, "cleanup_interval_hours": 0}
    return Settings(resource_management=ResourceManagement(cleanup=Cleanup(**{**quiet, **cleanup})))


@pytest.fixture
def studio(tmp_path: Path) -> FakeStudio:
    return FakeStudio(tmp_path)


@pytest.fixture
def server(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(settings(output_dir_max_size_gb=4096 / 2**30, temp_dir_max_files=4), studio) as running:
        yield running


def work(server: LiveServer) -> None:
    """Two texts, one conversion, one join; 8 s of sound in 1.1 s."""
    for mode in ("stream", "url"):
        assert server.post(f"{TTS}?response_mode={mode}", {"text": "hello"}).ok
    voice = {"target_voice_source": "speaker1.wav", "input_audio_source": "said.wav"}
    assert server.post(VC, voice).ok
    assert server.post(CONCAT, {"files": ["intro.wav", "intro.wav"]}).ok


@pytest.fixture
def busy(server: LiveServer, studio: FakeStudio) -> LiveServer:
    (studio.library.inputs.root / "said.wav").write_bytes(b"said")
    (studio.library.outputs.root / "intro.wav").write_bytes(b"intro")
    work(server)
    return server


def put(path: Path, size: int, age_days: float) -> None:
    path.write_bytes(bytes(size))
    when = time.time() - age_days * DAY_S
    os.utime(path, (when, when))


def tree(studio: FakeStudio) -> set[str]:
    root = studio.library.outputs.root.parent
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


# Figures


def test_metrics_has_every_documented_field(busy: LiveServer) -> None:
    body = busy.get(METRICS).json()
    assert set(body) >= {"timestamp", "system", "performance", "api", "models"}
    assert set(body["system"]) >= {
        "cpu_percent", "memory", "disk", "file_counts", "memory_percent", "disk_usage_percent",
    }  # fmt: skip
    performance = body["performance"]
    assert performance["time_window_minutes"] == 60
    assert set(performance["processing_times"]) == set(performance["response_times"]) == TIMES
    assert performance["sample_count"] == {"processing_times": 4, "response_times": 4}
    assert set(body["api"]) == {
        "total_requests", "requests_per_minute", "average_response_time_ms", "error_rate_percent",
    }  # fmt: skip
    assert set(body["models"]) == {"tts_loaded", "vc_loaded", "tts_memory_mb", "vc_memory_mb"}


def test_metrics_count_what_was_generated(busy: LiveServer) -> None:
    body = busy.get(METRICS).json()
    tts = {"count": 2, "audio_seconds": 3.0, "processing_seconds": 0.5, "real_time_factor": 0.1667}
    vc = {"count": 1, "audio_seconds": 2.0, "processing_seconds": 0.5, "real_time_factor": 0.25}
    concat = {"count": 1, "audio_seconds": 3.0, "processing_seconds": 0.1, "real_time_factor": 0.0333}
    assert body["generations"] == {"tts": tts, "vc": vc, "concat": concat}
    assert body["performance"]["processing_times"] == {
        "min_ms": 100.0,
        "max_ms": 250.0 * 2,
        "avg_ms": 275.0,
        "count": 4,
    }
    assert body["api"]["total_requests"] == 4
    assert body["api"]["error_rate_percent"] == 0


def test_prometheus_gets_the_same_figures_in_its_own_form(busy: LiveServer) -> None:
    for n in range(3):
        busy.get(f"/nothing/{n}")
    answer = busy.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }

    def at(name: str, **labels: str) -> float:
        return samples[(name, *sorted(labels.items()))]

    requests = "chatterbox_http_requests_total"
    assert at(requests, method="POST", route=TTS, status="2xx") == 2
    assert at(requests, method="GET", route="(none)", status="4xx") == 3
    duration = "chatterbox_http_request_duration_seconds"
    assert at(f"{duration}_count", method="POST", route=TTS) == 2
    assert at(f"{duration}_bucket", method="POST", route=TTS, le="+Inf") == 2
    assert at(f"{duration}_sum", method="POST", route=TTS) > 0
    assert at("chatterbox_generations_total", kind="tts") == 2
    assert at("chatterbox_generated_audio_seconds_total", kind="concat") == 3.0
    assert at("chatterbox_real_time_factor", kind="vc") == 0.25
    assert at("chatterbox_errors_total", code="RESOURCE_NOT_FOUND") == 3
    assert at("chatterbox_rate_limited_total") == 0
    assert at("chatterbox_engine_children", model="fake") == 2
    assert at("chatterbox_engine_busy", model="fake") == 1
    assert at("chatterbox_requests_inside") == 1
    assert at("process_resident_memory_bytes") > 2**20
    assert abs(at("process_start_time_seconds") - time.time()) < 600
    assert at("chatterbox_disk_free_bytes") < at("chatterbox_disk_size_bytes")


def test_refusals_by_a_rate_are_counted(studio: FakeStudio) -> None:
    with serve(Settings(api=Api(rate_limit_per_minute=2)), studio) as server:
        codes = [server.get("/api/v1/config").status_code for _ in range(3)]
        counts = server.get("/api/v1/health").json()["metrics"]["errors_by_type"]
    assert codes == [200, 200, 429]
    assert counts == {"RATE_LIMITED": 1}


def test_resources_have_every_documented_field_and_true_sizes(server: LiveServer, studio: FakeStudio) -> None:
    put(studio.library.outputs.root / "a.wav", 1024, 0)
    put(studio.library.outputs.root / "a.json", 1024, 0)
    for n in range(3):
        put(studio.library.temp / f"{n}.wav", 10, 0)
    body = server.get(RESOURCES).json()
    directories = body["directories"]
    assert directories["outputs"] == {
        "size_bytes": 2048, "size_mb": 0.0, "file_count": 1, "max_size_mb": 0.0, "usage_percent": 50.0,
    }  # fmt: skip
    assert directories["temp"] == {
        "size_bytes": 30, "size_mb": 0.0, "file_count": 3, "max_files": 4, "usage_percent": 75.0,
    }  # fmt: skip
    assert directories["vc_inputs"]["max_size_mb"] is None
    assert set(body["disk"]) >= {"total_gb", "used_gb", "available_gb", "outputs_size_mb", "temp_files_count"}
    assert set(body["memory"]) >= {"total_mb", "used_mb", "models_mb"}
    assert set(body["limits"]) >= {"max_file_size_mb", "max_concurrent_requests"}
    assert body["warnings"] == []
    put(studio.library.outputs.root / "b.wav", 2000, 0)
    assert "outputs is at 99 %" in server.get(RESOURCES).json()["warnings"][0]


# Cleaning


def test_a_dry_run_lists_what_would_go_and_touches_nothing(server: LiveServer, studio: FakeStudio) -> None:
    fill(studio)
    before = tree(studio)
    body = server.post(CLEANUP, {"target": "all", "dry_run": True}).json()
    assert tree(studio) == before
    assert (body["dry_run"], body["forced"], body["status"]) == (True, True, "completed")
    assert set(body["actions"]) == set(POLICIES)
    told = {name for action in body["actions"].values() for name in action["details"]}
    assert server.get(STATUS).json()["scheduler"]["cleanup_count"] == 0
    done = server.post(CLEANUP, {}).json()
    assert before - tree(studio) == told
    assert done["total_files_removed"] == done["files_removed"] == body["total_files_removed"] == len(told)
    assert done["total_bytes_freed"] == done["bytes_freed"] == body["total_bytes_freed"]


def fill(studio: FakeStudio) -> None:
    outputs, temp = studio.library.outputs.root, studio.library.temp
    for name, age_days in (("old", 3.0), ("older", 4.0), ("new", 0.0)):
        put(outputs / f"{name}.wav", 2000, age_days)
        put(outputs / f"{name}.json", 20, age_days)
    for n in range(6):
        put(temp / f"{n}.wav", 10, 1 + n)
    put(outputs / ".crashed.part", 10, 1)
    put(studio.library.inputs.root / "mine.wav", 9999, 99)


def test_cleaning_without_a_body_does_everything_and_is_remembered(server: LiveServer, studio: FakeStudio) -> None:
    fill(studio)
    body = server.ask("POST", CLEANUP).json()
    assert tree(studio) == {
        "outputs/old.wav", "outputs/old.json", "outputs/new.wav", "outputs/new.json", "vc_inputs/mine.wav",
        *(f"temp/{n}.wav" for n in range(4)),
    }  # fmt: skip
    assert set(body) >= {
        "timestamp", "actions", "total_files_removed", "total_bytes_freed", "start_time", "end_time",
        "duration_seconds", "forced", "status", "files_removed", "bytes_freed", "errors",
    }  # fmt: skip
    for action in body["actions"].values():
        assert set(action) >= {"files_removed", "bytes_freed"}
    status = server.get(STATUS).json()
    assert set(status["scheduler"]) == {
        "running", "cleanup_on_startup", "cleanup_interval_hours", "last_cleanup_time", "cleanup_count",
        "next_cleanup_time",
    }  # fmt: skip
    assert status["scheduler"]["last_cleanup_time"] == body["end_time"]
    assert status["history"] == status["recent_cleanups"]
    assert [past["total_files_removed"] for past in status["history"]] == [body["total_files_removed"]]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"target": "temp"}, {"outputs", "crash"}),
        ({"target": "OUTPUTS"}, {"temp", "crash"}),
        ({"target": "old_files", "max_age_hours": 24}, {"crash"}),
        ({"target": "old_files"}, {"crash"}),
    ],
)
def test_a_target_is_all_that_is_touched(
    body: dict[str, Any], kept: set[str], server: LiveServer, studio: FakeStudio
) -> None:
    fill(studio)
    server.post(CLEANUP, body)
    left = tree(studio)
    assert ("outputs/older.wav" in left) == ("outputs" in kept)
    assert ("temp/5.wav" in left) == ("temp" in kept)
    assert ("outputs/.crashed.part" in left) == ("crash" in kept)


@pytest.mark.parametrize(
    "body",
    [
        {"target": "everything"},
        {"max_age_hours": 0},
        {"max_age_hours": -1},
        {"max_age_hours": 1e300},
        {"dry_run": "perhaps"},
        [],
    ],
)
def test_a_wrong_wish_cleans_nothing(body: Any, server: LiveServer, studio: FakeStudio) -> None:
    fill(studio)
    before = tree(studio)
    assert server.post(CLEANUP, body).status_code == 422
    assert tree(studio) == before


def test_the_last_five_cleanings_are_remembered(server: LiveServer) -> None:
    for _ in range(7):
        server.post(CLEANUP)
    status = server.get(STATUS).json()
    assert len(status["history"]) == 5
    assert status["scheduler"]["cleanup_count"] == 7


def wait_for_a_cleaning(server: LiveServer) -> dict[str, Any]:
    deadline, pause = time.monotonic() + WAIT_S, threading.Event()
    while not (status := server.get(STATUS).json())["history"] and time.monotonic() < deadline:
        pause.wait(0.01)  # polling, bounded by the deadline
    return dict(status)


def test_the_server_cleans_by_itself_when_it_starts(studio: FakeStudio) -> None:
    fill(studio)
    limits = {"output_dir_max_size_gb": 4096 / 2**30, "cleanup_on_startup": True, "cleanup_interval_hours": 1}
    with serve(settings(**limits), studio) as server:
        status = wait_for_a_cleaning(server)
        assert status["scheduler"]["running"]
    assert status["scheduler"]["next_cleanup_time"] > status["scheduler"]["last_cleanup_time"]
    assert status["history"][0]["forced"] is False
    assert "outputs/older.wav" not in tree(studio)
    assert "vc_inputs/mine.wav" in tree(studio)


def test_outputs_near_their_limit_are_warned_of_before_anything_goes(
    studio: FakeStudio, caplog: pytest.LogCaptureFixture
) -> None:
    put(studio.library.outputs.root / "mine.wav", 3500, 3)
    with serve(settings(output_dir_max_size_gb=4096 / 2**30, cleanup_on_startup=True), studio) as server:
        wait_for_a_cleaning(server)
    assert [record for record in caplog.records if "outputs are at 85 %" in record.getMessage()]
    assert "outputs/mine.wav" in tree(studio)


# Errors


@pytest.fixture
def troubled(server: LiveServer) -> LiveServer:
    for n in range(3):
        server.post(TTS, {"text": "fail"}, headers={"X-Request-ID": f"engine-{n}"})
    server.post(TTS, {"text": "boom"}, headers={"X-Request-ID": "bug"})
    server.post(TTS, {"text": "full"}, headers={"X-Request-ID": "full"})
    server.get("/outputs/secret-name.wav", headers={"X-Request-ID": "mine"})
    return server


def test_the_summary_has_every_documented_field(troubled: LiveServer) -> None:
    body = troubled.get(SUMMARY).json()
    assert (body["period_hours"], body["total_errors"], body["total_warnings"]) == (24, 5, 1)
    assert body["by_category"] == {"permanent": 4, "resource": 1}
    assert body["by_severity"] == {"high": 3, "critical": 1, "medium": 1}
    assert body["by_operation"] == body["by_endpoint"] == {f"POST {TTS}": 5}
    assert body["by_type"] == {"GENERATION_ERROR": 3, "INTERNAL_ERROR": 1, "SERVICE_OVERLOADED": 1}
    assert body["most_frequent"] == {f"POST {TTS}:GENERATION_ERROR": 3}
    assert body["unresolved_count"] == 5
    assert [error["request_id"] for error in body["recent_errors"]] == [
        "full",
        "bug",
        "engine-2",
        "engine-1",
        "engine-0",
    ]
    assert body["error_rate_percent"] == pytest.approx(100 * 5 / 6, abs=0.01)
    assert body["trends"]["increasing"] is True
    assert body["trends"]["peak_hour"].endswith(":00:00Z")


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("type", {"GENERATION_ERROR": 3, "INTERNAL_ERROR": 1, "SERVICE_OVERLOADED": 1}),
        ("Endpoint", {f"POST {TTS}": 5}),
        ("level", {"error": 5, "warning": 1}),
    ],
)
def test_the_summary_groups_as_asked(by: str, groups: dict[str, int], troubled: LiveServer) -> None:
    assert troubled.get(SUMMARY, params={"group_by": by, "hours": 0}).json()["groups"] == groups


def test_recent_errors_have_both_documented_shapes_and_nothing_of_what_was_sent(troubled: LiveServer) -> None:
    answer = troubled.get(RECENT)
    body = answer.json()
    assert body["total_stored"] == body["pagination"]["total"] == 6
    for error in body["recent_errors"]:
        assert set(error) >= {
            "timestamp", "operation", "error_type", "error_message", "category", "severity", "context", "retry_count",
            "resolved", "resolution_timestamp",
        }  # fmt: skip
    for error in body["errors"]:
        assert set(error) >= {"timestamp", "level", "endpoint", "error_code", "message", "request_id"}
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"level": "warning"}, ["mine"]),
        ({"level": "ERROR", "count": 2}, ["full", "bug"]),
        ({"limit": 2, "page": 2, "level": "error"}, ["engine-2", "engine-1"]),
        ({"page_size": 2, "page": 3, "level": "error"}, ["engine-0"]),
        ({"page": 99}, []),
        ({"count": 0}, ["mine"]),
        ({"limit": -5}, ["mine"]),
        ({"count": 10**9, "endpoint": "/outputs/{path:path}"}, ["mine"]),
        ({"endpoint": f"POST {TTS}", "count": 1}, ["full"]),
        ({"endpoint": "/nowhere"}, []),
    ],
)
def test_recent_errors_are_picked_and_paged(query: dict[str, Any], ids: list[str], troubled: LiveServer) -> None:
    body = troubled.get(RECENT, params=query).json()
    assert [error["request_id"] for error in body["errors"]] == ids


@pytest.mark.parametrize(
    ("query", "size"), [({}, 10), ({"count": 51}, 50), ({"limit": 51}, 51), ({"limit": 501}, 500), ({"count": 0}, 1)]
)
def test_recent_errors_have_the_documented_bounds(query: dict[str, Any], size: int, troubled: LiveServer) -> None:
    assert troubled.get(RECENT, params=query).json()["pagination"]["page_size"] == size


def test_the_same_code_means_another_thing_at_another_status(server: LiveServer) -> None:
    server.post(TTS, {"text": ""}, headers={"X-Request-ID": "range"})
    server.ask("DELETE", "/api/v1/outputs", headers={"X-Request-ID": "whole"})
    said = {error["request_id"]: error for error in server.get(RECENT).json()["errors"]}
    assert said["range"]["error_code"] == said["whole"]["error_code"] == "VALIDATION_ERROR"
    assert "outside its range" in said["range"]["message"]
    assert "as a whole" in said["whole"]["message"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (RECENT, {"level": "loud"}),
        (RECENT, {"count": "many"}),
        (SUMMARY, {"group_by": "colour"}),
        (SUMMARY, {"hours": "x"}),
    ],
)
def test_a_wrong_question_is_told_so(path: str, query: dict[str, str], server: LiveServer) -> None:
    assert server.get(path, params=query).status_code == 422


def test_a_stream_that_breaks_off_is_an_error_though_it_began_well(server: LiveServer) -> None:
    with pytest.raises(Exception, match=r"ended prematurely|IncompleteRead|Connection broken"):
        server.post(f"{TTS}?response_mode=live", {"text": "break"}, headers={"X-Request-ID": "broken"})
    [error] = server.get(RECENT).json()["errors"]
    assert (error["request_id"], error["error_code"], error["level"]) == ("broken", "GENERATION_ERROR", "error")


def test_only_so_many_errors_are_kept_and_clients_never_wash_the_servers_away(studio: FakeStudio) -> None:
    tracking = ErrorHandling(error_tracking=ErrorTracking(max_errors_stored=3))
    with serve(Settings(error_handling=tracking), studio) as server:
        server.post(TTS, {"text": "fail"}, headers={"X-Request-ID": "engine"})
        for n in range(9):
            server.get(f"/nothing/{n}")
        body = server.get(RECENT).json()
    assert body["total_stored"] == 4
    assert body["errors"][-1]["request_id"] == "engine"

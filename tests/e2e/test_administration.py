"""The real server tells how it is: engine, figures, room, errors and what cleaning would take."""

import re

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.live import LiveServer


def get(server: LiveServer, path: str) -> requests.Response:
    answer = requests.get(server.url + path, timeout=60)
    assert answer.status_code == 200, path
    return answer


@pytest.fixture
def spoken(server: LiveServer) -> LiveServer:
    for mode in ("url", "live"):
        body = {"text": "Good morning.", "export_formats": ["wav"]}
        assert requests.post(f"{server.url}/api/v1/tts?response_mode={mode}", json=body, timeout=60).ok
    return server


def test_figures_are_those_of_the_engine_and_of_what_it_said(spoken: LiveServer) -> None:
    body = get(spoken, "/api/v1/metrics").json()
    tts = body["generations"]["tts"]
    assert tts["count"] >= 2, "live audio counts too"
    assert 0.3 < tts["audio_seconds"] / tts["count"] < 600
    assert 0 < tts["real_time_factor"] < 5
    assert body["models"]["tts_memory_mb"] > 10
    samples = {
        (sample.name, sample.labels.get("model") or sample.labels.get("folder")): sample.value
        for family in text_string_to_metric_families(get(spoken, "/metrics").text)
        for sample in family.samples
    }
    children, wanted = (samples[f"chatterbox_engine_children{end}", "builtin"] for end in ("", "_wanted"))
    assert 1 <= children <= wanted == 2
    assert samples["chatterbox_folder_files", "reference_audio"] >= 3
    assert samples["process_cpu_seconds_total", None] > 0


def test_the_server_is_ready_and_knows_its_room(spoken: LiveServer) -> None:
    assert get(spoken, "/api/v1/ready").json()["status"] == "ready"
    directories = get(spoken, "/api/v1/resources").json()["directories"]
    files = [path for path in (spoken.data / "reference_audio").rglob("*") if path.is_file()]
    assert directories["reference_audio"]["size_bytes"] == sum(path.stat().st_size for path in files)
    assert get(spoken, "/api/v1/health").json()["system_info"]["file_counts"]["outputs"] >= 3


def test_a_dry_run_on_a_young_library_takes_nothing(spoken: LiveServer) -> None:
    wish = {"target": "old_files", "max_age_hours": 0.001, "dry_run": True}
    body = requests.post(spoken.url + "/api/v1/cleanup", json=wish, timeout=60).json()
    assert body["total_files_removed"] == 0, "everything here is younger than an hour"
    assert get(spoken, "/api/v1/cleanup/status").json()["scheduler"]["running"] is True


def test_errors_and_log_lines_are_found_by_the_id_of_the_reply(spoken: LiveServer) -> None:
    name = "looking-for-this"
    requests.get(spoken.url + "/outputs/no such file.wav", headers={"X-Request-ID": name}, timeout=60)
    [error] = [e for e in get(spoken, "/api/v1/errors/recent?count=500").json()["errors"] if e["request_id"] == name]
    assert (error["error_code"], error["endpoint"]) == ("RESOURCE_NOT_FOUND", "GET /outputs/{path:path}")
    assert re.search(rf"\[{name}\] GET /outputs/no such file.wav 404", spoken.log.read_text("utf-8"))
    assert get(spoken, "/api/v1/errors/summary").json()["total_warnings"] >= 1

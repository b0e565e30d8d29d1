"""Mixed joins on the real server: what was sent along is heard where it was asked for."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from chatterbox_plus.audio.decode import Decoder
from tests.audio.recordings import CONTAINERS, loudest_hz, record, sine
from tests.live import LiveServer

MIXED = "/api/v1/concat/mixed"
RATE = 24_000


@pytest.fixture(scope="module")
def stored(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A second of 330 Hz in outputs/."""
    path = record(tmp_path_factory.mktemp("mixed") / "stored.wav", sine(330, 1, RATE), rate=RATE)
    (server.data / "outputs" / "mixed_330.wav").write_bytes(path.read_bytes())
    return "mixed_330.wav"


def send(server: LiveServer, body: dict[str, Any], paths: list[Path], query: str = "") -> requests.Response:
    files = [("uploaded_files", (path.name, io.BytesIO(path.read_bytes()))) for path in paths]
    return requests.post(
        server.url + MIXED + query, data={"request_json": json.dumps(body)}, files=files or None, timeout=60
    )


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_an_upload_of_any_kind_is_joined(suffix: str, server: LiveServer, stored: str, tmp_path: Path) -> None:
    upload = record(tmp_path / f"mine{suffix}", sine(880, 1, CONTAINERS[suffix][3]))
    body = {
        "segments": [
            {"type": "upload", "index": 0},
            {"type": "silence", "source": "(500ms)"},
            {"type": "server_file", "source": stored},
        ]
    }
    answer = send(server, body, [upload])
    assert answer.status_code == 200
    result = tmp_path / "result.wav"
    result.write_bytes(answer.content)
    with Decoder() as decoder:
        clip = decoder.read(result)
    assert clip.duration_s == pytest.approx(2.5, abs=0.1)  # bare aac does not know its padding
    assert loudest_hz(clip.samples[: clip.rate * 9 // 10], clip.rate) == pytest.approx(880, abs=1)
    assert loudest_hz(clip.samples[-clip.rate * 9 // 10 :], clip.rate) == pytest.approx(330, abs=1)
    middle = clip.samples[-round(1.3 * clip.rate) : -round(1.05 * clip.rate)]
    np.testing.assert_array_equal(middle, 0)


def test_the_reply_and_the_sidecar_tell_what_was_done(server: LiveServer, stored: str, tmp_path: Path) -> None:
    upload = record(tmp_path / "mine.flac", np.pad(sine(880, 1, RATE), (RATE, 0)), rate=RATE)
    body = {
        "segments": [{"type": "upload", "index": 0}, {"type": "server_file", "source": stored}],
        "trim": True,
        "pause_duration_ms": 300,
        "pause_variation_ms": 50,
        "seed": 5,
        "export_formats": ["wav", "mp3"],
        "project": "mixed",
    }
    answer = send(server, body, [upload], "?response_mode=url")
    assert answer.status_code == 200
    told = answer.json()
    info = told["metadata"]["generation_info"]
    assert (info["upload_count"], info["natural_pauses_added"], info["files_trimmed"]) == (1, 1, 1)
    assert info["total_silence_removed_ms"] == pytest.approx(950, abs=20)
    assert told["metadata"]["processing_metadata"][0]["trim_info"]["trimmed"] is True
    assert told["metadata"]["processed_files"][0]["filename"] == "mine.flac"
    assert [name.startswith("concat_") and "2files_pause300v50" in name for name in told["output_files"]] == [True] * 2
    sidecar = server.data / "outputs" / "mixed" / (Path(told["output_files"][0]).stem + ".json")
    assert json.loads(sidecar.read_text("utf-8"))["type"] == "concat"


def test_one_silence_switches_natural_pauses_off(server: LiveServer, stored: str) -> None:
    segment = {"type": "server_file", "source": stored}
    body = {"segments": [segment, segment, {"type": "silence", "source": "(1s)"}, segment], "pause_duration_ms": 3000}
    told = send(server, body, [], "?response_mode=url").json()
    assert told["total_duration_seconds"] == 4.0
    assert told["metadata"]["generation_info"]["natural_pauses_added"] == 0
    assert any("natural pauses off" in note for note in told["notes"])


def test_what_is_no_audio_is_400(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "page.mp3").write_bytes(b"<html>" * 1000)
    for query in ("", "?response_mode=url", "?response_mode=live"):
        answer = send(server, {"segments": [{"type": "upload", "index": 0}]}, [tmp_path / "page.mp3"], query)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_AUDIO")
        assert "page.mp3" in answer.json()["error"]


def test_live_is_the_same_sound(server: LiveServer, stored: str, tmp_path: Path) -> None:
    upload = record(tmp_path / "mine.wav", sine(880, 1, RATE), rate=RATE)
    body = {"segments": [{"type": "upload", "index": 0}, {"type": "server_file", "source": stored}], "crossfade_ms": 50}
    whole, live = (send(server, body, [upload], f"?response_mode={mode}") for mode in ("stream", "live"))
    assert "Content-Length" not in live.headers
    assert live.content[44:] == whole.content[44:]

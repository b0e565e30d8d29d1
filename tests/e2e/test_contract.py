"""What is promised to clients, asked of the real server: headers, names, sidecars, counts, and the audio itself."""

import io
import json
import os
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.live import LiveServer, live_server
from tests.needs import missing

TTS, VC, CONCAT, OPENAI = "/api/v1/tts", "/api/v1/vc", "/api/v1/concat", "/v1/audio/speech"
CONFIG = """
api: {max_text_length: 60, keep_openai_outputs: true}
tts_defaults: {temperature: 0.9, export_formats: [flac, wav], project: shelf}
vc_defaults: {export_formats: [flac]}
speed_factor: {default_speed_factor: 2.0}
"""
LONG = ("This is said to somebody who is going to leave. " * 200)[:9_000]
UNKNOWN_SIZE = b"RIFF\xff\xff\xff\xffWAVE"


def post(server: LiveServer, path: str, **body: Any) -> requests.Response:
    return requests.post(server.url + path, json=body, timeout=60)


def made(server: LiveServer, path: str, **body: Any) -> dict[str, Any]:
    answer = requests.post(server.url + path, params={"response_mode": "url"}, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def seconds(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnframes() / file.getframerate()


def stored(server: LiveServer) -> set[Path]:
    folders = (server.data / "outputs", server.data / "temp")
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with defaults of its own, and a voice, speaker2.wav, with others."""
    folder = tmp_path_factory.mktemp("configured")
    (folder / "config.yaml").write_text(CONFIG, "utf-8")
    with live_server(folder) as running:
        voice = {"default_parameters": {"temperature": 0.3, "speed_factor": 0.5, "export_formats": ["mp3"], "seed": 7}}
        (running.data / "reference_audio" / "speaker2.wav.json").write_text(json.dumps(voice), "utf-8")
        yield running


# Defaults


def test_the_voice_wins_over_the_configuration_and_the_request_over_both(configured: LiveServer) -> None:
    plain = made(configured, TTS, text="Hello there.")
    assert [file["format"] for file in plain["output_files"]] == ["flac", "wav"]
    assert plain["output_files"][0]["url"].startswith("/outputs/shelf/tts_")
    assert "temp0.9_speed2." in plain["output_files"][0]["filename"]
    voice = made(configured, TTS, text="Hello there.", reference_audio_filename="speaker2")
    assert [file["format"] for file in voice["output_files"]] == ["mp3"]
    assert "temp0.3_seed7_speed0.5." in voice["output_files"][0]["filename"]
    assert voice["generation_seed_used"] == 7
    sent = made(
        configured,
        TTS,
        text="Hello there.",
        reference_audio_filename="speaker2",
        speed_factor=1.0,
        temperature=0.75,
        folder="other",
    )
    assert "temp0.75_seed7." in sent["output_files"][0]["filename"]
    assert sent["output_files"][0]["url"].startswith("/outputs/other/")


@pytest.mark.parametrize(
    ("voice", "formats"), [(None, ["flac", "wav", "mp3"]), ("speaker2", ["mp3"]), ("speaker1", ["flac", "wav", "mp3"])]
)
def test_a_return_format_is_added_to_what_would_be_made_anyway(
    voice: str | None, formats: list[str], configured: LiveServer
) -> None:
    answer = requests.post(
        configured.url + TTS,
        params={"return_format": "mp3"},
        json={"text": "Hello there.", "reference_audio_filename": voice},
        timeout=60,
    )
    assert answer.headers["Content-Type"] == "audio/mpeg"
    others = [item.split(":")[0] for item in answer.headers.get("X-Alternative-Formats", "").split("|") if item]
    assert [*others, "mp3"] == formats


def test_an_openai_request_without_a_speed_has_that_of_the_voice(configured: LiveServer) -> None:
    """And what is kept of it can be played: pcm has no header, so a wav is kept."""
    before = stored(configured)
    body = {"model": "tts-1", "input": "Hello there.", "voice": "speaker2", "response_format": "pcm"}
    slow, fast = post(configured, OPENAI, **body), post(configured, OPENAI, **body, speed=1.0)
    assert len(slow.content) == pytest.approx(2 * len(fast.content), rel=0.02)
    new = sorted(path.name for path in stored(configured) - before if path.suffix != ".json")
    assert [("speed0.5" in name, name[-4:]) for name in new] == [(True, ".wav"), (False, ".wav")]
    kept = requests.get(f"{configured.url}/outputs/shelf/{new[0]}", timeout=30)
    assert seconds(kept.content) == pytest.approx(len(slow.content) / 48_000)


def test_the_length_of_the_text_is_looked_at_first(configured: LiveServer) -> None:
    for path, body in (
        (TTS, {"text": "a" * 61, "reference_audio_filename": "nobody"}),
        (TTS, {"text": "a" * 61, "model": "turbo"}),
        (OPENAI, {"model": "tts-1", "input": "a" * 61, "voice": "nobody"}),
    ):
        answer = post(configured, path, **body)
        assert answer.status_code in (400, 422)
        assert "TEXT_TOO_LONG" in answer.text.upper()
    assert post(configured, TTS, text="  \n" + "a " * 29 + "aa" + "\n\n  ").status_code == 200


# Files


def test_the_starter_files_know_how_long_they_are(server: LiveServer) -> None:
    for name in ("outputs/intro.wav", "outputs/outro.wav", "reference_audio/narrator.wav"):
        data = (server.data / name).read_bytes()
        assert seconds(data) == pytest.approx((len(data) - 44) / 48_000)


def test_the_starter_files_are_the_same_whatever_is_configured(server: LiveServer, configured: LiveServer) -> None:
    for name in ("outputs/main_content.wav", "reference_audio/speaker1.wav"):
        assert (configured.data / name).read_bytes() == (server.data / name).read_bytes()


def test_a_project_holds_its_files_and_their_sidecar(server: LiveServer) -> None:
    body = {"text": "Hello.", "project": "Bücher/Teil 1: A|B", "export_formats": ["wav", "mp3", "flac"], "seed": 3}
    answer = post(server, TTS, **body)
    assert answer.headers["Content-Length"] == str(len(answer.content))
    others = dict(item.split(":") for item in answer.headers["X-Alternative-Formats"].split("|"))
    assert list(others) == ["mp3", "flac"]
    for url in others.values():
        assert requests.get(server.url + url, timeout=30).status_code == 200
    folder = server.data / "outputs" / "Bücher" / "Teil 1_ A_B"
    (sidecar,) = folder.glob("*.json")
    assert {path.suffix for path in folder.iterdir()} == {".wav", ".mp3", ".flac", ".json"}
    known = json.loads(sidecar.read_text("utf-8"))
    assert (known["type"], known["parameters"]["seed"], known["parameters"]["text"]) == ("tts", 3, "Hello.")
    assert known["files"] == {name: f"{sidecar.stem}.{name}" for name in ("wav", "mp3", "flac")}
    assert (
        requests.get(server.url + next(iter(others.values())).replace(".mp3", ".json"), timeout=30).status_code == 404
    )


def test_the_uncut_file_is_linked(server: LiveServer) -> None:
    body = {"text": "Hello. How are you?", "use_auto_editor": True, "ae_margin": 0.0, "export_formats": ["wav"]}
    assert "uncut_file" not in made(server, TTS, **body)
    reply = made(server, TTS, **body, keep_original_wav_ae=True, project="cut")
    uncut = requests.get(server.url + reply["uncut_file"]["url"], timeout=30).content
    assert len(uncut) == reply["uncut_file"]["file_size_bytes"]
    assert seconds(uncut) > reply["total_duration_seconds"] + 0.1
    (sidecar,) = (server.data / "outputs" / "cut").glob("*.json")
    assert json.loads(sidecar.read_text("utf-8"))["uncut_file"] == reply["uncut_file"]["filename"]


def test_live_audio_ends_up_in_one_file(server: LiveServer) -> None:
    before = stored(server)
    answer = requests.post(
        server.url + TTS, params={"response_mode": "live"}, json={"text": "Hello. And again.", "seed": 5}, timeout=60
    )
    assert "Content-Length" not in answer.headers
    assert answer.content.startswith(UNKNOWN_SIZE)
    audio, sidecar = sorted(stored(server) - before, key=lambda path: path.suffix == ".json")
    assert (audio.stem, audio.suffix) == (sidecar.stem, ".wav")
    assert audio.read_bytes()[44:] == answer.content[44:]
    assert seconds(audio.read_bytes()) == pytest.approx((len(answer.content) - 44) / 48_000)
    assert answer.headers["X-Generation-Seed"] == "5"
    joined = requests.post(
        server.url + CONCAT, params={"response_mode": "live"}, json={"segments": ["intro.wav"]}, timeout=60
    )
    assert joined.content.startswith(UNKNOWN_SIZE)
    assert "X-Chatterbox-Model" not in joined.headers


def test_one_name_for_many_at_once(server: LiveServer) -> None:
    with ThreadPoolExecutor(8) as crowd:
        wishes = [{"segments": ["intro.wav"], "output_filename": "mine", "project": "crowd"}] * 16
        replies = list(crowd.map(lambda wish: made(server, CONCAT, **wish), wishes))
    names = {reply["output_files"][0] for reply in replies}
    assert names == {"mine.wav", *(f"mine_{n}.wav" for n in range(2, 17))}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TTS, {"text": LONG, "reference_audio_filename": "speaker1", "export_formats": ["flac", "mp3"]}),
        (TTS + "?response_mode=live", {"text": LONG, "reference_audio_filename": "speaker1"}),
        (TTS, {"text": LONG, "reference_audio_filename": "speaker1", "trim": True}),
    ],
)
def test_who_leaves_leaves_nothing_behind(path: str, body: dict[str, Any], server: LiveServer) -> None:
    before = stored(server)
    data = json.dumps(body).encode()
    port = int(server.url.rpartition(":")[2])
    head = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(data)}", "", ""]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall("\r\n".join([f"POST {path} HTTP/1.1", *head]).encode() + data)
        assert eventually(lambda: bool(stored(server) - before)), "the work never began"
    assert eventually(lambda: stored(server) == before)


def eventually(what: Any) -> bool:
    deadline = time.monotonic() + 20
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # polling, bounded by the deadline
    return True


# Replies


def test_a_voice_is_counted_whenever_it_is_used(server: LiveServer) -> None:
    shutil.copy(server.data / "reference_audio" / "narrator.wav", server.data / "reference_audio" / "counted.wav")
    shutil.copy(server.data / "outputs" / "intro.wav", server.data / "vc_inputs" / "counted.wav")
    sidecar = server.data / "reference_audio" / "counted.wav.json"
    speech = {"text": "Hello.", "reference_audio_filename": "counted"}
    uses: list[tuple[str, dict[str, Any]]] = [
        (TTS, speech),
        (TTS + "?response_mode=live", speech),
        (OPENAI, {"model": "tts-1", "input": "Hello.", "voice": "counted"}),
        (VC, {"input_audio_source": "counted.wav", "target_voice_source": "counted.wav"}),
    ]
    for count, (path, body) in enumerate(uses, start=1):
        assert post(server, path, **body).status_code == 200
        known = json.loads(sidecar.read_text("utf-8"))
        assert known["usage_count"] == count
        assert known["last_used"].endswith("Z")


def test_a_conversion_tells_what_it_was_made_of(server: LiveServer) -> None:
    shutil.copy(server.data / "outputs" / "intro.wav", server.data / "vc_inputs" / "told.wav")
    file = made(server, VC, input_audio_source="told", target_voice_source="speaker2", export_formats=["wav"])
    path = server.data / file["output_files"][0]["path"]
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["source_files"] == ["told"]
    listed = requests.get(f"{server.url}/api/v1/outputs", params={"filenames": path.name}, timeout=30).json()["files"]
    assert listed[0]["source_files"] == ["told"]


@pytest.mark.parametrize(
    ("text", "words", "more"),
    [
        ("I paid $3.50 for 12 km.", ["I", "paid", "$3.50", "for", "12 km"], {}),
        ("In the U.S.A. today.", ["In", "the", "U.S.A.", "today"], {}),
        ("Hello 👋🏽 there, 😀!", ["Hello", "👋🏽", "there", "😀!"], {}),
        ("A cat says miaow.", ["A", "cat", "says", "miaow"], {"sound_words_field": "miaow=>mee ow"}),
        ("  Hi.\n\nNo.  ", ["Hi", "No"], {"speed_factor": 2.0, "trim": True}),
    ],
)
def test_word_times_point_into_the_text_as_sent(
    text: str, words: list[str], more: dict[str, Any], server: LiveServer
) -> None:
    reply = made(server, TTS, text=text, timestamps=True, **more)
    found = reply["words"]
    assert [word["text"] for word in found] == words
    assert [text[word["char_start"] : word["char_end"]] for word in found] == words
    times = [time_s for word in found for time_s in (word["start_s"], word["end_s"])]
    assert times == sorted(times)
    assert times == [round(time_s, 3) for time_s in times]
    assert times[-1] <= reply["total_duration_seconds"]


def test_an_unset_variation_that_does_not_fit_is_told_as_it_is_used(server: LiveServer) -> None:
    reply = made(server, CONCAT, files=["intro.wav", "outro.wav"], pause_duration_ms=100)
    assert "_pause100v99_" in reply["output_files"][0]
    assert reply["metadata"]["pause_variation_ms"] == 99
    (pause,) = [part for part in reply["metadata"]["processing_details"] if part["type"] == "natural_pause"]
    assert abs(pause["variation_applied_ms"]) <= 99


@pytest.mark.parametrize(
    ("path", "model", "status", "code"),
    [
        (TTS, "none-such", 422, "VALIDATION_ERROR"),
        (TTS, "turbo", 409, "MODEL_NOT_INSTALLED"),
        (OPENAI, "turbo", 409, "model_not_installed"),
        (OPENAI, "none-such", 200, None),
    ],
)
def test_an_unknown_model_is_not_a_missing_one(
    path: str, model: str, status: int, code: str | None, server: LiveServer
) -> None:
    answer = post(server, path, model=model, text="Hello.", input="Hello.", voice="alloy")
    assert answer.status_code == status
    if code:
        body = answer.json()
        assert (body["error_code"] if path == TTS else body["error"]["code"]) == code
    if status == 409:
        assert "models pull turbo" in answer.text


def test_a_full_disk_is_told_and_nothing_half_made_stays(tmp_path: Path) -> None:
    """On a disk of 3 MB; only root can make one."""
    small = tmp_path / "small"
    small.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], capture_output=True).returncode:
        missing("the right to mount a small disk")
    try:
        with live_server(tmp_path / "home", flags=("--data-dir", str(small / "data"))) as server:
            before = {path for path in small.rglob("*") if path.is_file()}
            wishes: list[tuple[str, dict[str, Any]]] = [
                (TTS, {"text": LONG}),
                (TTS, {"text": LONG, "normalize_audio": True}),
                (CONCAT, {"segments": ["main_content.wav"] * 60}),
            ]
            for path, body in wishes:
                answer = post(server, path, **body)
                assert (answer.status_code, answer.json()["error_code"]) == (507, "STORAGE_FULL")
                assert {path for path in small.rglob("*") if path.is_file()} == before
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                post(server, TTS + "?response_mode=live", text=LONG)
            assert {path for path in small.rglob("*") if path.is_file()} == before
            form = {"files": {"input_audio": ("a.wav", bytes(4 << 20))}, "data": {"target_voice_source": "speaker1"}}
            assert requests.post(server.url + VC, timeout=30, **form).status_code == 507  # type: ignore[arg-type]
            assert {path for path in small.rglob("*") if path.is_file()} == before
            assert post(server, TTS, text="There is room for this.").status_code == 200
    finally:
        subprocess.run(["umount", small], check=True)

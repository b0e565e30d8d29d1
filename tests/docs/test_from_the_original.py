"""A folder as Chatterbox TTS Extended Plus leaves it is a data folder: nothing is moved, and what it knows is used."""

import json
import math
import struct
import wave
from pathlib import Path
from typing import Any

import requests

from tests.docs.pages import DOCS, blocks
from tests.hearing import listen
from tests.live import live_server

GENERATION = "tts_2025-06-22_143022_000456_temp0.75_seed42"
WRITTEN = {
    "reference_audio/test_voices/linda.wav.json": {
        "name": "Linda",
        "description": "Calm",
        "tags": ["calm"],
        "default_parameters": {"speed_factor": 2.0},
        "created_date": "2025-06-20T10:00:00",
        "usage_count": 3,
    },
    f"outputs/{GENERATION}.json": {  # of a file in a project: the original wrote it into the root
        "type": "tts",
        "parameters": {"text": "As it was.", "temperature": 0.75, "seed": 42},
        "generation_info": {"seed_used": 42},
        "files": {"wav": f"{GENERATION}.wav"},
        "timestamp": "2025-06-22T14:30:22",
    },
    "vc_inputs/hello.wav.json": {"text": "hello", "folder_path": None},
}


def tone(path: Path, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (round(9000 * math.sin(i / 24_000 * 2 * math.pi * 150) * (1 + i % 90) / 90) for i in range(24_000))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", s) for s in samples) * round(seconds))


def old_installation(folder: Path) -> set[str]:
    for name in ("reference_audio/test_voices/linda.wav", f"outputs/book/{GENERATION}.wav", "vc_inputs/hello.wav"):
        tone(folder / name)
    for name, content in WRITTEN.items():
        (folder / name).write_text(json.dumps(content), "utf-8")
    (config,) = (b for b in blocks(DOCS / "deploy.md") if b.language == "yaml" and "resource_management" in b.code)
    (folder / "config.yaml").write_text(config.code, "utf-8")
    (folder / "temp").mkdir()
    (folder / "logs").mkdir()
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_the_original_is_used_as_it_is(tmp_path: Path) -> None:
    before = old_installation(tmp_path)
    with live_server(tmp_path, flags=("--data-dir", ".")) as server:

        def ask(method: str, path: str, **sent: Any) -> Any:
            reply = requests.request(method, server.url + path, timeout=30, **sent)
            assert reply.ok, reply.text
            return reply

        text = {"text": "Twice as fast, since the voice says so.", "reference_audio_filename": "linda", "seed": 1}
        plain, quick = (
            listen(ask("POST", "/api/v1/tts", json=text | more).content) for more in ({"speed_factor": 1}, {})
        )
        assert 1.9 < len(plain) / len(quick) < 2.1

        converted = ask("POST", "/api/v1/vc", json={"input_audio_source": "hello.wav", "target_voice_source": "linda"})
        assert len(listen(converted.content)) > 23_000
        joined = ask("POST", "/api/v1/concat", json={"files": [f"book/{GENERATION}.wav", "(1s)"]})
        assert len(listen(joined.content)) > 47_000
        assert ask("GET", f"/outputs/book/{GENERATION}.wav").headers["content-type"] == "audio/wav"

        (output,) = ask("GET", "/api/v1/outputs?folder=book").json()["files"]
        assert output["parameters"]["text"] == "As it was."
        assert (output["generation_type"], output["folder_path"]) == ("tts", "book")
        (voice,) = ask("GET", "/api/v1/voices?tag=calm").json()["voices"]
        assert (voice["name"], voice["url"]) == ("Linda", "test_voices/linda.wav")
        (source,) = ask("GET", "/api/v1/vc_inputs").json()["files"]
        assert source["text"] == "hello"

        defaults = ask("GET", "/api/v1/config").json()["tts_defaults"]
        assert defaults["temperature"] == 0.75
    after = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert before - after == set()
    assert not any(name.endswith(("speaker1.wav", "intro.wav")) for name in after)
    sidecar = json.loads((tmp_path / "reference_audio/test_voices/linda.wav.json").read_text("utf-8"))
    assert sidecar["usage_count"] == 6
    assert sidecar["description"] == "Calm"

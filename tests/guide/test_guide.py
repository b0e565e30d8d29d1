"""Every example of the guide of Chatterbox TTS Extended Plus runs as it stands against the real server.

Each block is found in the text, and each has its row below: what a reader would have to supply first (names that the
guide leaves undefined), and what must then be true. A block without a row fails. Python blocks share one namespace, in
order, as in a reader's session.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import SHARED
from tests.hearing import container_format, listen, median_f0
from tests.live import LiveServer

GUIDE = SHARED / "guide.md"
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.M | re.S)
Names = dict[str, Any]


def seconds(path: Path) -> float:
    return len(listen(path)) / 24_000


def is_wav(path: Path) -> bool:
    return container_format(path) == "wav" and seconds(path) > 0.3


def fast_curl(_: Names) -> None:
    assert is_wav(Path("fast_speech.wav"))


def speed_usage(names: Names) -> None:
    for reply, speed in ((names["slow_speech"], 0.8), (names["fast_speech"], 1.3)):
        assert reply.status_code == 200, reply.text
        plain = names["generate_speech_with_speed"]({0.8: "Learn slowly", 1.3: "Quick announcement"}[speed])
        ratio = len(listen(plain.content)) / len(listen(reply.content))
        assert ratio == pytest.approx(speed, rel=0.01)


def speed_variants(names: Names) -> None:
    lengths = {speed: seconds(Path(file)) for speed, file in names["variants"].items()}
    assert set(lengths) == {0.8, 1.0, 1.2, 1.5}
    for speed, length in lengths.items():
        assert lengths[1.0] / length == pytest.approx(speed, rel=0.01)


def concat_curl(_: Names) -> None:
    assert is_wav(Path("combined_audio.wav"))


def concat_function(names: Names) -> None:
    files = ["intro.wav", "main_content.wav", "outro.wav"]
    assert names["concatenate_server_files"](files) is True
    parts = seconds(Path("combined_audio.wav"))
    assert seconds(Path("combined.wav")) == pytest.approx(parts - 2 * 0.1, abs=0.02)
    assert names["concatenate_server_files"](["nothing_of_that_name.wav"]) is False


def batch(names: Names) -> None:
    assert names["successful"] == 4
    assert all(is_wav(Path(result["filename"])) for result in names["results"])


def openai_curl(_: Names) -> None:
    assert is_wav(Path("speech.wav"))


def openai_usage(names: Names) -> None:
    reply = names["response"]
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "audio/wav"
    assert len(listen(reply.content)) > 24_000 * 0.3


def warm_up(names: Names, capsys: pytest.CaptureFixture[str]) -> None:
    names["warm_up_models"]()
    assert "✓ TTS model warmed up" in capsys.readouterr().out


def concurrent(names: Names) -> None:
    """In the order asked for, each in its own voice: the third is speaker2, a woman."""
    first, second, third = (median_f0(listen(reply.content)) for reply in names["responses"])
    assert all(reply.status_code == 200 for reply in names["responses"])
    assert first == pytest.approx(second, rel=0.15)
    assert third > first * 1.2


def memory_supplies(names: Names) -> None:
    names.update(large_text_list=[f"Line {i}" for i in range(12)], batch_size=2, done=[])
    names["process_batch"] = names["done"].extend


def memory(names: Names) -> None:
    assert names["done"] == names["large_text_list"]


def conversion(names: Names) -> None:
    names["get_duration"] = names["get_audio_duration"] = lambda file: seconds(Path(file))
    assert names["smart_voice_conversion"]("fast_speech.wav", "speaker2.wav", "converted.wav") is True
    assert seconds(Path("converted.wav")) == pytest.approx(seconds(Path("fast_speech.wav")), abs=0.001)
    assert median_f0(listen(Path("converted.wav"))) > 1.2 * median_f0(listen(Path("fast_speech.wav")))


Check = Callable[..., None]
ROWS: list[tuple[str, Check | None, Check | None]] = [
    ('"text": "This will be spoken faster"', None, fast_curl),
    ("def generate_speech_with_speed", None, speed_usage),
    ("def create_speed_variants", None, speed_variants),
    ('{"type": "server_file", "filename": "intro.wav"}', None, concat_curl),
    ("def concatenate_server_files", None, concat_function),
    ("def batch_tts_generation", None, batch),
    ('"input": "Hello, this is a test"', None, openai_curl),
    ("def openai_compatible_tts", None, openai_usage),
    ("def warm_up_models", None, warm_up),
    ("class ConcurrentTTSProcessor", None, concurrent),
    ("def monitor_resource_usage", memory_supplies, memory),
    ("def optimize_vc_chunk_size", None, conversion),
]
WAITING = ("def tts_with_webhook",)  # the asynchronous route has its own issue


def test_every_example_of_the_guide_runs(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not GUIDE.is_file():
        pytest.skip("the guide is not here: it is kept outside the project")
    monkeypatch.chdir(tmp_path)
    names: Names = {"__name__": "__main__", "requests": requests}
    blocks = [block for block in BLOCK.findall(GUIDE.read_text("utf-8")) if not any(w in block[1] for w in WAITING)]
    assert len(blocks) == len(ROWS)
    for (language, code), (mark, supply, check) in zip(blocks, ROWS, strict=True):
        assert mark in code
        here = code.replace("http://localhost:7860", server.url)
        if supply:
            supply(names)
        if language == "bash":
            subprocess.run(["bash", "-euc", here], check=True, capture_output=True, timeout=60)
        else:
            exec(compile(here, f"guide: {mark}", "exec"), names)
        if check is warm_up:
            check(names, capsys)
        elif check:
            check(names)

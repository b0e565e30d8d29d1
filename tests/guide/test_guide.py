"""Every example of the guide of Chatterbox TTS Extended Plus runs as it stands against the real server.

Each block is found in the text, and each has its row below: what a reader would have to supply first (names that the
guide leaves undefined), and what must then be true. A block without a row fails. Python blocks share one namespace, in
order, as in a reader's session.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
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


class Flask:
    """As much of Flask as the guide's receiver asks for, so that its own words run without the package."""

    def __init__(self, _: str) -> None:
        self.views: dict[tuple[str, str], Callable[[], str]] = {}

    def route(self, path: str, methods: list[str]) -> Callable[[Callable[[], str]], Callable[[], str]]:
        def added(view: Callable[[], str]) -> Callable[[], str]:
            self.views.update({(method, path): view for method in methods})
            return view

        return added


def flask() -> ModuleType:
    module = ModuleType("flask")
    module.Flask, module.request = Flask, ModuleType("request")  # type: ignore[attr-defined]
    return module


@contextmanager
def listening(app: Flask, request: Any, answered: threading.Semaphore) -> Iterator[str]:
    """The URL at which the app is served; `answered` is released after each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request.json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = app.views["POST", self.path]().encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)
            answered.release()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def webhook(names: Names, capsys: pytest.CaptureFixture[str]) -> None:
    answered = threading.Semaphore(0)
    capsys.readouterr()
    with listening(names["app"], names["request"], answered) as url:
        task = names["tts_with_webhook"]("Somebody is told.", f"{url}/tts-complete", export_formats=["wav"])
        assert answered.acquire(timeout=60)
    told = re.fullmatch(r"TTS (\S+) completed: (\S+)\n", capsys.readouterr().out)
    assert told
    assert told[1] == task
    assert len(listen(requests.get(told[2], timeout=60).content)) > 24_000 * 0.3
    with pytest.raises(Exception, match="Failed to start async TTS"):
        names["tts_with_webhook"]("Nobody says this.", "ftp://nowhere")


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
    ("def tts_with_webhook", None, webhook),
]
PRINTING = (warm_up, webhook)


def test_every_example_of_the_guide_runs(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not GUIDE.is_file():
        pytest.skip("the guide is not here: it is kept outside the project")
    monkeypatch.chdir(tmp_path)
    names: Names = {"__name__": "__main__", "requests": requests}
    monkeypatch.setitem(sys.modules, "flask", flask())
    blocks = BLOCK.findall(GUIDE.read_text("utf-8"))
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
        if check in PRINTING:
            assert check
            check(names, capsys)
        elif check:
            check(names)

"""The server, over HTTP, as a client feels it."""

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import LONG_TEXT, Bench, Figure, Setting, server, serving, timed

ROOT = Path(__file__).resolve().parents[1]
_SHORT = "Dinner is ready right now."


def start(setting: Setting) -> Iterator[Figure]:
    """`serve` to the first 200 of /api/v1/health, on a data folder that has been started before."""
    with serving(setting) as (_, fresh_s):
        pass
    yield Figure(
        "fresh_start_s", fresh_s, "s", {"what": "first start on an empty data folder: makes the six starter files"}
    )
    times = []
    for _ in range(3):
        with serving(setting) as (_, warm_s):
            times.append(warm_s)
    yield Figure("warm_start_s", statistics.median(times), "s")


def short(setting: Setting) -> Iterator[Figure]:
    """A request of five words, again and again on one connection."""
    with server(setting) as url:
        client = _Client(url)
        body = {"text": _SHORT, "export_formats": ["wav"]}
        times = [client.post("/api/v1/tts", body)[1] for _ in range(60)][10:]
        yield Figure("short_request_p50_ms", statistics.median(times) * 1000, "ms", {"p95_ms": _p95(times)})
        speech = {"model": "tts-1", "input": _SHORT, "voice": "alloy", "response_format": "pcm"}
        times = [client.post("/v1/audio/speech", speech)[1] for _ in range(60)][10:]
        yield Figure("short_openai_request_p50_ms", statistics.median(times) * 1000, "ms", {"p95_ms": _p95(times)})


def first_audio(setting: Setting) -> Iterator[Figure]:
    """Ten minutes of text, live: when the first bytes of sound arrive."""
    with server(setting) as url:
        client = _Client(url)
        body = {"text": LONG_TEXT[:9000], "export_formats": ["wav"]}
        times = [client.post("/api/v1/tts?response_mode=live", body)[0] for _ in range(7)][2:]
        yield Figure("first_audio_ms", statistics.median(times) * 1000, "ms")


def fresh_clone(setting: Setting) -> Iterator[Figure]:
    """`git clone` and `make serve` to the last byte of a first sentence; wheels come from where pip finds them."""
    clone = setting.folder / "clone"
    clone_s = timed(lambda: subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True))
    make = ("make", "--silent", "-C", str(clone), "serve", f"PYTHON={sys.executable}")
    with serving(setting, make, patience_s=900) as (url, start_s):
        _, request_s = _Client(url).post("/api/v1/tts", {"text": _SHORT})
    parts = {"clone_s": round(clone_s, 2), "install_and_start_s": round(start_s, 2)}
    yield Figure("clone_to_first_audio_s", clone_s + start_s + request_s, "s", parts)


def _p95(times: list[float]) -> float:
    return round(sorted(times)[int(len(times) * 0.95)] * 1000, 2)


class _Client:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)

    def post(self, path: str, body: Mapping[str, object]) -> tuple[float, float]:
        """Seconds to the first sound (after a wav's header) and to the last byte."""
        began = time.perf_counter()
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = self._connection.getresponse()
        reply.read(64)
        first_s = time.perf_counter() - began
        reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path} answered {reply.status}")
        return first_s, time.perf_counter() - began


BENCHES: dict[str, Bench] = {"start": start, "short": short, "first-audio": first_audio}
SLOW_BENCHES: dict[str, Bench] = {"fresh-clone": fresh_clone}

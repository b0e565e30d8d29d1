"""Lists of ten thousand outputs over HTTP, quiet and while files come by hand."""

import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench.measure import Bench, Figure, Setting, serving

_FILES = 10_000
_ASKED = 50  # requests a figure


def listing(setting: Setting) -> Iterator[Figure]:
    """Lists of 10 000 outputs with sidecars in one folder: quiet, filtered, and after a file came or went by hand."""
    folder = setting.folder / "data" / "outputs"
    _fill(folder, _FILES)
    with serving(setting) as (url, _):
        client = _Client(url)
        yield Figure("list_10000_first_ms", _timed(client, "/api/v1/outputs") * 1000, "ms", {"files": _FILES})
        yield from _figure("list_10000", client, "/api/v1/outputs?page={n}&page_size=50", lambda n: None)
        yield from _figure("list_10000_search", client, "/api/v1/outputs?search={n}", lambda n: None)
        yield from _figure("list_10000_changed", client, "/api/v1/outputs", lambda n: _put(folder, f"new{n:06}"))


def _figure(name: str, client: "_Client", path: str, before: Callable[[int], None]) -> Iterator[Figure]:
    times = []
    for n in range(_ASKED):
        before(n)
        times.append(_timed(client, path.format(n=n + 1)) * 1000)
    times.sort()
    extra = {"p95_ms": round(times[int(len(times) * 0.95)], 2), "worst_ms": round(times[-1], 2)}
    yield Figure(f"{name}_p50_ms", statistics.median(times), "ms", extra)


def _fill(folder: Path, files: int) -> None:
    folder.mkdir(parents=True)
    for n in range(files):
        _put(folder, f"{n:06}")


def _put(folder: Path, number: str) -> None:
    """An output as the server leaves it, but for its sound."""
    stem = f"tts_2026-01-01_120000_{number}_temp0.8"
    made = {"duration_seconds": 1.5, "processing_time_seconds": 0.2, "seed_used": 1}
    parameters = {"text": "Dinner is ready right now. " * 8, **{f"option_{n}": n / 8 for n in range(40)}}
    told = {"type": "tts", "parameters": parameters, "generation_info": made, "files": {"wav": f"{stem}.wav"}}
    (folder / f"{stem}.json").write_text(json.dumps({**told, "timestamp": "2026-01-01T12:00:00Z"}), encoding="utf-8")
    (folder / f"{stem}.wav").write_bytes(bytes(100))


def _timed(client: "_Client", path: str) -> float:
    began = time.perf_counter()
    client.get(path)
    return time.perf_counter() - began


class _Client:
    """One connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)

    def get(self, path: str) -> None:
        self._connection.request("GET", path)
        reply = self._connection.getresponse()
        reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path} answered {reply.status}")


BENCHES: dict[str, Bench] = {"listing": listing}

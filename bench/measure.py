"""What the benches share: figures, test sounds, a studio and a server of their own, and memory of a process tree."""

import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil

from chatterbox_plus import __version__
from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.house import build_studio
from chatterbox_plus.settings import load
from chatterbox_plus.synthesis.studio import Studio

MB = 2**20
SENTENCES = (
    "The harbour lay quiet under a pale morning sky.",
    "Three boats had come in before dawn, and their nets were already drying on the wall.",
    "Nobody spoke much; there was coffee, and there was time.",
    "Later the market would open and the whole town would be on its feet.",
)
LONG_TEXT = " ".join(SENTENCES * 40)
"""About ten minutes of speech, every sentence of ordinary length."""

_SERVE = (sys.executable, "-m", "chatterbox_plus", "serve")


@dataclass(frozen=True)
class Figure:
    """One line of the report. extra: what a reader needs to know about it."""

    name: str
    value: float | str
    unit: str
    extra: dict[str, Any] | None = None

    def line(self) -> str:
        value = round(self.value, 2) if isinstance(self.value, float) else self.value
        return json.dumps({"figure": self.name, "value": value, "unit": self.unit, **(self.extra or {})})


@dataclass(frozen=True)
class Setting:
    """Where a bench works. folder: its own, gone afterwards. full: take the long way where there is a shorter one."""

    folder: Path
    full: bool


Bench = Callable[[Setting], Iterator[Figure]]


def timed(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def best_of(times: int, work: Callable[[], Any]) -> float:
    """The shortest of several calls, in seconds: what the code costs when nothing else is in its way."""
    return min(timed(work) for _ in range(times))


def voice_like(seconds: float, rate: int = SPEECH_RATE, f0_hz: float = 120.0, seed: int = 0) -> Samples:
    """Something like a voice: gliding harmonics under formants, in syllables, with pauses. Mono (n,)."""
    n = round(seconds * rate)
    t = np.arange(n) / rate
    f0 = f0_hz * (1 + 0.15 * np.sin(2 * np.pi * 0.4 * t + seed))
    phase = 2 * np.pi * np.cumsum(f0) / rate
    sound = np.zeros(n)
    for harmonic in range(1, 25):
        frequency = harmonic * f0_hz
        formants = sum(np.exp(-(((frequency - f) / 250) ** 2)) for f in (600, 1500, 2600))
        sound += (formants + 0.05) / harmonic**0.5 * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * t), 0, None) ** 0.5 * (np.sin(2 * np.pi * 0.25 * t) > -0.8)
    noise = np.random.default_rng(seed).normal(0, 0.002, n)
    sound = sound * syllables
    samples: Samples = (0.5 * sound / np.abs(sound).max() + noise).astype(np.float32)
    return samples


def write_audio(path: Path, samples: Samples, rate: int = SPEECH_RATE, copies: int = 1) -> Path:
    """Mono samples as a file of the format its suffix names; `copies` of them in a row make it long."""
    with path.open("wb") as file:
        encoder = Encoder(path.suffix[1:], rate=rate, sink=file)
        for _ in range(copies):
            encoder.push(samples)
        encoder.finish()
    return path


@contextmanager
def studio(setting: Setting) -> Iterator[Studio]:
    """A warm studio in this process, without the limits that guard a server."""
    generous = {"MAX_TEXT_LENGTH": 10**9, "MAX_AUDIO_S": 10**6, "DATA_DIR": str(setting.folder / "data")}
    settings, _ = load({}, generous, cwd=setting.folder)
    made = build_studio(settings)
    try:
        made.start()
        yield made
    finally:
        made.close()


@contextmanager
def server(setting: Setting) -> Iterator[str]:
    """A warm server of our own; gives its URL."""
    with serving(setting) as (url, _):
        yield url


@contextmanager
def serving(
    setting: Setting, command: tuple[str, ...] = _SERVE, *, patience_s: float = 60, log_level: str = "warning"
) -> Iterator[tuple[str, float]]:
    """A server, once its health says 200: its URL, and the seconds that took from the command on."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATTERBOX_")}
    environment |= {"CHATTERBOX_PORT": str(port), "CHATTERBOX_DATA_DIR": str(setting.folder / "data")}
    environment["CHATTERBOX_LOG_LEVEL"] = log_level
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    log = setting.folder / "server.log"
    with log.open("ab") as told:
        process = subprocess.Popen(command, cwd=setting.folder, env=environment, stdout=told, stderr=told)
    try:
        while not _healthy(url):
            if process.poll() is not None or time.perf_counter() - began > patience_s:
                raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.01)
        yield url, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(20)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class PeakMemory:
    """The most memory that this process and its children held at once, above what they held before; sampled."""

    def __enter__(self) -> "PeakMemory":
        self._stop = threading.Event()
        self._before = self._peak = _resident()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def added_mb(self) -> float:
        return (self._peak - self._before) / MB

    @property
    def peak_mb(self) -> float:
        return self._peak / MB

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self._peak = max(self._peak, _resident())


def _resident() -> int:
    total = 0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def machine() -> Figure:
    """What the figures were measured on."""
    extra = {
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "av": av.__version__,
        "chatterbox_plus": __version__,
    }
    return Figure("machine", _cpu_name(), "", extra)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

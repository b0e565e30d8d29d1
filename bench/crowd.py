"""Many clients at once on a real server, each checking every answer: errors, crossed results, memory."""

import asyncio
import io
import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil

from bench.measure import LONG_TEXT, MB, Bench, Figure, Setting, serving, voice_like, write_audio

CLIENTS = 64
_HOUSE = 66  # two workers and a queue of 64: what a server has room for by default
_WARM_S = 15.0
_VOICES = ("speaker1.wav", "speaker2.wav", "narrator.wav", None, "alloy", "onyx", "de", "fr+f2")
_READS = (
    "/api/v1/health", "/api/v1/ready", "/api/v1/config", "/api/v1/voices", "/api/v1/voices/folders",
    "/api/v1/voices?search=speaker&sort_by=duration", "/api/v1/vc_inputs", "/api/v1/vc_inputs/folders",
    "/api/v1/outputs?page_size=100", "/api/v1/outputs/folders", "/api/v1/outputs?generation_type=tts&sort_by=file_size",
    "/api/v1/metrics", "/api/v1/resources", "/api/v1/errors/summary", "/api/v1/errors/recent", "/api/v1/cleanup/status",
    "/metrics", "/v1/models", "/v1/audio/voices", "/v1/audio/models", "/outputs/intro.wav", "/",
)  # fmt: skip
Act = Callable[["_Client"], None]


class Wrong(Exception):
    """An answer that is not the right one."""


@dataclass
class _Tally:
    """What happened, from all clients."""

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    read_s: list[float] = field(default_factory=list)


class _Client:
    """One client: its own connection, its own dice."""

    def __init__(self, url: str, number: int, known: dict[str, bytes], recording: bytes, tally: _Tally) -> None:
        self.http = httpx2.Client(base_url=url, timeout=120, trust_env=False)
        self.number, self.known, self.recording, self.tally = number, known, recording, tally
        self.dice = random.Random(number)
        self.turn = 0

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> httpx2.Response:
        answer = self.http.request(method, path, **more)
        if answer.status_code != status:
            raise Wrong(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def same(self, name: str, content: bytes) -> None:
        """Bytes must be what they were when nobody else asked; the first to ask sets them."""
        if self.known.setdefault(name, content) != content:
            raise Wrong(f"{name}: other bytes than alone")

    # What it may do

    def read(self) -> None:
        path = self.dice.choice(_READS)
        began = time.perf_counter()
        self.ask("GET", path)
        self.tally.read_s.append(time.perf_counter() - began)

    def speak(self) -> None:
        body = _wish(self.dice.randrange(24))
        self.same(f"tts {body['text']}", self.ask("POST", "/api/v1/tts", json=body).content)

    def speak_by_link(self) -> None:
        body = _wish(self.dice.randrange(24))
        made = self.ask("POST", "/api/v1/tts?response_mode=url", json=body).json()["output_files"][0]
        self.same(f"tts {body['text']}", self.ask("GET", made["url"]).content)
        self.ask("GET", f"/api/v1/outputs/{made['filename']}/metadata")
        self.ask("DELETE", f"/api/v1/output/{made['filename']}?confirm=true")
        self.ask("GET", made["url"], 404)

    def speak_live(self) -> None:
        n = self.dice.randrange(8)
        body = {"model": "tts-1", "input": f"Live number {n}.", "voice": "nova", "response_format": "pcm"}
        self.same(f"live {n}", self.ask("POST", "/v1/audio/speech", json=body).content)

    def convert(self) -> None:
        target = self.dice.choice(_VOICES[:3])
        form = {"target_voice_source": target, "export_formats": "wav"}
        files = {"input_audio": ("a.wav", io.BytesIO(self.recording))}
        self.same(f"vc {target}", self.ask("POST", "/api/v1/vc", data=form, files=files).content)

    def join(self) -> None:
        n = self.dice.randrange(1, 6)
        body = {"files": ["intro.wav", f"({n}00ms)", "outro.wav"], "export_formats": ["wav"]}
        self.same(f"join {n}", self.ask("POST", "/api/v1/concat", json=body).content)

    def join_mixed(self) -> None:
        plan = '{"segments": [{"type": "server_file", "source": "intro.wav"}, {"type": "upload", "index": 0}]}'
        files = {"uploaded_files": ("a.wav", io.BytesIO(self.recording))}
        self.same("mixed", self.ask("POST", "/api/v1/concat/mixed", data={"request_json": plan}, files=files).content)

    def keep_a_voice(self) -> None:
        name = f"crowd {self.number} {self.turn}.wav"
        files = {"voice_file": (name, io.BytesIO(self.recording))}
        form = {"folder_path": f"shelf {self.number % 5}", "tags": f"crowd,t{self.number}"}
        kept = self.ask("POST", "/api/v1/voice", data=form, files=files).json()["voice_metadata"]
        self.ask("POST", "/api/v1/voice", 409, data=form, files={"voice_file": (name, io.BytesIO(self.recording))})
        listed = self.ask("GET", "/api/v1/voices", params={"tag": f"t{self.number}"}).json()["voices"]
        if [voice["url"] for voice in listed] != [kept["url"]]:
            raise Wrong(f"the list of my voices is {[voice['url'] for voice in listed]}, not {kept['url']}")
        self.ask("PUT", f"/api/v1/voice/{kept['url']}/metadata", json={"description": f"of {self.number}"})
        if self.ask("GET", f"/api/v1/voices/{kept['url']}").json()["description"] != f"of {self.number}":
            raise Wrong("somebody else's description")
        self.ask("DELETE", f"/api/v1/voice/{kept['url']}?confirm=true")

    def keep_an_input(self) -> None:
        name = f"input {self.number} {self.turn}.wav"
        files = {"vc_input_file": (name, io.BytesIO(self.recording))}
        self.ask("POST", "/api/v1/vc_input", data={"text": name}, files=files)
        found = self.ask("GET", "/api/v1/vc_inputs", params={"search": name}).json()["files"]
        if [file["filename"] for file in found] != [name]:
            raise Wrong("the list of my inputs is not mine")
        self.ask("DELETE", f"/api/v1/vc_input/{name}?confirm=true")

    def be_wrong(self) -> None:
        self.ask("POST", "/api/v1/tts", 422, json={"text": ""})
        self.ask("POST", "/api/v1/tts", 404, json={"text": "Hi.", "reference_audio_filename": "nobody.wav"})
        self.ask("DELETE", "/api/v1/outputs", 400)
        self.ask("POST", "/api/v1/cleanup", json={"dry_run": True})


_ACTS: tuple[tuple[Act, int], ...] = (
    (_Client.read, 50), (_Client.speak, 20), (_Client.speak_by_link, 5), (_Client.speak_live, 10), (_Client.convert, 1),
    (_Client.join, 5), (_Client.join_mixed, 3), (_Client.keep_a_voice, 2), (_Client.keep_an_input, 2),
    (_Client.be_wrong, 4),
)  # fmt: skip
"""What a client does, and how often in a hundred."""


def crowd(setting: Setting) -> Iterator[Figure]:
    """64 clients mix every endpoint for a minute; every answer is compared with what it is alone."""
    seconds = 600.0 if setting.full else 60.0
    recording = write_audio(setting.folder / "a.wav", voice_like(2.0)).read_bytes()
    known: dict[str, bytes] = {}
    with serving(setting) as (url, _):
        house = _server(url)
        _alone(url, known, recording)
        tally, memory = _Tally(), []
        end = time.monotonic() + _WARM_S + seconds
        threads = [
            threading.Thread(target=_live, args=(_Client(url, n, known, recording, tally), end)) for n in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            memory.append(_memory_mb(house))
    warm = memory[int(_WARM_S) :]
    total = tally.done.total()
    extra: dict[str, Any] = {"clients": CLIENTS, "seconds": seconds + _WARM_S, **tally.done}
    yield Figure(
        "crowd_requests_wrong", len(tally.wrong), "requests", {"first": tally.wrong[:3]} if tally.wrong else {}
    )
    yield Figure("crowd_acts_per_s", total / (seconds + _WARM_S), "1/s", extra)
    reads = sorted(tally.read_s)
    yield Figure(
        "crowd_read_p50_ms", statistics.median(reads) * 1000, "ms", {"p95_ms": round(reads[-len(reads) // 20] * 1000)}
    )
    tenth = max(1, len(warm) // 10)
    first, last = statistics.median(warm[:tenth]), statistics.median(warm[-tenth:])
    yield Figure("crowd_memory_mb", last, "MB", {"after_warming_up": round(first, 1), "most": round(max(warm), 1)})


def _wish(n: int) -> dict[str, Any]:
    text = f"Request number {n} says this. {'And a little more. ' * (n % 4)}"
    speed = {"speed_factor": 1.5} if n % 3 == 0 else {}
    return {"text": text, "reference_audio_filename": _VOICES[n % 8], "export_formats": ["wav"], "seed": 7, **speed}


def _alone(url: str, known: dict[str, bytes], recording: bytes) -> None:
    """Everything once, with nobody else there."""
    client = _Client(url, CLIENTS, known, recording, _Tally())
    for n in range(24):
        body = _wish(n)
        client.same(f"tts {body['text']}", client.ask("POST", "/api/v1/tts", json=body).content)
    for act, _ in _ACTS:
        act(client)


def _live(client: _Client, end: float) -> None:
    acts, weights = zip(*_ACTS, strict=True)
    while time.monotonic() < end:
        act = client.dice.choices(acts, weights)[0]
        client.turn += 1
        try:
            act(client)
            client.tally.done[act.__name__] += 1
        except (Wrong, httpx2.HTTPError) as error:
            client.tally.wrong.append(f"{act.__name__}: {error!r}")
    client.http.close()


def _server(url: str) -> psutil.Process:
    port = int(url.rpartition(":")[2])
    found = (c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN")
    return psutil.Process(next(found).pid)


def _memory_mb(server: psutil.Process) -> float:
    """Resident memory of the server and its children."""
    total = 0
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MB


def overload(setting: Setting) -> Iterator[Figure]:
    """100 requests at once at a house that is full: when each is told so."""
    with serving(setting) as (url, _):
        times = asyncio.run(_refusals(url))
    times.sort()
    yield Figure("refusal_p50_ms", statistics.median(times) * 1000, "ms", {"max_ms": round(times[-1] * 1000, 1)})


async def _refusals(url: str) -> list[float]:
    """Seconds from the last byte of each surplus request to the first of its 503."""
    body = json.dumps({"text": LONG_TEXT[:9000], "reference_audio_filename": "speaker1", "export_formats": ["wav"]})
    request = "POST /api/v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    whole = f"{request}{len(body)}\r\n\r\n{body}".encode()
    port = int(url.rpartition(":")[2])
    lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_HOUSE + 100)]
    for _, writer in lines[:_HOUSE]:
        writer.write(whole)
        await writer.drain()
    await asyncio.sleep(3)  # until they are all inside, and at work

    async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        writer.write(whole)
        began = time.perf_counter()
        status = await reader.readline()
        if b" 503 " not in status:
            raise Wrong(f"not refused: {status!r}")
        return time.perf_counter() - began

    try:
        return list(await asyncio.gather(*(refused(*line) for line in lines[_HOUSE:])))
    finally:
        for _, writer in lines:
            writer.close()


BENCHES: dict[str, Bench] = {"crowd": crowd, "overload": overload}

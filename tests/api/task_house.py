"""A live server with tasks, over a real studio whose engine speaks sines and can be made to wait or to fail.

One at a time in a process: what works on tasks is a singleton of its library. So there is one for each module of tests,
and it ends with the module.
"""

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.engines.base import Cancelled, Passage, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import Cancelled as CancelledError
from chatterbox_plus.errors import InvalidAudio
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.library.library import Library
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import Takes
from tests.api.live_server import LiveServer, serve
from tests.fakes import TONE, ToneEngine

DOORS = "TESTS_TASK_DOORS"  # the folder whose files are open doors
PATIENCE_S = 60  # a test that needs longer has failed
_FINAL = ("succeeded", "failed", "cancelled")


class DoorEngine(ToneEngine):
    """ToneEngine, a sentence at a time. One that says `wait NAME` is said when that door is open, `fail NAME` fails
    until then. What was said is in `spoken`, a line each."""

    info = replace(TONE, name="doors", joins_sentences=False)

    def speak(self, passage: Passage, reference: Reference | None, cancelled: Cancelled) -> Piece:
        doors, told = Path(os.environ[DOORS]), re.search(r"\b(wait|fail) (\w+)", passage.text)
        if told and told[1] == "fail" and not (doors / told[2]).exists():
            raise InvalidAudio("this sentence cannot be said yet")
        while told and not (doors / told[2]).exists():
            if cancelled():
                raise CancelledError("called off")
            time.sleep(0.005)
        with (doors / "spoken").open("a", encoding="utf-8") as file:
            file.write(passage.text + "\n")
        return super().speak(passage, reference, cancelled)


@dataclass(frozen=True)
class House:
    """The server, and the doors of its engine."""

    server: LiveServer
    data: Path
    doors: Path

    @property
    def outputs(self) -> list[str]:
        """What lies there, but for what `serve` put there."""
        root = self.data / "outputs"
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def open(self, door: str) -> None:
        (self.doors / door).touch()

    def said(self, part: str) -> int:
        """How many sentences with that in them were spoken."""
        log = self.doors / "spoken"
        return sum(part in line for line in log.read_text("utf-8").splitlines()) if log.exists() else 0

    def submit(self, text: str, **fields: Any) -> str:
        """The id of a new task that says it."""
        return self.sent("/api/v1/tts/async", {"text": text, "export_formats": ["wav"], **fields})

    def sent(self, path: str, body: Mapping[str, Any]) -> str:
        reply = self.server.post(path, json=body)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["task_id"])

    def task(self, id: str) -> dict[str, Any]:
        reply = self.server.get(f"/api/v1/tasks/{id}")
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def rows(self, id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.get(f"/api/v1/tasks/{id}/rows").json()["tasks"]
        return found

    def ended(self, id: str, status: str = "succeeded") -> dict[str, Any]:
        """The task when it is over, which it must be as expected."""
        task = self.until(id, lambda task: task["status"] in _FINAL)
        assert task["status"] == status, task
        return task

    def until(self, id: str, holds: Any) -> dict[str, Any]:
        """The task as soon as that holds of it."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(task := self.task(id)):
            assert time.monotonic() < deadline, task
            time.sleep(0.01)
        return task

    def waiting_at(self, id: str, done: int) -> dict[str, Any]:
        """The task when so many passages are done, and the next one waits at its door."""
        return self.until(id, lambda task: task["status"] == "running" and task["progress"]["done"] == done)


@contextmanager
def house(folder: Path, **settings: Any) -> Iterator[House]:
    """settings: sections as in config.yaml; two tasks are worked on at once unless they say otherwise."""
    data, doors = folder / "data", folder / "doors"
    doors.mkdir(parents=True)
    sections = {"jobs": {"concurrency": 2}, **settings, "paths": {"data_dir": data}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DOORS, str(doors))
        host = EngineHost(DoorEngine.info, "tests.api.task_house:DoorEngine", workers=2)
        studio = Studio(
            Library(*(data / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))),
            Engines("doors", engines={"doors": host}),
            Decoder(workers=1),
            capacity=8,
            timeout_s=PATIENCE_S,
            max_text_chars=10_000,
            takes=Takes(ContentStore(data / "takes", 10**9)),
        )
        try:
            with serve(Settings.model_validate(sections), studio) as running:
                yield House(running, data, doors)
        finally:
            studio.close()


@dataclass
class Receiver:
    """Who is told. answers: what it says to the first messages, 200 after that."""

    url: str
    messages: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    _came: threading.Condition = field(default_factory=threading.Condition)

    def take(self, headers: dict[str, str], body: bytes) -> int:
        with self._came:
            self.messages.append((headers, json.loads(body)))
            self.bodies.append(body)
            self._came.notify_all()
            return self.answers.pop(0) if self.answers else 200

    def about(self, task: str, count: int = 1) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """The messages about a task, once there are so many."""

        def found() -> list[tuple[dict[str, str], dict[str, Any]]]:
            return [message for message in self.messages if message[1]["task_id"] == task]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) >= count, PATIENCE_S), self.messages
            return found()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """An HTTP server of the test's own that takes webhooks."""
    taken = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(taken.take({name.lower(): value for name, value in self.headers.items()}, body))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.url = f"http://127.0.0.1:{server.server_address[1]}/done"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="receiver")
    thread.start()
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def events(reply: requests.Response) -> Iterator[dict[str, Any]]:
    """Server-Sent Events as they come: `id`, `event`, `data`; comments as `comment`."""
    told: dict[str, Any] = {}
    for line in reply.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(":")
            told[name or "comment"] = json.loads(value) if name == "data" else value.strip()
        elif told:
            yield told
            told = {}

"""`jobs`: what a running server says of its tasks, and what becomes of one that is watched."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.cli import main
from chatterbox_plus.commands import server as client
from chatterbox_plus.commands.server import TaskEvent, parse_events
from tests.cli.helpers import Shell
from tests.cli.terminal import at_a_terminal, stopped
from tests.live import LiveServer, free_port

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
Run = Callable[..., tuple[int, str, str]]
LONG = "A sentence that goes on for a while, and then a little longer still. " * 120


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", tmp_path / "data")


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`jobs` in this process: its status, stdout and stderr."""
    monkeypatch.chdir(shell.cwd)
    for name in list(os.environ):
        if name.startswith("CHATTERBOX_"):
            monkeypatch.delenv(name)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["jobs", *words])
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


def submitted(server: LiveServer, text: str = "Hello.", **options: object) -> str:
    reply = requests.post(f"{server.url}/api/v1/tts/async", json={"text": text, **options}, timeout=30)
    assert reply.status_code == 202, reply.text
    return str(reply.json()["task_id"])


def test_a_watched_task_ends_with_where_its_files_are(server: LiveServer, run: Run) -> None:
    id = submitted(server, export_formats=["wav"])
    status, out, err = run("watch", id, "--server", server.url)
    assert (status, err) == (0, "")
    assert requests.get(out.strip(), timeout=30).content.startswith(b"RIFF")
    told = json.loads(run("watch", id, "--server", server.url, "--json")[1])  # one that is over, too
    assert (told["task_id"], told["status"], told["success"]) == (id, "succeeded", True)


def test_tasks_are_listed_newest_first_and_shown(server: LiveServer, run: Run) -> None:
    first, second = submitted(server), submitted(server)
    run("watch", second, "--server", server.url)
    lines = [line.split("\t") for line in run("list", "--server", server.url)[1].splitlines()]
    assert [line[0] for line in lines].index(second) < [line[0] for line in lines].index(first)
    assert lines[[line[0] for line in lines].index(second)][1:4] == ["tts", "succeeded", "1/1 passages"]
    told = json.loads(run("list", "--server", server.url, "--json", "--limit", "1", "--kind", "tts")[1])
    assert (told["success"], len(told["tasks"])) == (True, 1)
    assert told["total"] >= 2
    assert run("list", "--server", server.url, "--kind", "vc", "--status", "paused") == (0, "", "")
    shown = dict(line.split("\t") for line in run("show", second, "--server", server.url)[1].splitlines())
    assert (shown["id"], shown["status"], shown["attempt"]) == (second, "succeeded", "1")


def test_a_task_is_paused_resumed_cancelled_and_tried_again(server: LiveServer, run: Run) -> None:
    id = submitted(server, LONG)
    assert run("pause", id, "--server", server.url) == (0, "", f"{id} is paused\n")
    assert run("resume", id, "--server", server.url)[2] in (f"{id} is queued\n", f"{id} is running\n")
    assert json.loads(run("cancel", id, "--server", server.url, "--json")[1])["status"] == "cancelled"
    status, out, err = run("watch", id, "--server", server.url)
    assert (status, out) == (1, "")
    assert err.startswith(f"chatterbox-plus: {id} cancelled: ")
    assert run("retry", id, "--server", server.url)[0] == 0
    assert run("watch", id, "--server", server.url, "--json")[0] == 0  # not ended by the word on its first attempt
    status, _, err = run("resume", id, "--server", server.url)
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("chatterbox-plus: ")


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals differ from system to system")
def test_a_bar_counts_on_the_terminal(server: LiveServer, shell: Shell) -> None:
    id = submitted(server, LONG)
    status, out, seen = at_a_terminal(shell, "jobs", "watch", id, "--server", server.url)
    assert status == 0
    assert out.startswith(server.url.encode())
    assert "tts" in seen
    assert "/120 passages" in seen


def test_a_server_that_is_not_there_is_one_line(run: Run) -> None:
    port = free_port()
    for action in (["list"], ["show", "x"], ["watch", "x"], ["cancel", "x"]):
        status, out, err = run(*action, "--server", f"127.0.0.1:{port}")
        assert (status, out) == (1, "")
        assert err.startswith(f"chatterbox-plus: no server answers at http://127.0.0.1:{port}: ")
        assert err.count("\n") == 1
    told = json.loads(run("list", "--server", f"http://127.0.0.1:{port}/", "--json")[1])
    assert (told["success"], told["error_code"]) == (False, "NO_SERVER")


def test_the_servers_port_is_the_settings(run: Run, shell: Shell) -> None:
    port = free_port()
    (shell.cwd / "config.yaml").write_text(f"server: {{port: {port}}}", encoding="utf-8")
    assert f"http://127.0.0.1:{port}:" in run("list")[2]


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:y", "http://[", "a b"])
def test_what_is_no_url_is_refused(run: Run, url: str) -> None:
    status, out, err = run("list", "--server", url)
    assert (status, out, err.count("\n")) == (1, "", 1)


def test_the_servers_own_words_on_an_error_are_told(server: LiveServer, run: Run) -> None:
    status, out, err = run("show", "task_/../nobody?x", "--server", server.url)
    assert (status, out, err.count("\n")) == (1, "", 1)
    told = json.loads(run("watch", "nobody", "--server", server.url, "--json")[1])
    assert (told["success"], told["error_code"]) == (False, "RESOURCE_NOT_FOUND")


# A server that is not ours, and one whose connections break


Answer = Callable[[BaseHTTPRequestHandler], tuple[int, bytes]]


class Odd(ThreadingHTTPServer):
    """Answers as its function says, and writes down what it was asked."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, dict(self.headers)))
                status, body = answer(self)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def odd() -> Iterator[Callable[[Answer], Odd]]:
    """Makes such servers, and ends them."""
    made: list[Odd] = []

    def make(answer: Answer) -> Odd:
        made.append(Odd(answer))
        threading.Thread(target=made[-1].serve_forever, args=(0.01,), daemon=True).start()
        return made[-1]

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def task(**fields: object) -> bytes:
    known: dict[str, Any] = {
        "task_id": "t", "kind": "batch", "name": None, "status": "running", "error": None, "output_files": [],
        "progress": {"done": 0, "total": 2, "unit": "rows"}, "finished_at": None, "timestamp": "",
    }  # fmt: skip
    return json.dumps({**known, **fields}).encode()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"hello": 1}', b"\xff"])
def test_what_answers_and_is_another_program_is_told(odd: Callable[[Answer], Odd], run: Run, body: bytes) -> None:
    there = odd(lambda _: (200, body))
    message = f"chatterbox-plus: what answers at {there.url} is no Chatterbox Plus server\n"
    assert run("list", "--server", there.url) == (1, "", message)


def test_a_key_is_shown_to_the_server_and_to_nobody_else(
    odd: Callable[[Answer], Odd], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = odd(lambda _: (200, b'{"tasks": [], "total": 0, "timestamp": ""}'))
    monkeypatch.setenv("CHATTERBOX_API_KEY", "from-the-environment")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # a proxy leads to no server on this machine
    assert run("list", "--server", there.url) == (0, "", "")
    assert run("list", "--server", there.url, "--key", "from-the-flag") == (0, "", "")
    sent = [headers.get("Authorization") for _, headers in there.asked]
    assert sent == ["Bearer from-the-environment", "Bearer from-the-flag"]
    assert run("list", "--server", there.url, "--key", "schlüssel")[0] == 1


def test_a_connection_that_breaks_is_taken_up_after_the_last_event(
    odd: Callable[[Answer], Odd], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "AGAIN_S", 0.01)
    streams = iter([b"id: 1\nevent: started\ndata: {}\n\n", b"", b'id: 2\nevent: row\ndata: {"row": 1}\n\n'])
    over = threading.Event()

    def answer(asked: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if asked.path.endswith("/events"):
            body = next(streams)
            if b"row" in body:
                over.set()
            return 200, body
        if over.is_set():
            file = {"url": "/outputs/a.wav"}
            return 200, task(status="succeeded", finished_at="2026", output_files=[file])
        return (503, task(error="stopping", error_code="SERVICE_STOPPING")) if len(there.asked) == 3 else (200, task())

    there = odd(answer)
    assert run("watch", "t", "--server", there.url) == (0, f"{there.url}/outputs/a.wav\n", "")
    asked = [headers.get("Last-Event-ID") for path, headers in there.asked if path.endswith("/events")]
    assert asked == [None, "1", "1"]


@needs_posix
def test_ctrl_c_stops_watching_at_once_and_not_the_task(odd: Callable[[Answer], Odd], shell: Shell) -> None:
    watched, over = threading.Event(), threading.Event()

    def answer(asked: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if asked.path.endswith("/events"):
            watched.set()
            over.wait(60)  # a task of which nothing is heard
        return 200, task()

    there = odd(answer)
    words = ("jobs", "watch", "t", "--server", there.url)
    assert stopped(shell, *words, when=watched.is_set, by=signal.SIGINT) == (130, b"", b"")
    over.set()
    assert [path for path, _ in there.asked] == ["/api/v1/tasks/t", "/api/v1/tasks/t/events"]


def test_events_are_the_same_however_their_bytes_are_cut() -> None:
    stream = (
        b'retry: 1000\n\n: still here\n\nid: 1\r\nevent: passage\r\ndata: {"passage":1}\r\n\r\n'
        b"event: odd\ndata: not json\n\n" + 'id: 2\nevent: chapter\ndata: {"title":"a\u2028b"}\n\nid: 3\nev'.encode()
    )
    whole = [TaskEvent("1", "passage", {"passage": 1}), TaskEvent("2", "chapter", {"title": "a\u2028b"})]
    for size in (1, 2, 7, len(stream)):
        assert list(parse_events(stream[n : n + size] for n in range(0, len(stream), size))) == whole

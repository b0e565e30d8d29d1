"""`serve` starts, says where it is and who speaks, and stops without a trace."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.cli.helpers import COMMAND, Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stopping is by POSIX signals here")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def shell(tmp_path: Path, data: Path) -> Shell:
    return Shell(tmp_path, data)


@contextmanager
def serving(shell: Shell, *words: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A running server and what it said until it was ready."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", *words],
        cwd=shell.cwd, env=shell.env(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if "documentation:" in line:
                break
        yield process, said
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def url_in(said: list[str]) -> str:
    found = re.search(r"ready at (http://\S+)", "".join(said))
    assert found, said
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_where_it_says_and_stops_with_all_its_children(shell: Shell, number: signal.Signals) -> None:
    with serving(shell) as (process, said):
        with urllib.request.urlopen(url_in(said) + "/api/v1/health", timeout=10) as reply:
            assert (reply.status, json.load(reply)["success"]) == (200, True)
            assert "server" not in {name.lower() for name in reply.headers}
        assert "builtin, a preview voice" in "".join(said)
        assert "WARNING" not in "".join(said)
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        os.killpg(process.pid, number)
        assert process.wait(10) == 0
        _, alive = psutil.wait_procs(children, timeout=5)
        assert alive == []


def test_a_second_interrupt_ends_what_is_under_way_and_tells_its_client(shell: Shell) -> None:
    body = json.dumps({"text": "This takes a while. " * 400, "reference_audio_filename": "narrator.wav"}).encode()
    with serving(shell, "--drain-s", "300") as (process, said), ThreadPoolExecutor(1) as pool:
        address = urlsplit(url_in(said))
        client = HTTPConnection(address.hostname or "", address.port, timeout=60)
        client.request("POST", "/api/v1/tts", body, {"Content-Type": "application/json"})
        reply = pool.submit(client.getresponse)
        while not busy(url_in(said)):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "Stopping. Requests under way: 1;" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert reply.result(60).status == 503
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()


def busy(url: str) -> int:
    with urllib.request.urlopen(url + "/api/v1/health", timeout=10) as reply:
        return int(json.load(reply)["engine"]["busy"])


def test_a_port_in_use_is_told_of_at_once(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell("serve", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"chatterbox-plus: port {port} is in use")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    "words, complaint",
    [
        (["--port", "web"], "--port: "),
        (["--host", "no.such.host.invalid"], "server.host: there is no such address here"),
        (["--log-level", "loud"], "invalid choice: 'loud'"),
    ],
)
def test_a_wrong_setting_ends_with_usage(shell: Shell, words: list[str], complaint: str) -> None:
    done = shell("serve", *words)
    assert done.returncode == 2
    assert complaint in done.stderr.decode().splitlines()[-1]


@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--trusted-hosts", "speech.example"]])
def test_a_server_that_others_reach_without_keys_says_so_in_a_box(shell: Shell, words: list[str]) -> None:
    with serving(shell, *words) as (process, said):
        assert process.stderr is not None
        lines = [*said, *(process.stderr.readline() for _ in range(5))]
        assert any("asks nobody for a key" in line for line in lines)
        assert sum(line.startswith("!!") for line in lines) >= 3


def test_a_server_that_asks_for_keys_and_has_none_says_how_to_make_one(shell: Shell) -> None:
    with serving(shell, "--api-key-required") as (process, said):
        assert process.stderr is not None
        assert "chatterbox-plus keys add" in process.stderr.readline(), said


def test_the_log_goes_to_a_file_too_when_one_is_set(shell: Shell) -> None:
    (shell.cwd / "config.yaml").write_text("server: {log_file_path: server.log, reload: true}", encoding="utf-8")
    with serving(shell) as (process, said):
        urllib.request.urlopen(url_in(said) + "/api/v1/health", timeout=10).close()
        process.terminate()
        process.wait(10)
    assert "server.reload has no effect" in said[0]
    log = (shell.data / "logs" / "server.log").read_text(encoding="utf-8")
    assert "server.reload has no effect" in log
    assert re.search(r"\[req_[0-9a-f]+\] GET /api/v1/health 200", log)


def test_the_log_is_json_by_line_when_asked_for(shell: Shell) -> None:
    with serving(shell, "--log-format", "json") as (process, said):
        urllib.request.urlopen(url_in(said) + "/api/v1/health", timeout=10).close()
        process.terminate()
        process.wait(10)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr if line.startswith("{")]
    [access] = [line for line in lines if line.get("route") == "/api/v1/health"]
    assert (access["level"], access["status"]) == ("info", 200)

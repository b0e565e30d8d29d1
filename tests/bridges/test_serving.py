"""`serve` with its bridges, as somebody starts it: where they are, and that they end with it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe
from wyoming.tts import SynthesizeChunk, SynthesizeStart

from tests.bridges.assistants import Heard, hear, run, said, send
from tests.cli.helpers import COMMAND, Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stopping is by POSIX signals here")
SERVE = ("serve", "--port", "0", "--wyoming", "--wyoming-port", "0")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("house")
    return Shell(folder, folder / "data")


@pytest.fixture
def serving(shell: Shell) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server, and what it said until it was ready."""
    process = subprocess.Popen(
        [*COMMAND, *SERVE, "--mcp"], cwd=shell.cwd, env=shell.env(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said_so_far = ""
    for line in process.stderr:
        said_so_far += line
        if "documentation:" in line:
            break
    yield process, said_so_far
    process.kill()
    process.wait()
    process.stderr.close()


def test_it_says_where_they_are_and_takes_their_clients_along_when_it_stops(
    serving: tuple[subprocess.Popen[str], str],
) -> None:
    process, words = serving
    found = re.search(r"Home Assistant \(Wyoming\): tcp://localhost:(\d+)\n", words)
    assert found, words
    assert re.search(r"MCP: http://localhost:\d+/mcp\n", words)

    async def stay() -> tuple[Heard, Heard, Heard]:
        client, idle = (AsyncTcpClient("localhost", int(found[1])) for _ in range(2))
        async with client, idle:
            await send(client, said("Hello."), Describe())
            spoken = await hear(client)
            await send(client, SynthesizeStart(), SynthesizeChunk("To be"))
            await send(idle, Describe())
            await hear(idle, "info")
            process.send_signal(signal.SIGTERM)
            return spoken, await hear(client, "error"), await hear(idle, "error")

    spoken, told, idle = run(stay())
    assert len(spoken.audio) > 1000
    assert told.error["code"] == "SERVICE_STOPPING"
    assert idle.order == [None]
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_a_port_of_wyoming_that_is_in_use_stops_the_start(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell("serve", "--port", "0", "--wyoming", "--wyoming-port", str(port))
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"port {port} is in use" in done.stderr.decode()
    assert "--wyoming-port" in done.stderr.decode()


@pytest.mark.parametrize("words", [("--wyoming-host", "0.0.0.0"), ("--host", "0.0.0.0")])
def test_where_keys_are_asked_for_it_does_not_open_wyoming_to_others(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell(*SERVE, "--api-key-required", *words)
    assert done.returncode == 2
    assert "wyoming_without_key" in done.stderr.decode()
    assert done.stderr.count(os.linesep.encode()) == 1


def test_the_folder_of_the_data_is_not_touched_by_a_start_that_failed(shell: Shell, tmp_path: Path) -> None:
    elsewhere = Shell(tmp_path, tmp_path / "data")
    elsewhere(*SERVE, "--api-key-required", "--host", "0.0.0.0")
    assert not elsewhere.data.exists()

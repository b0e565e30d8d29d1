"""The real server, as a user runs it: its own process, the built-in engine, a data folder of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import requests

START_S = 60
PORTS = 20_000, 32_000  # Linux gives away 32768 and more, others 49152 and more


@dataclass(frozen=True)
class LiveServer:
    url: str
    data: Path
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def live_server(
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
    program: str = "chatterbox_plus",
) -> Iterator[LiveServer]:
    """A server in `folder`, ready to answer; stopped with SIGTERM. Fails with its log if it does not start.

    program: a module that is run instead of ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHATTERBOX_")}
    command = [
        sys.executable,
        "-m",
        program,
        "serve",
        "--port",
        str(port),
        "--data-dir",
        str(folder / "data"),
    ]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *flags], cwd=folder, env={**clean, **(env or {})}, stdout=out, stderr=subprocess.STDOUT
        )
    server = LiveServer(f"http://127.0.0.1:{port}", folder / "data", process, log)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def free_port() -> int:
    """One that nobody takes before a server has started on it: below those that systems give away by themselves, and
    no other test that runs now is likely to draw the same."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port := SystemRandom().randrange(*PORTS)))
            return port


def _wait(server: LiveServer) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if requests.get(server.url + "/api/v1/health", timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.05)  # polling a starting process, bounded by the deadline
    raise AssertionError("the server did not start:\n" + server.log.read_text("utf-8", "replace"))

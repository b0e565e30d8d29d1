"""A command with a pseudo-terminal for its stderr, as a person has one, and one that somebody stops half-way."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.cli.helpers import COMMAND, Shell

PATIENCE_S = 60.0


def at_a_terminal(shell: Shell, *words: str) -> tuple[int, bytes, str]:
    """Its status, its stdout, and what the terminal was sent. Linux only."""
    ours, theirs = os.openpty()
    env = shell.env(TERM="xterm", COLUMNS="100", LINES="30", NO_COLOR="1")
    with (shell.cwd.parent / "stdout").open("w+b") as out:
        process = subprocess.Popen(
            [*COMMAND, *words], cwd=shell.cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs
        )
        os.close(theirs)
        seen = b"".join(_until_hung_up(ours))
        os.close(ours)
        status = process.wait(PATIENCE_S)
        out.seek(0)
        return status, out.read(), seen.decode()


def stopped(shell: Shell, *words: str, when: Callable[[], bool], by: signal.Signals) -> tuple[int, bytes, bytes]:
    """The command, sent a signal with all its children once `when` is true: its status, stdout and stderr. POSIX."""
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=shell.cwd, env=shell.env(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not when():
            assert process.poll() is None, "it ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, by)  # as a terminal does: the engine's children get it too
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def _until_hung_up(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says EIO once nobody has the other end open
            return
        if not data:
            return
        yield data

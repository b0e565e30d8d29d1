"""What a person at a terminal sees while audio is made: a bar on stderr, and nothing of it on stdout."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.helpers import COMMAND, Shell

TEXT = "A sentence that goes on for a while, and then a little longer still. " * 60
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals differ from system to system")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", tmp_path / "data")


def at_a_terminal(shell: Shell, *words: str) -> tuple[int, bytes, str]:
    """The command with a terminal for its stderr: its status, its stdout and what the terminal was sent."""
    ours, theirs = os.openpty()
    command = [*COMMAND, "say", TEXT, *words]
    env = shell.env(TERM="xterm", COLUMNS="100", LINES="30", NO_COLOR="1")
    with (shell.cwd / "out").open("w+b") as out:
        process = subprocess.Popen(command, cwd=shell.cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs)
        os.close(theirs)
        seen = b"".join(_until_hung_up(ours))
        os.close(ours)
        status = process.wait(60)
        out.seek(0)
        return status, out.read(), seen.decode()


def _until_hung_up(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says EIO once nobody has the other end open
            return
        if not data:
            return
        yield data


def test_a_bar_counts_on_the_terminal_and_stdout_holds_audio_alone(shell: Shell) -> None:
    status, out, seen = at_a_terminal(shell, "-o", "-", "--format", "wav")
    assert status == 0
    assert "Speaking" in seen
    assert "passages" in seen
    assert out.startswith(b"RIFF")
    assert (len(out) - 44) % 2 == 0
    assert b"Speaking" not in out


def test_stdout_holds_the_path_alone(shell: Shell) -> None:
    status, out, seen = at_a_terminal(shell, "-o", "a.wav")
    assert (status, out) == (0, b"a.wav\n")
    assert "Speaking" in seen


def test_quiet_draws_nothing(shell: Shell) -> None:
    status, out, seen = at_a_terminal(shell, "--quiet", "-o", "a.wav")
    assert (status, out, seen) == (0, b"a.wav\n", "")

"""How a process that measures is talked to: a line of JSON in, a line of JSON out. Needs no PyTorch.

The first line says what is to be measured and is answered with `{}` when it is loaded. Those that follow are
`{"measure": name, ...}` with arguments, and are answered with `{"figures": {...}, "details": {...}}`. Either may be
answered with `{"error": "..."}`.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chatterbox_plus.engines.openmp import THREADS
from chatterbox_plus.errors import GenerationError, ModelLoadError, PlusError

_PATIENCE_S = 20.0  # for a process that has been told to end
_STATUS = Path("/proc/self/status")
MB = 2**20


@dataclass(frozen=True)
class Measured:
    """figures: by the names of `figures.KINDS`. details: what a reader needs to know about them."""

    figures: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)


Measures = Mapping[str, Callable[..., Measured]]
"""What a process can be asked for, by name."""


def answer(open_model: Callable[[dict[str, Any]], Measures]) -> None:
    """The process's side, until its stdin ends. Whatever prints meanwhile, prints to stderr.

    open_model: gets the first line; what it gives may raise PlusError, which is told and ends nothing but the question.
    """
    replies = sys.stdout

    def reply(told: Mapping[str, Any]) -> None:
        replies.write(json.dumps(told) + "\n")
        replies.flush()

    with contextlib.redirect_stdout(sys.stderr):
        try:
            measures = open_model(json.loads(sys.stdin.readline()))
        except PlusError as error:
            reply({"error": error.message})
            return
        reply({})
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                found = measures[asked.pop("measure")](**asked)
            except PlusError as error:
                reply({"error": error.message})
            else:
                reply({"figures": dict(found.figures), "details": dict(found.details)})


class Side:
    """A process that measures, as whoever asks sees it."""

    def __init__(self, command: Sequence[str], setup: Mapping[str, Any], env: Mapping[str, str] | None = None) -> None:
        """Starts it and waits until its model is loaded. env: None for this process's.

        Raises ModelLoadError if it cannot be loaded.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            command,
            env={**THREADS, **(env or os.environ)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            told = self._exchange(setup)
        except GenerationError as error:
            self.close()
            raise ModelLoadError(error.message) from None
        if "error" in told:
            self.close()
            raise ModelLoadError(told["error"])

    def ask(self, measure: str, **arguments: Any) -> Measured:
        """Raises GenerationError if that went wrong, or the process has ended."""
        told = self._exchange({"measure": measure, **arguments})
        if "error" in told:
            raise GenerationError(told["error"])
        return Measured(told["figures"], told["details"])

    def close(self) -> None:
        """End the process; it may have ended before."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._process.kill()  # it may be in the middle of minutes of work
        self.close()

    def _exchange(self, line: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        reply = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
            reply = self._process.stdout.readline()
        if not reply:
            self._said.seek(0)
            words = self._said.read().decode(errors="replace").strip().splitlines()
            raise GenerationError(f"the process that measures has ended: {words[-1] if words else 'it said nothing'}")
        told: dict[str, Any] = json.loads(reply)
        return told


def peak_memory() -> Measured:
    """The most memory that this process has held, with what it has mapped of files.

    Not `ru_maxrss` where there is something better: Linux starts it with what the parent process held.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
        return Measured({"peak_memory_mb": int(line.split()[1]) / 1024})
    if sys.platform == "win32":
        import psutil

        return Measured({"peak_memory_mb": psutil.Process().memory_info().peak_wset / MB})
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measured({"peak_memory_mb": peak / (MB if sys.platform == "darwin" else 1024)})

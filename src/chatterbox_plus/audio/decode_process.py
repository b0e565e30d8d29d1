"""The parent's side of one decoding child: start it, talk to it, watch it, kill it."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, Any

import psutil

from chatterbox_plus.audio.decode_child import END, ERROR, GRACE_S, HEAD, MIN_SPEED, PROGRESS, READY, SECONDS
from chatterbox_plus.errors import AudioTooLong, Cancelled, InvalidAudio, NotFound, PlusError

_START_S = 60.0  # a child is ready in 0.2 s; on a machine that starts up, longer
_LEAVE_S = 0.5  # how long a child may take to hear that nobody wants the rest
_TICK_S = 0.05
_LINGER_S = 1.0  # starting a thread for every short file would cost more than the file
_ERRORS: dict[str, type[PlusError]] = {kind.__name__: kind for kind in (InvalidAudio, AudioTooLong, NotFound)}
# What a Python needs to start. The rest of the environment, keys and secrets, is no business of a decoder's.
_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR"),
    *("TMPDIR", "TEMP", "TMP", "LANG", "LC_ALL"),
    *("HOME", "USERPROFILE", "APPDATA", "PYTHONUSERBASE", "VIRTUAL_ENV"),  # packages may be installed there
)


@dataclass(frozen=True, kw_only=True)
class DecodeLimits:
    """What one file may cost."""

    max_bytes: int = 2 << 30
    max_duration_s: float = 14_400.0
    max_memory_bytes: int = 512 << 20  # beyond what an idle child takes
    max_wall_s: float = 20.0  # without a sign of life while somebody waits


class ProcessGone(Exception):
    """The child had died before it was given the file: not the file's fault."""


class DecodeProcess:
    """One child, and one file at a time in it. Used by one thread at a time, watched by another."""

    def __init__(self, limits: DecodeLimits) -> None:
        """Start the child without waiting for it. Raises OSError if there can be none."""
        self._limits = limits
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "chatterbox_plus.audio.decode_child", str(limits.max_memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={k: os.environ[k] for k in _ENVIRONMENT if k in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._stdin: IO[bytes] = self._popen.stdin
        self._stdout: IO[bytes] = self._popen.stdout
        self._process: psutil.Process | None = None
        self._idle_rss = 0
        self._requests = 0
        self._lock = threading.RLock()  # of everything below, which the watchdog reads
        self._verdict: PlusError | None = None
        self._cancel: threading.Event | None = None
        self._answering = False
        self._must_answer_by: float | None = time.monotonic() + _START_S
        self._decoded_s = 0.0
        self._processor_s = 0.0  # used before this file

    def wait_until_ready(self) -> None:
        """Raises PlusError if the child does not start."""
        if self._process is not None:
            return
        try:
            kind, pid = self._frame()
            assert kind == READY
            self._process = psutil.Process(int(pid))
            self._idle_rss = self._process.memory_info().rss
        except (EOFError, psutil.Error):
            raise PlusError("the audio decoder could not be started") from None
        with self._lock:
            self._must_answer_by = None

    def begin(self, request: dict[str, Any], cancel: threading.Event | None) -> None:
        """Hand a file over. Raises ProcessGone."""
        assert self._process is not None
        self._requests += 1
        try:
            with self._lock:
                self._processor_s = _processor_s(self._process)
                self._decoded_s, self._cancel, self._answering = 0.0, cancel, True
            self._say(request | {"id": self._requests, "max_duration_s": self._limits.max_duration_s})
        except (OSError, psutil.Error):
            raise ProcessGone from None

    def receive(self) -> tuple[bytes, bytearray]:
        """The next frame but PROGRESS; nothing follows END. The error of the file, or of the child's end, is raised."""
        while True:
            with self._lock:
                if self._cancel is not None and self._cancel.is_set():
                    self._kill(Cancelled("the request was called off"))
                    raise Cancelled("the request was called off")
                self._must_answer_by = time.monotonic() + self._limits.max_wall_s
            try:
                kind, payload = self._frame()
            except EOFError:
                self._answering = False
                raise self._verdict or InvalidAudio("it cannot be decoded") from None
            with self._lock:
                self._must_answer_by = None
                if kind in (END, ERROR):
                    self._answering = False
            if kind == ERROR:
                name, message = json.loads(payload)
                raise _ERRORS[name](message)
            if kind != PROGRESS:
                return kind, payload
            self.decoded(SECONDS.unpack(payload)[0])

    def decoded(self, seconds: float) -> None:
        """So much of the file has come: it may have cost accordingly."""
        with self._lock:
            self._decoded_s = seconds

    def leave(self) -> bool:
        """No more of this file is wanted. Returns whether the child can take another."""
        if self._answering and self._verdict is None:
            with self._lock:
                self._must_answer_by = time.monotonic() + _LEAVE_S
            try:
                self._say({"stop": self._requests})
                while self._frame()[0] not in (END, ERROR):
                    pass
            except (OSError, EOFError):
                return False
        with self._lock:
            self._must_answer_by = self._cancel = None
            self._answering = False
            return self._verdict is None and self._popen.poll() is None

    def check(self) -> None:
        """The watchdog's look: kill what has been called off or costs too much."""
        with self._lock:
            if self._cancel is not None and self._cancel.is_set():
                self._kill(Cancelled("the request was called off"))
            elif self._must_answer_by is not None and time.monotonic() > self._must_answer_by:
                self._kill(AudioTooLong("it takes too long to decode"))
            elif self._answering and self._process is not None:
                with contextlib.suppress(psutil.Error):  # gone already
                    budget_s = GRACE_S + self._decoded_s / MIN_SPEED
                    if _processor_s(self._process) - self._processor_s > budget_s:
                        self._kill(AudioTooLong("it takes too long to decode"))
                    elif self._process.memory_info().rss - self._idle_rss > self._limits.max_memory_bytes:
                        self._kill(AudioTooLong("it takes too much memory to decode"))

    def close(self) -> None:
        """End the child and wait for its end."""
        with self._lock:
            self._kill(Cancelled("the audio decoder is closing"))
        self._popen.wait()
        self._stdin.close()
        self._stdout.close()

    def _kill(self, verdict: PlusError) -> None:
        self._verdict = self._verdict or verdict
        self._popen.kill()
        if self._process is not None and self._process.pid != self._popen.pid:
            with contextlib.suppress(psutil.Error):
                self._process.kill()

    def _say(self, message: dict[str, Any]) -> None:
        self._stdin.write(json.dumps(message).encode() + b"\n")

    def _frame(self) -> tuple[bytes, bytearray]:
        kind, size = HEAD.unpack(self._read(HEAD.size))
        return kind, self._read(size)

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view, have = memoryview(data), 0
        while have < size:
            n = self._stdout.readinto(view[have:])  # type: ignore[attr-defined]
            if not n:
                raise EOFError
            have += n
        return data


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Watchdog:
    """Looks after the processes that are at work, in a thread that lives while there are any."""

    def __init__(self) -> None:
        self._watched: set[DecodeProcess] = set()
        self._lock = threading.Lock()
        self._running = False

    def add(self, process: DecodeProcess) -> None:
        with self._lock:
            self._watched.add(process)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="decode-watchdog", daemon=True).start()

    def remove(self, process: DecodeProcess) -> None:
        with self._lock:
            self._watched.discard(process)

    def _run(self) -> None:
        idle_ticks = 0
        while True:
            time.sleep(_TICK_S)
            with self._lock:
                watched = list(self._watched)
                idle_ticks = 0 if watched else idle_ticks + 1
                if idle_ticks * _TICK_S > _LINGER_S:
                    self._running = False
                    return
            for process in watched:
                process.check()

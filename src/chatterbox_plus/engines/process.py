"""A child process as the host sees it: start it, send without waiting, hear what it says, kill, stop."""

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.openmp import THREADS

REFERENCES = 8  # recordings a child keeps; the least recently used is forgotten first

logger = logging.getLogger("chatterbox_plus.engines")


class ChildProcess:
    """An engine's process.

    `send` and `kill` may be called by any thread and never wait; the rest belongs to the one that drives it, `remember`
    with the host's lock held.
    """

    def __init__(self, factory: str, name: str, arguments: str = "{}") -> None:
        """arguments: JSON, the factory's keyword arguments. Raises OSError when no process can be started."""
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "chatterbox_plus.engines.child", factory, arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**THREADS, **os.environ, "PYTHONPATH": os.pathsep.join(e or str(Path.cwd()) for e in sys.path)},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._replies = self._process.stdout
        self.rows = 0  # of a `Crowd`, how many works it takes in at once; 0 = it has an `Engine`, for one at a time
        self.works = 0  # pieces of work it was given; its driver counts
        self.answered = False  # whether it has done one: an engine may load its weights no earlier
        self.heard_at = 0.0  # when it last said anything (time.monotonic)
        self.ended = False  # nothing comes from it any more, or nothing that counts
        self.broken = False  # it said itself that it has failed, and which works with it
        self._known: OrderedDict[str, None] = OrderedDict()
        self._outbox: queue.SimpleQueue[wire.Frame | None] = queue.SimpleQueue()
        self._listener: threading.Thread | None = None
        self._threads = [
            threading.Thread(target=self._write, args=(self._process.stdin,), name=f"{name}-out", daemon=True),
            threading.Thread(target=self._log, args=(self._process.stderr,), name=f"{name}-log", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self.ended and self._process.poll() is None

    def memory_bytes(self) -> int:
        """What it holds of the machine's memory; 0 when it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def send(self, frame: wire.Frame) -> None:
        """Send an encoded message, in order. One to a dead child is lost: who hears it learns that it died."""
        self._outbox.put(frame)

    def remember(self, reference: Reference) -> None:
        """Make sure that the child has this reference, sending it if need be."""
        if reference.digest not in self._known:
            self.send(wire.encode(wire.Remember(reference)))
            self._known[reference.digest] = None
        self._known.move_to_end(reference.digest)
        if len(self._known) > REFERENCES:
            digest, _ = self._known.popitem(last=False)
            self.send(wire.encode(wire.Forget(digest)))

    def receive(self) -> wire.Reply:
        """The child's next message, until somebody listens. Raises EOFError when it died."""
        reply: wire.Reply = wire.read(self._replies)
        return reply

    def listen(self, name: str, hear: Callable[[wire.Reply | None], None]) -> None:
        """From now on a thread of its own hands over every message as it comes, and in the end None."""

        def read() -> None:
            with contextlib.suppress(EOFError), self._replies:
                while True:
                    hear(self.receive())
            hear(None)

        self._listener = threading.Thread(target=read, name=name, daemon=True)
        self._threads.append(self._listener)
        self._listener.start()

    def kill(self) -> None:
        """End it now, with whatever it started itself (which would keep its pipes open)."""
        if self._process.poll() is not None:
            return
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):  # it may end while we look
            below = psutil.Process(self.pid).children(recursive=True)
        self._process.kill()
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def stop(self, patience_s: float) -> int:
        """Let it leave by itself, kill it if it does not, and free everything. Gives the exit code."""
        self._outbox.put(None)
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        for thread in self._threads:
            thread.join(1.0)  # a stray grandchild may hold a pipe open; that thread ends with it
        if self._listener is None:
            self._replies.close()
        return code

    def _write(self, stream: IO[bytes]) -> None:
        """Closing stdin is the child's sign to leave."""
        with contextlib.suppress(OSError), stream:  # the child died: whoever receives from it learns that
            for frame in iter(self._outbox.get, None):
                wire.write(stream, frame)

    def _log(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                logger.warning("%s[%d] %s", self._name, self.pid, line.decode(errors="replace").rstrip())

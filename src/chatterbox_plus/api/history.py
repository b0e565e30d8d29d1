"""The last ten minutes in slices of ten seconds, for charts: as many numbers, however much is asked. Thread-safe."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatterbox_plus.api.watch import Watch
    from chatterbox_plus.synthesis.studio import Studio

SLICE_S = 10.0
SLICES = 60
_MB = 2**20


@dataclass
class Slice:
    """What happened in it, and, from `inside` on, how it was when somebody looked; None: nobody has.

    errors: the server's own; refused: clients' (4xx). audio_s, processing_s: of what was finished, in seconds. inside:
    requests that the studio works on or that wait for it. queued, running: tasks. memory: bytes, engines included.
    """

    number: int
    requests: int = 0
    errors: int = 0
    refused: int = 0
    audio_s: float = 0.0
    processing_s: float = 0.0
    inside: int | None = None
    queued: int | None = None
    running: int | None = None
    memory: int | None = None
    cpu_percent: float | None = None

    def as_json(self, at: str) -> dict[str, Any]:
        """real_time_factor: seconds of work for a second of sound."""
        return {
            "at": at,
            "requests": self.requests,
            "errors": self.errors,
            "refused": self.refused,
            "audio_seconds": round(self.audio_s, 3),
            "processing_seconds": round(self.processing_s, 3),
            "real_time_factor": round(self.processing_s / self.audio_s, 4) if self.audio_s else None,
            "requests_inside": self.inside,
            "tasks_queued": self.queued,
            "tasks_running": self.running,
            "memory_mb": None if self.memory is None else round(self.memory / _MB, 1),
            "cpu_percent": self.cpu_percent,
        }


class History:
    """From the server's start on, at most SLICES."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._first = self._number()
        self._slices: deque[Slice] = deque(maxlen=SLICES)

    def asked(self, status: int) -> None:
        """A request was answered so."""
        with self._lock:
            slice = self._current()
            slice.requests += 1
            slice.errors += status >= 500
            slice.refused += 400 <= status < 500

    def made(self, audio_s: float, processing_s: float) -> None:
        """Something was generated."""
        with self._lock:
            slice = self._current()
            slice.audio_s += audio_s
            slice.processing_s += processing_s

    def seen(
        self,
        *,
        inside: int,
        queued: int | None = None,
        running: int | None = None,
        memory: int | None = None,
        cpu_percent: float | None = None,
    ) -> None:
        """How it is now. memory: bytes."""
        with self._lock:
            slice = self._current()
            slice.inside, slice.queued, slice.running = inside, queued, running
            slice.memory, slice.cpu_percent = memory, cpu_percent

    def as_json(self) -> list[dict[str, Any]]:
        """The oldest first; slices in which nothing happened too, and the one that is under way last."""
        with self._lock:
            now = self._number()
            known = {slice.number: slice for slice in self._slices}
            first = max(self._first, now - SLICES + 1)
            began = time.time() - self._clock()  # of the clock, in seconds since the epoch
            return [
                known.get(number, Slice(number)).as_json(_at(began + number * SLICE_S))
                for number in range(first, now + 1)
            ]

    def _number(self) -> int:
        return int(self._clock() // SLICE_S)

    def _current(self) -> Slice:
        number = self._number()
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(Slice(number))
        return self._slices[-1]


async def keep_looking(history: History, watch: "Watch", studio: "Studio") -> None:
    """Looks at the machine and the tasks once a slice, until it is cancelled."""
    while True:
        machine, tasks = await watch.machine.get(), await watch.tasks.get()
        counts = (tasks.counts if tasks else None) or {}
        history.seen(
            inside=studio.busy,
            queued=counts.get("queued"),
            running=counts.get("running"),
            memory=machine.resident + machine.children_resident if machine else None,
            cpu_percent=machine.cpu_percent if machine else None,
        )
        await asyncio.sleep(SLICE_S)


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

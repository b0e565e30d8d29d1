"""How the machine and the data folder are: looked at beside the event loop, and only as often as it is worth."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import psutil

from chatterbox_plus.api.cleaner import Cleaner
from chatterbox_plus.errors import DatabaseAway
from chatterbox_plus.jobs.queue import Jobs
from chatterbox_plus.jobs.states import Status
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.survey import Tally, tally

MACHINE_EVERY_S, FOLDERS_EVERY_S, TASKS_EVERY_S = 1.0, 5.0, 2.0
PATIENCE_S = 1.0  # of an answer that would like fresh figures; a disk that hangs must not hang it too
_STALE = 5  # times as old as it should be: nobody has asked for a while
_SPARING = 20  # a look that took long is repeated only after so many times as long
_process = psutil.Process()
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Reading(Generic[T]):
    """Something that is looked at in a thread, by one at a time, and only when somebody asks. For one event loop."""

    def __init__(self, look: Callable[[], T], every_s: float) -> None:
        self._look, self._every_s = look, every_s
        self._value: T | None = None
        self._due = -math.inf
        self._task: asyncio.Task[None] | None = None

    async def get(self, patience_s: float = PATIENCE_S) -> T | None:
        """What was seen last; looks again, beside the caller, when that is due.

        Waits only for what is long out of date or was never seen, and after `patience_s` takes what there is.
        """
        now = time.monotonic()
        if now >= self._due:
            looking = self._start()
            if now >= self._due + _STALE * self._every_s:
                await asyncio.wait({looking}, timeout=patience_s)
        return self._value

    async def fresh(self) -> T:
        """What is seen from now on. Raises what looking raises."""
        if self._task is not None:
            await asyncio.wait({self._task})  # it may have begun before what is asked about
        await asyncio.shield(self._start())
        assert self._value is not None
        return self._value

    def _start(self) -> "asyncio.Task[None]":
        if self._task is None:
            self._task = asyncio.create_task(self._refresh())
            self._task.add_done_callback(self._over)
        return self._task

    async def _refresh(self) -> None:
        began = time.monotonic()
        self._value = await asyncio.to_thread(self._look)
        now = time.monotonic()
        self._due = now + max(self._every_s, _SPARING * (now - began))

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()):
            _log.warning("cannot look at the machine", exc_info=error)


@dataclass(frozen=True)
class Disk:
    """The disk that outputs lie on, in bytes."""

    total: int
    used: int
    free: int
    percent: float


@dataclass(frozen=True)
class Machine:
    """Bytes, but for percents. cpu_percent: of all CPUs; memory_percent: this process's share."""

    cpu_percent: float
    cpu_s: float  # this process's CPU time
    resident: int
    virtual: int
    memory_percent: float
    memory_total: int
    memory_used: int
    children_resident: int  # engines and decoders
    disk: Disk | None  # None: the outputs folder is gone, or cannot be looked at


@dataclass(frozen=True)
class Folders:
    outputs: Tally
    temp: Tally
    vc_inputs: Tally
    reference_audio: Tally


@dataclass(frozen=True)
class Tasks:
    """How many tasks stand how; None: the database is away. working: whether this server works on them; None: there
    has been none yet."""

    counts: Mapping[str, int] | None
    working: bool | None


class Watch:
    """What is known about the house as a whole, and who cleans it."""

    def __init__(self, library: Library, cleaner: Cleaner, jobs: Jobs) -> None:
        self.machine = Reading(lambda: _machine(library.outputs.root), MACHINE_EVERY_S)
        self.tasks = Reading(lambda: _tasks(jobs), TASKS_EVERY_S)
        self.folders = Reading(lambda: _folders(library), FOLDERS_EVERY_S)
        self.cleaner = cleaner


def _tasks(jobs: Jobs) -> Tasks:
    try:
        found = jobs.counts()
    except DatabaseAway:
        return Tasks(None, False)
    return Tasks({status.value: found.get(status.value, 0) for status in Status}, jobs.working if found else None)


def _machine(outputs: Path) -> Machine:
    with _process.oneshot():
        memory, percent, times = _process.memory_info(), _process.memory_percent(), _process.cpu_times()
    whole = psutil.virtual_memory()
    return Machine(
        cpu_percent=psutil.cpu_percent(),
        cpu_s=times.user + times.system,
        resident=memory.rss,
        virtual=memory.vms,
        memory_percent=round(percent, 2),
        memory_total=whole.total,
        memory_used=whole.used,
        children_resident=sum(map(_resident, _process.children(recursive=True))),
        disk=_disk(outputs),
    )


def _resident(child: psutil.Process) -> int:
    try:
        return int(child.memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0


def _disk(folder: Path) -> Disk | None:
    try:
        usage = psutil.disk_usage(str(folder))
    except OSError:
        return None
    return Disk(usage.total, usage.used, usage.free, usage.percent)


def _folders(library: Library) -> Folders:
    stores = (library.outputs, library.inputs, library.voices)
    outputs, inputs, voices = (tally(store.root, frozenset(store.suffixes)) for store in stores)
    return Folders(outputs, tally(library.temp), inputs, voices)

"""A place for one child of a host: how the child in it is started, when it is too large, how it is ended."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.calls import Call, WarmCall, Work
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.errors import Cancelled, ModelLoadError

RENEW_WORKS = 100  # pieces of work: a start of 0.4 s is nothing to them
CLOSE_S = 2.0  # how long a child may take to leave

logger = logging.getLogger("chatterbox_plus.engines")

BeforeStart = Callable[[Callable[[], bool]], None]
"""Called by a child's thread before it starts one. May wait, but not longer than what it is given says True."""


@dataclass(frozen=True)
class Launch:
    """How children are started. arguments: JSON. renew_bytes: 0 = a child may hold as much memory as it will."""

    info: EngineInfo
    factory: str
    arguments: str
    start_timeout_s: float
    renew_bytes: int
    before_start: BeforeStart | None


class Order(Enum):
    """What a child's thread does when it is not to give work."""

    START = auto()
    RENEW = auto()
    REST = auto()
    BURY = auto()
    QUIT = auto()


class Slot:
    """A place for a child, and the thread that drives it, whose the methods are that start and end one. The fields are
    guarded by the host's lock."""

    def __init__(self, lock: threading.RLock, launch: Launch) -> None:
        self._lock, self._launch = lock, launch
        self.child: ChildProcess | None = None
        self.loaded = False
        self.first: Work | None = None  # what the child is being started for
        self.works: dict[int, Work] = {}  # what the child has, by number
        self.free_since = 0.0  # time.monotonic
        self.wanted = False  # to be started without work
        self.dismissed = False  # to be ended, unless there is work
        self.outgrown = False  # to be replaced, once it has done its work
        self.error: ModelLoadError | None = None  # of the last start
        self.thread: threading.Thread

    @property
    def all_works(self) -> list[Work]:
        """Under way, or to be given to the child that is being started."""
        return [*self.works.values(), *([] if self.first is None else [self.first])]

    @property
    def busy(self) -> bool:
        return bool(self.works) or self.first is not None

    @property
    def running(self) -> bool:
        """Whether its child has an engine."""
        return self.loaded and self.child is not None and self.child.alive

    @property
    def rows(self) -> int:
        """How many works its child takes in at once; 0 = it has none."""
        return max(1, self.child.rows) if self.running and self.child is not None else 0

    @property
    def has_weights(self) -> bool:
        """Whether the engine has all that it needs in memory."""
        return self.loaded and self.child is not None and (self.child.answered or not self._launch.info.loads_late)

    @property
    def starting(self) -> bool:
        """Whether its child is being started, or loads its weights ahead of any request."""
        if self.loaded and any(isinstance(work.call, WarmCall) for work in self.works.values()):
            return not self.has_weights
        return self.wanted or self.first is not None or (self.child is not None and not self.loaded)

    def has_room(self, call: Call) -> bool:
        """Whether its child can take a unit of this call now."""
        if not self.running or self.outgrown:
            return False
        if call.resumes and any(work.suspect for work in self.works.values()):
            # A child has died of one of these, and nobody knows of which: one at a time, so that it takes no other
            # along.
            return False
        # The last quarter of a crowd is for who waits for it.
        kept = max(1, self.rows // 4) if call.lane > 0 and self.rows > 1 else 0
        return len(self.works) < self.rows - kept

    def start(self, wanted: Callable[[], bool], hear: Callable[[ChildProcess, wire.Reply | None], None]) -> None:
        """Have a child. wanted: whether anybody needs it still. hear: called with what it says, None when it has ended,
        by a thread of its own.

        Raises ModelLoadError; Cancelled if nobody needed it any more before it was begun.
        """
        if self.running:
            return
        launch = self._launch
        if launch.before_start is not None:
            launch.before_start(wanted)
            if not wanted():
                raise Cancelled("nobody needs the engine any more")
        try:
            self.child = child = ChildProcess(launch.factory, launch.info.name, launch.arguments)
        except OSError as error:
            logger.exception("no process for the %s engine", launch.info.name)
            raise ModelLoadError("no process could be started for the engine") from error
        patience = threading.Timer(launch.start_timeout_s, child.kill)
        patience.daemon = True
        patience.start()
        try:
            reply = child.receive()
        except EOFError as error:
            code = self.stop()
            logger.error("the %s engine ended with exit code %s while it was started", launch.info.name, code)
            raise ModelLoadError("the engine stopped, or took too long, while it was started") from error
        finally:
            patience.cancel()
        if isinstance(reply, wire.Unable):
            self.stop()
            logger.error("the %s engine could not be started\n%s", launch.info.name, reply.details)
            raise ModelLoadError(reply.error.message)
        assert isinstance(reply, wire.Ready)
        with self._lock:
            child.rows = reply.rows
            self.loaded = True
        child.listen(f"{self.thread.name}-in", lambda reply: hear(child, reply))

    def give(self, work: Work) -> None:
        """Hand the child its work. Never waits."""
        assert self.child is not None
        work.send(self.child)
        self.works[work.id] = work

    def clear(self) -> list[Work]:
        """All works that the child had, which is gone. None of them has ended."""
        works = list(self.works.values())
        self.works.clear()
        return works

    def too_large(self, child: ChildProcess) -> bool:
        """Whether the child is to be replaced: a library may leak a little at every call, and we can run for months."""
        limit = self._launch.renew_bytes
        if not limit or child.works < RENEW_WORKS or (held := child.memory_bytes()) <= limit:
            return False
        logger.info("the %s engine's process is to be renewed: it holds %d MB", self._launch.info.name, held >> 20)
        return True

    def stop(self) -> int | None:
        """End the child, if there is one; its exit code."""
        with self._lock:
            self.loaded = False
        code = None if self.child is None else self.child.stop(CLOSE_S)
        self.child, self.outgrown = None, False
        return code

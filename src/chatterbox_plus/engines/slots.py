"""A place for one child of a host: how the child in it is started, when it is too large, how it is ended."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.calls import WarmCall, Work
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
    """What a child's thread does when it is not to work."""

    START = auto()
    REST = auto()
    QUIT = auto()


class Slot:
    """A place for a child, and the thread that drives it, whose the methods are. The fields are guarded by the host's
    lock."""

    def __init__(self, lock: threading.RLock, launch: Launch) -> None:
        self._lock, self._launch = lock, launch
        self.child: ChildProcess | None = None
        self.loaded = False
        self.work: Work | None = None
        self.wanted = False  # to be started without work
        self.dismissed = False  # to be ended, unless there is work
        self.error: ModelLoadError | None = None  # of the last start
        self.thread: threading.Thread

    @property
    def idle(self) -> bool:
        """Whether its child waits for work."""
        return self.running and self.work is None

    @property
    def running(self) -> bool:
        """Whether its child has an engine."""
        return self.loaded and self.child is not None and self.child.alive

    @property
    def has_weights(self) -> bool:
        """Whether the engine has all that it needs in memory."""
        return self.loaded and self.child is not None and (self.child.answered or not self._launch.info.loads_late)

    @property
    def starting(self) -> bool:
        """Whether its child is being started, or loads its weights ahead of any request."""
        if self.work is not None and isinstance(self.work.call, WarmCall) and self.loaded:
            return not self.has_weights
        return self.wanted or (self.child is not None and not self.loaded)

    def start(self, wanted: Callable[[], bool]) -> ChildProcess:
        """The child, started if it is not there. wanted: whether anybody needs it still.

        Raises ModelLoadError; Cancelled if nobody did any more before it was begun.
        """
        if self.child is not None and self.child.alive:
            return self.child
        self.stop()  # it died without work
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
        if isinstance(reply, wire.Failed):
            self.stop()
            logger.error("the %s engine could not be started\n%s", launch.info.name, reply.details)
            raise ModelLoadError(reply.error.message)
        with self._lock:
            self.loaded = True
        return child

    def give(self, work: Work) -> bool:
        """Hand the child its work; False: it has been called off meanwhile."""
        with self._lock:
            if work.call.over or (child := self.child) is None:
                return False
            if work.call.reference is not None:
                child.remember(work.call.reference)
            child.send(work.request)
            child.works += 1
            work.child = child
            work.call.progress()
            return True

    def outgrown(self) -> bool:
        """Whether the child is to be replaced: a library may leak a little at every call, and we can run for months."""
        child, limit = self.child, self._launch.renew_bytes
        if not limit or child is None or child.works < RENEW_WORKS or (held := child.memory_bytes()) <= limit:
            return False
        logger.info("the %s engine's process is renewed: it held %d MB", self._launch.info.name, held >> 20)
        return True

    def stop(self) -> int | None:
        """End the child, if there is one; its exit code."""
        with self._lock:
            self.loaded = False
        code = None if self.child is None else self.child.stop(CLOSE_S)
        self.child = None
        return code

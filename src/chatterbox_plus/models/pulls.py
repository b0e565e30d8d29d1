"""Pulls that run in a server: a thread each, one at a time of a model, looked at and called off by others."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from chatterbox_plus.errors import Cancelled, NotFound, PlusError, Stopping, WrongState
from chatterbox_plus.library.naming import shown
from chatterbox_plus.models.hub import Hub
from chatterbox_plus.models.pulling import pull, pullable
from chatterbox_plus.models.shelf import Place, Shelf

CLOSE_S = 2.0  # a pull that hangs is left alone after that; what it has is kept
_log = logging.getLogger(__name__)


class PullStatus(StrEnum):
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (PullStatus.RUNNING, PullStatus.CANCELLING)


@dataclass(frozen=True)
class PullState:
    """How a pull stands. Bytes; times in seconds since 1970; total_bytes is None until the hub has answered.

    file: what comes now.
    """

    model: str
    started: float
    status: PullStatus = PullStatus.RUNNING
    bytes_done: int = 0
    total_bytes: int | None = None
    file: str | None = None
    error: str | None = None
    error_code: str | None = None
    finished: float | None = None


class Pulls:
    """What is being pulled, and what came of the last pull of each model. Thread-safe."""

    def __init__(self, shelf: Shelf, hub: Hub, changed: Callable[[str], None] = lambda name: None) -> None:
        """changed: told the name of a model that was pulled, and of one before and after it is removed; any thread."""
        self.shelf, self._hub, self._changed = shelf, hub, changed
        self._lock = threading.Lock()
        self._states: dict[str, PullState] = {}
        self._stops: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._closing = False

    def start(self, name: str) -> PullState:
        """Begin a pull, or join the one that runs. Raises InvalidOption, MissingExtra, FileExists, WrongState for one
        that is being called off, and Stopping."""
        pullable(name)
        self._hub.check()
        self.shelf.check_free(name)
        with self._lock:
            if self._closing:
                raise Stopping("the server is being stopped: ask again in a moment")
            state = self._states.get(name)
            if state is not None and state.status is PullStatus.CANCELLING:
                raise WrongState(f"the pull of {name} is being called off: ask again in a moment")
            if state is not None and state.status is PullStatus.RUNNING:
                return state
            self._states[name] = state = PullState(name, time.time())
            self._stops[name] = threading.Event()
            # A hanging download must not keep the process from ending
            thread = threading.Thread(
                target=self._run, args=(name, self._stops[name]), name=f"pull {name}", daemon=True
            )
            self._threads[name] = thread
            thread.start()
        return state

    def get(self, name: str) -> PullState:
        """Raises NotFound for a model that was not asked for since the server started."""
        state = self.last(name)
        if state is None:
            raise NotFound(f"nobody has asked for {shown(name)} since the server started")
        return state

    def last(self, name: str) -> PullState | None:
        return self._states.get(name)

    def cancel(self, name: str) -> PullState:
        """What has come is kept for another pull. Raises NotFound, and WrongState for one that has ended."""
        with self._lock:
            if self.get(name).status.is_final:
                raise WrongState(f"the pull of {name} has ended already")
            self._stops[name].set()
            return self._change(name, status=PullStatus.CANCELLING)

    def remove(self, name: str) -> Place:
        """Take a model off the shelf. Raises WrongState while it is pulled, and as `Shelf.remove` does."""
        with self._lock:
            state = self._states.get(name)
            if state is not None and not state.status.is_final:
                raise WrongState(f"{name} is being pulled: call that off first")
        self.shelf.place(name)
        self._changed(name)  # nobody uses it any more
        try:
            return self.shelf.remove(name)
        finally:
            self._changed(name)

    def close(self) -> None:
        """Call everything off; what has come is kept."""
        with self._lock:
            self._closing = True
            for stop in self._stops.values():
                stop.set()
        deadline = time.monotonic() + CLOSE_S
        for thread in tuple(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, name: str, stop: threading.Event) -> None:
        ending: dict[str, object] = {"error": "something went wrong in the server", "error_code": "INTERNAL_ERROR"}
        status = PullStatus.FAILED

        def progress(done: int, total: int, file: str) -> None:
            with self._lock:
                self._change(name, bytes_done=done, total_bytes=total, file=file)

        try:
            pull(self.shelf, self._hub, name, progress, stop)
            self._changed(name)
            status, ending = PullStatus.SUCCEEDED, {}
            _log.info("%s was pulled", name)
        except Cancelled:
            status, ending = PullStatus.CANCELLED, {}
        except PlusError as error:
            ending = {"error": error.message, "error_code": error.code}
            _log.warning("%s could not be pulled: %s", name, error.message)
        finally:
            with self._lock:
                self._change(name, status=status, finished=time.time(), file=None, **ending)

    def _change(self, name: str, **what: object) -> PullState:
        self._states[name] = changed = replace(self._states[name], **what)  # type: ignore[arg-type]
        return changed

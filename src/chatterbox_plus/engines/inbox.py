"""A child's ends of the pipes to its host: what came in and for which piece of work, and the one way out."""

import os
import queue
import threading
import traceback
from collections.abc import Iterator
from enum import Enum, auto
from typing import IO

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.errors import Cancelled, GenerationError

ACCIDENT = "the engine failed at this request"  # all that a caller is told of an error that nobody raised on purpose
LEAVE_S = 1.0  # how long an engine may take to notice that its parent is gone


class Replies:
    """The way to the host. Any thread may send: a crowd's conversions read their input in threads of their own."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: wire.Reply) -> None:
        """Raises OSError when the host is gone, PicklingError and its like for what cannot travel."""
        frame = wire.encode(message)
        with self._lock:
            wire.write(self._stream, frame)


class Work:
    """A request, and what comes for it while it is under way."""

    def __init__(self, request: wire.Speak | wire.Convert | wire.Warm, reference: Reference | None) -> None:
        self.request = request
        self.reference = reference
        self._input: queue.SimpleQueue[Samples | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    @property
    def id(self) -> int:
        return self.request.id

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        self._cancelled.set()
        self._input.put(None)  # wakes an engine that waits for input

    def feed(self, samples: Samples | None) -> None:
        self._input.put(samples)

    def blocks(self, replies: Replies) -> Iterator[Samples]:
        """The input of a conversion. Raises Cancelled."""
        while True:
            samples = self._input.get()
            if self.cancelled():
                raise Cancelled("the conversion was called off")
            if samples is None:
                return
            replies.send(wire.Consumed(self.id, len(samples)))
            yield samples


class Event(Enum):
    """What an engine's thread may find among its requests."""

    WAKE = auto()  # there is something to look at, a cancellation perhaps
    GONE = auto()  # the host is


class Listener(threading.Thread):
    """Reads what the host sends, always: the host never waits for a busy engine."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(name="listener", daemon=True)
        self.requests: queue.SimpleQueue[Work | Event] = queue.SimpleQueue()
        self._stream = stream
        self._references: dict[str, Reference] = {}
        self._works: dict[int, Work] = {}  # those that have not ended; its methods are atomic, two threads use it
        self._left = threading.Event()

    def run(self) -> None:
        while True:
            try:
                message: wire.Request = wire.read(self._stream)
            except EOFError:
                break
            match message:
                case wire.Remember(reference):
                    self._references[reference.digest] = reference
                case wire.Forget(digest):
                    del self._references[digest]
                case wire.Speak(reference=digest):
                    self._accept(Work(message, None if digest is None else self._references[digest]))
                case wire.Convert():
                    self._accept(Work(message, self._references[message.target]))
                case wire.Warm():
                    self._accept(Work(message, None))
                case wire.Block(id, samples) if (work := self._works.get(id)) is not None:
                    work.feed(samples)
                case wire.End(id) if (work := self._works.get(id)) is not None:
                    work.feed(None)
                case wire.Cancel(id) if (work := self._works.get(id)) is not None:
                    work.cancel()
                    self.wake()
        for work in tuple(self._works.values()):
            work.cancel()
        self.requests.put(Event.GONE)
        if not self._left.wait(LEAVE_S):
            os._exit(1)  # the parent is gone and the engine does not listen

    def wake(self) -> None:
        """Let the engine's thread look at what there is to do; any thread may."""
        self.requests.put(Event.WAKE)

    def forget(self, work: Work) -> None:
        """It has ended: what still comes for it means nothing."""
        self._works.pop(work.id, None)

    def leave(self) -> None:
        """The main thread's last act: wait for the end of our input; a reader must not outlive the interpreter."""
        self._left.set()
        self.join()

    def _accept(self, work: Work) -> None:
        self._works[work.id] = work
        self.requests.put(work)


def accident(id: int) -> wire.Failed:
    """The last answer to work in which an error came up that nobody raised on purpose: the one being handled.
    What it was goes to the log, the caller gets no internals."""
    return wire.Failed(id, GenerationError(ACCIDENT), traceback.format_exc())

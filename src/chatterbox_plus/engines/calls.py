"""What the host knows of each caller: the work it still wants, and what has come back for it.

Everything here is guarded by the host's lock; a call's condition `changed` is on that lock.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

import numpy as np

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.errors import PlusError

INPUT_AHEAD_S = 2.0  # seconds of input sent to a conversion's child before it asked for them
OUTPUT_AHEAD = 4  # converted blocks kept for a slow consumer


class Work:
    """A unit of a call that one child does: a passage, or a whole conversion."""

    def __init__(self, call: "Call", position: int, request: wire.Frame) -> None:
        self.call = call
        self.position = position
        self.request = request
        self.child: ChildProcess | None = None  # once it has been sent
        self.deadline: threading.Timer | None = None  # when a child that does not come free is killed

    def call_off(self, grace_s: float) -> None:
        """Tell the child, if it has the work already, and kill it if it is still busy with it after so long."""
        if self.child is not None:
            self.child.send(wire.encode(wire.Cancel()))
            self.deadline = threading.Timer(grace_s, self._kill)
            self.deadline.daemon = True
            self.deadline.start()

    def _kill(self) -> None:
        with self.call.changed:
            if self in self.call.active and self.child is not None:
                self.child.kill()


class Call(ABC):
    """A caller of the host, waiting for results."""

    converts: bool

    def __init__(self, lock: threading.RLock, reference: Reference | None, lane: int) -> None:
        self.reference = reference
        self.lane = lane
        self.changed = threading.Condition(lock)
        self.active: set[Work] = set()
        self.over = False  # nobody wants its results any more
        self.progress_at = time.monotonic()

    @property
    def served(self) -> bool:
        """Whether a child has work of this call."""
        return any(work.child is not None for work in self.active)

    def progress(self) -> None:
        self.progress_at = time.monotonic()
        self.changed.notify_all()

    @abstractmethod
    def ready(self) -> bool:
        """Whether a unit may be given to a child now."""

    @abstractmethod
    def take(self) -> Work:
        """The next unit."""

    @abstractmethod
    def pending(self) -> bool:
        """Whether there is something for the caller to do."""

    @abstractmethod
    def receive(self, reply: wire.Reply, work: Work) -> bool:
        """Take an answer of the child's; True when it was the last one. May wait for a slow caller."""

    @abstractmethod
    def fail(self, work: Work, error: PlusError) -> None:
        """This unit has failed."""


class SpeakCall(Call):
    """Passages, given out in order and not far ahead of the caller; results may come in any order."""

    converts = False

    def __init__(
        self,
        lock: threading.RLock,
        passages: Sequence[Passage],
        reference: Reference | None,
        ahead: int,
        lane: int,
    ) -> None:
        super().__init__(lock, reference, lane)
        digest = None if reference is None else reference.digest
        self._requests = [wire.encode(wire.Speak(passage, digest)) for passage in passages]
        self._ahead = ahead
        self._end = len(passages)  # what lies behind a failed passage is not worth saying
        self._given = self._taken = 0
        self._results: dict[int, Piece | PlusError] = {}

    def ready(self) -> bool:
        return self._given < min(self._end, self._taken + self._ahead)

    def take(self) -> Work:
        work = Work(self, self._given, self._requests[self._given])
        self._given += 1
        return work

    def pending(self) -> bool:
        return self._taken in self._results

    def receive(self, reply: wire.Reply, work: Work) -> bool:
        assert isinstance(reply, wire.Spoken)
        self._results[work.position] = reply.piece
        self.progress()
        return True

    def fail(self, work: Work, error: PlusError) -> None:
        self._results[work.position] = error
        self._end = min(self._end, work.position)
        self.progress()

    def next_piece(self) -> Piece:
        """The piece that is pending. Raises its error."""
        result = self._results.pop(self._taken)
        self._taken += 1
        if isinstance(result, PlusError):
            raise result
        return result


class WarmCall(Call):
    """A child that loads what tasks need."""

    converts = False

    def __init__(self, lock: threading.RLock, tasks: frozenset[str]) -> None:
        super().__init__(lock, None, 0)
        self._request: wire.Frame | None = wire.encode(wire.Warm(tasks))
        self._end: PlusError | bool = False

    def ready(self) -> bool:
        return self._request is not None

    def take(self) -> Work:
        assert self._request is not None
        work = Work(self, 0, self._request)
        self._request = None
        return work

    def pending(self) -> bool:
        return self._end is not False

    def receive(self, reply: wire.Reply, work: Work) -> bool:
        assert isinstance(reply, wire.Warmed)
        self._end = True
        self.progress()
        return True

    def fail(self, work: Work, error: PlusError) -> None:
        self._end = error
        self.progress()

    def finish(self) -> None:
        """Once it is pending. Raises its error."""
        if isinstance(self._end, PlusError):
            raise self._end


class ConvertCall(Call):
    """A conversion: one child for its whole life, blocks going in and coming out."""

    converts = True

    def __init__(self, lock: threading.RLock, request: wire.Convert, target: Reference, lane: int) -> None:
        super().__init__(lock, target, lane)
        self._request: wire.Frame | None = wire.encode(request)
        self._room = round(INPUT_AHEAD_S * request.rate)
        self._fed = False  # to the end
        self._output: deque[Samples] = deque()
        self._end: PlusError | bool = False

    def ready(self) -> bool:
        return self._request is not None

    def take(self) -> Work:
        assert self._request is not None
        work = Work(self, 0, self._request)
        self._request = None
        return work

    def pending(self) -> bool:
        return bool(self._output) or self._end is not False or self._hungry()

    def receive(self, reply: wire.Reply, work: Work) -> bool:
        match reply:
            case wire.Block(samples):
                # Not reading on fills the pipe, which halts the child: that is all the backpressure there is.
                self.changed.wait_for(lambda: self.over or len(self._output) < OUTPUT_AHEAD)
                self._output.append(samples)
            case wire.Consumed(samples):
                self._room += samples
            case wire.End():
                self._end = True
        self.progress()
        return self._end is True

    def fail(self, work: Work, error: PlusError) -> None:
        self._end = error
        self.progress()

    def next_block(self) -> Samples | None:
        """The next converted samples, if there are any."""
        if not self._output:
            return None
        self.changed.notify_all()
        return self._output.popleft()

    def finished(self) -> bool:
        """Whether the last block has been taken. Raises the conversion's error."""
        if isinstance(self._end, PlusError):
            raise self._end
        return self._end

    def feed(self, samples: Samples | None) -> None:
        """Send the next input, None = that was all."""
        if samples is None:
            self._fed = True
            message: wire.Request = wire.End()
        elif len(samples) == 0:
            return
        else:
            self._room -= len(samples)
            message = wire.Block(np.array(samples, np.float32))  # a copy: sources may use their buffer again
        for work in self.active:
            if work.child is not None:
                work.child.send(wire.encode(message))

    def _hungry(self) -> bool:
        return not self._fed and self._room > 0 and self.served

"""What the host knows of each caller: the work it still wants, and what has come back for it.

Everything here is guarded by the host's lock; a call's condition `changed` is on that lock.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Fragment, Passage, Reference
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.errors import PlusError


class Work:
    """A unit of a call that one child does: a passage, or a whole conversion."""

    def __init__(self, call: "Call", position: int) -> None:
        self.call = call
        self.position = position
        self.id = 0  # its number in that child
        self.child: ChildProcess | None = None  # once it has been sent
        self.suspect = False  # whether a child has died of it, or of another that was in at the same time
        self._deadline: threading.Timer | None = None  # when a child that does not come free is killed

    def send(self, child: ChildProcess) -> None:
        if self.call.reference is not None:
            child.remember(self.call.reference)
        child.works += 1
        self.id, self.child = child.works, child
        child.send(wire.encode(self.call.request(self)))
        self.call.sent(self)

    def call_off(self, grace_s: float) -> None:
        """Tell the child, if it has the work already. One that does one thing at a time is killed if it is still busy
        with it after so long; in a crowd it is in the middle of a step that others need, and comes to it after that."""
        if self.child is None:
            return
        self.child.send(wire.encode(wire.Cancel(self.id)))
        if not self.child.rows:
            self._deadline = threading.Timer(grace_s, self._kill)
            self._deadline.daemon = True
            self._deadline.start()

    def end(self) -> None:
        """No child has it any more."""
        self.child = None
        self.call.active.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()

    def _kill(self) -> None:
        with self.call.changed:
            if self.child is not None:
                self.child.kill()


class Call(ABC):
    """A caller of the host, waiting for results."""

    converts = False
    doing = "speaking this passage"  # what its child does, in words

    def __init__(self, lock: threading.RLock, reference: Reference | None, lane: int) -> None:
        self.reference = reference
        self.lane = lane
        self.changed = threading.Condition(lock)
        self.active: set[Work] = set()  # which children have, or will have once they are started
        self.over = False  # nobody wants its results any more
        self._progress_at = time.monotonic()

    @property
    def served(self) -> bool:
        """Whether a child has work of this call."""
        return any(work.child is not None for work in self.active)

    @property
    def progress_at(self) -> float:
        """When anything last came of it: a child that says anything at all gets on with all that it has."""
        heard = (work.child.heard_at for work in self.active if work.child is not None)
        return max(self._progress_at, *heard, 0.0)

    @property
    def resumes(self) -> bool:
        """Whether its next unit is one that is done again."""
        return False

    def progress(self) -> None:
        self._progress_at = time.monotonic()
        self.changed.notify_all()

    @abstractmethod
    def ready(self) -> bool:
        """Whether a unit may be given to a child now."""

    @abstractmethod
    def take(self) -> Work:
        """The next unit."""

    @abstractmethod
    def request(self, work: Work) -> wire.Request:
        """What a child is told to do; the work has its number."""

    def sent(self, work: Work) -> None:
        """A child has been told."""
        self.progress()

    @abstractmethod
    def pending(self) -> bool:
        """Whether there is something for the caller to do."""

    @abstractmethod
    def receive(self, outcome: wire.Outcome, work: Work) -> bool:
        """Take what the child says about a unit; True when it was the last."""

    @abstractmethod
    def fail(self, work: Work, error: PlusError) -> None:
        """This unit has failed."""

    @abstractmethod
    def retry(self, work: Work) -> bool:
        """Put a unit back whose child has died, to be taken again; False: something has come of it already."""


class SpeakCall(Call):
    """Passages, given out in order and not far ahead of the caller; results may come in any order.

    All that comes is kept as Fragments; of a call that is not live each is the last of its passage. What is kept is
    bounded by how many passages may be under way.
    """

    def __init__(
        self,
        lock: threading.RLock,
        passages: Sequence[Passage],
        reference: Reference | None,
        *,
        live: bool,
        ahead: Callable[[], int],
        lane: int,
    ) -> None:
        """ahead: how many passages may be in work beyond what the caller has taken: asked whenever it matters."""
        super().__init__(lock, reference, lane)
        self._passages, self._live, self._ahead = passages, live, ahead
        self._end = len(passages)  # what lies behind a failed passage is not worth saying
        self._given = self._taken = 0  # passages
        self._again: list[int] = []  # positions
        self._results: dict[int, deque[Fragment | PlusError]] = {}  # from the first fragment until all are taken

    @property
    def resumes(self) -> bool:
        return bool(self._again)

    def ready(self) -> bool:
        return bool(self._again) or self._given < min(self._end, self._taken + self._ahead())

    def take(self) -> Work:
        if self._again:
            work = Work(self, self._again.pop(0))
            work.suspect = True
            return work
        work = Work(self, self._given)
        self._given += 1
        return work

    def request(self, work: Work) -> wire.Request:
        digest = None if self.reference is None else self.reference.digest
        rank = work.position - self._taken
        return wire.Speak(work.id, self._passages[work.position], digest, self._live, self.lane, rank)

    def pending(self) -> bool:
        return bool(self._results.get(self._taken))

    def receive(self, outcome: wire.Outcome, work: Work) -> bool:
        match outcome:
            case wire.Spoken(_, piece):
                fragment = Fragment(piece.index, piece.clip, True, piece.words)
            case wire.Sounded(_, fragment):
                pass
            case _:
                raise TypeError(f"{type(outcome).__name__} is no answer to a passage")
        self._keep(work, fragment)
        return fragment.last

    def fail(self, work: Work, error: PlusError) -> None:
        self._end = min(self._end, work.position)
        self._again = [position for position in self._again if position < self._end]
        self._keep(work, error)

    def retry(self, work: Work) -> bool:
        if work.position in self._results:
            return False
        if work.position < self._end:
            self._again = sorted([*self._again, work.position])
        return True

    def finished(self) -> bool:
        """Whether all has been taken."""
        return self._taken == len(self._passages)

    def next_fragment(self) -> Fragment:
        """The fragment that is pending. Raises its error."""
        results = self._results[self._taken]
        result = results.popleft()
        if isinstance(result, PlusError):
            raise result
        if result.last:
            del self._results[self._taken]
            self._taken += 1
        return result

    def _keep(self, work: Work, result: Fragment | PlusError) -> None:
        self._results.setdefault(work.position, deque()).append(result)
        self.progress()


class OneCall(Call):
    """A call of one unit."""

    def __init__(self, lock: threading.RLock, reference: Reference | None, lane: int) -> None:
        super().__init__(lock, reference, lane)
        self._given = self._again = False
        self._end: PlusError | bool = False  # True: it has been done

    @property
    def resumes(self) -> bool:
        return self._again

    def ready(self) -> bool:
        return not self._given

    def take(self) -> Work:
        work = Work(self, 0)
        work.suspect, self._given = self._again, True
        return work

    def pending(self) -> bool:
        return self._end is not False

    def fail(self, work: Work, error: PlusError) -> None:
        self._end = error
        self.progress()

    def retry(self, work: Work) -> bool:
        self._given, self._again = False, True
        return True

    def finished(self) -> bool:
        """Whether it has been done. Raises its error."""
        if isinstance(self._end, PlusError):
            raise self._end
        return self._end


class WarmCall(OneCall):
    """A child that loads what tasks need."""

    doing = "loading what it needs"

    def __init__(self, lock: threading.RLock, tasks: frozenset[str]) -> None:
        super().__init__(lock, None, 0)
        self._tasks = tasks

    def request(self, work: Work) -> wire.Request:
        return wire.Warm(work.id, self._tasks)

    def receive(self, outcome: wire.Outcome, work: Work) -> bool:
        assert isinstance(outcome, wire.Warmed)
        self._end = True
        self.progress()
        return True

"""The children of a host, and which of its callers they serve.

Each place for a child (`slots.Slot`) has a thread that drives it: it starts the child, ends it and gives it work.
Giving only puts messages into an outbox, so it never waits. What a child says is heard by a second thread, the
child's own, from its start to its end, which hands it to the call that it is about. So giving and receiving go on at
once, no matter how many works are in a child, and neither waits for a caller. All that both threads and the callers
look at is guarded by one lock; whoever changes something wakes the drivers through `changed`, and each looks again at
what there is to do.
"""

import logging
import threading
import time

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.calls import Call, Work
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.engines.slots import CLOSE_S, Launch, Order, Slot
from chatterbox_plus.errors import Cancelled, GenerationError, ModelLoadError, PlusError

POLL_S = 0.05  # how often `close` looks whether a child that it had killed is gone

logger = logging.getLogger("chatterbox_plus.engines")


class Pool:
    """Places for children, and the calls in line for them. The fields are guarded by the lock."""

    def __init__(self, lock: threading.RLock, launch: Launch, workers: int, idle_exit_s: float) -> None:
        """idle_exit_s: children without work for so long end; 0 = never."""
        self._lock = lock
        self._name, self._crowd = launch.info.name, launch.info.crowd
        self._idle_exit_s = idle_exit_s
        self.changed = threading.Condition(lock)  # there may be something to do for a child's thread
        self.calls: list[Call] = []  # the next to be served first
        self.progress_at = time.monotonic()  # of any child
        self.crowd_rows = 0  # of a child; 0: an engine for one thing at a time, or none has been started yet
        self.restarts = 0
        self.failure: str | None = None
        self.closing = False
        self.slots = [Slot(lock, launch) for _ in range(workers)]
        for number, slot in enumerate(self.slots):
            slot.thread = threading.Thread(target=self._drive, args=(slot,), name=f"{self._name}-{number}", daemon=True)
            slot.thread.start()

    def enter(self, call: Call) -> None:
        """Raises ModelLoadError once the pool is closed."""
        with self._lock:
            self.check_open()
            self.calls.append(call)
            self.changed.notify_all()

    def leave(self, call: Call, grace_s: float) -> None:
        """Nobody waits for this call any more: children at work on it are told; see `Work.call_off`."""
        with self._lock:
            if call.over:
                return
            call.over = True
            self.calls.remove(call)
            for work in call.active:
                work.call_off(grace_s)
            call.changed.notify_all()

    def give_up(self, call: Call) -> None:
        """Nothing has come of this call for too long: the children that have work of it hang."""
        with self._lock:
            for work in call.active:
                if work.child is not None and work.child.rows:
                    work.child.kill()
                    work.child.heard_at = time.monotonic()  # one caller's time is up: the others' begins anew
            self.leave(call, 0)

    def check_open(self) -> None:
        if self.closing:
            raise ModelLoadError("the engine has been stopped")

    def close(self) -> None:
        """Call everything off and end all children. May be called again."""
        with self._lock:
            self.closing = True
            for call in tuple(self.calls):
                self.leave(call, CLOSE_S)
            self.changed.notify_all()
        deadline = time.monotonic() + CLOSE_S
        for slot in self.slots:
            slot.thread.join(max(0.0, deadline - time.monotonic()))
        for slot in self.slots:
            while slot.thread.is_alive():
                if (child := slot.child) is not None:
                    child.kill()
                slot.thread.join(POLL_S)

    # The drivers' side

    def _drive(self, slot: Slot) -> None:
        """The life of a child's thread."""
        while True:
            match self._next(slot):
                case Order.START:
                    self._start(slot)
                case Order.RENEW:
                    slot.stop()
                    with self._lock:
                        slot.wanted = True
                case Order.REST:
                    slot.stop()
                    with self._lock:
                        slot.dismissed = False
                        self.changed.notify_all()
                case Order.BURY:
                    self._bury(slot)
                case Order.QUIT:
                    slot.stop()
                    with self._lock:
                        for work in slot.clear():
                            work.end()
                    return

    def _next(self, slot: Slot) -> Order:
        """Give the child of this place whatever it may have, until there is something else to do."""
        with self._lock:
            slot.free_since = time.monotonic()
            while not self.closing:
                if slot.child is not None and slot.child.ended:
                    return Order.BURY
                if slot.child is None or slot.running:  # else it has just died, and will have ended in a moment
                    if slot.outgrown and not slot.works:
                        return Order.RENEW
                    if slot.wanted:
                        return Order.START
                    if (work := self._take(slot)) is not None:
                        slot.dismissed = False
                        self.changed.notify_all()  # the next one may be somebody else's
                        if slot.child is None:
                            slot.first = work
                            return Order.START
                        slot.give(work)
                        continue
                    if slot.dismissed and not slot.works:
                        return Order.REST
                left = None
                if self._idle_exit_s and slot.running and not slot.works:
                    left = slot.free_since + self._idle_exit_s - time.monotonic()
                    if left <= 0:
                        return Order.REST
                self.changed.wait(left)
            return Order.QUIT

    def _take(self, slot: Slot) -> Work | None:
        """The next unit for this place of the first caller in line that has one; it then stands at the end of the
        line."""
        for call in sorted(self.calls, key=lambda call: call.lane):  # in a lane they keep their order
            if call.ready() and self._serves(slot, call):
                self.calls.remove(call)
                self.calls.append(call)
                work = call.take()
                call.active.add(work)
                return work
        return None

    def _serves(self, slot: Slot, call: Call) -> bool:
        """Whether this is the place for a unit of this call: of all that have room, the one with the least work; and if
        none has, one without a child."""
        rivals = [other for other in self.slots if other is not slot and other.has_room(call)]
        if slot.child is not None:
            chosen = slot.has_room(call) and all(len(slot.works) <= len(other.works) for other in rivals)
        else:  # a crowd that is being started may have room: better wait for that one than have two
            chosen = not rivals and not (self._crowd and any(other.starting for other in self.slots))
        if not chosen or not call.converts or self.crowd_rows:
            return chosen
        converting = sum(work.call.converts for other in self.slots for work in other.all_works)
        return converting < max(1, len(self.slots) - 1)

    def _start(self, slot: Slot) -> None:
        """Start a child, and give it the work it is started for, if it is for any."""
        first, error, started = slot.first, None, False

        def wanted() -> bool:
            return not self.closing and (slot.wanted or (first is not None and not first.call.over))

        try:
            slot.start(wanted, lambda child, reply: self._hear(slot, child, reply))
            started = True
        except ModelLoadError as failure:
            error = failure
        except Cancelled:
            pass  # nobody is left to be told
        with self._lock:
            if started or error is not None:
                self.failure = None if error is None else error.message
            if slot.child is not None:
                self.crowd_rows = slot.child.rows
            slot.first, slot.wanted, slot.error = None, False, error
            if first is not None:
                if slot.child is not None and not first.call.over:
                    slot.give(first)
                else:
                    first.end()
                    if error is not None:
                        first.call.fail(first, error)
            self.changed.notify_all()

    def _bury(self, slot: Slot) -> None:
        """A child has ended, and nobody had told it to."""
        child = slot.child
        assert child is not None
        code = slot.stop()
        with self._lock:
            works = slot.clear()
            missed = any(not work.call.over for work in works)
        if works and not child.broken:
            logger.log(
                logging.ERROR if missed else logging.INFO,
                "the %s engine ended with exit code %s while %s%s",
                *(self._name, code, works[0].call.doing, "" if missed else " that was called off"),
            )
        with self._lock:
            self.progress_at = time.monotonic()
            if works or child.broken:
                self.restarts += 1
                slot.wanted = True
            for work in works:
                work.end()
                if not work.call.over and not (child.rows and not work.suspect and work.call.retry(work)):
                    said = f"the engine stopped while {work.call.doing}; it has been restarted: try again"
                    work.call.fail(work, GenerationError(said))
            self.changed.notify_all()

    # The children's side

    def _hear(self, slot: Slot, child: ChildProcess, reply: wire.Reply | None) -> None:
        """What a child says; None: it has ended. Called by the child's own thread."""
        if isinstance(reply, wire.Failed | wire.Broken) and reply.details is not None:
            logger.error("the %s engine failed\n%s", self._name, reply.details)
        too_large = isinstance(reply, wire.Spoken | wire.Sounded | wire.End) and slot.too_large(child)
        with self._lock:
            if child.ended or child is not slot.child:
                return  # it said before that nothing it says counts any more
            child.heard_at = self.progress_at = time.monotonic()
            slot.outgrown = slot.outgrown or too_large
            match reply:
                case None:
                    child.ended = True
                    self.changed.notify_all()
                case wire.Broken():
                    child.ended, child.broken = True, bool(reply.ids)
                    for failed in [slot.works[id] for id in reply.ids if id in slot.works]:
                        self._fail(slot, failed, reply.error)
                    self.changed.notify_all()
                case wire.Alive() | wire.Ready() | wire.Unable():
                    pass  # a sign of life; the others are heard by who starts it
                case _ if (work := slot.works.get(reply.id)) is not None:  # else it has ended meanwhile
                    self._answer(slot, child, work, reply)

    def _answer(self, slot: Slot, child: ChildProcess, work: Work, outcome: wire.Outcome) -> None:
        if isinstance(outcome, wire.Failed):
            self._fail(slot, work, outcome.error)
            return
        self.failure = None
        child.answered = True
        if work.suspect and not isinstance(outcome, wire.Consumed):
            work.suspect = False  # what gives something is well
            self.changed.notify_all()
        if work.call.receive(outcome, work):
            self._end(slot, work)

    def _fail(self, slot: Slot, work: Work, error: PlusError) -> None:
        if isinstance(error, ModelLoadError):
            self.failure = error.message
        self._end(slot, work)
        work.call.fail(work, error)

    def _end(self, slot: Slot, work: Work) -> None:
        """Its last answer is here: there is room for another."""
        del slot.works[work.id]
        slot.free_since = time.monotonic()
        work.end()
        self.changed.notify_all()

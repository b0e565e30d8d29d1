"""An engine in a pool of child processes: who is served when, what happens when a child hangs or dies.

Every child has a thread here that drives it. A caller's own thread waits for results, checks its cancellation and, in a
conversion, reads the input; it never waits for a child in any other way.

The order: callers take turns, a passage each, so a long text cannot starve a short one, and those of a lower lane go
before all others; a caller is served at most 2 x workers passages ahead of what it has consumed. A conversion occupies
one child from its beginning to its end, but conversions never occupy all children, unless there is only one.
"""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import EngineInfo, Passage, Piece, Reference
from chatterbox_plus.engines.calls import Call, ConvertCall, SpeakCall, Work
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.errors import Cancelled, GenerationError, GenerationTimeout, ModelLoadError

POLL_S = 0.05  # how often a waiting caller looks at its cancellation
RENEW_WORKS = 100  # pieces of work: a start of 0.4 s is nothing to them
GRACE_S = 0.5  # how long a child may take to come free after a cancellation
CLOSE_S = 2.0  # how long children may take to leave when the host is closed

logger = logging.getLogger("chatterbox_plus.engines")


@dataclass(frozen=True)
class Health:
    """How a host is at this moment."""

    workers: int
    running: int  # children with a loaded engine
    busy: int  # children at work
    callers: int  # calls under way, waiting ones included
    restarts: int  # children that died or were killed in their work, so far
    starting: int = 0  # children being started ahead of any work


class _Order(Enum):
    """What a child's thread does when it is not to work."""

    START = auto()
    REST = auto()
    QUIT = auto()


class _Slot:
    """A place for a child, and the thread that drives it. Guarded by the host's lock."""

    def __init__(self) -> None:
        self.child: ChildProcess | None = None
        self.loaded = False
        self.work: Work | None = None
        self.wanted = False  # to be started without work
        self.error: ModelLoadError | None = None  # of the last start
        self.thread: threading.Thread

    @property
    def idle(self) -> bool:
        return self.loaded and self.work is None and self.child is not None and self.child.alive


class EngineHost:
    """An engine in a pool of child processes. Thread-safe; generators it returns belong to one thread at a time."""

    def __init__(
        self,
        describe: EngineInfo,
        factory: str,
        *,
        workers: int = 2,
        start_timeout_s: float = 60,
        idle_exit_s: float = 0,
        renew_bytes: int = 0,
    ) -> None:
        """Starts no child yet: that happens at the first call or by `warm_up`.

        factory: "package.module:Callable", imported and called in the child, where it must give an `Engine`.
        idle_exit_s: children without work for so long end, to be started again when needed; 0 = never.
        renew_bytes: a child that holds more memory than this is replaced between two pieces of work, but not before it
        has done RENEW_WORKS of them; 0 = never.
        """
        self.info = describe
        self._factory = factory
        self._start_timeout_s = start_timeout_s
        self._idle_exit_s = idle_exit_s
        self._renew_bytes = renew_bytes
        self._lock = threading.RLock()  # re-entered when an abandoned generator is collected at an odd moment
        self._changed = threading.Condition(self._lock)  # there may be something to do for a child's thread
        self._calls: list[Call] = []  # the next to be served first
        self._progress_at = time.monotonic()  # of any child
        self._restarts = 0
        self._closing = False
        self._slots = [_Slot() for _ in range(workers)]
        for number, slot in enumerate(self._slots):
            slot.thread = threading.Thread(
                target=self._drive, args=(slot,), name=f"{describe.name}-{number}", daemon=True
            )
            slot.thread.start()

    def speak(
        self,
        passages: Sequence[Passage],
        reference: Reference | None,
        *,
        cancel: threading.Event,
        timeout_s: float,
        ahead: int | None = None,
        lane: int = 0,
    ) -> Iterator[Piece]:
        """Say passages in the reference's voice, or their own; yields a piece for each, in order, once it is done.

        Work begins at the first `next`. Closing the generator calls the rest off.
        timeout_s: how long nothing may come of it; while it waits for a free child: how long nothing may come of any
        call. Time the caller is away does not count.
        ahead: passages in work beyond what the caller has taken; None: two for each worker. lane: of several callers
        those of the lowest are served first.
        Raises Cancelled once `cancel` is set or the host is closed, GenerationTimeout, GenerationError, ModelLoadError,
        and what the engine itself raises (InvalidAudio), in the place of the passage it happened in.
        """
        call = SpeakCall(self._lock, passages, reference, ahead=ahead or 2 * len(self._slots), lane=lane)
        self._enter(call)
        try:
            for _ in passages:
                with self._lock:
                    self._wait(call, cancel, timeout_s)
                    piece = call.next_piece()
                    self._changed.notify_all()
                yield piece
        finally:
            self._leave(call, GRACE_S)

    def convert(
        self,
        blocks: Iterable[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        *,
        cancel: threading.Event,
        timeout_s: float,
        lane: int = 0,
    ) -> Iterator[Samples]:
        """Say a recording again in the target's voice: mono blocks (n,) at `rate` Hz in, mono blocks at info.rate out.

        The input is read in the caller's own thread, while it waits for output, at most about two seconds (or one
        block) ahead of the engine; what it raises comes out of here as it is. An input that may block for long should
        watch the same `cancel`: nothing else is looked at meanwhile. timeout_s and errors as in `speak`.
        """
        call = ConvertCall(self._lock, wire.Convert(rate, target.digest, chunk_s, overlap_s), target, lane)
        source = iter(blocks)
        self._enter(call)
        try:
            while True:
                with self._lock:
                    self._wait(call, cancel, timeout_s)
                    block = call.next_block()
                    if block is None and call.finished():
                        return
                if block is not None:
                    yield block
                    continue
                samples = next(source, None)
                with self._lock:
                    call.feed(samples)
        finally:
            self._leave(call, GRACE_S)

    def warm_up(self) -> None:
        """Start all children, at once, and wait for them. Raises ModelLoadError."""
        with self._lock:
            started = [slot for slot in self._slots if slot.work is None and not slot.idle]
            for slot in started:
                slot.wanted = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or not any(slot.wanted for slot in started))
            self._check_open()
            for slot in started:
                if slot.error is not None:
                    raise slot.error

    def health(self) -> Health:
        with self._lock:
            return Health(
                workers=len(self._slots),
                running=sum(slot.loaded and slot.child is not None and slot.child.alive for slot in self._slots),
                busy=sum(slot.work is not None for slot in self._slots),
                callers=len(self._calls),
                restarts=self._restarts,
                starting=sum(slot.wanted for slot in self._slots),
            )

    def close(self) -> None:
        """Call everything off and end all children. Callers get Cancelled. May be called again."""
        with self._lock:
            self._closing = True
            for call in tuple(self._calls):
                self._leave(call, CLOSE_S)
            self._changed.notify_all()
        deadline = time.monotonic() + CLOSE_S
        for slot in self._slots:
            slot.thread.join(max(0.0, deadline - time.monotonic()))
        for slot in self._slots:
            while slot.thread.is_alive():
                if (child := slot.child) is not None:
                    child.kill()
                slot.thread.join(POLL_S)

    # The callers' side

    def _enter(self, call: Call) -> None:
        with self._lock:
            self._check_open()
            self._calls.append(call)
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closing:
            raise ModelLoadError("the engine has been stopped")

    def _wait(self, call: Call, cancel: threading.Event, timeout_s: float) -> None:
        """Until there is something for the caller to do. Raises Cancelled, GenerationTimeout."""
        since = time.monotonic()
        while not cancel.is_set() and not call.over:
            if call.pending():
                return
            progress_at = call.progress_at if call.served else self._progress_at
            if time.monotonic() - max(since, progress_at) >= timeout_s:
                self._leave(call, 0)
                raise GenerationTimeout(f"nothing came from the engine for {timeout_s:g} seconds")
            call.changed.wait(min(POLL_S, timeout_s))
        raise Cancelled("the request was called off")

    def _leave(self, call: Call, grace_s: float) -> None:
        """Nobody waits for this call any more: children at work on it are told, and killed if they stay busy."""
        with self._lock:
            if call.over:
                return
            call.over = True
            self._calls.remove(call)
            for work in call.active:
                if work.child is not None:
                    work.child.send(wire.encode(wire.Cancel()))
                    work.deadline = threading.Timer(grace_s, self._kill, (work,))
                    work.deadline.daemon = True
                    work.deadline.start()
            call.changed.notify_all()

    def _kill(self, work: Work) -> None:
        with self._lock:
            if work in work.call.active and work.child is not None:
                work.child.kill()

    # The children's side

    def _drive(self, slot: _Slot) -> None:
        """The life of a child's thread."""
        while True:
            match self._next(slot):
                case Work() as work:
                    self._perform(slot, work)
                    self._renew(slot)
                case _Order.START:
                    self._start_ahead(slot)
                case _Order.REST:
                    self._stop(slot)
                case _Order.QUIT:
                    self._stop(slot)
                    return

    def _next(self, slot: _Slot) -> Work | _Order:
        """Wait for something to do."""
        with self._lock:
            idle_since = time.monotonic()
            while not self._closing:
                if slot.wanted:
                    return _Order.START
                if (work := self._take(slot)) is not None:
                    slot.work = work
                    self._changed.notify_all()  # the next one may be somebody else's
                    return work
                left = idle_since + self._idle_exit_s - time.monotonic()
                if self._idle_exit_s and slot.child is not None and left <= 0:
                    return _Order.REST
                self._changed.wait(left if self._idle_exit_s and slot.child is not None else None)
            return _Order.QUIT

    def _take(self, slot: _Slot) -> Work | None:
        """The next unit of the first caller in line that has one; it then stands at the end of the line."""
        if not slot.idle and any(other.idle for other in self._slots):
            return None  # theirs: they need not be started first
        converting = sum(slot.work is not None and slot.work.call.converts for slot in self._slots)
        for call in sorted(self._calls, key=lambda call: call.lane):  # in a lane they keep their order
            if call.ready() and not (call.converts and converting >= max(1, len(self._slots) - 1)):
                self._calls.remove(call)
                self._calls.append(call)
                work = call.take()
                call.active.add(work)
                return work
        return None

    def _perform(self, slot: _Slot, work: Work) -> None:
        call = work.call
        error: GenerationError | ModelLoadError | None = None
        try:
            child = self._started(slot)
            if self._send(child, work):
                self._receive(child, work)
        except ModelLoadError as failure:
            error = failure
        except EOFError:
            what = "converting" if call.converts else "speaking this passage"
            error = GenerationError(f"the engine stopped while {what}; it has been restarted: try again")
            code = self._stop(slot)
            logger.log(
                logging.INFO if call.over else logging.ERROR,
                "the %s engine ended with exit code %s while %s%s",
                *(self.info.name, code, what, " that was called off" if call.over else ""),
            )
        with self._lock:
            self._progress_at = time.monotonic()
            call.active.discard(work)
            if work.deadline is not None:
                work.deadline.cancel()
            slot.work = None
            if isinstance(error, GenerationError):
                self._restarts += 1
                slot.wanted = True
            if error is not None:
                call.fail(work, error)
            self._changed.notify_all()

    def _renew(self, slot: _Slot) -> None:
        """Replaces a child that has grown too large: a library may leak a little at every call, and we can run for
        months."""
        child = slot.child
        if not self._renew_bytes or child is None or child.works < RENEW_WORKS:
            return
        if child.memory_bytes() <= self._renew_bytes:
            return
        logger.info("the %s engine's process is renewed: it held %d MB", self.info.name, child.memory_bytes() >> 20)
        self._stop(slot)
        with self._lock:
            slot.wanted = not self._closing

    def _send(self, child: ChildProcess, work: Work) -> bool:
        """Hand the work over, unless it has been called off meanwhile."""
        with self._lock:
            if work.call.over:
                return False
            if work.call.reference is not None:
                child.remember(work.call.reference)
            child.send(work.request)
            child.works += 1
            work.child = child
            work.call.progress()
            return True

    def _receive(self, child: ChildProcess, work: Work) -> None:
        """Until the last answer. Raises EOFError when the child dies."""
        last = False
        while not last:
            reply = child.receive()
            if isinstance(reply, wire.Failed) and reply.details is not None:
                logger.error("the %s engine failed\n%s", self.info.name, reply.details)
            with self._lock:
                if isinstance(reply, wire.Failed):
                    work.call.fail(work, reply.error)
                    return
                last = work.call.receive(reply, work)
                self._progress_at = time.monotonic()

    def _start_ahead(self, slot: _Slot) -> None:
        error: ModelLoadError | None = None
        try:
            self._started(slot)
        except ModelLoadError as failure:
            error = failure
        with self._lock:
            slot.error = error
            slot.wanted = False
            self._changed.notify_all()

    def _started(self, slot: _Slot) -> ChildProcess:
        """The slot's child, started if it is not there. Raises ModelLoadError."""
        if slot.child is not None and slot.child.alive:
            return slot.child
        self._stop(slot)  # it died without work
        try:
            slot.child = child = ChildProcess(self._factory, self.info.name)
        except OSError as error:
            logger.exception("no process for the %s engine", self.info.name)
            raise ModelLoadError("no process could be started for the engine") from error
        patience = threading.Timer(self._start_timeout_s, child.kill)
        patience.daemon = True
        patience.start()
        try:
            reply = child.receive()
        except EOFError as error:
            code = self._stop(slot)
            logger.error("the %s engine ended with exit code %s while it was started", self.info.name, code)
            raise ModelLoadError("the engine stopped, or took too long, while it was started") from error
        finally:
            patience.cancel()
        if isinstance(reply, wire.Failed):
            self._stop(slot)
            logger.error("the %s engine could not be started\n%s", self.info.name, reply.details)
            raise ModelLoadError(reply.error.message)
        with self._lock:
            slot.loaded = True
        return child

    def _stop(self, slot: _Slot) -> int | None:
        """End the slot's child, if it has one; its exit code."""
        with self._lock:
            slot.loaded = False
        code = None if slot.child is None else slot.child.stop(CLOSE_S)
        slot.child = None
        return code

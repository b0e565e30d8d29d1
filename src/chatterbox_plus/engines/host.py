"""An engine in a pool of child processes: who is served when, what happens when a child hangs or dies.

Every child has a thread here that drives it. A caller's own thread waits for results, checks its cancellation and, in a
conversion, reads the input; it never waits for a child in any other way.

The order: callers take turns, a passage each, so a long text cannot starve a short one, and those of a lower lane go
before all others; a caller is served at most 2 x workers passages ahead of what it has consumed. A conversion occupies
one child from its beginning to its end, but conversions never occupy all children, unless there is only one.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import EngineInfo, Passage, Piece, Reference
from chatterbox_plus.engines.calls import Call, ConvertCall, SpeakCall, WarmCall, Work
from chatterbox_plus.engines.process import ChildProcess
from chatterbox_plus.engines.slots import CLOSE_S, BeforeStart, Launch, Order, Slot
from chatterbox_plus.errors import Cancelled, GenerationError, GenerationTimeout, ModelLoadError

POLL_S = 0.05  # how often a waiting caller looks at its cancellation
GRACE_S = 0.5  # how long a child may take to come free after a cancellation

logger = logging.getLogger("chatterbox_plus.engines")


@dataclass(frozen=True)
class Health:
    """How a host is at this moment."""

    workers: int
    running: int  # children with a loaded engine
    busy: int  # children at work
    callers: int  # calls under way, waiting ones included
    restarts: int  # children that died or were killed in their work, so far
    starting: int = 0  # children being started, or loading their weights ahead of any request
    loaded: int = 0  # children with their weights in memory
    failure: str | None = None  # why the last try to load the engine failed, in words


class EngineHost:
    """An engine in a pool of child processes. Thread-safe; generators it returns belong to one thread at a time."""

    def __init__(
        self,
        describe: EngineInfo,
        factory: str,
        *,
        arguments: Mapping[str, Any] = MappingProxyType({}),
        workers: int = 2,
        start_timeout_s: float = 60,
        idle_exit_s: float = 0,
        renew_bytes: int = 0,
        before_start: BeforeStart | None = None,
    ) -> None:
        """Starts no child yet: that happens at the first call or by `warm_up`.

        factory: "package.module:Callable", imported and called in the child, where it must give an `Engine`.
        arguments: its keyword arguments, as JSON has them.
        idle_exit_s: children without work for so long end, to be started again when needed; 0 = never.
        renew_bytes: a child that holds more memory than this is replaced between two pieces of work, but not before it
        has done RENEW_WORKS of them; 0 = never.
        before_start: may wait until there is room for a child.
        """
        self.info = describe
        self._idle_exit_s = idle_exit_s
        self._lock = threading.RLock()  # re-entered when an abandoned generator is collected at an odd moment
        self._changed = threading.Condition(self._lock)  # there may be something to do for a child's thread
        self._calls: list[Call] = []  # the next to be served first
        self._progress_at = time.monotonic()  # of any child
        self._restarts = 0
        self._failure: str | None = None
        self._closing = False
        given = json.dumps(dict(arguments))
        launch = Launch(describe, factory, given, start_timeout_s, renew_bytes, before_start)
        self._slots = [Slot(self._lock, launch) for _ in range(workers)]
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
        watermark: bool = False,
    ) -> Iterator[Samples]:
        """Say a recording again in the target's voice: mono blocks (n,) at `rate` Hz in, mono blocks at info.rate out.

        The input is read in the caller's own thread, while it waits for output, at most about two seconds (or one
        block) ahead of the engine; what it raises comes out of here as it is. An input that may block for long should
        watch the same `cancel`: nothing else is looked at meanwhile. timeout_s and errors as in `speak`.
        """
        call = ConvertCall(self._lock, wire.Convert(rate, target.digest, chunk_s, overlap_s, watermark), target, lane)
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

    def prepare(self, tasks: frozenset[str], *, cancel: threading.Event, timeout_s: float) -> None:
        """Start a child and wait until it has loaded what these of `base.TASKS` need.
        Raises Cancelled, GenerationTimeout, GenerationError, ModelLoadError."""
        call = WarmCall(self._lock, tasks)
        self._enter(call)
        try:
            with self._lock:
                self._wait(call, cancel, timeout_s)
                call.finish()
        finally:
            self._leave(call, GRACE_S)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything of it."""
        with self._lock:
            return not self._calls and not any(slot.work is not None or slot.wanted for slot in self._slots)

    @property
    def occupied(self) -> bool:
        """Whether it has a child, loaded or not."""
        return any(slot.child is not None for slot in self._slots)

    @property
    def used_at(self) -> float:
        """When a child last came free (time.monotonic)."""
        return self._progress_at

    def unload(self) -> bool:
        """End its children, if nobody waits for anything; they are started again when needed. False: somebody does."""
        with self._lock:
            if not self.idle:
                return False
            resting = [slot for slot in self._slots if slot.child is not None]
            for slot in resting:
                slot.dismissed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closing or not any(slot.dismissed for slot in resting))
            return not any(slot.loaded for slot in resting)  # work may have come first

    def health(self) -> Health:
        with self._lock:
            return Health(
                workers=len(self._slots),
                running=sum(slot.running for slot in self._slots),
                busy=sum(slot.work is not None for slot in self._slots),
                callers=len(self._calls),
                restarts=self._restarts,
                starting=sum(slot.starting for slot in self._slots),
                loaded=sum(slot.has_weights for slot in self._slots),
                failure=self._failure,
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
                work.call_off(grace_s)
            call.changed.notify_all()

    # The children's side

    def _drive(self, slot: Slot) -> None:
        """The life of a child's thread."""
        while True:
            match self._next(slot):
                case Work() as work:
                    self._perform(slot, work)
                    if slot.outgrown():
                        slot.stop()
                        with self._lock:
                            slot.wanted = True
                case Order.START:
                    self._start_ahead(slot)
                case Order.REST:
                    slot.stop()
                    with self._lock:
                        slot.dismissed = False
                        self._changed.notify_all()
                case Order.QUIT:
                    slot.stop()
                    return

    def _next(self, slot: Slot) -> Work | Order:
        """Wait for something to do."""
        with self._lock:
            idle_since = time.monotonic()
            while not self._closing:
                if slot.wanted:
                    return Order.START
                if (work := self._take(slot)) is not None:
                    slot.work, slot.dismissed = work, False
                    self._changed.notify_all()  # the next one may be somebody else's
                    return work
                if slot.dismissed:
                    return Order.REST
                left = idle_since + self._idle_exit_s - time.monotonic()
                if self._idle_exit_s and slot.child is not None and left <= 0:
                    return Order.REST
                self._changed.wait(left if self._idle_exit_s and slot.child is not None else None)
            return Order.QUIT

    def _take(self, slot: Slot) -> Work | None:
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

    def _perform(self, slot: Slot, work: Work) -> None:
        call = work.call
        error: GenerationError | ModelLoadError | None = None
        try:
            child = slot.start(lambda: not (call.over or self._closing))
            if slot.give(work):
                self._receive(child, work)
        except ModelLoadError as failure:
            error = failure
            self._failure = failure.message
        except Cancelled:
            pass  # nobody is left to be told
        except EOFError:
            what = "converting" if call.converts else "speaking this passage"
            error = GenerationError(f"the engine stopped while {what}; it has been restarted: try again")
            code = slot.stop()
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

    def _receive(self, child: ChildProcess, work: Work) -> None:
        """Until the last answer. Raises EOFError when the child dies."""
        last = False
        while not last:
            reply = child.receive()
            if isinstance(reply, wire.Failed) and reply.details is not None:
                logger.error("the %s engine failed\n%s", self.info.name, reply.details)
            with self._lock:
                if isinstance(reply, wire.Failed):
                    if isinstance(reply.error, ModelLoadError):
                        self._failure = reply.error.message
                    work.call.fail(work, reply.error)
                    return
                self._failure = None
                last = work.call.receive(reply, work)
                child.answered = True
                self._progress_at = time.monotonic()

    def _start_ahead(self, slot: Slot) -> None:
        error: ModelLoadError | None = None
        try:
            slot.start(lambda: not self._closing)
        except ModelLoadError as failure:
            error = failure
        except Cancelled:
            pass  # the host is being closed
        with self._lock:
            self._failure = None if error is None else error.message
            slot.error = error
            slot.wanted = False
            self._changed.notify_all()

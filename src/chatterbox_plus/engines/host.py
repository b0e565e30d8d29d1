"""An engine in a pool of child processes: who is served when, what happens when a child hangs or dies.

A caller's own thread waits for results, checks its cancellation and, in a conversion, reads the input; it never waits
for a child in any other way. The children and their threads are the `pool`'s.

A child has an `Engine` and does one thing at a time, or a `Crowd` and has as many rows as it does things at once; it
tells when it is started. The order is the same for both: callers take turns, a passage each, so a long text cannot
starve a short one, and those of a lower lane go before all others. Lanes above 0 never take the last quarter of a
crowd's rows. A caller is served only so far ahead of what it has consumed; see `speak`.

A conversion occupies one child, or one row of it, from its beginning to its end. Conversions never occupy all
children that do one thing at a time, unless there is only one.

A child that hangs is one from which nothing comes for as long as a caller waits; it is killed. Who had work in a
crowd that was killed or has died loses nothing by it, unless something of that work had been given already: it is
done again, once.
"""

import json
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import EngineInfo, Fragment, Passage, Piece, Reference
from chatterbox_plus.engines.calls import Call, SpeakCall, WarmCall
from chatterbox_plus.engines.conversion import ConvertCall
from chatterbox_plus.engines.pool import Pool
from chatterbox_plus.engines.slots import BeforeStart, Launch
from chatterbox_plus.errors import Cancelled, GenerationTimeout

POLL_S = 0.05  # how often a waiting caller looks at its cancellation
GRACE_S = 0.5  # how long a child that does one thing at a time may take to come free after a cancellation
LIVE_AHEAD = 2  # passages of a live call in a crowd: the one that is heard and the next


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
    works: int = 0  # pieces of work under way
    rows: int = 0  # how many the children with a loaded engine can take in at once, all together


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

        factory: "package.module:Callable", imported and called in the child, where it must give an `Engine` or a
        `Crowd`. arguments: its keyword arguments, as JSON has them. idle_exit_s: children without work for so long
        end, to be started again when needed; 0 = never. renew_bytes: a child that holds more memory than this is
        replaced between two pieces of work, but not before it has done RENEW_WORKS of them; 0 = never. before_start:
        may wait until there is room for a child.
        """
        self.info = describe
        self._workers = workers
        self._lock = threading.RLock()  # re-entered when an abandoned generator is collected at an odd moment
        given = json.dumps(dict(arguments))
        launch = Launch(describe, factory, given, start_timeout_s, renew_bytes, before_start)
        self._pool = Pool(self._lock, launch, workers, idle_exit_s)

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

        Work begins at the first `next`. Closing the generator calls the rest off. timeout_s: how long nothing may
        come of it, nor any sign of life from a crowd that it is in; while it waits for a free child: how long nothing
        may come of any call. Time the caller is away does not count. ahead: passages in work beyond what the caller
        has taken; None: two for each worker, or as many as crowds have rows. lane: of several callers those of the
        lowest are served first. Raises Cancelled once `cancel` is set or the host is closed, GenerationTimeout,
        GenerationError, ModelLoadError, and what the engine itself raises (InvalidAudio), in the place of the passage
        it happened in.
        """
        call = self._speaking(passages, reference, live=False, ahead=ahead, lane=lane)
        with closing(self._fragments(call, cancel, timeout_s)) as fragments:
            for fragment in fragments:
                yield Piece(fragment.index, fragment.clip, fragment.words)

    def speak_live(
        self,
        passages: Sequence[Passage],
        reference: Reference | None,
        *,
        cancel: threading.Event,
        timeout_s: float,
        ahead: int | None = None,
        lane: int = 0,
    ) -> Iterator[Fragment]:
        """As `speak`, but a crowd gives each passage in parts as soon as they are there, and does first what the caller
        waits for. Yields at least one Fragment for each passage, in order; an `Engine`'s passages are one each.

        ahead: None: two for each worker, or two passages of a crowd: the one that is heard and the next. That bounds
        what waits for a slow caller. An error comes after the fragments that were made before it.
        """
        call = self._speaking(passages, reference, live=True, ahead=ahead, lane=lane)
        return self._fragments(call, cancel, timeout_s)

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
        call = ConvertCall(
            self._lock, target, rate=rate, chunk_s=chunk_s, overlap_s=overlap_s, watermark=watermark, lane=lane
        )
        source = iter(blocks)
        self._pool.enter(call)
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
            self._pool.leave(call, GRACE_S)

    def warm_up(self) -> None:
        """Start all children, at once, and wait for them. Raises ModelLoadError."""
        pool = self._pool
        with self._lock:
            started = [slot for slot in pool.slots if not slot.busy and not slot.running]
            for slot in started:
                slot.wanted = True
            pool.changed.notify_all()
            pool.changed.wait_for(lambda: pool.closing or not any(slot.wanted for slot in started))
            pool.check_open()
            for slot in started:
                if slot.error is not None:
                    raise slot.error

    def prepare(self, tasks: frozenset[str], *, cancel: threading.Event, timeout_s: float) -> None:
        """Start a child and wait until it has loaded what these of `base.TASKS` need.
        Raises Cancelled, GenerationTimeout, GenerationError, ModelLoadError."""
        call = WarmCall(self._lock, tasks)
        self._pool.enter(call)
        try:
            with self._lock:
                self._wait(call, cancel, timeout_s)
                call.finished()
        finally:
            self._pool.leave(call, GRACE_S)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for anything of it."""
        with self._lock:
            return not self._pool.calls and not any(slot.busy or slot.wanted for slot in self._pool.slots)

    @property
    def occupied(self) -> bool:
        """Whether it has a child, loaded or not."""
        return any(slot.child is not None for slot in self._pool.slots)

    @property
    def used_at(self) -> float:
        """When a child last came free (time.monotonic)."""
        return self._pool.progress_at

    def unload(self) -> bool:
        """End its children, if nobody waits for anything; they are started again when needed. False: somebody does."""
        pool = self._pool
        with self._lock:
            if not self.idle:
                return False
            resting = [slot for slot in pool.slots if slot.child is not None]
            for slot in resting:
                slot.dismissed = True
            pool.changed.notify_all()
            pool.changed.wait_for(lambda: pool.closing or not any(slot.dismissed for slot in resting))
            return not any(slot.loaded for slot in resting)  # work may have come first

    def health(self) -> Health:
        with self._lock:
            slots = self._pool.slots
            return Health(
                workers=len(slots),
                running=sum(slot.running for slot in slots),
                busy=sum(slot.busy for slot in slots),
                callers=len(self._pool.calls),
                restarts=self._pool.restarts,
                starting=sum(slot.starting for slot in slots),
                loaded=sum(slot.has_weights for slot in slots),
                failure=self._pool.failure,
                works=sum(len(slot.all_works) for slot in slots),
                rows=sum(slot.rows for slot in slots),
            )

    def close(self) -> None:
        """Call everything off and end all children. Callers get Cancelled. May be called again."""
        self._pool.close()

    # The callers' side

    def _speaking(
        self, passages: Sequence[Passage], reference: Reference | None, *, live: bool, ahead: int | None, lane: int
    ) -> SpeakCall:
        def limit() -> int:
            rows = self._pool.crowd_rows
            if ahead is not None or not rows:
                return ahead or 2 * self._workers
            return LIVE_AHEAD if live else rows * self._workers

        return SpeakCall(self._lock, passages, reference, live=live, ahead=limit, lane=lane)

    def _fragments(self, call: SpeakCall, cancel: threading.Event, timeout_s: float) -> Generator[Fragment]:
        self._pool.enter(call)
        try:
            while not call.finished():
                with self._lock:
                    self._wait(call, cancel, timeout_s)
                    fragment = call.next_fragment()
                    self._pool.changed.notify_all()
                yield fragment
        finally:
            self._pool.leave(call, GRACE_S)

    def _wait(self, call: Call, cancel: threading.Event, timeout_s: float) -> None:
        """Until there is something for the caller to do. Raises Cancelled, GenerationTimeout."""
        since = time.monotonic()
        while not cancel.is_set() and not call.over:
            if call.pending():
                return
            progress_at = call.progress_at if call.served else self._pool.progress_at
            if time.monotonic() - max(since, progress_at) >= timeout_s:
                self._pool.give_up(call)
                raise GenerationTimeout(f"nothing came from the engine for {timeout_s:g} seconds")
            call.changed.wait(min(POLL_S, timeout_s))
        raise Cancelled("the request was called off")

"""How a child drives a `Crowd`: what has come is taken in, the crowd does a step, what came of it is sent.

All of it happens in the child's main thread. The work of others waits while a reference is sent or a work taken in,
never while somebody's input does: a conversion's is read in a thread of the engine's.
"""

import contextlib
import queue
import time
import traceback
from collections.abc import Iterator

from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Conversion, Crowd, Finished, Fragment, Outcome, Piece, Speech
from chatterbox_plus.engines.inbox import ACCIDENT, Event, Listener, Replies, Work, accident
from chatterbox_plus.errors import Cancelled, GenerationError, PlusError

ALIVE_S = 0.5  # between two signs of life
CALLED_OFF = "it was called off"


class Driver:
    """A crowd, and the works that are in it."""

    def __init__(self, crowd: Crowd, listener: Listener, replies: Replies) -> None:
        self._crowd, self._listener, self._replies = crowd, listener, replies
        self._works: dict[int, Work] = {}  # by id, which is the crowd's ticket
        self._alive_at = time.monotonic()
        crowd.wake = listener.wake

    def run(self) -> None:
        """Until the host is gone or a step has failed: what state the crowd is in is not known after that."""
        while True:
            for item in self._arrived():
                if item is Event.GONE:
                    return
                if isinstance(item, Work):
                    self._take_in(item)
            try:
                self._drop_cancelled()
                self._step()
            except Exception as error:  # noqa: BLE001  the process border
                said = error if isinstance(error, PlusError) else GenerationError(ACCIDENT)
                self._replies.send(wire.Broken(tuple(self._works), said, traceback.format_exc()))
                return

    def _arrived(self) -> Iterator[Work | Event]:
        """All that has come. Waits for something while the crowd has nothing to do."""
        requests = self._listener.requests
        if self._crowd.idle:
            yield requests.get()
        with contextlib.suppress(queue.Empty):
            while True:
                yield requests.get_nowait()

    def _take_in(self, work: Work) -> None:
        request = work.request
        try:
            if work.cancelled():
                raise Cancelled(CALLED_OFF)
            match request:
                case wire.Warm():
                    self._crowd.warm(request.tasks)
                    self._end(work, wire.Warmed(work.id))
                    return
                case wire.Speak():
                    speech = Speech(request.passage, work.reference, request.live, request.lane, request.rank)
                    self._crowd.speak(work.id, speech)
                case wire.Convert():
                    assert work.reference is not None
                    conversion = Conversion(
                        work.blocks(self._replies),
                        request.rate,
                        work.reference,
                        request.chunk_s,
                        request.overlap_s,
                        request.watermark,
                        request.lane,
                    )
                    self._crowd.convert(work.id, conversion)
        except PlusError as error:
            self._end(work, wire.Failed(work.id, error))
        except Exception:  # noqa: BLE001  the process border
            self._end(work, accident(work.id))
        else:
            self._works[work.id] = work

    def _drop_cancelled(self) -> None:
        for work in tuple(self._works.values()):
            if work.cancelled():
                self._crowd.drop(work.id)
                self._end(work, wire.Failed(work.id, Cancelled(CALLED_OFF)))

    def _step(self) -> None:
        if self._crowd.idle:
            return
        for ticket, outcome in self._crowd.step():
            if (work := self._works.get(ticket)) is not None:  # else it was dropped, and its host has been told
                self._answer(work, outcome)
        now = time.monotonic()
        if now - self._alive_at >= ALIVE_S:
            self._alive_at = now
            self._replies.send(wire.Alive())

    def _answer(self, work: Work, outcome: Outcome) -> None:
        match outcome:
            case Piece():
                self._end(work, wire.Spoken(work.id, outcome))
            case Fragment():
                sounded = wire.Sounded(work.id, outcome)
                if outcome.last:
                    self._end(work, sounded)
                else:
                    self._replies.send(sounded)
            case Finished():
                self._end(work, wire.End(work.id))
            case PlusError():
                self._end(work, wire.Failed(work.id, outcome))
            case _:
                self._replies.send(wire.Block(work.id, outcome))

    def _end(self, work: Work, last: wire.Outcome) -> None:
        """Say the last word about it. An engine's thread that waits for its input is sent away."""
        self._replies.send(last)
        self._works.pop(work.id, None)
        self._listener.forget(work)
        work.cancel()


def drive(crowd: Crowd, listener: Listener, replies: Replies) -> None:
    """Until the host is gone or a step has failed."""
    Driver(crowd, listener, replies).run()

"""A caller that converts a recording: blocks going in and coming out, of one piece of work from beginning to end."""

import threading
from collections import deque

import numpy as np

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines import wire
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.calls import OneCall, Work

INPUT_AHEAD_S = 2.0  # seconds of input sent to a conversion's child before it asked for them


class ConvertCall(OneCall):
    """A conversion.

    What waits for a slow consumer here is bounded by its input: that is read by the consumer's own thread, and only
    when there is no output left to take. So whatever comes can be taken at once, and one slow consumer holds up
    neither the pipe nor the thread that reads from it, which others need.
    """

    converts = True
    doing = "converting"

    def __init__(
        self,
        lock: threading.RLock,
        target: Reference,
        *,
        rate: int,
        chunk_s: float,
        overlap_s: float,
        watermark: bool,
        lane: int,
    ) -> None:
        """See `EngineHost.convert`."""
        super().__init__(lock, target, lane)
        self._rate, self._chunk_s, self._overlap_s, self._watermark = rate, chunk_s, overlap_s, watermark
        self._target = target.digest
        self._room = round(INPUT_AHEAD_S * rate)  # samples of input that may be sent
        self._fed = False  # to the end
        self._first: list[Samples] | None = []  # the input until something has come of it: to begin again with
        self._output: deque[Samples] = deque()

    def request(self, work: Work) -> wire.Request:
        return wire.Convert(
            work.id, self._rate, self._target, self._chunk_s, self._overlap_s, self._watermark, self.lane
        )

    def sent(self, work: Work) -> None:
        for samples in self._first or ():
            self._send(wire.Block(work.id, samples), work)
        if self._fed:
            self._send(wire.End(work.id), work)
        super().sent(work)

    def pending(self) -> bool:
        return bool(self._output) or super().pending() or self._hungry()

    def receive(self, outcome: wire.Outcome, work: Work) -> bool:
        match outcome:
            case wire.Block(_, samples):
                self._output.append(samples)
                self._first = None
            case wire.Consumed(_, count):
                self._room += count
            case wire.End():
                self._end = True
        self.progress()
        return self._end is True

    def retry(self, work: Work) -> bool:
        if self._first is None:
            return False
        self._room = round(INPUT_AHEAD_S * self._rate) - sum(map(len, self._first))
        return super().retry(work)

    def next_block(self) -> Samples | None:
        """The next converted samples, if there are any."""
        return self._output.popleft() if self._output else None

    def feed(self, samples: Samples | None) -> None:
        """Send the next input, None = that was all."""
        if samples is None:
            self._fed = True
        elif len(samples) == 0:
            return
        else:
            samples = np.array(samples, np.float32)  # a copy: sources may use their buffer again
            self._room -= len(samples)
            if self._first is not None:
                self._first.append(samples)
        for work in self.active:
            if work.child is not None:
                self._send(wire.End(work.id) if samples is None else wire.Block(work.id, samples), work)

    def _send(self, message: wire.Request, work: Work) -> None:
        assert work.child is not None
        work.child.send(wire.encode(message))

    def _hungry(self) -> bool:
        return not self._fed and self._room > 0 and self.served

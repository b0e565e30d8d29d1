"""A recording being converted, window by window."""

from __future__ import annotations

import math
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Conversion, Finished
from chatterbox_plus.engines.chatterbox.families import RATE
from chatterbox_plus.engines.chatterbox.flow import draw_noise
from chatterbox_plus.engines.chatterbox.windows import Windows
from chatterbox_plus.engines.chatterbox.work import Decode, Job, Work, spoken

if TYPE_CHECKING:
    from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine


class Converting(Work):
    """A `base.Conversion`: the same recording and target give the same sound.

    The input is read, and cut, in a thread of its own: one window at a time, the next when that has been answered.
    """

    def __init__(self, engine: ChatterboxEngine, conversion: Conversion, ticket: int) -> None:
        super().__init__(engine, conversion.lane, ticket)
        self._conversion = conversion
        self._windows = Windows(conversion.rate, conversion.chunk_s, conversion.overlap_s)
        self._ready: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        self._answered = threading.Semaphore(0)
        reader = ThreadPoolExecutor(1, thread_name_prefix="windows")
        self._reading = reader.submit(self._read)
        self._reading.add_done_callback(lambda _: engine.wake())
        reader.shutdown(wait=False)  # once that is done

    @property
    def due(self) -> bool:
        return not self.waiting and (self._job is not None or not self._ready.empty() or self._reading.done())

    @property
    def order(self) -> tuple[float, ...]:
        return (math.inf, math.inf, self.ticket)

    def drop(self) -> None:
        super().drop()
        self._answered.release()  # the reader ends, or goes on to its input, which tells it that it was dropped

    def _read(self) -> None:
        for window in self._windows.cut(self._conversion.blocks):
            self._ready.put(window)
            self.engine.wake()
            self._answered.acquire()
            if self.over:
                return

    def _next_job(self) -> Job:
        engine, windows, target = self.engine, self._windows, self._conversion.target
        if self._ready.empty():
            self._reading.result()  # raises what reading did
            self.over = True
            return [*windows.rest(), Finished()]
        window = self._ready.get()
        voice = engine.print_of(target)
        tokens = engine.model.speech_tokens(torch.from_numpy(window))
        generator = torch.Generator().manual_seed(windows.seed(target.digest))
        noise = draw_noise(generator, len(tokens), len(voice.flow.tokens), engine.family.meanflow)
        mel = yield Decode((tokens, voice.flow, noise), int(engine.family.defaults["steps"]))
        samples = spoken(engine, mel, generator)
        if self._conversion.watermark:
            samples = yield engine.aside(engine.watermarker.mark, samples, RATE)
        done = list(windows.join(samples))
        self._answered.release()
        return [*done]

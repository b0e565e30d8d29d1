"""Speech of any length in another voice, in flat memory, without seams."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.limiter import HIGHEST_CEILING_DBTP, Limiter
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.engines.base import Cancelled as IsCancelled
from chatterbox_plus.engines.builtin.pitch import overall_f0, track_f0
from chatterbox_plus.engines.builtin.synthesis import Synthesizer
from chatterbox_plus.engines.builtin.voicemap import VoiceMap
from chatterbox_plus.engines.builtin.voiceprint import VoicePrint, measure
from chatterbox_plus.engines.builtin.world import (
    CONTEXT,
    FFT_SIZE,
    HOP,
    MARGIN,
    RATE,
    Speech,
    envelope,
    join,
    noisiness,
)
from chatterbox_plus.errors import Cancelled

PRINT_S = 60.0  # of the beginning of a long recording are what its voice's print is taken from
_HARDLY = 10 ** (-15 / 10)  # of the power of the loudest part
HARVEST_S = 18.0  # of a reference its pitch is looked for with the slow tracker too
SAMPLE_S = 12.0  # of these the map is tuned on
_SHORTEST_STEP_S, _LONGEST_STEP_S = 0.5, 4.0  # between windows; the longest bounds the time until a cancel is seen
_LONGEST_OVERLAP_S = 0.5


@dataclass(frozen=True, eq=False)
class Run:
    """Frames in a row whose F0 is known, with the sound they lie in.

    samples: float64 (n,) at RATE; the first of the frames is centred on samples[first * HOP].
    """

    f0: NDArray[np.float64]
    samples: NDArray[np.float64]
    first: int

    def core(self) -> Samples:
        """The sound that the frames are about, without what was added around it."""
        return self.samples[self.first * HOP : (self.first + len(self.f0)) * HOP].astype(np.float32)

    def speech(self) -> Speech:
        """The frames. Costs about a fortieth of their time."""
        return Speech(
            self.f0,
            envelope(self.samples, self.f0, self.first),
            noisiness(self.samples, self.f0, self.first),
        )


class Windows:
    """A stream cut into overlapping windows whose F0 is tracked with half a second of sound on both sides.

    Where two neighbours overlap, one takes over from the other at the frame on which they agree best.
    """

    def __init__(self, step: int, overlap: int) -> None:
        """step, overlap: in frames; 0 <= overlap <= step."""
        self._step, self._overlap = step, overlap
        self._samples = np.zeros(0)
        self._fresh: list[NDArray[np.float64]] = []  # what comes after
        self._end = 0  # of the fresh ones, in the whole stream
        self._start = 0  # what _samples[0] is in the whole stream; a whole number of hops
        self._next = 0  # the first frame not yet given
        self._tail = np.zeros(0)  # F0 of the frames from there on, as the last window saw it

    def push(self, block: Samples) -> Iterator[Run]:
        self._fresh.append(block.astype(np.float64))
        self._end += len(block)
        while self._end >= (self._next + self._step + self._overlap) * HOP + CONTEXT:
            yield self._window(self._next + self._step, self._overlap)

    def finish(self) -> Iterator[Run]:
        """The rest: in all one frame more than there are whole hops in the stream."""
        frames = self._end // HOP + 1 if self._end else 0
        self._fresh.append(np.zeros(FFT_SIZE))  # WORLD wants more than a few samples
        while self._next < frames:
            end = min(self._next + self._step, frames)
            yield self._window(end, min(self._overlap, frames - end))

    def _window(self, end: int, overlap: int) -> Run:
        """Frames from _next to `end`, and a look at `overlap` more."""
        self._samples, self._fresh = np.concatenate([self._samples, *self._fresh]), []
        before = min(self._next * HOP - self._start, CONTEXT)
        lead = before // HOP
        origin = self._next * HOP - self._start - before
        until = (end + overlap) * HOP - self._start + CONTEXT
        f0 = track_f0(self._samples[origin:until], RATE, HOP)[lead : lead + end + overlap - self._next]
        f0 = _taken_over(self._tail, f0)
        count = end - self._next
        first = min(self._next * HOP - self._start, MARGIN) // HOP
        begin = self._next * HOP - self._start - first * HOP
        run = Run(f0[:count], self._samples[begin : end * HOP - self._start + MARGIN].copy(), first)
        self._tail, self._next = f0[count:], end
        keep = max(end * HOP - CONTEXT - self._start, 0)
        self._samples, self._start = self._samples[keep:], self._start + keep
        return run


def _taken_over(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two trackings of the same frames as one, the old first; they may differ in length."""
    n = min(len(old), len(new))
    if n == 0:
        return new
    left, right = old[:n], new[:n]
    both = (left > 0) & (right > 0)
    apart = np.where(both, np.abs(np.log(np.where(both, left, 1.0) / np.where(both, right, 1.0))), 1.0)
    apart[(left == 0) & (right == 0)] = 0.0
    middle = np.abs(np.arange(n) - n / 2) / n
    switch = int(np.argmin(apart + 1e-3 * middle))
    return np.concatenate([left[:switch], new[switch:]])


def windows(chunk_s: float, overlap_s: float) -> Windows:
    """Windows of chunk_s that overlap by overlap_s, within what is sensible: half a second to four."""
    overlap = min(overlap_s, _LONGEST_OVERLAP_S)
    step = min(max(chunk_s - overlap, _SHORTEST_STEP_S), _LONGEST_STEP_S)
    return Windows(round(step * RATE / HOP), round(overlap * RATE / HOP))


def runs_of(samples: Samples) -> Iterator[Run]:
    """All of (n,) at RATE, n >= 1, in runs of a few seconds."""
    cut = windows(_LONGEST_STEP_S, 0.0)
    yield from cut.push(samples)
    yield from cut.finish()


def print_of(runs: Iterable[Run], cancelled: IsCancelled) -> VoicePrint:
    """The voice that speaks in these runs. Raises Cancelled."""
    f0, log_power, samples = [], [], []
    for run in runs:
        stop_if(cancelled)
        f0.append(run.f0)
        log_power.append(envelope(run.samples, run.f0, run.first))
        samples.append(run.core())
    return measure(np.concatenate(f0), np.concatenate(log_power), np.concatenate(samples))


def reference_print(samples: Samples, cancelled: IsCancelled) -> VoicePrint:
    """The voice of (n,) at RATE, n >= 1, its pitch as meters would have it. Raises Cancelled."""
    found = print_of(runs_of(samples), cancelled)
    overall = overall_f0(samples.astype(np.float64), RATE, HARVEST_S)
    return replace(found, log_f0=None if overall is None else overall[0])


def convert(
    blocks: Iterable[Samples],
    rate: int,
    target: VoicePrint,
    chunk_s: float,
    overlap_s: float,
    cancelled: IsCancelled,
) -> Iterator[Samples]:
    """Blocks (n,) of any sizes at `rate` Hz -> blocks at RATE, as long in all as the input, at the same times.

    The source's print is taken once, from its first PRINT_S: every window is moved by the same map. Raises Cancelled.
    """
    out = Output()
    runs = _runs(blocks, rate, windows(chunk_s, overlap_s), out, cancelled)
    beginning = list(_until(runs, PRINT_S))
    if not beginning:
        return
    source, sample = print_of(beginning, cancelled), _sample(beginning, cancelled)
    move = VoiceMap(source, target, sample, lambda: stop_if(cancelled))
    for run in chain(beginning, runs):
        stop_if(cancelled)
        yield out.push(move.apply(run.speech()))
    yield out.finish()


def _sample(runs: list[Run], cancelled: IsCancelled) -> Speech:
    """SAMPLE_S or so from all over the runs, those left out in which there is hardly a sound."""
    power = [float(np.mean(run.core() ** 2)) for run in runs]
    spoken = [run for run, p in zip(runs, power, strict=True) if p >= max(power) * _HARDLY]
    count = min(max(1, int(SAMPLE_S * RATE / HOP / len(runs[0].f0))), len(spoken))
    parts = []
    for i in range(count):
        stop_if(cancelled)
        parts.append(spoken[i * len(spoken) // count].speech())
    return join(parts)


def _until(runs: Iterator[Run], seconds: float) -> Iterator[Run]:
    frames = 0
    for run in runs:
        yield run
        frames += len(run.f0)
        if frames * HOP >= seconds * RATE:
            return


class Output:
    """Frames to finished sound, of exactly as many samples as were counted in."""

    def __init__(self, length: int = 0) -> None:
        self._synthesizer, self._limiter = Synthesizer(), Limiter(RATE, 1, 0.0, HIGHEST_CEILING_DBTP)
        self._given = 0
        self.length = length  # samples that there are to be: need not be known before `finish` is called

    def push(self, speech: Speech) -> Samples:
        done = self._limiter.push(self._synthesizer.push(speech))
        self._given += len(done)
        return done

    def finish(self) -> Samples:
        rest = np.concatenate([self._limiter.push(self._synthesizer.finish()), self._limiter.finish()])
        return rest[: max(self.length - self._given, 0)]


def _runs(blocks: Iterable[Samples], rate: int, cut: Windows, out: Output, cancelled: IsCancelled) -> Iterator[Run]:
    resampler = Resampler(rate, RATE)
    for block in blocks:
        stop_if(cancelled)
        ready = resampler.push(block)
        out.length += len(ready)
        yield from cut.push(ready)
    ready = resampler.finish()
    out.length += len(ready)
    yield from cut.push(ready)
    yield from cut.finish()


def stop_if(cancelled: IsCancelled) -> None:
    if cancelled():
        raise Cancelled("the work was called off")

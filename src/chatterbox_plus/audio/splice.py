"""Where one sound ends and the next begins: crossfades, pauses, silence cut from the ends and from within."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples, samples_in, silence

SILENCE_DB = -40.0  # below this, relative to the highest sample, is silence (contract, 7.3)
KEPT_SILENCE_S = 0.05  # what stays of a silence that is cut
SHORTEST_S = 0.1  # what stays of any sound, at least
MIN_PAUSE_MS, MAX_PAUSE_MS = 50, 3000
SEAM_S = 0.008  # crossfade where something was cut out
HOP_S = 0.01  # of the envelope

Interval = tuple[int, int]
"""From the first sample to before the second one."""


def equal_power_crossfade(left: Samples, right: Samples, overlap: int) -> Samples:
    """left (…, a), right (…, b), 0 <= overlap <= min(a, b) -> (…, a + b - overlap).

    The gains' squares add up to 1: unrelated sounds keep their power.
    """
    if not overlap:
        return np.concatenate([left, right], axis=-1)
    seam = fade_out(left[..., left.shape[-1] - overlap :]) + fade_in(right[..., :overlap])
    return np.concatenate([left[..., : left.shape[-1] - overlap], seam, right[..., overlap:]], axis=-1)


def fade_in(samples: Samples) -> Samples:
    """The first half of an equal-power crossfade, over all of (…, n)."""
    n = samples.shape[-1]
    faded: Samples = samples * np.sin((np.arange(n, dtype=np.float32) + 0.5) * np.float32(np.pi / 2 / max(n, 1)))
    return faded


def fade_out(samples: Samples) -> Samples:
    """The other half: a fade-in backwards."""
    return fade_in(samples[..., ::-1])[..., ::-1]


def natural_pause_ms(rng: random.Random, base_ms: int, variation_ms: int) -> int:
    """A pause of base ± variation, evenly spread, within 50-3000 ms. A variation not below the base is taken as
    base - 1."""
    variation_ms = max(0, min(variation_ms, base_ms - 1))
    return min(max(base_ms + rng.randint(-variation_ms, variation_ms), MIN_PAUSE_MS), MAX_PAUSE_MS)


def _magnitude(block: Samples) -> Samples:
    """|x| of the loudest channel, (n,)."""
    magnitude: Samples = np.abs(block)
    return magnitude if block.ndim == 1 else magnitude.max(axis=0)


@dataclass(frozen=True)
class TrimInfo:
    """What was cut, as replies report it."""

    trimmed: bool
    original_duration_ms: int
    trimmed_duration_ms: int
    leading_silence_removed_ms: int
    trailing_silence_removed_ms: int


class EdgeFinder:
    """Finds where the sound in a stream begins and ends, to the sample and in constant memory.

    What counts as silence depends on the highest sample, known only at the end; so the first and last moments at which
    each of 1600 levels, 0.1 dB apart, is reached are kept.
    """

    _LEVELS = (10 ** (np.arange(-1400, 200) / 200)).astype(np.float32)  # -140 to +20 dBFS

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._first = np.zeros(len(self._LEVELS), np.int64)
        self._last = np.zeros(len(self._LEVELS), np.int64)
        self._reached = 0  # levels
        self.length = 0  # samples
        self.peak = 0.0

    def push(self, block: Samples) -> None:
        """block: (n,) or (channels, n)."""
        n = block.shape[-1]
        if not n:
            return
        magnitude = _magnitude(block)
        peak = magnitude.max()
        here = int(np.searchsorted(self._LEVELS, peak, "right"))
        if here > self._reached:
            rising = np.maximum.accumulate(magnitude)
            new = slice(self._reached, here)
            self._first[new] = self.length + np.searchsorted(rising, self._LEVELS[new])
            self._reached = here
        if here:
            falling = np.maximum.accumulate(magnitude[::-1])
            self._last[:here] = self.length + n - 1 - np.searchsorted(falling, self._LEVELS[:here])
        self.peak = max(self.peak, float(peak))
        self.length += n

    def sound(self) -> Interval | None:
        """From the first to after the last sample above -40 dB of the peak (to 0.1 dB); None for silence."""
        if not self._reached:
            return None
        level = int(np.searchsorted(self._LEVELS, self.peak * 10 ** (SILENCE_DB / 20), "right")) - 1
        return int(self._first[max(level, 0)]), int(self._last[max(level, 0)]) + 1

    def plan(self, threshold_ms: int) -> tuple[Interval, TrimInfo]:
        """What to keep: silence at an end longer than the threshold is cut to 50 ms; at least 100 ms remain, and
        silence alone is kept as it is."""
        n, start, end = self.length, 0, self.length
        sound = self.sound()
        if sound:
            kept, threshold = samples_in(KEPT_SILENCE_S, self._rate), samples_in(threshold_ms / 1000, self._rate)
            start = sound[0] - kept if sound[0] > threshold else 0
            end = sound[1] + kept if n - sound[1] > threshold else n
            missing = samples_in(SHORTEST_S, self._rate) - (end - start)
            if missing > 0:
                end = min(n, end + missing)
                start = max(0, min(start, end - samples_in(SHORTEST_S, self._rate)))

        def ms(samples: int) -> int:
            return round(1000 * samples / self._rate)

        return (start, end), TrimInfo(end - start < n, ms(n), ms(end - start), ms(start), ms(n - end))


class Cut:
    """A Stage that keeps the samples from `start` to before `end`."""

    def __init__(self, interval: Interval, rate: int, channels: int = 1) -> None:
        self._start, self._end = interval
        self._rate, self._channels, self._at = rate, channels, 0

    def push(self, block: Samples) -> Samples:
        first, last = self._start - self._at, self._end - self._at
        self._at += block.shape[-1]
        return block[..., max(first, 0) : max(last, 0)]

    def finish(self) -> Samples:
        return silence(0, self._channels)

    def map_time(self, t_s: float) -> float:
        return min(max(t_s - self._start / self._rate, 0.0), (self._end - self._start) / self._rate)


class Envelope:
    """The highest magnitude in each 10 ms of a stream: four bytes per 10 ms."""

    def __init__(self, rate: int) -> None:
        self.hop = max(1, samples_in(HOP_S, rate))  # samples
        self.length = 0  # samples
        self._peaks: list[NDArray[np.float32]] = []
        self._left = np.zeros(0, np.float32)

    def push(self, block: Samples) -> None:
        """block: (n,) or (channels, n)."""
        self.length += block.shape[-1]
        magnitude = np.concatenate([self._left, _magnitude(block)])
        whole = len(magnitude) - len(magnitude) % self.hop
        if whole:
            self._peaks.append(magnitude[:whole].reshape(-1, self.hop).max(axis=1))
        self._left = magnitude[whole:]

    def peaks(self) -> NDArray[np.float32]:
        """(hops,): the last one may be of a part of a hop."""
        last = [self._left.max(keepdims=True)] if len(self._left) else []
        return np.concatenate([np.zeros(0, np.float32), *self._peaks, *last])


def keep_intervals(envelope: Envelope, rate: int, *, threshold: float, margin_s: float) -> list[Interval]:
    """Where a sound is not silent, as auto-editor's audio method has it: loud hops, and a margin around them.

    envelope: one that has taken the whole sound. threshold: 0-1, of the highest sample. margin_s: seconds kept on each
    side. Returns intervals in order, apart by more than a seam; all of it, as one interval, for silence alone.
    """
    peaks = envelope.peaks()
    highest = float(peaks.max(initial=0.0))
    if not highest:
        return [(0, envelope.length)]
    loud = np.flatnonzero(peaks >= threshold * highest)
    margin, seam = samples_in(margin_s, rate), samples_in(SEAM_S, rate)
    breaks = np.flatnonzero(np.diff(loud) * envelope.hop > 2 * (margin + seam) + envelope.hop)
    firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]]
    return [
        (max(0, int(first) * envelope.hop - margin), min(envelope.length, (int(last) + 1) * envelope.hop + margin))
        for first, last in zip(firsts, lasts, strict=True)
    ]


class KeepIntervals:
    """A Stage that keeps these parts of a sound, in order, 8 ms long and apart or more, and nothing between them.

    At each cut the part that ends fades out into what was cut away while the next one fades in, over 8 ms: nothing
    clicks and the result is exactly as long as the parts together. Where the ends were cut off, they fade, too.

    length: of the whole sound, in samples.
    """

    def __init__(self, intervals: list[Interval], length: int, rate: int, channels: int = 1) -> None:
        self._intervals, self._rate, self._channels = intervals, rate, channels
        self._fade = fade_in(np.ones(samples_in(SEAM_S, rate), np.float32))
        cut_off = bool(intervals) and intervals[-1][1] < length
        self._end_fade = intervals[-1][1] - len(self._fade) if cut_off else length  # where it begins
        self._index = self._at = 0  # interval; sample of the input
        self._leaving = self._nothing = silence(0, channels)  # the faded rest of the part before

    def push(self, block: Samples) -> Samples:
        out = [self._nothing]
        while block.shape[-1] and self._index < len(self._intervals):
            start, end = self._intervals[self._index]
            at = self._at
            if at < start:
                _, block = self._split(block, start)
            elif at < end:
                part, block = self._split(block, end)
                out.append(self._faded(at, part))
            else:
                rest, block = self._split(block, end + len(self._fade))
                self._leave(at - end, rest)
        return np.concatenate(out, axis=-1)

    def finish(self) -> Samples:
        return self._nothing

    def map_time(self, t_s: float) -> float:
        """A moment that was cut out lies at the cut."""
        lengths = np.cumsum([0, *(end - start for start, end in self._intervals)])
        inner = np.ravel(self._intervals)
        outer = np.ravel(np.stack([lengths[:-1], lengths[1:]], axis=-1))
        return float(np.interp(t_s, inner / self._rate, outer / self._rate))

    def _split(self, block: Samples, until: int) -> tuple[Samples, Samples]:
        """The block's samples before the input's sample `until`, and the others."""
        n = min(block.shape[-1], until - self._at)
        self._at += n
        return block[..., :n], block[..., n:]

    def _leave(self, offset: int, rest: Samples) -> None:
        """Keep what comes after a part, fading, for the next part's beginning."""
        before = self._leaving if offset else self._nothing
        self._leaving = np.concatenate([before, rest * self._fade[::-1][offset:][: rest.shape[-1]]], axis=-1)
        if self._leaving.shape[-1] == len(self._fade):
            self._index += 1

    def _faded(self, at: int, part: Samples) -> Samples:
        """A part, faded in and with the part before fading out over it, if it is at the beginning of its interval."""
        start = self._intervals[self._index][0]
        n, offset, seam = part.shape[-1], at - start, len(self._fade)
        if start and offset < seam:
            part = part.copy()
            part[..., : seam - offset] *= self._fade[offset:][:n]
            leaving = self._leaving[..., offset:][..., :n]
            part[..., : leaving.shape[-1]] += leaving
        end_fade = self._end_fade - at
        if n > end_fade:
            part = part.copy()
            first = max(0, end_fade)
            part[..., first:] *= self._fade[::-1][first - end_fade :][: n - first]
        return part

"""A gain that keeps the true peak under a ceiling."""

import math

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.blocks import Regroup
from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.truepeak import TruePeak

HIGHEST_CEILING_DBTP = -1.0  # EBU R128: nothing we level goes above
LOOK_AHEAD_S = 0.005  # the gain glides down for so long before a peak
RELEASE_S = 0.06  # time constant of its way back
MARGIN_DB = 0.05  # the moving gain itself moves the peaks between the samples a little
BLOCK = 1024  # samples worked on at a time
INAUDIBLE = 1e-5  # a reduction below this (0.0001 dB) counts as none


def decibels(amplitude: float) -> float:
    """dB re 1; -inf for 0."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def from_decibels(db: float) -> float:
    return float(10 ** (db / 20))


class Limiter:
    """A Stage: a gain, then as much less of it around each peak as keeps the true peak at or below the ceiling.

    A look-ahead peak limiter: the reduction a peak needs is spread backwards over LOOK_AHEAD_S by a sliding maximum and
    a Hann-shaped mean of the same length (so it is never less than needed), and decays with RELEASE_S. All channels get
    the same gain. As many samples come out as went in, at their own time; samples far from any peak get the plain gain.

    rate: Hz. channels: 1 or 2. gain_db: any finite. ceiling_dbtp: dB true peak, at most 0.
    """

    def __init__(self, rate: int, channels: int, gain_db: float, ceiling_dbtp: float) -> None:
        self._channels = channels
        self._gain = np.float32(from_decibels(gain_db))
        self._ceiling = from_decibels(ceiling_dbtp - MARGIN_DB)
        self._true_peak = TruePeak(rate, channels)
        self._ahead = samples_in(LOOK_AHEAD_S, rate)
        shape = np.hanning(self._ahead + 3)[1:-1]
        self._shape = shape / shape.sum()
        self._decay = np.exp(np.arange(BLOCK + 1) / (-RELEASE_S * rate))
        self._regroup = Regroup(BLOCK, channels)
        self._lag = TruePeak.reach + self._ahead
        self._waiting = silence(self._lag, channels)
        self._needs = np.zeros(self._ahead)  # reduction needed, of the samples whose look-ahead is incomplete
        self._reductions = np.zeros(self._ahead)  # reduction decided on, of the latest samples
        self._taken = self._worked = 0  # samples

    def push(self, block: Samples) -> Samples:
        self._taken += block.shape[-1]
        return self._work_off(self._regroup.push(block))

    def finish(self) -> Samples:
        rest = self._regroup.rest()
        padded = -(-(rest.shape[-1] + self._lag) // BLOCK) * BLOCK
        fill = silence(padded - rest.shape[-1], self._channels)
        out = self._work_off(self._regroup.push(np.concatenate([rest, fill], axis=-1)))
        surplus = self._worked - self._lag - self._taken
        return out[..., : out.shape[-1] - surplus]

    def map_time(self, t_s: float) -> float:
        return t_s

    def _work_off(self, blocks: list[Samples]) -> Samples:
        out = [silence(0, self._channels)]
        for block in blocks:
            before_the_start = max(0, self._lag - self._worked)
            out.append(self._work(block)[..., before_the_start:])
            self._worked += BLOCK
        return np.concatenate(out, axis=-1)

    def _work(self, block: Samples) -> Samples:
        """BLOCK samples in, the BLOCK samples that lie `lag` earlier out."""
        raised = np.concatenate([self._waiting, block * self._gain], axis=-1)
        self._waiting = raised[..., BLOCK:]
        reduction = self._smooth(self._release(self._look_ahead(self._need(raised[..., self._lag :]))))
        if not reduction.any():
            return raised[..., :BLOCK]
        out: Samples = (raised[..., :BLOCK] * (1 - reduction)).astype(np.float32)
        return out

    def _need(self, raised: Samples) -> NDArray[np.float64]:
        """By what share each sample must come down, 0-1."""
        envelope = self._true_peak.envelope(raised, self._ceiling)
        if envelope is None:
            return np.zeros(BLOCK)
        return 1 - self._ceiling / np.maximum(envelope.astype(np.float64), self._ceiling)

    def _look_ahead(self, need: NDArray[np.float64]) -> NDArray[np.float64]:
        """The most that any of the next `ahead` samples needs: a sliding maximum by doubling its width."""
        highest = np.concatenate([self._needs, need])
        self._needs = highest[BLOCK:]
        if not highest.any():
            return highest[:BLOCK]
        width = 1
        while width <= self._ahead:
            step = min(width, self._ahead + 1 - width)
            highest = np.maximum(highest[:-step], highest[step:])
            width += step
        return highest

    def _release(self, need: NDArray[np.float64]) -> NDArray[np.float64]:
        """Down at once, back exponentially: r[i] = max(need[i], decay * r[i - 1]), without a loop."""
        last = self._reductions[-1] if self._reductions[-1] > INAUDIBLE else 0.0
        if not last and not need.any():
            return need
        path = np.concatenate([[last], need]) / self._decay
        reduction: NDArray[np.float64] = (np.maximum.accumulate(path) * self._decay)[1:]
        return reduction

    def _smooth(self, reduction: NDArray[np.float64]) -> NDArray[np.float64]:
        """A weighted mean of the last `ahead` + 1; each of them is at least what the newest needs."""
        joined = np.concatenate([self._reductions, reduction])
        self._reductions = joined[BLOCK:]
        return np.convolve(joined, self._shape, "valid") if joined.any() else reduction

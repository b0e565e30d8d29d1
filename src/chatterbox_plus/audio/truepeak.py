"""The peaks between the samples, which a converter makes and a sample peak misses (ITU-R BS.1770-4, Annex 2)."""

import math

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples, silence

OVERSAMPLED_HZ = 192_000  # the rate BS.1770 asks for
MOST_OVERSAMPLING = 8  # reads at most 0.17 dB low even at the highest frequency there is
TAPS, KAISER_BETA = 32, 9.0  # libswresample's interpolator, with which FFmpeg measures
PIECE = 1024  # samples looked at together: small enough for the cache, and for BLAS to stay on one core


def _interpolators(factor: int) -> NDArray[np.float32]:
    """Kaiser-windowed sincs, (TAPS, factor - 1): one for each point between two samples, unity at 0 Hz."""
    points = np.arange(1, factor) / factor
    distance = points[None, :] + TAPS // 2 - 1 - np.arange(TAPS)[:, None]  # samples
    window = np.i0(KAISER_BETA * np.sqrt(np.maximum(0, 1 - (distance / (TAPS / 2)) ** 2)))
    taps = np.sinc(distance) * window
    unity: NDArray[np.float32] = (taps / taps.sum(axis=0)).astype(np.float32)
    return unity


class TruePeak:
    """Looks between the samples of a stream; one instance serves one stream. Blocks are (n,) or (channels, n)."""

    reach = TAPS // 2
    """How many samples the look lags behind."""

    def __init__(self, rate: int, channels: int) -> None:
        self._taps = _interpolators(min(MOST_OVERSAMPLING, math.ceil(OVERSAMPLED_HZ / rate)))
        self._tail = silence(TAPS - 1, channels)
        # no interpolated value can be higher than the highest sample times this
        self._overshoot = float(np.abs(self._taps).sum(axis=0).max(initial=1.0))

    def envelope(self, block: Samples, floor: float) -> Samples | None:
        """Magnitudes (n,): the highest of the points from sample i - reach until the next, over all channels.
        None when none of them can be above `floor`, which costs next to nothing to know."""
        samples = np.concatenate([self._tail, block], axis=-1)
        self._tail = samples[..., samples.shape[-1] - (TAPS - 1) :]
        if float(np.abs(samples).max()) * self._overshoot <= floor:
            return None
        n = block.shape[-1]
        highest = np.zeros(n, np.float32)
        for channel in np.atleast_2d(samples):
            windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(channel, TAPS))
            between = np.abs(self._taps.T @ windows.T).max(axis=0, initial=0.0)
            np.maximum(highest, np.maximum(between, np.abs(channel[self.reach - 1 :][:n])), out=highest)
        return highest

    def highest(self, block: Samples, floor: float) -> float:
        """The highest magnitude, or `floor` if that is higher."""
        for i in range(0, block.shape[-1], PIECE):
            envelope = self.envelope(block[..., i : i + PIECE], floor)
            floor = floor if envelope is None else max(floor, float(envelope.max()))
        return floor

"""Sound as numbers that know their own rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Amplitudes in [-1, 1], shape (n,) for mono or (channels, n): time is always the last axis."""

LAYOUTS = {1: "mono", 2: "stereo"}
"""The numbers of channels there are here, by FFmpeg's names."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A piece of sound.

    samples: float32 (n,) mono, or (channels, n), nominally in [-1, 1].
    rate: samples per second (Hz).
    """

    samples: Samples
    rate: int

    @property
    def channels(self) -> int:
        return 1 if self.samples.ndim == 1 else int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        return float(self.samples.shape[-1] / self.rate)


def samples_in(seconds: float, rate: int) -> int:
    """How many samples `seconds` are at `rate` Hz, to the nearest."""
    return round(seconds * rate)


def silence(n: int, channels: int = 1) -> Samples:
    """n samples of nothing: (n,) for mono, else (channels, n)."""
    return np.zeros(n if channels == 1 else (channels, n), np.float32)

"""Speech taken apart into pitch, envelope and breath.

Analysis is WORLD's (M. Morise et al., "WORLD: a vocoder-based high-quality speech synthesis system", 2016): CheapTrick
for the spectral envelope, D4C for the aperiodicity; F0 is from `pitch`. Synthesis (`synthesis`) is our own, from the
same parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

Frames = NDArray[np.float32]
"""(frames, BINS): a spectrum for every frame."""

RATE = 24_000  # Hz
HOP = 120  # samples between frames: 5 ms
FFT_SIZE = 1024  # the smallest that holds three periods of LOWEST_ENVELOPE_HZ
BINS = FFT_SIZE // 2 + 1
BIN_HZ = RATE / FFT_SIZE

_LOWEST_ENVELOPE_HZ = 71.0  # CheapTrick takes a lower F0 for no pitch at all at this FFT size
CONTEXT = 100 * HOP  # samples on both sides without which a frame's F0 may differ: half a second
_NOISE_EVERY = 3  # frames
MARGIN = 12 * HOP  # of sound that CheapTrick and D4C may look at around a frame
_LOG_FLOOR = 1e-14  # of power: about 16 dB below the rounding noise of 24-bit audio, so logarithms stay finite


@dataclass(frozen=True, eq=False)
class Speech:
    """A run of frames, HOP samples apart at RATE.

    f0: float64 (frames,), Hz, 0 where there is no pitch. log_power: natural logarithm of the power spectrum, so that
    unit white noise has 0. aperiodicity: share of the amplitude that is noise, 0 to 1.
    """

    f0: NDArray[np.float64]
    log_power: Frames
    aperiodicity: Frames

    def __len__(self) -> int:
        return len(self.f0)

    def cut(self, start: int, end: int) -> "Speech":
        """Frames start to end, without the end."""
        return Speech(self.f0[start:end], self.log_power[start:end], self.aperiodicity[start:end])


def join(parts: Sequence[Speech]) -> Speech:
    """At least one run of frames, as one."""
    return Speech(
        np.concatenate([part.f0 for part in parts]),
        np.concatenate([part.log_power for part in parts]),
        np.concatenate([part.aperiodicity for part in parts]),
    )


def envelope(samples: NDArray[np.float64], f0: NDArray[np.float64], first: int) -> Frames:
    """log_power of the frames whose F0 is given: the first is centred on samples[first * HOP]."""
    times = (first + np.arange(len(f0))) * HOP / RATE
    usable = np.where(f0 > 0, np.maximum(f0, _LOWEST_ENVELOPE_HZ), 0.0)
    power = pyworld.cheaptrick(samples, usable, times, RATE, f0_floor=_LOWEST_ENVELOPE_HZ, fft_size=FFT_SIZE)
    log_power: Frames = np.log(np.maximum(power, _LOG_FLOOR)).astype(np.float32)
    return log_power


def noisiness(samples: NDArray[np.float64], f0: NDArray[np.float64], first: int) -> Frames:
    """aperiodicity of the same frames. Measured on every few frames, the costliest part, and interpolated."""
    times = (first + np.arange(len(f0))) * HOP / RATE
    usable = np.where(f0 > 0, np.maximum(f0, _LOWEST_ENVELOPE_HZ), 0.0)
    at = np.arange(0, len(f0), _NOISE_EVERY)
    some = pyworld.d4c(samples, usable[at], times[at], RATE, fft_size=FFT_SIZE).astype(np.float32)
    left, step = np.divmod(np.arange(len(f0)), _NOISE_EVERY)
    right = np.minimum(left + 1, len(some) - 1)
    share = (step / np.float32(_NOISE_EVERY)).astype(np.float32)[:, None]
    # A frame without pitch counts as all noise: its neighbour is to be asked instead.
    left_lost, right_lost = f0[at[left]] == 0, f0[at[right]] == 0
    share = np.where(right_lost[:, None], np.float32(0), np.where(left_lost[:, None], np.float32(1), share))
    whole: Frames = some[left] * (1 - share) + some[right] * share
    whole[f0 == 0] = 1.0
    return whole

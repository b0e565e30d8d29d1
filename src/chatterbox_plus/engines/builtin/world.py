"""Speech taken apart into pitch, envelope and breath, and put together again, both as streams.

Analysis is WORLD's (M. Morise et al., "WORLD: a vocoder-based high-quality speech synthesis system", 2016): DIO and
StoneMask for F0, CheapTrick for the spectral envelope, D4C for the aperiodicity. Synthesis is our own, from the same
parameters: WORLD's starts its pulses and its noise anew with every call, so pieces of it never fit together, while
here phase and noise run on from block to block and a stream has no seams.
"""

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

F0_FLOOR, F0_CEIL = 60.0, 500.0  # Hz, of adult voices
_LOWEST_ENVELOPE_HZ = 71.0  # CheapTrick takes a lower F0 for no pitch at all at this FFT size
CONTEXT = 100 * HOP  # samples on both sides without which a frame's F0 may differ: half a second
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


def track_f0(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hz for each frame of (n,) at RATE: (n // HOP + 1,), 0 where unvoiced."""
    if len(samples) < FFT_SIZE:  # DIO needs a few periods of its lowest pitch
        samples = np.pad(samples, (0, FFT_SIZE - len(samples)))
        return track_f0(samples)[: len(samples) // HOP + 1]
    period_ms = 1000 * HOP / RATE
    rough, times = pyworld.dio(samples, RATE, f0_floor=F0_FLOOR, f0_ceil=F0_CEIL, frame_period=period_ms)
    fine: NDArray[np.float64] = pyworld.stonemask(samples, rough, times, RATE)
    return fine


def envelope(samples: NDArray[np.float64], f0: NDArray[np.float64], first: int) -> Frames:
    """log_power of the frames whose F0 is given: the first is centred on samples[first * HOP]."""
    times = (first + np.arange(len(f0))) * HOP / RATE
    usable = np.where(f0 > 0, np.maximum(f0, _LOWEST_ENVELOPE_HZ), 0.0)
    power = pyworld.cheaptrick(samples, usable, times, RATE, f0_floor=_LOWEST_ENVELOPE_HZ, fft_size=FFT_SIZE)
    return np.log(np.maximum(power, _LOG_FLOOR)).astype(np.float32)


def noisiness(samples: NDArray[np.float64], f0: NDArray[np.float64], first: int) -> Frames:
    """aperiodicity of the same frames. Measured on every second frame, the costliest part, and interpolated."""
    times = (first + np.arange(len(f0))) * HOP / RATE
    usable = np.where(f0 > 0, np.maximum(f0, _LOWEST_ENVELOPE_HZ), 0.0)
    some = pyworld.d4c(samples, usable[::2].copy(), times[::2].copy(), RATE, fft_size=FFT_SIZE).astype(np.float32)
    whole = np.repeat(some, 2, axis=0)[: len(f0)]
    between = whole[1 : 2 * len(some) - 1 : 2]
    between += some[1:]
    between /= 2
    whole[f0 == 0] = 1.0
    return whole

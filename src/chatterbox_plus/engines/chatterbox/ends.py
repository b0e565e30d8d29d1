"""Where a spoken passage begins and ends: silence cut off, so that pauses are the caller's, and no click at a join."""

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples, samples_in, silence

HOP_S = 0.01  # whose RMS is looked at
_QUIET = 10 ** (-45 / 20)  # of the loudest hop: breaths and the ends of "s" and "f" lie at -35 to -40 dB
_NOTHING = 1e-4  # RMS, -80 dBFS: what is never louder is silence
BEFORE_S, AFTER_S = 0.03, 0.08  # kept around what is heard: onsets are steep, endings fade
_SHORTEST_S = 0.1
FADE_S = 0.005


def trimmed(samples: Samples, rate: int) -> Samples:
    """(n,) at `rate` Hz -> what is heard of it, with 30 ms before and 80 ms after; it fades in and out within 5 ms.

    At least 0.1 s remain, of silence alone 0.1 s of zeros; never more than there was. NaN counts as heard.
    """
    n, hop, shortest = len(samples), samples_in(HOP_S, rate), min(len(samples), samples_in(_SHORTEST_S, rate))
    heard, loudest = loud_hops(samples, rate)
    if not len(heard) and loudest < _NOTHING**2:
        return silence(shortest)
    start = max(0, int(heard[0]) * hop - samples_in(BEFORE_S, rate))
    end = min(n, max((int(heard[-1]) + 1) * hop + samples_in(AFTER_S, rate), start + shortest))
    return faded_out(faded_in(samples[min(start, end - shortest) : end], rate), rate)


def loud_hops(samples: Samples, rate: int, loudest: float = 0.0) -> tuple[NDArray[np.intp], float]:
    """Which hops of (n,) are heard beside the loudest hop of all, and that one's power.

    loudest: the power of the loudest hop before these samples.
    """
    power = np.square(np.pad(samples, (0, -len(samples) % samples_in(HOP_S, rate))))
    power = power.reshape(-1, samples_in(HOP_S, rate)).mean(axis=1)
    loudest = float(np.maximum(loudest, power.max(initial=0.0)))  # what is no number stays none
    if loudest < _NOTHING**2:
        return np.zeros(0, np.intp), loudest
    return np.flatnonzero(~(power < loudest * _QUIET**2)), loudest


def faded_in(samples: Samples, rate: int) -> Samples:
    """A copy that begins with a fade of 5 ms, of half its length if that is less."""
    kept = samples.copy()
    rising = _rising(min(samples_in(FADE_S, rate), len(kept) // 2))
    kept[: len(rising)] *= rising
    return kept


def faded_out(samples: Samples, rate: int) -> Samples:
    """As `faded_in`, at the end."""
    kept = samples.copy()
    rising = _rising(min(samples_in(FADE_S, rate), len(kept) // 2))
    kept[len(kept) - len(rising) :] *= rising[::-1]
    return kept


def _rising(count: int) -> Samples:
    rising: Samples = 0.5 - 0.5 * np.cos((np.arange(count, dtype=np.float32) + 0.5) * np.float32(np.pi / max(count, 1)))
    return rising

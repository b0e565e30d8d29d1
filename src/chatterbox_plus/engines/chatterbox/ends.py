"""Where a spoken passage begins and ends: silence cut off, so that pauses are the caller's, and no click at a join."""

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence

_HOP_S = 0.01  # whose RMS is looked at
_QUIET = 10 ** (-45 / 20)  # of the loudest hop: breaths and the ends of "s" and "f" lie at -35 to -40 dB
_NOTHING = 1e-4  # RMS, -80 dBFS: what is never louder is silence
_BEFORE_S, _AFTER_S = 0.03, 0.08  # kept around what is heard: onsets are steep, endings fade
_SHORTEST_S = 0.1
_FADE_S = 0.005


def trimmed(samples: Samples, rate: int) -> Samples:
    """(n,) at `rate` Hz -> what is heard of it, with 30 ms before and 80 ms after; it fades in and out within 5 ms.

    At least 0.1 s remain, of silence alone 0.1 s of zeros; never more than there was. NaN counts as heard.
    """
    n, hop, shortest = len(samples), samples_in(_HOP_S, rate), min(len(samples), samples_in(_SHORTEST_S, rate))
    power = np.square(np.pad(samples, (0, -n % hop))).reshape(-1, hop).mean(axis=1)
    loudest = power.max(initial=0.0)
    if loudest < _NOTHING**2:
        return silence(shortest)
    heard = np.flatnonzero(~(power < loudest * _QUIET**2))
    start = max(0, int(heard[0]) * hop - samples_in(_BEFORE_S, rate))
    end = min(n, max((int(heard[-1]) + 1) * hop + samples_in(_AFTER_S, rate), start + shortest))
    kept: Samples = samples[min(start, end - shortest) : end].copy()
    fade = min(samples_in(_FADE_S, rate), len(kept) // 2)
    rising = 0.5 - 0.5 * np.cos((np.arange(fade, dtype=np.float32) + 0.5) * np.float32(np.pi / max(fade, 1)))
    kept[:fade] *= rising
    kept[len(kept) - fade :] *= rising[::-1]
    return kept

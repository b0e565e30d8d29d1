"""How loud speech is."""

import numpy as np

from chatterbox_plus.audio.clip import Samples

_FRAME_S = 0.02
_ACTIVE_DB = 30.0  # a frame this far below the loudest is a pause, not speech


def active_rms(samples: Samples, rate: int) -> float:
    """Root mean square of (n,) at `rate` Hz over the frames of 20 ms in which there is speech; 0.0 for silence."""
    size = round(_FRAME_S * rate)
    whole = (
        samples[: len(samples) // size * size] if len(samples) >= size else np.pad(samples, (0, size - len(samples)))
    )
    power = np.mean(whole.reshape(-1, size).astype(np.float64) ** 2, axis=1)
    loudest = float(power.max())
    if loudest == 0.0:
        return 0.0
    return float(np.sqrt(np.mean(power[power >= loudest * 10 ** (-_ACTIVE_DB / 10)])))

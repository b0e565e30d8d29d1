"""Where somebody speaks: sound that is voiced and moves as only mouths do.

Voiced is what repeats 60 to 500 times a second (autocorrelation of the flattened spectrum, after P. Boersma, "Accurate
short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound", 1993). Tones,
hum and most instruments do so too; but their spectrum stands still or is a line or two, and their pitch keeps to its
note. Measured: spectra of human and synthetic voices change by 4 to 12 dB within 64 ms, those of hum, engines and
piano notes by less than 1.5 dB; a voice's pitch by 50 cents and more, a note's by less than 20.
"""

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.resample import Resampler

HOP_S = 0.016  # between frames
_RATE, _HOP, _FRAME, _FFT = 8000, 128, 384, 1024  # Hz, samples: 3 periods of the deepest voice
_FLOOR_HZ, _CEIL_HZ, _BAND_HZ = 60.0, 500.0, 1500.0  # of voices; above the band they are too noisy to tell a period
_AT_ONCE = 1000  # frames

_VOICED = 0.45  # 0-1; noise reaches 0.35
_LOUD_DB, _SILENCE = -30.0, 1e-8  # below the loud frames; mean square
_BANDS_HZ = (100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700, 3150, 3700)  # Bark
_WIDE_DB, _WIDE = -25.0, 0.18  # the share of bands this near to the loudest: tones have an eighth at most
_APART = 4  # frames over which movement is seen
_CHANGE_DB, _GLIDE, _SLIP = 2.5, 0.035, 0.3  # mean change of the bands; octaves; octaves: an error of ours
_NEAR_S, _LEAST_NEAR_S = 0.5, 0.1  # what a frame is judged with, on each side; how much of it must be voiced
_AROUND_S = 0.12  # of a voiced frame: consonants
_LEAST_S = 0.1  # of them in all


def find_speech(samples: Samples, rate: int) -> NDArray[np.bool_]:
    """For each HOP_S of a mono sound whether it belongs to speech."""
    resampler = Resampler(rate, _RATE)
    low = np.concatenate([resampler.push(samples), resampler.finish()])
    frames = len(low) // _HOP + 1
    power, periodicity, pitch, bands = _features(low, frames)
    quiet = max(float(np.quantile(power, 0.95)) * 10 ** (_LOUD_DB / 10), _SILENCE)
    voiced = (periodicity > _VOICED) & (power > quiet)
    wide = np.mean(bands > bands.max(axis=1, keepdims=True) + _WIDE_DB, axis=1) > _WIDE

    shapes = bands - bands.mean(axis=1, keepdims=True)
    changes = np.abs(shapes[_APART:] - shapes[:-_APART]).mean(axis=1) > _CHANGE_DB
    glide = np.abs(np.log2(pitch[_APART:] / pitch[:-_APART]))
    pairs = voiced[_APART:] & voiced[:-_APART]
    moving = pairs & (changes | ((glide > _GLIDE) & (glide < _SLIP)))

    reach = round(_NEAR_S / HOP_S)
    voiced_near, wide_near = _around(voiced, reach), _around(voiced & wide, reach)
    pairs_near = _around(np.pad(pairs, (_APART // 2, _APART - _APART // 2)), reach)
    moving_near = _around(np.pad(moving, (_APART // 2, _APART - _APART // 2)), reach)
    human = (voiced_near * HOP_S >= _LEAST_NEAR_S) & (2 * wide_near > voiced_near) & (2 * moving_near > pairs_near)
    sure = voiced & human
    if sure.sum() * HOP_S < _LEAST_S:
        return np.zeros_like(sure)
    speech: NDArray[np.bool_] = _around(sure, round(_AROUND_S / HOP_S)) > 0
    return speech


def _features(low: Samples, frames: int) -> tuple[NDArray[np.float32], ...]:
    """Of each frame: mean square, periodicity, pitch in Hz, and levels of the bands in dB, (frames, bands)."""
    padded = np.pad(low, (_FRAME // 2, _FRAME // 2 + _HOP))
    cut = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP][:frames]
    window = np.hanning(_FRAME).astype(np.float32)
    hz = np.fft.rfftfreq(_FFT, 1 / _RATE)
    weights = 1 / (1 + (hz / _BAND_HZ) ** 8) * (1 - 1 / (1 + (hz / _FLOOR_HZ) ** 4))
    lags = np.arange(int(_RATE / _CEIL_HZ), int(_RATE / _FLOOR_HZ) + 1)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)  # of the window: what it takes from long lags
    share = np.sqrt(own[lags] / own[0]).astype(np.float32)
    edges = np.searchsorted(hz, _BANDS_HZ)
    power, periodicity, pitch = (np.empty(frames, np.float32) for _ in range(3))
    bands = np.empty((frames, len(_BANDS_HZ) - 1), np.float32)
    for i in range(0, frames, _AT_ONCE):
        part = cut[i : i + _AT_ONCE]
        part = part - part.mean(axis=1, keepdims=True)
        now = slice(i, i + len(part))
        power[now] = np.mean(part**2, axis=1)
        spectrum = np.abs(np.fft.rfft(part * window, _FFT))
        correlation = np.fft.irfft(spectrum * weights.astype(np.float32))
        at = correlation[:, lags] / (np.maximum(correlation[:, :1], 1e-12) * share)
        best, row = at.argmax(axis=1), np.arange(len(at))
        inner = best.clip(1, len(lags) - 2)
        left, middle, right = (at[row, inner + step] for step in (-1, 0, 1))
        between = np.clip((left - right) / (2 * np.minimum(left + right - 2 * middle, -1e-6)), -1, 1)  # of a parabola
        periodicity[now], pitch[now] = at[row, best], _RATE / (lags[inner] + between)
        bands[now] = np.add.reduceat(spectrum**2, edges, axis=1)[:, :-1]
    return power, periodicity, pitch, 10 * np.log10(bands + bands.max() * 1e-7 + 1e-12)


def _around(flags: NDArray[np.bool_], reach: int) -> NDArray[np.int64]:
    """How many are set from `reach` before to `reach` after each."""
    counts = np.cumsum(np.pad(flags, (reach + 1, reach)), dtype=np.int64)
    return counts[2 * reach + 1 :] - counts[: -2 * reach - 1]

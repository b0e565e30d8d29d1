"""What a voice is like on the whole."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.builtin.world import BIN_HZ, BINS, FFT_SIZE, HOP, RATE, Frames

Spectrum = NDArray[np.float32]
"""(BINS,) or (BANDS,): one value for each."""

ACTIVE_DB = 30.0  # a frame this far below the loud ones is a pause
NP_PER_DB = float(np.log(10)) / 10  # ln of power per dB

_LEAST_VOICED_S = 0.15  # less says nothing about a voice's pitch
_SPREAD_OF_85_15 = 2.073  # between these percentiles, in standard deviations of a normal distribution
_SOFTEST_PERCENT = 10
_STFT_HOP = 2 * HOP


def mel(hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """D. O'Shaughnessy, "Speech Communication", 1987."""
    return np.asarray(2595 * np.log10(1 + hz / 700), np.float64)


# The bands in which spectra are compared: fine enough for formants, mostly too coarse for harmonics.
BANDS = 48
BIN_MELS = mel(np.arange(BINS) * BIN_HZ)
VOICE_FROM = 3  # the first bin, of 70 Hz, that can hold a voice
BAND_MELS = np.linspace(BIN_MELS[VOICE_FROM - 1], BIN_MELS[-1], BANDS)


def _band_weights() -> NDArray[np.float64]:
    step = BAND_MELS[1] - BAND_MELS[0]
    weights = np.maximum(1 - np.abs(BIN_MELS[None] - BAND_MELS[:, None]) / step, 0)
    for band in np.flatnonzero(weights.sum(axis=1) == 0):  # narrower than a bin
        weights[band, np.argmin(np.abs(BIN_MELS - BAND_MELS[band]))] = 1.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


BAND_WEIGHTS = _band_weights()  # (BANDS, BINS), each row a mean


def to_bins(bands: NDArray[np.floating]) -> Spectrum:
    """(BANDS,) -> (BINS,), straight lines between them."""
    bins: Spectrum = np.interp(BIN_MELS, BAND_MELS, bands).astype(np.float32)
    return bins


def smooth(spectrum: Spectrum) -> Spectrum:
    """(BINS,) without detail finer than a band."""
    return to_bins(BAND_WEIGHTS @ spectrum)


@dataclass(frozen=True, eq=False)
class Colour:
    """The long-term spectrum of sound in ln of power, (BANDS,), over the moments in which there is speech.

    mean_log: the mean of the logarithms, led by the usual. log_mean: the logarithm of the mean, led by the loud.
    """

    mean_log: Spectrum
    log_mean: Spectrum

    def missing(self, wanted: "Colour") -> Spectrum:
        """What to add to sound of this colour, half-way between the two ways to count, its own mean taken out."""
        difference = (wanted.mean_log - self.mean_log + wanted.log_mean - self.log_mean) / 2
        return np.asarray(difference - difference.mean(), np.float32)


@dataclass(frozen=True, eq=False)
class VoicePrint:
    """A voice's pitch, colour and loudness, over the time it speaks.

    log_f0, log_f0_spread: median and robust standard deviation of the frames' ln(F0/Hz); None where too little is
    voiced.
    mean, spread: mean and standard deviation of log_power, (BINS,). colour: as heard.
    rms: root mean square amplitude. floor_db: the level of the softest moments, re rms: of the background, as a rule.
    """

    log_f0: float | None
    log_f0_spread: float
    mean: Spectrum
    spread: Spectrum
    colour: Colour
    rms: float
    floor_db: float


def measure(f0: NDArray[np.float64], log_power: Frames, samples: Samples) -> VoicePrint:
    """The print of a stretch of speech, from its frames and its sound: (n,), (n, BINS), and any (m,) at RATE."""
    level = levels(log_power)
    active = level > np.percentile(level, 99) - ACTIVE_DB * NP_PER_DB
    voiced = np.log(f0[active & (f0 > 0)])
    known = len(voiced) * HOP / RATE >= _LEAST_VOICED_S
    spoken = log_power[active]
    loudness = np.log(np.mean(np.exp(level[active])))
    return VoicePrint(
        log_f0=float(np.median(voiced)) if known else None,
        log_f0_spread=float(np.subtract(*np.percentile(voiced, [85, 15]))) / _SPREAD_OF_85_15 if known else 0.0,
        mean=spoken.mean(axis=0),
        spread=smooth(spoken.std(axis=0)),
        colour=colour_of(samples),
        rms=float(np.exp(0.5 * loudness)),
        floor_db=float((np.percentile(level, _SOFTEST_PERCENT) - loudness) / NP_PER_DB),
    )


def middle_f0(f0: NDArray[np.float64], log_power: Frames) -> float | None:
    """Median of ln(F0/Hz) while there is speech; None where too little is voiced."""
    level = levels(log_power)
    voiced = f0[(level > np.percentile(level, 99) - ACTIVE_DB * NP_PER_DB) & (f0 > 0)]
    return float(np.median(np.log(voiced))) if len(voiced) * HOP / RATE >= _LEAST_VOICED_S else None


def levels(log_power: Frames) -> NDArray[np.float32]:
    """ln of each frame's power: of the samples, in their own unit. Without what CheapTrick puts below any voice."""
    return np.asarray(np.log(np.sum(np.exp(log_power[:, VOICE_FROM:]), axis=1) / BINS), np.float32)


def colour_of(samples: Samples) -> Colour:
    """From the short-time spectra of (n,) at RATE."""
    padded = np.pad(samples, (0, max(FFT_SIZE - len(samples), 0))).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::_STFT_HOP]
    window = np.hanning(FFT_SIZE).astype(np.float32)
    weights = BAND_WEIGHTS.T.astype(np.float32)
    bands = np.concatenate(
        [np.abs(np.fft.rfft(frames[i : i + 500] * window)) ** 2 @ weights for i in range(0, len(frames), 500)]
    )
    power = bands.sum(axis=1)
    bands = bands[power >= np.percentile(power, 99) * 10 ** (-ACTIVE_DB / 10)]
    bands = np.maximum(bands, bands.mean() * 1e-9 + 1e-20)
    return Colour(np.log(bands).mean(axis=0).astype(np.float32), np.log(bands.mean(axis=0)).astype(np.float32))

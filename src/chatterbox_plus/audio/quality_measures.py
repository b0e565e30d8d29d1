"""What can be measured of a recording of speech: noise, clipping, silence, band, and how alike its channels are."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Clip, Samples, samples_in
from chatterbox_plus.audio.loudness import integrated_lufs
from chatterbox_plus.audio.speech_activity import HOP_S, find_speech

_FRAME_S = 0.032
_LEVEL_FRAME_S = 0.02
_SILENT_DB, _SILENT_DBFS = -40.0, -85.0  # below the loud frames, and at all
_NOTHING = 1e-13  # mean square (-130 dBFS): digital silence, which says nothing about a room's noise
_NOISE_QUANTILE = 0.2
_RUMBLE_HZ = 40.0
_PAUSES_S, _STEADY = 0.12, 4.0  # noise can only be heard where nobody speaks; there it is not far from its mean
_CLEAR_SNR_DB = 25.0  # below it noise hides the upper end of a voice, which then may be there or not
_ACTIVE = 10 ** (-15.9 / 10)  # of the mean power: what ITU-T P.56 counts as active speech
_WORST_SNR_DB, _BEST_SNR_DB = -20.0, 80.0  # beyond them there is nothing but arithmetic

_PLATEAU = 0.02  # how far below its peak a sound counts as being at it
_SHARP = 2.5  # times as steep as a rounded peak of the same width
_FEWEST_PLATEAUS = 3
_LEVELS, _LOW_LEVEL, _TOP_LEVEL = 40, 10, 37  # of a histogram of amplitudes: how many, and between which a heap may be
_COUNTED = 500_000  # samples at most, from all over
_HEAPED = 1.4  # times as many as at a level below it: the histogram of speech only falls
_SYMMETRIC = 0.15  # how far apart the heaps of both polarities may be, as a ratio; peaks of a voice differ more
_SAME_DB = 20.0  # channels that differ more in level: one is as good as empty
_ALIKE = 0.5  # correlation of channels of one recording

Sides = Literal["alike", "different", "opposite", "one silent"]


@dataclass(frozen=True)
class Measurements:
    """What `measure` finds."""

    duration_s: float
    sample_rate: int  # Hz
    channels: int
    snr_db: float | None
    clipped_percent: float  # of the samples
    silence_percent: float  # of the time
    speech_s: float
    loudness_lufs: float | None  # None for silence
    bandwidth_hz: int
    sides: Sides  # of a stereo recording

    @property
    def speech_present(self) -> bool:
        return self.speech_s > 0


def measure(clip: Clip) -> Measurements:
    """Everything that can be measured, in about 3 ms a second. The clip is at least one frame (32 ms) long.

    snr_db: mean power of what is spoken over that of what is there all the time. The noise is the 20th percentile over
    time of each frequency's power, made good for what a percentile of Gaussian noise lacks to its mean (after V. Stahl
    et al., "Quantile based noise estimation for spectral subtraction and Wiener filtering", 2000); or the power of the
    quietest frames, if that is less. None without speech, or without pauses that are more than digital silence.
    clipped_percent: samples on plateaus: three or more, within 2 % of a peak's height, at the height of the recording's
    highest, with edges too steep for a rounded peak. Where there are none, those in heaps of the histogram of speech
    with pauses, at the same height above and below zero: what a lossy codec makes of plateaus (to a factor of two).
    silence_percent: frames of 20 ms that are 40 dB below the loud ones, or below -85 dBFS.
    bandwidth_hz: the highest frequency at which speech stands out of the noise, no more than 60 dB below its strongest;
    with an SNR below 25 dB the noise counts too, as the upper end of a voice may lie in it.
    """
    sides = np.atleast_2d(clip.samples)
    mono = sides.mean(axis=0)
    speech = find_speech(mono, clip.rate)
    spectra = _power_spectra(mono, clip.rate)
    middles = ((np.arange(len(spectra)) + 0.5) * _FRAME_S / HOP_S).round().astype(int)
    spoken = speech[np.minimum(middles, len(speech) - 1)]
    noise = _noise(spectra, spoken)
    snr_db = None if noise is None else _snr_db(spectra[spoken], noise)
    upper = noise if snr_db is not None and snr_db > _CLEAR_SNR_DB else None
    lufs = integrated_lufs(clip)
    return Measurements(
        duration_s=round(clip.duration_s, 3),
        sample_rate=clip.rate,
        channels=clip.channels,
        snr_db=snr_db,
        clipped_percent=round(100 * float(np.mean([_clipped(side, noise is not None) for side in sides])), 3),
        silence_percent=round(100 * _silent(mono, clip.rate), 1),
        speech_s=round(min(float(speech.sum()) * HOP_S, clip.duration_s), 2),
        loudness_lufs=round(lufs, 1) if math.isfinite(lufs) else None,
        bandwidth_hz=_bandwidth_hz(spectra[spoken] if spoken.any() else spectra, upper, clip.rate),
        sides=_compare(sides),
    )


def _power_spectra(samples: Samples, rate: int) -> NDArray[np.float32]:
    """(frames, bins), scaled so that the sum over a frame's bins is its mean square. Frames follow every _FRAME_S."""
    n = samples_in(_FRAME_S, rate)
    frames = np.pad(samples, (0, max(n - len(samples), 0)))
    frames = frames[: len(frames) // n * n].reshape(-1, n)
    window = np.hanning(n).astype(np.float32)
    spectra = np.fft.rfft(frames * window)
    power: NDArray[np.float32] = (spectra.real**2 + spectra.imag**2).astype(np.float32, copy=False)
    power *= np.float32(2 / (n * np.sum(window**2)))
    power[:, : math.ceil(_RUMBLE_HZ * _FRAME_S)] = 0
    return power


def _noise(spectra: NDArray[np.float32], spoken: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """Power of what is there all the time, (bins,); None where it cannot be heard for itself."""
    power = spectra.sum(axis=1)
    sounding = power > _NOTHING
    if not spoken.any():
        return None
    of_power = np.quantile(spectra[sounding], _NOISE_QUANTILE, axis=0)
    noise: NDArray[np.float32] = of_power / -math.log(1 - _NOISE_QUANTILE)  # a bin's power is distributed exponentially
    quietest = float(np.quantile(power[sounding], 0.1))
    noise *= min(1.0, quietest / max(float(noise.sum()), 1e-20))
    level = float(noise.sum())
    pauses = ~spoken & (power > level / _STEADY) & (power < level * _STEADY)
    return noise if pauses.sum() * _FRAME_S >= _PAUSES_S else None


def _snr_db(spoken: NDArray[np.float32], noise: NDArray[np.float32]) -> float:
    power = spoken.sum(axis=1)
    below = max(float(noise.sum()), 1e-20)
    level = float(power[power > power.mean() * _ACTIVE].mean())
    snr_db = 10 * math.log10(max(level - below, level / 100) / below)
    return round(min(max(snr_db, _WORST_SNR_DB), _BEST_SNR_DB), 1)


def _clipped(samples: Samples, pauses: bool) -> float:
    """The share of samples at a ceiling, 0-1."""
    count = _on_plateaus(samples) + _on_plateaus(-samples)
    if not count and pauses:  # a sound that never pauses may heap up at its own peaks
        above, below = _heap(samples), _heap(-samples)
        if above and below and abs(math.log(above[0] / below[0])) < _SYMMETRIC:
            count = above[1] + below[1]
    return count / len(samples)


def _on_plateaus(wave: Samples) -> int:
    """Samples on flat tops at the height of the highest."""
    ceiling = float(wave.max())
    if ceiling <= 0:
        return 0
    turns = np.flatnonzero(np.diff(np.pad(wave >= (1 - _PLATEAU) * ceiling, 1).astype(np.int8)))
    begin, end = turns[::2], turns[1::2]
    length = end - begin
    # A rounded peak that loses _PLATEAU within half its width has lost four times that within all of it.
    reach = -(-length // 2)
    before = wave[np.maximum(begin - reach, 0)]
    after = wave[np.minimum(end - 1 + reach, len(wave) - 1)]
    steep = 1 - (before + after) / (2 * ceiling) > _SHARP * 4 * _PLATEAU
    plateaus = length[(length >= 3) & steep]
    return int(plateaus.sum()) if len(plateaus) >= _FEWEST_PLATEAUS else 0


def _heap(wave: Samples) -> tuple[float, int] | None:
    """The level of a heap of amplitudes, and how many samples are in it and above."""
    top = float(wave.max())
    if top <= 0:
        return None
    step = -(-len(wave) // _COUNTED)
    counts = np.histogram(wave[::step], _LEVELS, (0.0, top))[0]
    below = np.minimum.accumulate(counts)
    heap = int(np.argmax(counts[_LOW_LEVEL:_TOP_LEVEL] - below[_LOW_LEVEL:_TOP_LEVEL])) + _LOW_LEVEL
    fewest = int(below[heap])
    if counts[heap] < _HEAPED * fewest or counts[heap] - fewest < 6 * math.sqrt(fewest) + 30:
        return None
    begin = int(np.flatnonzero(counts[:heap] == fewest)[-1]) + 1
    return (heap + 0.5) / _LEVELS * top, int(counts[begin:].sum()) * step


def _silent(mono: Samples, rate: int) -> float:
    n = samples_in(_LEVEL_FRAME_S, rate)
    power = np.mean(np.square(mono[: len(mono) // n * n].reshape(-1, n)), axis=1)
    threshold = max(float(np.quantile(power, 0.95)) * 10 ** (_SILENT_DB / 10), 10 ** (_SILENT_DBFS / 10))
    return float(np.mean(power < threshold))


def _bandwidth_hz(spectra: NDArray[np.float32], noise: NDArray[np.float32] | None, rate: int) -> int:
    """To 100 Hz."""
    step = max(1, round(100 * _FRAME_S))
    bins = spectra.shape[1] // step * step
    loud = np.quantile(spectra[:, :bins], 0.9, axis=0).reshape(-1, step).mean(axis=1)
    heard = loud > loud.max() * 1e-6
    if noise is not None:
        heard &= loud > 5 * noise[:bins].reshape(-1, step).mean(axis=1)  # noise alone reaches 2.3 times its mean
    top = int(np.flatnonzero(heard)[-1]) + 1 if heard.any() else 0
    return round(min(top * step / _FRAME_S, rate / 2) / 100) * 100


def _compare(sides: Samples) -> Sides:
    if len(sides) < 2:
        return "alike"
    (left, right), between = np.mean(np.square(sides), axis=1), float(np.mean(sides[0] * sides[1]))
    if max(left, right) < _NOTHING:
        return "alike"
    if min(left, right) < max(left, right) * 10 ** (-_SAME_DB / 10):
        return "one silent"
    likeness = between / math.sqrt(left * right)
    if likeness < -_ALIKE:
        return "opposite"
    return "alike" if likeness > _ALIKE else "different"

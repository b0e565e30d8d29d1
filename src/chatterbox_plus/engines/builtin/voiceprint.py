"""What a voice is like on the whole, and how to move one towards another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.engines.builtin.world import BIN_HZ, BINS, HOP, RATE, Frames, Speech

Spectrum = NDArray[np.float32]
"""(BINS,): one value for each bin."""

_ACTIVE_DB = 30.0  # a frame this far below the loud ones is a pause
_NP_PER_DB = np.log(10) / 10  # log_power per dB
_BANDS = (
    48  # on the mel scale, in which spectra are compared: fine enough for formant regions, too coarse for harmonics
)
_LEAST_VOICED_S = 0.15  # less says nothing about a voice's pitch
_SPREAD_OF_85_15 = 2.073  # between these percentiles, in standard deviations of a normal distribution

_WARPS = np.exp(np.linspace(np.log(0.85), np.log(1.18), 23))  # vocal tracts of adults: about 13 to 18 cm
_WARP_HZ = (200.0, 5000.0)  # where formants tell its length
_WARP_PER_F0 = 0.2  # voices an octave apart have tracts apart by about 2 ** 0.2
_WARP_SPREAD = 0.08  # how far (in log) the truth usually is from that guess
_WARP_DB = 2.0  # the difference in fit that counts as much

_MOST_BOOST_DB, _MOST_CUT_DB = 30.0, 60.0
_QUIET_DB = 60.0  # below speech nothing is boosted any more: it is not speech
_EMPTY_DB = 60.0  # a band so far below the voice's strongest holds no sound: an old format cut it off
_EDGE_HZ = 700.0  # of sound below such a cut that stands for what was above it

_STEEPEST, _FLATTEST = 2.0, 0.5  # how much the melody may be widened or narrowed
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
_LOUDEST_RMS, _SOFTEST_RMS = 10 ** (-17 / 20), 10 ** (-32 / 20)


@dataclass(frozen=True, eq=False)
class VoicePrint:
    """A voice's pitch, colour and loudness, over the time it speaks.

    log_f0, log_f0_spread: median and robust standard deviation of ln(F0/Hz); None where too little is voiced.
    mean_log: mean of log_power; log_mean: logarithm of the mean power; both over frames with speech.
    rms: root mean square amplitude of these frames. seconds: how long they last.
    """

    log_f0: float | None
    log_f0_spread: float
    mean_log: Spectrum
    log_mean: Spectrum
    rms: float
    seconds: float


def measure(f0: NDArray[np.float64], log_power: Frames) -> VoicePrint:
    """The print of a stretch of speech, from its frames: f0 (n,), log_power (n, BINS), n >= 1."""
    level = _levels(log_power)
    active = level > np.percentile(level, 99) - _ACTIVE_DB * _NP_PER_DB
    voiced = np.log(f0[active & (f0 > 0)])
    spoken = log_power[active]
    log_mean = np.log(np.mean(np.exp(spoken), axis=0))
    enough = len(voiced) * HOP / RATE >= _LEAST_VOICED_S
    spread = float(np.subtract(*np.percentile(voiced, [85, 15]))) / _SPREAD_OF_85_15 if enough else 0.0
    return VoicePrint(
        log_f0=float(np.median(voiced)) if enough else None,
        log_f0_spread=spread,
        mean_log=spoken.mean(axis=0),
        log_mean=log_mean.astype(np.float32),
        rms=float(np.sqrt(np.mean(np.exp(log_mean)))),
        seconds=len(spoken) * HOP / RATE,
    )


def blend(first: VoicePrint, second: VoicePrint, share: float, f0_share: float) -> VoicePrint:
    """`share` of the first's colour and `f0_share` of its pitch, the rest the second's."""

    def mix(a: Spectrum, b: Spectrum) -> Spectrum:
        return (share * a + (1 - share) * b).astype(np.float32)

    log_f0, spread = second.log_f0, second.log_f0_spread
    if first.log_f0 is not None:
        f0_share = 1.0 if log_f0 is None else f0_share
        log_f0 = f0_share * first.log_f0 + (1 - f0_share) * (log_f0 or 0.0)
        spread = f0_share * first.log_f0_spread + (1 - f0_share) * spread
    mean_log, log_mean = mix(first.mean_log, second.mean_log), mix(first.log_mean, second.log_mean)
    rms = float(np.sqrt(np.mean(np.exp(log_mean))))
    return VoicePrint(log_f0, spread, mean_log, log_mean, rms, first.seconds + second.seconds)


class VoiceMap:
    """Moves speech with the source's print to the target's, frame by frame: timing and breath stay.

    Pitch: median and spread of ln F0. Colour: the frequency axis is stretched by one factor, as another length of the
    vocal tract would, and what then still differs on average is added. Loudness: the target's, within sane bounds.
    """

    def __init__(self, source: VoicePrint, target: VoicePrint) -> None:
        self._source, self._target = source, target
        self._edge = _edge_of_sound(source.mean_log)
        self.warp = _best_warp(source, target)
        filled_mean, filled_log = self._filled(source.mean_log[None]), self._filled(source.log_mean[None])
        mean_log, log_mean = self._warped(filled_mean)[0], self._warped(filled_log)[0]
        # Half-way between the mean of the logarithms, led by the usual, and that of the power, led by the loud.
        missing = _smooth((target.mean_log - mean_log + target.log_mean - log_mean) / 2)
        missing -= float(np.median(missing[_WARP_BINS]))
        self._colour = np.clip(missing, -_MOST_CUT_DB * _NP_PER_DB, _MOST_BOOST_DB * _NP_PER_DB).astype(np.float32)
        made = float(np.sqrt(np.mean(np.exp(log_mean + self._colour))))
        self._gain = 2 * float(np.log(np.clip(target.rms, _SOFTEST_RMS, _LOUDEST_RMS) / max(made, 1e-9)))

    def apply(self, speech: Speech) -> Speech:
        """The same frames in the target's voice."""
        level = _levels(speech.log_power) - 2 * np.log(max(self._source.rms, 1e-9))
        heard = np.clip(1 + (level / _NP_PER_DB + _ACTIVE_DB) / (_QUIET_DB - _ACTIVE_DB), 0, 1).astype(np.float32)
        colour = np.where(self._colour > 0, self._colour * heard[:, None], self._colour)
        log_power = self._warped(self._filled(speech.log_power)) + colour + np.float32(self._gain)
        aperiodicity = speech.aperiodicity.copy()
        aperiodicity[:, self._edge :] = 1.0
        return Speech(self._melody(speech.f0), log_power, aperiodicity)

    def _melody(self, f0: NDArray[np.float64]) -> NDArray[np.float64]:
        source, target = self._source, self._target
        if source.log_f0 is None or target.log_f0 is None:
            return f0
        ratio = 1.0
        if source.log_f0_spread > 0 and target.log_f0_spread > 0:
            ratio = float(np.clip(target.log_f0_spread / source.log_f0_spread, _FLATTEST, _STEEPEST))
        mapped = np.exp(target.log_f0 + ratio * (np.log(np.where(f0 > 0, f0, 1.0)) - source.log_f0))
        return np.where(f0 > 0, np.clip(mapped, _LOWEST_HZ, _HIGHEST_HZ), 0.0)

    def _filled(self, log_power: Frames) -> Frames:
        """Where the source's format cut off the top, what lies just below the cut, as noise."""
        if self._edge == BINS:
            return log_power
        below = log_power[:, self._edge - round(_EDGE_HZ / BIN_HZ) : self._edge].mean(axis=1, keepdims=True)
        return np.concatenate([log_power[:, : self._edge], np.repeat(below, BINS - self._edge, axis=1)], axis=1)

    def _warped(self, log_power: Frames) -> Frames:
        return _stretch(log_power, self.warp)


def _levels(log_power: Frames) -> NDArray[np.float32]:
    """ln of each frame's power: of the samples, in their own unit."""
    levels: NDArray[np.float32] = np.log(np.mean(np.exp(log_power), axis=1))
    return levels


def _stretch(log_power: Frames, warp: float) -> Frames:
    """(n, BINS) with what was at f put to f * warp."""
    at = np.minimum(np.arange(BINS) / warp, BINS - 1)
    left = np.minimum(at.astype(int), BINS - 2)
    share = (at - left).astype(np.float32)
    return log_power[:, left] * (1 - share) + log_power[:, left + 1] * share


def _edge_of_sound(mean_log: Spectrum) -> int:
    """The bin from which on there is nothing up to the top: BINS if there is sound to the end."""
    smooth = _smooth(mean_log)
    heard = np.flatnonzero(smooth > smooth[_WARP_BINS].max() - _EMPTY_DB * _NP_PER_DB)
    edge = int(heard[-1]) + 1 if len(heard) else BINS
    return edge if edge * BIN_HZ >= 2 * _EDGE_HZ else BINS


def _best_warp(source: VoicePrint, target: VoicePrint) -> float:
    """The stretch of the frequency axis that makes the mean spectra most alike, a likely one preferred."""
    likely = 0.0
    if source.log_f0 is not None and target.log_f0 is not None:
        likely = _WARP_PER_F0 * (target.log_f0 - source.log_f0)
    costs = []
    for warp in _WARPS:
        difference = _BAND_WEIGHTS @ (target.mean_log - _stretch(source.mean_log[None], warp)[0]) / _NP_PER_DB
        difference = difference[_WARP_BANDS]
        x = np.arange(len(difference))
        tilt = np.polynomial.Polynomial.fit(x, difference, 1)(x)  # of the recording, or of the voice, not of the tract
        fit = float(np.mean((difference - tilt) ** 2))
        costs.append(fit + (_WARP_DB * (np.log(warp) - likely) / _WARP_SPREAD) ** 2)
    return float(_WARPS[int(np.argmin(costs))])


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595 * np.log10(1 + hz / 700)  # D. O'Shaughnessy, "Speech Communication", 1987


_BIN_MELS = _mel(np.arange(BINS) * BIN_HZ)
_BAND_MELS = np.linspace(_BIN_MELS[3], _BIN_MELS[-1], _BANDS)  # from 70 Hz on: below there is no speech
_WARP_BINS = slice(round(_WARP_HZ[0] / BIN_HZ), round(_WARP_HZ[1] / BIN_HZ))
_WARP_BANDS = (_BIN_MELS[_WARP_BINS.start] <= _BAND_MELS) & (_BIN_MELS[_WARP_BINS.stop] >= _BAND_MELS)


def _band_weights() -> NDArray[np.float64]:
    step = _BAND_MELS[1] - _BAND_MELS[0]
    weights = np.maximum(1 - np.abs(_BIN_MELS[None] - _BAND_MELS[:, None]) / step, 0)
    for band in np.flatnonzero(weights.sum(axis=1) == 0):
        weights[band, np.argmin(np.abs(_BIN_MELS - _BAND_MELS[band]))] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


_BAND_WEIGHTS = _band_weights()


def _smooth(spectrum: Spectrum) -> Spectrum:
    """Without detail finer than a band."""
    return np.interp(_BIN_MELS, _BAND_MELS, _BAND_WEIGHTS @ spectrum).astype(np.float32)

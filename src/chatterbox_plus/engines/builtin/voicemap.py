"""Moving speech from one voice to another, frame by frame."""

from collections.abc import Callable
from copy import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.builtin.levels import active_rms
from chatterbox_plus.engines.builtin.pitch import overall_f0
from chatterbox_plus.engines.builtin.synthesis import Synthesizer
from chatterbox_plus.engines.builtin.voiceprint import (
    ACTIVE_DB,
    BAND_MELS,
    BAND_WEIGHTS,
    NP_PER_DB,
    VOICE_FROM,
    Spectrum,
    VoicePrint,
    colour_of,
    levels,
    mel,
    middle_f0,
    smooth,
    to_bins,
)
from chatterbox_plus.engines.builtin.world import BIN_HZ, BINS, HOP, RATE, Frames, Speech

_WARPS = np.exp(np.linspace(np.log(0.85), np.log(1.18), 23))  # vocal tracts of adults: about 13 to 18 cm
_WARP_BANDS = (mel(np.array(200.0)) <= BAND_MELS) & (mel(np.array(5000.0)) >= BAND_MELS)  # where formants tell
_WARP_PER_F0 = 0.2  # voices an octave apart have tracts apart by about 2 ** 0.2
_WARP_SPREAD = 0.08  # how far (in ln) the truth usually is from that guess
_WARP_DB = 2.0  # the difference in fit that counts as much

_MOST_BOOST_DB, _MOST_CUT_DB = 30.0, 60.0
_LEAST_CONTRAST, _MOST_CONTRAST = 0.7, 1.5  # how much a band's ups and downs may be flattened or deepened
_STEADY_BELOW = VOICE_FROM + 2  # no steps where there are no harmonics: filters would ring for longer than they are
_CONTRAST_REACH = 2.0  # of standard deviations: what is farther out is moved, not scaled
_SURE_DB, _QUIET_DB = 18.0, 38.0  # below speech: boosted in full until here, not at all from there: it is background
_EMPTY_DB = 85.0  # a band so far below the voice's strongest holds no sound: an old format cut it off
_EDGE_HZ = 700.0  # of sound below such a cut that stands for what was above it
_FRAMES_AT_ONCE = 800
_TUNINGS = 2  # rounds of listening to the result

# How much the melody may be widened or narrowed: what is wider follows trackers' slips more than the voice.
_STEEPEST, _FLATTEST = 1.2, 0.6
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
_MOST_SHIFT = 0.05  # of ln F0, for what a meter says of the result
_TRUST_IN_METERS = 0.5  # they err too, by some per cent
_MOST_GAIN_DB, _HARDLY_RMS = 36.0, 1e-3  # a source softer than -60 dBFS is silence, and stays next to silent
_LOUDEST_RMS, _SOFTEST_RMS = 10 ** (-17 / 20), 10 ** (-32 / 20)


class VoiceMap:
    """From the source's print to the target's: timing, voicing and breath stay.

    Pitch: median and spread of ln F0, corrected by what a meter says of the result. Colour: the frequency axis is
    stretched by one factor, as another length of the vocal tract would, and each band gets the target's mean and
    spread. Loudness: the target's, within -17 to -32 dBFS.
    """

    def __init__(self, source: VoicePrint, target: VoicePrint, sample: Speech, check: Callable[[], None]) -> None:
        """sample: some seconds of the source, on which the map is tuned by listening to what comes out.

        check: called now and then; may raise to stop the work.
        """
        self._source, self._target = source, target
        self._edge = _edge_of_sound(source.mean)
        self.warp = _best_warp(source, target)
        self._mean, spread = self._placed(source.mean[None])[0], self._placed(source.spread[None])[0]
        contrast = np.clip(target.spread / np.maximum(spread, 1e-3), _LEAST_CONTRAST, _MOST_CONTRAST)
        self._contrast = (contrast - 1).astype(np.float32)
        self._reach = _CONTRAST_REACH * spread
        self._colour = self._limited(smooth(target.mean - self._mean))
        self._gain, self._shift = np.float32(0), 0.0
        for tuning in range(_TUNINGS):
            heard = self._tried(sample, check)
            check()
            if tuning == _TUNINGS - 1:  # the colour bears on what meters hear
                self._shift = self._misheard(sample, heard)
            self._colour = self._limited(self._colour + to_bins(colour_of(heard).missing(target.colour)))
        wanted = np.clip(target.rms, _SOFTEST_RMS, _LOUDEST_RMS)
        gain_db = 20 * np.log10(wanted / max(active_rms(heard, RATE), 1e-9))
        self._gain = np.float32(min(gain_db, _MOST_GAIN_DB) * NP_PER_DB)

    def centred(self, speech: Speech) -> "VoiceMap":
        """This map for one passage: its own median pitch, not the source's in general, goes to the target's."""
        middle = middle_f0(speech.f0, speech.log_power)
        if middle is None or self._source.log_f0 is None:
            return self
        own = copy(self)
        own._source = replace(self._source, log_f0=middle)
        return own

    def apply(self, speech: Speech) -> Speech:
        """The same frames in the target's voice."""
        level = (levels(speech.log_power) - 2 * np.log(max(self._source.rms, _HARDLY_RMS))) / NP_PER_DB
        heard: Frames = np.clip((level + _QUIET_DB) / (_QUIET_DB - _SURE_DB), 0, 1).astype(np.float32)
        colour = np.where(self._colour > 0, self._colour * heard[:, None], self._colour)
        placed = self._placed(speech.log_power)
        contrast = self._contrast * np.clip(placed - self._mean, -self._reach, self._reach)
        aperiodicity = speech.aperiodicity.copy()
        aperiodicity[:, self._edge :] = 1.0
        return Speech(self._melody(speech.f0), placed + contrast + colour + self._gain, aperiodicity)

    def _limited(self, colour: Spectrum) -> Spectrum:
        """Such that the power stays what it is on the whole, and no band is moved beyond measure."""
        colour = np.concatenate([np.full(_STEADY_BELOW, colour[_STEADY_BELOW]), colour[_STEADY_BELOW:]])
        power = np.exp(self._mean[VOICE_FROM:])
        change = np.log(np.sum(power * np.exp(colour[VOICE_FROM:])) / np.sum(power))
        limited = np.clip(colour - change, -_MOST_CUT_DB * NP_PER_DB, _MOST_BOOST_DB * NP_PER_DB)
        return np.asarray(limited, np.float32)

    def _tried(self, sample: Speech, check: Callable[[], None]) -> Samples:
        synthesizer, parts = Synthesizer(), []
        for start in range(0, len(sample), _FRAMES_AT_ONCE):
            check()
            parts.append(synthesizer.push(self.apply(sample.cut(start, start + _FRAMES_AT_ONCE))))
        return np.concatenate([*parts, synthesizer.finish()])

    def _misheard(self, sample: Speech, heard: Samples) -> float:
        """By how much (of ln F0) meters would find the melody of the result too low or high."""
        overall = overall_f0(heard.astype(np.float64), RATE, HOP)
        level = levels(sample.log_power)
        spoken = (sample.f0 > 0) & (level > np.percentile(level, 99) - ACTIVE_DB * NP_PER_DB)
        if overall is None or not spoken.any():
            return 0.0
        off = np.median(np.log(self._melody(sample.f0)[spoken])) - np.log(overall)
        return float(np.clip(_TRUST_IN_METERS * off, -_MOST_SHIFT, _MOST_SHIFT))

    def _melody(self, f0: NDArray[np.float64]) -> NDArray[np.float64]:
        source, target = self._source, self._target
        if source.log_f0 is None or target.log_f0 is None:
            return f0
        ratio = 1.0
        if source.log_f0_spread > 0 and target.log_f0_spread > 0:
            ratio = float(np.clip(target.log_f0_spread / source.log_f0_spread, _FLATTEST, _STEEPEST))
        middle = target.log_f0 + self._shift
        mapped = np.exp(middle + ratio * (np.log(np.where(f0 > 0, f0, 1.0)) - source.log_f0))
        return np.where(f0 > 0, np.clip(mapped, _LOWEST_HZ, _HIGHEST_HZ), 0.0)

    def _placed(self, log_power: Frames) -> Frames:
        """Formants where the target's are; where the source's format cut off the top, what lies just below the cut."""
        if self._edge < BINS:
            below = log_power[:, self._edge - round(_EDGE_HZ / BIN_HZ) : self._edge].mean(axis=1, keepdims=True)
            top = np.repeat(below, BINS - self._edge, axis=1)
            log_power = np.concatenate([log_power[:, : self._edge], top], axis=1)
        return _stretch(log_power, self.warp)


def _stretch(log_power: Frames, warp: float) -> Frames:
    """(n, BINS) with what was at f put to f * warp."""
    at = np.minimum(np.arange(BINS) / warp, BINS - 1)
    left = np.minimum(at.astype(int), BINS - 2)
    share = (at - left).astype(np.float32)
    stretched: Frames = log_power[:, left] * (1 - share) + log_power[:, left + 1] * share
    return stretched


def _edge_of_sound(mean: Spectrum) -> int:
    """The bin from which on there is nothing up to the top: BINS if there is sound to the end."""
    even = smooth(mean)
    heard = np.flatnonzero(even > even.max() - _EMPTY_DB * NP_PER_DB)
    edge = int(heard[-1]) + 1
    return edge if edge * BIN_HZ >= 2 * _EDGE_HZ else BINS


def _best_warp(source: VoicePrint, target: VoicePrint) -> float:
    """The stretch of the frequency axis that makes the mean spectra most alike, a likely one preferred."""
    likely = 0.0
    if source.log_f0 is not None and target.log_f0 is not None:
        likely = _WARP_PER_F0 * (target.log_f0 - source.log_f0)
    costs = []
    for warp in _WARPS:
        difference = BAND_WEIGHTS @ (target.mean - _stretch(source.mean[None], warp)[0]) / NP_PER_DB
        difference = difference[_WARP_BANDS]
        x = np.arange(len(difference))
        tilt = np.polynomial.Polynomial.fit(x, difference, 1)(x)  # of the recording, or of the voice, not of the tract
        fit = float(np.mean((difference - tilt) ** 2))
        costs.append(fit + (_WARP_DB * (np.log(warp) - likely) / _WARP_SPREAD) ** 2)
    return float(_WARPS[int(np.argmin(costs))])

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
from chatterbox_plus.engines.builtin.world import BIN_HZ, BINS, RATE, Frames, Speech

_WARPS = np.exp(np.linspace(np.log(0.85), np.log(1.18), 23))  # vocal tracts of adults: about 13 to 18 cm
_WARP_BANDS = (mel(np.array(200.0)) <= BAND_MELS) & (mel(np.array(5000.0)) >= BAND_MELS)  # where formants tell
_WARP_PER_F0 = 0.2  # voices an octave apart have tracts apart by about 2 ** 0.2
_WARP_SPREAD = 0.08  # how far (in ln) the truth usually is from that guess
_WARP_DB = 2.0  # the difference in fit that counts as much

_MOST_BOOST_DB, _MOST_CUT_DB = 30.0, 60.0
_LEAST_CONTRAST, _MOST_CONTRAST = 0.7, 1.5  # how much a band's ups and downs may be flattened or deepened
_STEADY_BELOW = VOICE_FROM + 2  # no steps where there are no harmonics: filters would ring for longer than they are
_CONTRAST_REACH = 2.0  # of standard deviations: what is farther out is moved, not scaled
_SURE_DB, _QUIET_DB = -18.0, -38.0  # re speech: boosted in full until here, not at all from there: it is background
_ABOVE_FLOOR_DB, _RAMP_DB = 6.0, 10.0  # as much over the background a frame is no longer only that; until it is boosted
_HIGHEST_QUIET_DB = -20.0  # however loud the background
_MOST_HISS_DB = 2.0  # by which hiss may rise more than the voice does
_HISS_FROM = round(3000 / BIN_HZ)  # more than this share of the power from there on may be one, more than that is
_LEAST_HISS, _SURE_HISS = 0.3, 0.6
_EMPTY_DB = 85.0  # a band so far below the voice's strongest holds no sound: an old format cut it off
_EDGE_HZ = 700.0  # of sound below such a cut that stands for what was above it
_FRAMES_AT_ONCE = 800
_TUNINGS = 2  # rounds of listening to the result

# How much the melody may be widened or narrowed: what is wider follows trackers' slips more than the voice.
_STEEPEST, _FLATTEST = 1.2, 0.6
# The median of a melody that glides through the middle of its range hangs on which frames a meter takes for voiced; of
# one that dwells there it does not. By so much ups and downs are made smaller that are within so much (of ln F0) of it.
_DWELL, _DWELL_REACH = 0.65, 0.12
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
_MOST_SHIFT = 0.12  # of ln F0, for what meters say of the result
_HARVEST_S = 6.0  # of the result is what the slow one hears
_LEAST_OFF = 0.004  # of ln F0, that is worth another try
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
        self._gain, self._rise, self._shift, self._lead = np.float32(0), np.inf, 0.0, 0.0
        self._quiet_db = float(np.clip(source.floor_db + _ABOVE_FLOOR_DB, _QUIET_DB, _HIGHEST_QUIET_DB))
        self._sure_db = max(_SURE_DB, self._quiet_db + _RAMP_DB)
        for tuning in range(_TUNINGS):
            self._rise = self._risen(sample)
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

    def corrected(self, heard: Samples) -> "VoiceMap | None":
        """The map with which meters would hear the target's pitch in what came out as `heard`; None if they do."""
        overall = overall_f0(heard.astype(np.float64), RATE, 0.0, self._lead)
        if overall is None or self._target.log_f0 is None or self._source.log_f0 is None:
            return None
        off = self._target.log_f0 - overall[0]
        if abs(off) < _LEAST_OFF:
            return None
        own = copy(self)
        own._shift = float(np.clip(self._shift + off, -_MOST_SHIFT, _MOST_SHIFT))
        return own

    def apply(self, speech: Speech) -> Speech:
        """The same frames in the target's voice."""
        before = levels(speech.log_power)
        changed = self._coloured(speech.log_power, before)
        excess = levels(changed) - before - (self._rise + _MOST_HISS_DB * NP_PER_DB)
        down = np.where(speech.f0 > 0, 0.0, np.maximum(excess, 0.0) * _hissing(speech.log_power)).astype(np.float32)
        aperiodicity = speech.aperiodicity.copy()
        aperiodicity[:, self._edge :] = 1.0
        return Speech(self._melody(speech.f0), changed + (self._gain - down[:, None]), aperiodicity)

    def _coloured(self, log_power: Frames, level: NDArray[np.float32]) -> Frames:
        db = (level - 2 * np.log(max(self._source.rms, _HARDLY_RMS))) / NP_PER_DB
        heard = np.clip((db - self._quiet_db) / (self._sure_db - self._quiet_db), 0, 1).astype(np.float32)
        placed = self._placed(log_power)
        change = self._colour + self._contrast * np.clip(placed - self._mean, -self._reach, self._reach)
        # A boost of what is background would be heard as hiss in every pause.
        coloured: Frames = placed + np.where(change > 0, change * heard[:, None], change)
        return coloured

    def _risen(self, sample: Speech) -> float:
        """By how much (ln of power) the voice gets louder before the gain."""
        level = levels(sample.log_power)
        spoken = level > np.percentile(level, 99) - ACTIVE_DB * NP_PER_DB
        if (spoken & (sample.f0 > 0)).any():
            spoken &= sample.f0 > 0
        after = levels(self._coloured(sample.log_power[spoken], level[spoken]))
        return float(np.log(np.mean(np.exp(after)) / np.mean(np.exp(level[spoken]))))

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
        overall = overall_f0(heard.astype(np.float64), RATE, _HARVEST_S)
        level = levels(sample.log_power)
        spoken = (sample.f0 > 0) & (level > np.percentile(level, 99) - ACTIVE_DB * NP_PER_DB)
        if overall is None or not spoken.any():
            return 0.0
        self._lead = overall[1]
        off = np.median(np.log(self._melody(sample.f0)[spoken])) - overall[0]
        return float(np.clip(off, -_MOST_SHIFT, _MOST_SHIFT))

    def _melody(self, f0: NDArray[np.float64]) -> NDArray[np.float64]:
        source, target = self._source, self._target
        if source.log_f0 is None or target.log_f0 is None:
            return f0
        ratio = 1.0
        if source.log_f0_spread > 0 and target.log_f0_spread > 0:
            ratio = float(np.clip(target.log_f0_spread / source.log_f0_spread, _FLATTEST, _STEEPEST))
        away = ratio * (np.log(np.where(f0 > 0, f0, 1.0)) - source.log_f0)
        away = away * (1 - _DWELL * np.exp(-((away / _DWELL_REACH) ** 2)))
        mapped = np.exp(target.log_f0 + self._shift + away)
        return np.where(f0 > 0, np.clip(mapped, _LOWEST_HZ, _HIGHEST_HZ), 0.0)

    def _placed(self, log_power: Frames) -> Frames:
        """Formants where the target's are; where the source's format cut off the top, what lies just below the cut."""
        if self._edge < BINS:
            below = log_power[:, self._edge - round(_EDGE_HZ / BIN_HZ) : self._edge].mean(axis=1, keepdims=True)
            top = np.repeat(below, BINS - self._edge, axis=1)
            log_power = np.concatenate([log_power[:, : self._edge], top], axis=1)
        return _stretch(log_power, self.warp)


def _hissing(log_power: Frames) -> NDArray[np.float32]:
    """1 for frames that are an "s" or the like, 0 for those that are not."""
    power = np.exp(log_power[:, VOICE_FROM:])
    share = power[:, _HISS_FROM - VOICE_FROM :].sum(axis=1) / power.sum(axis=1)
    return np.asarray(np.clip((share - _LEAST_HISS) / (_SURE_HISS - _LEAST_HISS), 0, 1), np.float32)


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

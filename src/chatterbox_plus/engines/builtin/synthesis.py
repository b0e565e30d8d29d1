"""Frames to sound, without end and without seams."""

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.builtin.world import BIN_HZ, BINS, FFT_SIZE, HOP, RATE, Speech, join

_NOISE_SEED = 1  # always the same breath: nothing is left to chance
_MOST_FRAMES = 200  # at once: a second, which bounds memory
_LEAST_SHARE = 1e-6  # of power, for either pulses or noise: keeps the logarithm finite
# CheapTrick fills the spectrum below F0, where speech has nothing: pulses would add up to an offset, noise to a rumble.
_PULSES_FROM_F0, _NOISE_FROM_HZ = 0.6, 150.0
_REACH = FFT_SIZE // 2  # samples before its frame at which a filtered piece of noise begins


_BIN_HZ_ABOVE_0 = np.maximum(np.arange(BINS) * BIN_HZ, 1e-3)
_NOISE_GAIN = (1 / np.sqrt(1 + (_NOISE_FROM_HZ / _BIN_HZ_ABOVE_0) ** 4)).astype(np.float32)  # 12 dB per octave

# What is left of a filter's ringing after 1024 samples must not end in a step, which would be heard as hiss.
_HALF = np.hanning(2 * HOP + 1)[HOP:-1].astype(np.float32)
_FADE_OUT = np.concatenate([np.ones(FFT_SIZE - HOP, np.float32), _HALF])
_FADES = _FADE_OUT * _FADE_OUT[::-1]


class Synthesizer:
    """Excitation through filters, as in WORLD: pulses with the minimum phase of the envelope, and noise.

    Unlike WORLD's synthesis the phase of the pulses and the noise go on from one push to the next, and filters are
    interpolated between frames. What comes out is the same however the frames are cut.
    """

    def __init__(self) -> None:
        self._noise = np.random.default_rng(_NOISE_SEED)
        self._phase = 0.0  # periods so far
        self._carried: Speech | None = None  # the last frame, the first of the next interval
        self._last_noise = np.zeros(HOP, np.float32)
        self._sum = np.zeros(_REACH + FFT_SIZE, np.float32)  # from _REACH samples before the next interval on
        self._skip = _REACH  # samples of the sum that lie before the first frame

    def push(self, speech: Speech) -> Samples:
        """The sound that these frames (any number) make certain: float32 at RATE."""
        parts = [self._advance(speech.cut(i, i + _MOST_FRAMES)) for i in range(0, len(speech), _MOST_FRAMES)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """The rest: up to one HOP after the last frame."""
        if self._carried is None:
            return np.zeros(0, np.float32)
        last = self._advance(self._carried)
        return np.concatenate([last, self._sum[self._skip : _REACH]])

    def _advance(self, speech: Speech) -> Samples:
        if self._carried is not None:
            speech = join([self._carried, speech])
        self._carried = speech.cut(len(speech) - 1, len(speech))
        intervals = len(speech) - 1
        total = np.concatenate([self._sum, np.zeros(intervals * HOP, np.float32)])
        self._add_noise(speech, total)
        self._add_pulses(speech, total)
        done = total[self._skip : intervals * HOP]
        self._skip = max(self._skip - intervals * HOP, 0)
        self._sum = total[intervals * HOP :]
        return done

    def _add_noise(self, speech: Speech, total: Samples) -> None:
        """White noise in pieces of two hops, weighted so that they add up to the noise itself, each filtered."""
        intervals = len(speech) - 1
        if intervals == 0:
            return
        fresh = self._noise.standard_normal(intervals * HOP, np.float32).reshape(-1, HOP)
        before = np.concatenate([self._last_noise[None], fresh[:-1]])
        self._last_noise = fresh[-1]
        weights = np.hanning(2 * HOP + 1)[:-1].astype(np.float32)
        pieces = np.zeros((intervals, FFT_SIZE), np.float32)
        pieces[:, _REACH - HOP : _REACH + HOP] = np.concatenate([before, fresh], axis=1) * weights
        # The piece around frame k: the hop before it and the hop after it.
        amplitude = np.exp(0.5 * speech.log_power[:-1]) * speech.aperiodicity[:-1] * _NOISE_GAIN
        filtered = np.fft.irfft(np.fft.rfft(pieces) * amplitude, FFT_SIZE).astype(np.float32) * _FADES
        for k, piece in enumerate(filtered):
            total[k * HOP : k * HOP + FFT_SIZE] += piece

    def _add_pulses(self, speech: Speech, total: Samples) -> None:
        f0 = _between(speech.f0)
        if not f0.any():
            return
        phase = np.cumsum(np.concatenate([[self._phase], f0 / RATE]))
        self._phase = float(phase[-1] % 1.0)
        at = np.flatnonzero(np.floor(phase[1:]) > np.floor(phase[:-1]))  # a period ends within the sample after `at`
        times = at + (np.floor(phase[at + 1]) - phase[at]) / (f0[at] / RATE)
        filters = _minimum_phase(speech)
        frame = np.minimum((times // HOP).astype(int), len(speech) - 2)
        share = (times / HOP - frame)[:, None].astype(np.float32)
        # Where only one of two frames has a pitch, its filter is used alone.
        voiced, next_voiced = speech.f0[frame] > 0, speech.f0[frame + 1] > 0
        share = np.where(voiced & next_voiced, share[:, 0], np.where(voiced, 0.0, 1.0)).astype(np.float32)[:, None]
        log_filters = filters[frame] * (1 - share) + filters[frame + 1] * share
        whole = np.floor(times).astype(int)
        delay = (times - whole)[:, None] * (-2j * np.pi / FFT_SIZE * np.arange(BINS))
        strength = np.sqrt(RATE / f0[at]).astype(np.float32)[:, None]
        pulses = np.fft.irfft(np.exp(log_filters + delay.astype(np.complex64)) * strength, FFT_SIZE) * _FADE_OUT
        for start, pulse in zip(whole + _REACH, pulses.astype(np.float32), strict=True):
            total[start : start + FFT_SIZE] += pulse


def _minimum_phase(speech: Speech) -> NDArray[np.complex64]:
    """Logarithm of the filter of each frame's pulses: log amplitude, and the phase that belongs to it causally.

    By way of the cepstrum (A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", the chapter on it).
    """
    share = np.maximum(1 - speech.aperiodicity**2, _LEAST_SHARE)
    low = (_PULSES_FROM_F0 * speech.f0[:, None] / _BIN_HZ_ABOVE_0) ** 8
    cepstrum = np.fft.irfft(0.5 * (speech.log_power + np.log(share / (1 + low)).astype(np.float32)), FFT_SIZE)
    cepstrum[:, 1 : FFT_SIZE // 2] *= 2
    cepstrum[:, FFT_SIZE // 2 + 1 :] = 0
    filters: NDArray[np.complex64] = np.fft.rfft(cepstrum).astype(np.complex64)
    return filters


def _between(f0: NDArray[np.float64]) -> NDArray[np.float64]:
    """F0 at each sample between frames (n,) -> ((n - 1) * HOP,); a neighbour without pitch takes half of the way."""
    left, right = f0[:-1, None], f0[1:, None]
    share = np.arange(HOP) / HOP
    halves = np.where(share < 0.5, left, right)
    return np.where((left > 0) & (right > 0), left * (1 - share) + right * share, halves).ravel()

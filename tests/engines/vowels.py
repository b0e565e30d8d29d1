"""Voices made of arithmetic: a row of pulses through three resonances."""

from collections.abc import Sequence

import numpy as np

from chatterbox_plus.audio.clip import Samples

RATE = 24_000
MAN = ((600, 80), (1050, 90), (2400, 120))  # Hz of formants and of their widths
WOMAN = ((780, 90), (1500, 110), (2950, 150))


def vowel(
    f0: float, seconds: float, formants: Sequence[tuple[float, float]] = MAN, *, vibrato: float = 0.03
) -> Samples:
    """A sustained vowel, (n,) at RATE, with a little breath; vibrato: how far F0 swings, five times a second."""
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    phase = np.cumsum(f0 * (1 + vibrato * np.sin(2 * np.pi * 5 * t)) / RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    size = 1 << (n + RATE // 4).bit_length()
    hz = np.fft.rfftfreq(size, 1 / RATE)
    response = 1 / (1 + 1j * hz / 300)
    for centre, width in formants:
        response = response * centre**2 / (centre**2 - hz**2 + 1j * hz * width)
    sound = np.fft.irfft(np.fft.rfft(pulses, size) * response, size)[:n]
    sound += np.random.default_rng(1).normal(0, 3e-4, n) * np.abs(sound).max()
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)


def babble(f0: float, seconds: float, formants: Sequence[tuple[float, float]] = MAN) -> Samples:
    """Vowels of half a second with short pauses, every one with slightly other formants and pitch."""
    parts = []
    for i in range(round(seconds * 2)):
        turn = 1 + 0.15 * np.sin(2.4 * i)
        sung = vowel(f0 * (1 + 0.08 * np.sin(1.7 * i)), 0.4, [(c * turn, w) for c, w in formants])
        parts += [
            sung * np.minimum(1, np.arange(len(sung))[::-1] / 1200).astype(np.float32),
            np.zeros(2400, np.float32),
        ]
    return np.concatenate(parts)


def bands_db(samples: Samples, top_hz: float = 12_000) -> np.ndarray:
    """Long-term spectrum in 40 mel bands, dB, over frames within 40 dB of the loudest, without its own mean."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 1024)[::256] * np.hanning(1024)
    power = np.abs(np.fft.rfft(frames)) ** 2
    power = power[power.sum(axis=1) > power.sum(axis=1).max() * 1e-4]
    mel = np.linspace(0, 2595 * np.log10(1 + top_hz / 700), 42)
    edges, hz = 700 * (10 ** (mel / 2595) - 1), np.arange(513) * RATE / 1024
    up = (hz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    down = (edges[2:, None] - hz) / np.diff(edges)[1:, None]
    level = 10 * np.log10(power @ np.clip(np.minimum(up, down), 0, None).T + 1e-10).mean(axis=0)
    return level - level.mean()


def distance_db(one: Samples, other: Samples, top_hz: float = 12_000) -> float:
    return float(np.abs(bands_db(one, top_hz) - bands_db(other, top_hz)).mean())

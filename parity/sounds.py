"""A voice that is made up, from a seed: what is compared must not depend on recordings. Needs NumPy only."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 24_000  # Hz


def voice(seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Gliding harmonics under moving formants, in syllables with breaths between and some noise; (n,) at 24 kHz."""
    chance = np.random.Generator(np.random.Philox(key=seed))
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    syllables = round(4 * seconds) + 2  # four a second, each with a pitch, a vowel and a weight of its own
    at = np.linspace(0, seconds, syllables)
    pitch = np.interp(t, at, 90 + 90 * chance.random(syllables))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    vowels = ((350, 450), (900, 1300), (2300, 900))  # Hz: the least of each formant, and how far it goes
    formants = [np.interp(t, at, low + width * chance.random(syllables)) for low, width in vowels]
    sound = np.zeros(n)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch
        level = sum(np.exp(-(((hertz - formant) / 200) ** 2)) for formant in formants) + 0.03
        sound += level / harmonic**0.5 * np.sin(harmonic * phase) * (hertz < 7500)
    weight = np.interp(t, at, chance.random(syllables) * (chance.random(syllables) > 0.15))
    breath = 0.06 * np.interp(t, at, chance.random(syllables)) + 0.003
    sound = 0.6 * sound * weight / np.abs(sound).max() + breath * (chance.random(n) - 0.5)
    samples: NDArray[np.float32] = sound.clip(-1, 1).astype(np.float32)
    return samples


def write(path: Path, seconds: float, seed: int = 1) -> Path:
    """The same as a wav file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((voice(seconds, seed) * 32767).astype("<i2").tobytes())
    return path

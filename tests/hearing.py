"""What tests hear: decoding with PyAV, pitch with WORLD, spectra in mel bands. Not the product's own code."""

import io
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
import pyworld
from numpy.typing import NDArray

Sound = NDArray[np.float64]


def listen(audio: bytes | Path, rate: int = 24_000) -> Sound:
    """Mono samples (n,) of any file, by an ordinary decoder; fails for what is not audio."""
    source = io.BytesIO(audio) if isinstance(audio, bytes) else str(audio)
    resampler = av.AudioResampler("flt", "mono", rate)
    with av.open(source) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float64)


def container_format(audio: bytes | Path) -> str:
    """What FFmpeg calls the container: "wav", "mp3", "flac", "ogg", …"""
    with av.open(io.BytesIO(audio) if isinstance(audio, bytes) else str(audio)) as container:
        return str(container.format.name)


def median_f0(sound: Sound, rate: int = 24_000) -> float:
    """Hz, over voiced frames (WORLD's Harvest)."""
    f0, _ = _track(sound.tobytes(), rate)
    return float(np.median(f0[f0 > 0]))


def pitch_change_cents(before: Sound, after: Sound, speed: float, rate: int = 24_000) -> float:
    """The median of log2(F0 after / F0 before) at the same moments of the speech, of those voiced in both; in cents.

    The clip's median F0 is no measure of a change this small: at another speed the tracker calls other frames voiced.
    """
    f0, times = _track(before.tobytes(), rate)
    other, other_times = _track(after.tobytes(), rate)
    moved = other[np.clip(np.searchsorted(other_times, times / speed), 0, len(other) - 1)]
    voiced = (f0 > 0) & (moved > 0)
    return float(1200 * np.median(np.log2(moved[voiced] / f0[voiced])))


@lru_cache(maxsize=8)
def _track(sound: bytes, rate: int) -> tuple[Sound, Sound]:
    """F0 in Hz, 0 where there is no voice, and the seconds of its frames. A second of sound takes a quarter of one."""
    f0, times = pyworld.harvest(np.frombuffer(sound).copy(), rate, f0_floor=60, f0_ceil=500)
    return f0, times


def long_term_spectrum(sound: Sound, rate: int = 24_000, bands: int = 40) -> Sound:
    """(bands,) dB: mean power in mel bands of 50 Hz to 8 kHz, its mean taken off, over its louder frames."""
    size, hop = 1024, 256
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2
    loudness = power.sum(axis=1)
    power = power[loudness > loudness.max() * 1e-4].mean(axis=0)
    mel = np.linspace(_mel(50), _mel(8000), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    rise = (frequencies[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - frequencies[None]) / (edges[2:] - edges[1:-1])[:, None]
    energy = np.maximum(0, np.minimum(rise, fall)) @ power
    level = 10 * np.log10(energy + 1e-12)
    return np.asarray(level - level.mean())


def spectral_distance(a: Sound, b: Sound, rate: int = 24_000) -> float:
    """Mean absolute difference of the long-term spectra, dB."""
    return float(np.abs(long_term_spectrum(a, rate) - long_term_spectrum(b, rate)).mean())


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))

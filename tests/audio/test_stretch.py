"""Speed changes the duration and nothing else."""

from pathlib import Path

import av
import numpy as np
import pytest
import pyworld

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.stretch import Stretch

RATE = 24_000
VOICES = Path(__file__).resolve().parents[2].parent / "shared" / "audio" / "voices"


def voiced(seconds: float, f0_hz: float = 120.0) -> Samples:
    """Twenty harmonics of a gliding pitch, in syllables."""
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(f0_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / RATE
    tone = sum(np.sin(k * phase + k) / k for k in range(1, 21))
    return (0.1 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.float32)


def stretched(samples: Samples, speed: float, block: int = 4096, rate: int = RATE) -> Samples:
    stage = Stretch(rate, speed, 1 if samples.ndim == 1 else len(samples))
    parts = [stage.push(samples[..., i : i + block]) for i in range(0, samples.shape[-1], block)]
    return np.concatenate([*parts, stage.finish()], axis=-1)


def f0_hz(samples: Samples) -> Samples:
    """One value each 5 ms, 0 where there is no voice."""
    rough, times = pyworld.dio(samples.astype(np.float64), RATE)
    return pyworld.stonemask(samples.astype(np.float64), rough, times, RATE)


def cents_between(before: Samples, after: Samples, speed: float) -> float:
    """How far the pitch is off at the same moments of the same sound, the median.

    Moment by moment, since a tracker calls other moments voiced at another speed.
    """
    f0, moved = f0_hz(before), f0_hz(after)
    same = moved[np.minimum(np.round(np.arange(len(f0)) / speed).astype(int), len(moved) - 1)]
    both = (f0 > 0) & (same > 0)
    assert both.sum() > 0.5 * min((f0 > 0).sum(), (same > 0).sum())
    return float(np.median(1200 * np.log2(same[both] / f0[both])))


def recording(name: str, seconds: float) -> Samples:
    if not (VOICES / name).exists():
        pytest.skip("the recordings are not here")
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(VOICES / name)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])[: round(seconds * RATE)]


@pytest.mark.parametrize("speed", [0.25, 0.3, 0.5, 0.77, 1.0, 1.01, 1.5, 2.0, 3.3, 4.0])
@pytest.mark.parametrize("n", [0, 1, 7, 1000, 2399, 30_011])
def test_the_length_is_exact(n: int, speed: float) -> None:
    out = stretched(voiced(2)[:n], speed)
    assert out.shape == (round(n / speed),)
    assert out.dtype == np.float32


@pytest.mark.parametrize("speed", [0.5, 1.25, 2.0, 3.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_block_size_gives_the_same_samples(speed: float, channels: int) -> None:
    tone = voiced(1.5) if channels == 1 else np.stack([voiced(1.5), voiced(1.5, 200)])
    whole = stretched(tone, speed, 10**6)
    assert whole.shape[-1] == round(36_000 / speed)
    for block in (7, 480, 4099):
        np.testing.assert_array_equal(stretched(tone, speed, block), whole)


def test_no_more_comes_out_than_belongs_to_what_went_in() -> None:
    stage, given = Stretch(RATE, 1.7), 0
    for i in range(0, 48_000, 480):
        given += len(stage.push(voiced(2)[i : i + 480]))
        assert given <= (i + 480) / 1.7 + 1


def test_speed_one_changes_nothing() -> None:
    np.testing.assert_array_equal(stretched(voiced(1), 1.0), voiced(1))


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.3, 2.0])
def test_the_pitch_stays(speed: float) -> None:
    tone = voiced(4)
    out = stretched(tone, speed)
    assert abs(cents_between(tone, out, speed)) < 15
    medians = [np.median(f0[f0 > 0]) for f0 in (f0_hz(tone), f0_hz(out))]
    assert abs(1200 * np.log2(medians[1] / medians[0])) < 15


@pytest.mark.parametrize("name", ["jfk.flac", "linda_johnson_01.mp3"])
@pytest.mark.parametrize("speed", [0.5, 0.75, 1.4, 2.0])
def test_a_recorded_voice_keeps_its_pitch(name: str, speed: float) -> None:
    voice = recording(name, 8.0)
    assert abs(cents_between(voice, stretched(voice, speed), speed)) < 15


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_sounds_move_to_where_map_time_says(speed: float) -> None:
    """The centre of each burst, to 15 ms."""
    samples = np.zeros(4 * RATE, np.float32)
    for second in (0.5, 1.5, 2.5, 3.5):
        burst = np.hanning(4800) * np.sin(2 * np.pi * 200 * np.arange(4800) / RATE)
        samples[round((second - 0.1) * RATE) :][:4800] = burst
    out = np.square(stretched(samples, speed))
    for second in (0.5, 1.5, 2.5, 3.5):
        centre = Stretch(RATE, speed).map_time(second)
        around = slice(round((centre - 0.3 / speed) * RATE), round((centre + 0.3 / speed) * RATE))
        moments = np.arange(len(out))[around] / RATE
        assert abs(np.average(moments, weights=out[around]) - centre) < 0.015


@pytest.mark.parametrize("speed", [0.5, 2.0])
def test_the_end_is_not_lost(speed: float) -> None:
    """A tone right up to the last sample is heard up to the last sample, in clips of any length."""
    for seconds in (0.03, 0.1, 1.0):
        out = stretched(voiced(2)[: round(seconds * RATE)], speed)
        assert np.abs(out[-len(out) // 4 :]).max() > 0.05


@pytest.mark.parametrize("speed", [0.2, 4.1, float("nan"), 0.0, -1.0])
def test_speeds_out_of_range_are_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Stretch(RATE, speed)

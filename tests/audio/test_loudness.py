"""Levels are what FFmpeg reads, and normalising reaches them under the ceiling."""

import math
import re
import shutil
import subprocess

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.limiter import Limiter
from chatterbox_plus.audio.loudness import GainPlan, Levels, Meter, normalise
from tests.needs import missing

RATE = 24_000
FFMPEG = shutil.which("ffmpeg")


def sine(seconds: float, dbfs: float, hz: float = 1000, rate: int = RATE) -> Samples:
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def bursts(seconds: float, channels: int = 1, rate: int = RATE) -> Samples:
    """Like speech: swelling harmonics, a little noise, and clicks that stand far above them."""
    rng = np.random.default_rng(3)
    t = np.arange(round(seconds * rate)) / rate
    rows = []
    for channel in range(channels):
        tone = sum(np.sin(2 * np.pi * 120 * k * t + k * channel) / k for k in range(1, 20))
        row = 0.1 * tone * np.maximum(0, np.sin(2 * np.pi * 0.7 * t)) ** 2 + 0.002 * rng.standard_normal(len(t))
        row[rng.integers(0, len(t), round(2 * seconds))] += 0.7
        rows.append(row)
    return (rows[0] if channels == 1 else np.array(rows)).astype(np.float32)


def square(seconds: float) -> Samples:
    return np.where(sine(seconds, 0, hz=997) >= 0, 1, -1).astype(np.float32)


def between_samples(seconds: float) -> Samples:
    """A quarter of the rate at 45 degrees: the true peak is 3 dB above every sample."""
    return np.cos(np.pi / 2 * np.arange(round(seconds * RATE)) + np.pi / 4).astype(np.float32)


def hot_noise(seconds: float) -> Samples:
    return np.random.default_rng(1).choice([-1, 1], round(seconds * RATE)).astype(np.float32)


def impulses(seconds: float) -> Samples:
    samples = silence(round(seconds * RATE))
    samples[500::1111] = 1
    samples[501::1111] = -1
    return samples


def levels(samples: Samples, rate: int = RATE, block: int = 4096) -> Levels:
    meter = Meter(rate, 1 if samples.ndim == 1 else len(samples))
    for i in range(0, samples.shape[-1], block):
        meter.push(samples[..., i : i + block])
    return meter.finish()


def limited(samples: Samples, gain_db: float, ceiling_dbtp: float, block: int = 4096) -> Samples:
    limiter = Limiter(RATE, 1 if samples.ndim == 1 else len(samples), gain_db, ceiling_dbtp)
    parts = [limiter.push(samples[..., i : i + block]) for i in range(0, samples.shape[-1], block)]
    return np.concatenate([*parts, limiter.finish()], axis=-1)


def plan_for(samples: Samples, rate: int = RATE, **wanted: object) -> tuple[GainPlan, Samples]:
    wanted = {"true_peak": -2.0, "lra": 7.0, **wanted}
    channels = 1 if samples.ndim == 1 else len(samples)
    plan = normalise(lambda: np.array_split(samples, 9, axis=-1), rate, channels, **wanted)  # type: ignore[arg-type]
    stage = plan.stage(rate, channels)
    return plan, np.concatenate([stage.push(samples), stage.finish()], axis=-1)


def read_by_ffmpeg(samples: Samples, rate: int = RATE) -> tuple[float, float, float]:
    """Integrated loudness (LUFS), loudness range (LU), true peak (dBTP)."""
    if FFMPEG is None:
        missing("ffmpeg")
    channels = 1 if samples.ndim == 1 else len(samples)
    command = [FFMPEG, "-hide_banner", "-nostats", "-f", "f32le", "-ar", str(rate), "-ac", str(channels)]
    command += ["-i", "-", "-af", "ebur128=peak=true", "-f", "null", "-"]
    sound = np.ascontiguousarray(samples.T, "<f4").tobytes()
    said = subprocess.run(command, input=sound, capture_output=True, check=True).stderr.decode()
    summary = said[said.rindex("Summary") :]
    found = [re.search(rf"{name}:\s+(\S+)", summary) for name in ("I", "LRA", "Peak")]
    return tuple(float(match[1]) for match in found if match)  # type: ignore[return-value]


def test_a_sine_on_two_channels_reads_its_peak_and_on_one_3_db_less() -> None:
    """EBU Tech 3341, case 1."""
    tone = sine(20, -23)
    stereo, mono = levels(np.stack([tone, tone])), levels(tone)
    assert stereo.lufs == pytest.approx(-23, abs=0.1)
    assert mono.lufs == pytest.approx(-26.01, abs=0.1)
    assert mono.true_peak_dbtp == pytest.approx(-23, abs=0.05)
    assert mono.peak_dbfs == pytest.approx(-23, abs=0.05)
    assert mono.rms_dbfs == stereo.rms_dbfs == pytest.approx(-26.01, abs=0.01)
    assert mono.lra_lu == pytest.approx(0, abs=0.1)


def test_silence_is_left_out_of_the_loudness() -> None:
    assert levels(np.r_[silence(10 * RATE), sine(10, -23)]).lufs == pytest.approx(-26.01, abs=0.15)


def test_the_true_peak_lies_between_the_samples() -> None:
    read = levels(between_samples(1))
    assert read.peak_dbfs == pytest.approx(-3.01, abs=0.01)
    assert read.true_peak_dbtp == pytest.approx(0, abs=1.0)  # the sudden start rings above 0


@pytest.mark.parametrize("block", [1, 7, 480, 10**6])
def test_any_block_size_reads_the_same(block: int) -> None:
    read, whole = levels(bursts(0.7), block=block), levels(bursts(0.7))
    for name in ("lufs", "true_peak_dbtp", "peak_dbfs", "rms_dbfs", "lra_lu"):
        assert getattr(read, name) == pytest.approx(getattr(whole, name), abs=1e-6)


@pytest.mark.parametrize("seconds", [0.001, 0.05, 0.2, 0.39, 0.4])
def test_a_short_sound_has_the_loudness_of_its_repetition(seconds: float) -> None:
    assert levels(sine(seconds, -23)).lufs == pytest.approx(-26.01, abs=0.3)


@pytest.mark.parametrize("samples", [silence(0), silence(100), silence(48_000), silence(48_000, 2)])
def test_silence_reads_minus_infinity_and_gets_no_gain(samples: Samples) -> None:
    assert levels(samples) == Levels(-math.inf, -math.inf, -math.inf, -math.inf, 0.0)
    for method in ("ebu", "peak"):
        plan, out = plan_for(samples, method=method, level=-14.0)
        assert plan.gain_db == 0
        np.testing.assert_array_equal(out, samples)


@pytest.mark.parametrize("rate, channels", [(24_000, 1), (24_000, 2), (44_100, 2), (16_000, 1)])
def test_levels_agree_with_ffmpeg(rate: int, channels: int) -> None:
    samples = bursts(10, channels, rate)
    lufs, lra, true_peak = read_by_ffmpeg(samples, rate)
    read = levels(samples, rate)
    assert read.lufs == pytest.approx(lufs, abs=0.1)
    assert read.lra_lu == pytest.approx(lra, abs=0.2)
    assert read.true_peak_dbtp == pytest.approx(true_peak, abs=0.1)


@pytest.mark.parametrize("make", [square, between_samples, hot_noise, impulses, bursts])
@pytest.mark.parametrize("gain_db, ceiling_dbtp", [(0, -1), (12, -2), (-3, -9)])
def test_the_ceiling_holds(make: object, gain_db: float, ceiling_dbtp: float) -> None:
    out = limited(make(2.0), gain_db, ceiling_dbtp)  # type: ignore[operator]
    assert out.shape == (48_000,)
    assert out.dtype == np.float32
    assert levels(out).true_peak_dbtp <= ceiling_dbtp + 0.05
    assert read_by_ffmpeg(out)[2] <= ceiling_dbtp + 0.1


@pytest.mark.parametrize("n", [0, 1, 500, 1023, 1024, 30_011])
@pytest.mark.parametrize("channels", [1, 2])
def test_limiting_in_any_blocks_gives_the_same_samples_and_as_many(n: int, channels: int) -> None:
    samples = bursts(1.5, channels)[..., :n]
    whole = limited(samples, 15, -1, 10**6)
    assert whole.shape == samples.shape
    for block in (7, 480):
        np.testing.assert_array_equal(limited(samples, 15, -1, block), whole)


def test_what_stays_under_the_ceiling_gets_the_plain_gain() -> None:
    samples = sine(1, -20)
    np.testing.assert_array_equal(limited(samples, 0, -1), samples)
    np.testing.assert_allclose(limited(samples, 6.0, -1), samples * 10 ** (6 / 20), rtol=1e-6)


def test_a_peak_is_turned_down_with_its_surroundings_and_soon_forgotten() -> None:
    samples = sine(2, -20)
    samples[24_000] = 1.0
    out = limited(samples, 0, -6)
    near, far = slice(24_010, 24_100), slice(40_000, 48_000)
    assert np.abs(out[near]).max() < 0.6 * np.abs(samples[near]).max()
    np.testing.assert_array_equal(out[far], samples[far])
    np.testing.assert_array_equal(out[:23_800], samples[:23_800])


@pytest.mark.parametrize("level", [-30.0, -24.0, -16.0, -13.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_brought_to_the_level_under_the_ceiling(level: float, channels: int) -> None:
    plan, out = plan_for(bursts(10, channels), method="ebu", level=level)
    assert abs(plan.missed_by_db) < 0.5
    assert levels(out).lufs == pytest.approx(level, abs=0.5)
    assert plan.after.lufs == pytest.approx(levels(out).lufs, abs=0.05)
    lufs, _, true_peak = read_by_ffmpeg(out)
    assert lufs == pytest.approx(level, abs=0.5)
    assert true_peak <= -1.9


def test_a_level_out_of_reach_is_approached_and_the_rest_reported() -> None:
    plan, out = plan_for(bursts(5), method="ebu", level=-3.0)
    read = levels(out)
    assert plan.missed_by_db == pytest.approx(-3.0 - read.lufs, abs=0.05)
    assert plan.missed_by_db > 0.5
    assert read.lufs > -14
    assert read.true_peak_dbtp <= -1.95


@pytest.mark.parametrize("seconds", [0.02, 0.2])
def test_short_sounds_can_be_normalised(seconds: float) -> None:
    _, out = plan_for(sine(seconds, -40), method="ebu", level=-24.0)
    assert levels(out).lufs == pytest.approx(-24, abs=0.5)


def test_peak_normalisation_brings_the_highest_sample_to_the_level() -> None:
    plan, out = plan_for(sine(1, -20), method="peak", level=-6.0)
    assert levels(out).peak_dbfs == pytest.approx(-6, abs=0.01)
    assert plan.missed_by_db == pytest.approx(0, abs=0.01)


def test_peak_normalisation_yields_to_the_true_peak() -> None:
    plan, out = plan_for(between_samples(1), method="peak", level=-2.0, true_peak=-2.0)
    assert levels(out).true_peak_dbtp == pytest.approx(-2, abs=0.06)
    assert plan.missed_by_db > 2


def test_no_ceiling_lies_above_minus_one() -> None:
    plan, out = plan_for(bursts(2), method="ebu", level=-14.0, true_peak=0.0)
    assert plan.ceiling_dbtp == -1
    assert levels(out).true_peak_dbtp <= -0.95


def test_a_loudness_range_too_wide_is_reported_and_left_alone() -> None:
    parts = np.concatenate([sine(10, -20), sine(10, -35), sine(10, -20), sine(10, -35)])
    plan, out = plan_for(parts, method="ebu", level=-24.0, lra=7.0)
    assert plan.lra_over_lu == pytest.approx(8, abs=1)
    np.testing.assert_allclose(out, parts * 10 ** (plan.gain_db / 20), rtol=1e-5)

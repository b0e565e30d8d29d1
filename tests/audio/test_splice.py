"""Crossfades, pauses and cut silences: lengths are exact, energy is kept, nothing clicks."""

import random

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.splice import (
    Cut,
    EdgeFinder,
    Envelope,
    KeepIntervals,
    TrimInfo,
    equal_power_crossfade,
    keep_intervals,
    natural_pause_ms,
)
from chatterbox_plus.audio.stage import Stage

RATE = 24_000
BLOCKS = [1, 7, 480, 10**6]


def sine(seconds: float, amplitude: float = 0.5, hz: float = 440) -> Samples:
    n = round(seconds * RATE)
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


def noise(n: int, seed: int, amplitude: float = 0.1) -> Samples:
    return (amplitude * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def heard(stage: Stage, samples: Samples, block: int) -> Samples:
    parts = [stage.push(samples[..., i : i + block]) for i in range(0, samples.shape[-1], block)]
    return np.concatenate([*parts, stage.finish()], axis=-1)


def trimmed_edges(samples: Samples, threshold_ms: int, block: int = 10**6) -> tuple[Samples, TrimInfo]:
    """As the product trims: once through to find the edges, once more to cut."""
    finder = EdgeFinder(RATE)
    for i in range(0, samples.shape[-1], block):
        finder.push(samples[..., i : i + block])
    interval, info = finder.plan(threshold_ms)
    return heard(Cut(interval, RATE, 1 if samples.ndim == 1 else len(samples)), samples, block), info


@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_crossfade_of_unrelated_sounds_keeps_their_power(shape: tuple[int, ...]) -> None:
    left, right = (np.broadcast_to(noise(48_000, seed), (*shape, 48_000)) for seed in (1, 2))
    joined = equal_power_crossfade(left, right, 24_000)
    assert joined.shape == (*shape, 72_000)
    powers = np.square(joined).reshape(-1, 72, 1000).mean(axis=(0, 2))
    np.testing.assert_allclose(powers, 0.01, rtol=0.3)
    np.testing.assert_array_equal(joined[..., :24_000], left[..., :24_000])
    np.testing.assert_array_equal(joined[..., 48_000:], right[..., 24_000:])


def test_a_crossfade_of_nothing_is_a_plain_join() -> None:
    np.testing.assert_array_equal(equal_power_crossfade(sine(0.1), sine(0.2), 0), np.r_[sine(0.1), sine(0.2)])


def test_natural_pauses_are_spread_around_the_base_and_repeat_with_the_seed() -> None:
    drawn = [natural_pause_ms(random.Random(seed), 600, 200) for seed in range(300)]
    assert 400 <= min(drawn) < 420
    assert 780 < max(drawn) <= 800
    assert drawn == [natural_pause_ms(random.Random(seed), 600, 200) for seed in range(300)]


@pytest.mark.parametrize(
    "base, variation, low, high", [(100, 200, 50, 199), (3000, 500, 2500, 3000), (700, 0, 700, 700), (1, 0, 50, 50)]
)
def test_a_natural_pause_stays_within_its_bounds(base: int, variation: int, low: int, high: int) -> None:
    drawn = [natural_pause_ms(random.Random(seed), base, variation) for seed in range(300)]
    assert low <= min(drawn) <= max(drawn) <= high


@pytest.mark.parametrize("block", BLOCKS)
def test_silence_at_both_ends_is_cut_to_50_ms(block: int) -> None:
    tone = sine(1.0)
    samples = np.r_[silence(12_000), tone, noise(19_200, 3, 0.0005)]  # -66 dBFS: silence beside -6 dBFS
    trimmed, info = trimmed_edges(samples, 200, block)
    assert len(trimmed) == pytest.approx(24_000 + 2 * 1200, abs=2)
    assert info.trimmed
    assert (info.original_duration_ms, info.trimmed_duration_ms) == (2300, 1100)
    assert (info.leading_silence_removed_ms, info.trailing_silence_removed_ms) == (450, 750)
    np.testing.assert_array_equal(trimmed, trimmed_edges(samples, 200)[0])


def test_silence_up_to_the_threshold_stays() -> None:
    samples = np.r_[silence(4790), sine(1.0), silence(4790)]
    kept, info = trimmed_edges(samples, 200)
    assert not info.trimmed
    assert len(kept) == len(samples)


def test_the_silence_level_follows_the_highest_sample() -> None:
    """The same shape 40 dB quieter is trimmed the same, and a sound 35 dB below the peak is not silence."""
    samples = np.r_[silence(12_000), sine(0.5, 0.5 * 10 ** (-35 / 20)), sine(0.5), silence(12_000)]
    loud, _ = trimmed_edges(samples, 200)
    quiet, _ = trimmed_edges((samples * 0.01).astype(np.float32), 200)
    assert len(loud) == pytest.approx(24_000 + 2400, abs=10)
    assert len(quiet) == pytest.approx(len(loud), abs=10)


@pytest.mark.parametrize("samples", [silence(48_000), silence(0), silence(48_000, 2)])
def test_silence_alone_is_not_touched(samples: Samples) -> None:
    kept, info = trimmed_edges(samples, 50)
    assert kept.shape == samples.shape
    assert not info.trimmed


def test_at_least_100_ms_remain() -> None:
    samples = np.r_[silence(24_000), sine(0.01), silence(480)]
    kept, _ = trimmed_edges(samples, 50)
    assert len(kept) == 2400


def test_a_stereo_sound_is_silent_where_both_channels_are() -> None:
    left, right = np.r_[silence(24_000), sine(1.0)], np.r_[sine(1.0), silence(24_000)]
    assert trimmed_edges(np.stack([left, right]), 50)[0].shape == (2, 48_000)


def test_a_cut_moves_times_to_where_they_are_heard() -> None:
    cut = Cut((24_000, 48_000), RATE)
    assert [cut.map_time(t) for t in (0.5, 1.5, 3.0)] == [0.0, 0.5, 1.0]


def gappy() -> Samples:
    return np.r_[silence(24_000), sine(1.0), silence(48_000), sine(0.5), silence(24_000)]


def intervals_of(samples: Samples, margin_s: float = 0.1) -> list[tuple[int, int]]:
    envelope = Envelope(RATE)
    for i in range(0, samples.shape[-1], 777):
        envelope.push(samples[..., i : i + 777])
    return keep_intervals(envelope, RATE, threshold=0.06, margin_s=margin_s)


def test_inner_silence_is_cut_to_the_margins() -> None:
    assert intervals_of(gappy()) == [(21_600, 50_400), (93_600, 110_400)]


def test_near_sounds_are_kept_as_one() -> None:
    assert intervals_of(gappy(), margin_s=1.0) == [(0, 132_000)]
    assert intervals_of(silence(10_000)) == [(0, 10_000)]
    assert intervals_of(silence(0)) == [(0, 0)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("block", BLOCKS[1:])
def test_cutting_inner_silence_is_exact_and_does_not_click(block: int, channels: int) -> None:
    """Cuts through a tone: as long as the parts together, and no step greater than the tone's own."""
    tone = sine(2.0) if channels == 1 else np.stack([sine(2.0), sine(2.0, 0.3)])
    intervals = [(2400, 7000), (9000, 9300), (20_000, 40_001)]
    joined = heard(KeepIntervals(intervals, 48_000, RATE, channels), tone, block)
    assert joined.shape[-1] == 4600 + 300 + 20_001
    np.testing.assert_array_equal(joined, heard(KeepIntervals(intervals, 48_000, RATE, channels), tone, 10**6))
    np.testing.assert_array_equal(joined[..., 5200:24_200], tone[..., 20_300:39_300])
    assert np.abs(np.diff(joined)).max() < 2.5 * np.abs(np.diff(tone)).max()
    assert np.abs(joined[..., [0, -1]]).max() < 0.01


def test_keeping_all_changes_nothing() -> None:
    np.testing.assert_array_equal(heard(KeepIntervals([(0, 24_000)], 24_000, RATE), sine(1.0), 480), sine(1.0))


def test_times_inside_a_removed_part_lie_at_the_cut() -> None:
    stage = KeepIntervals([(0, 24_000), (48_000, 72_000)], 72_000, RATE)
    assert [stage.map_time(t) for t in (0.5, 1.0, 1.5, 2.0, 2.5, 9.0)] == [0.5, 1.0, 1.0, 1.0, 1.5, 2.0]

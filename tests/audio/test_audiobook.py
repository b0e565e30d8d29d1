"""Chapters come to one level, and stay under the ceiling once they have been through a codec."""

import io
import math

import numpy as np
import pytest

from chatterbox_plus.audio.aac_segments import SegmentWriter
from chatterbox_plus.audio.audiobook import CEILING_DBTP, LEVEL_LUFS, MOST_GAIN_DB, chapter_level
from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.loudness import GainPlan, Levels, Meter
from chatterbox_plus.audio.tagged_mp3 import write_tagged_mp3
from tests.hearing import listen

RATE = 24_000


def speechlike(seconds: float = 8) -> Samples:
    """Swelling harmonics, a little noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20)) * np.maximum(0, np.sin(4.4 * t)) ** 2
    return (0.1 * voice + 0.001 * np.random.default_rng(4).standard_normal(len(t))).astype(np.float32)


def plosives() -> Samples:
    sound = speechlike()
    burst = 0.4 * np.exp(-np.arange(600) / 150) * np.random.default_rng(5).standard_normal(600)
    for start in range(2000, len(sound) - RATE, RATE // 2):
        sound[start : start + 600] += burst.astype(np.float32)
    return sound


def clicks() -> Samples:
    sound = speechlike()
    sound[1000::7777] += 0.6
    return sound


def bursts_of_noise() -> Samples:
    sound, t = speechlike(), np.arange(8 * RATE) / RATE
    noise = np.random.default_rng(6).choice([-0.3, 0.3], len(t)) * (np.sin(6 * t) > 0.9)
    return (0.3 * sound + noise).astype(np.float32)


def levelled(sound: Samples) -> tuple[GainPlan, Samples]:
    plan = chapter_level(lambda: np.array_split(sound, 5), RATE)
    stage = plan.stage(RATE, 1)
    return plan, np.concatenate([stage.push(sound), stage.finish()])


def levels(sound: Samples) -> Levels:
    meter = Meter(RATE)
    meter.push(sound)
    return meter.finish()


def through_aac(sound: Samples) -> Samples:
    file = io.BytesIO()
    writer = SegmentWriter(file)
    writer.push(sound)
    writer.finish()
    return listen(file.getvalue()).astype(np.float32)


def through_mp3(sound: Samples) -> Samples:
    file = io.BytesIO()
    write_tagged_mp3(file, [sound], rate=RATE, title="", album="", author="", track=1, tracks=1)
    return listen(file.getvalue()).astype(np.float32)


@pytest.mark.parametrize("codec", [through_aac, through_mp3])
@pytest.mark.parametrize("make", [speechlike, plosives, clicks, bursts_of_noise])
@pytest.mark.parametrize("gain_db", [-12, 6])
def test_what_is_decoded_has_the_level_under_the_ceiling(make: object, codec: object, gain_db: float) -> None:
    _, sound = levelled(make() * np.float32(10 ** (gain_db / 20)))  # type: ignore[operator]
    read = levels(codec(sound))  # type: ignore[operator]
    assert read.lufs == pytest.approx(LEVEL_LUFS, abs=2)
    assert read.true_peak_dbtp <= CEILING_DBTP


def test_silence_stays_silence() -> None:
    plan, sound = levelled(silence(RATE))
    assert plan.gain_db == 0
    assert not sound.any()
    assert chapter_level(lambda: [], RATE).gain_db == 0


def test_next_to_nothing_is_not_blown_up() -> None:
    """Room noise at -60 LUFS, and the same with a click in it, which needs the limiter."""
    noise = (0.0015 * np.random.default_rng(7).standard_normal(3 * RATE)).astype(np.float32)
    clicked = noise.copy()
    clicked[RATE] = 0.9
    for sound in (noise, clicked):
        plan, out = levelled(sound)
        assert plan.gain_db == MOST_GAIN_DB
        assert levels(out).lufs == pytest.approx(plan.after.lufs, abs=0.05)
        assert plan.missed_by_db == pytest.approx(LEVEL_LUFS - levels(out).lufs, abs=0.05)
        assert plan.missed_by_db > 10


@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_a_very_short_chapter_gets_no_more_gain_than_any_other(seconds: float) -> None:
    plan, out = levelled(0.01 * speechlike()[RATE // 3 :][: round(seconds * RATE)])
    assert plan.gain_db <= MOST_GAIN_DB
    assert levels(out).true_peak_dbtp <= CEILING_DBTP
    assert math.isfinite(plan.missed_by_db)

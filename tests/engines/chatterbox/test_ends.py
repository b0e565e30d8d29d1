"""Ends of passages: silence goes, soft sounds stay, and nothing clicks."""

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.engines.chatterbox.ends import trimmed

RATE = 24_000


def tone(seconds: float, db: float = 0.0) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.5 * 10 ** (db / 20) * np.sin(2 * np.pi * 200 * t), np.float32)


def hiss(seconds: float, db: float) -> Samples:
    """White noise, as much softer than `tone` (in RMS)."""
    noise = np.random.default_rng(7).standard_normal(round(seconds * RATE))
    return (noise * 0.5 / np.sqrt(2) * 10 ** (db / 20)).astype(np.float32)


def test_silence_at_both_ends_goes_but_for_a_breath_of_it() -> None:
    done = trimmed(np.concatenate([silence(RATE), tone(0.5), silence(2 * RATE)]), RATE)
    assert len(done) == round((0.03 + 0.5 + 0.08) * RATE)
    np.testing.assert_array_equal(done[720 : 720 + RATE // 2], tone(0.5))


def test_noise_below_45_db_is_silence_too() -> None:
    done = trimmed(np.concatenate([hiss(1, -50), tone(0.5), hiss(1, -50)]), RATE)
    assert len(done) == round(0.61 * RATE)


@pytest.mark.parametrize("db", [-35, -40])
def test_a_soft_breath_and_a_soft_last_consonant_survive(db: float) -> None:
    breath, ending = hiss(0.2, db), hiss(0.15, db)
    done = trimmed(np.concatenate([silence(RATE), breath, tone(0.5), ending, silence(RATE)]), RATE)
    assert len(done) >= round((0.2 + 0.5 + 0.15 + 0.1) * RATE)


def test_a_pause_inside_stays() -> None:
    speech = np.concatenate([tone(0.2), silence(RATE), tone(0.2)])
    assert len(trimmed(speech, RATE)) == len(speech)


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
def test_sound_up_to_the_edge_begins_and_ends_at_nothing(rate: int) -> None:
    loud = np.full(rate, 0.8, np.float32)
    done = trimmed(loud, rate)
    assert len(done) == rate
    assert np.abs(np.diff(done, prepend=0, append=0)).max() < 0.04
    assert (loud == 0.8).all(), "the caller's samples are not touched"


def test_a_blip_keeps_a_tenth_of_a_second() -> None:
    early, late = silence(RATE), silence(RATE)
    early[10] = late[-10] = 0.5
    assert len(trimmed(early, RATE)) == len(trimmed(late, RATE)) == RATE // 10
    assert trimmed(early, RATE).any()


@pytest.mark.parametrize(("n", "left"), [(0, 0), (1, 1), (100, 100), (RATE, RATE // 10)])
def test_silence_is_a_tenth_of_a_second_at_most(n: int, left: int) -> None:
    done = trimmed(np.full(n, 1e-6, np.float32), RATE)
    assert len(done) == left
    assert not done.any()


def test_what_is_no_number_is_not_hidden() -> None:
    broken = silence(RATE)
    broken[100] = np.nan
    assert np.isnan(trimmed(broken, RATE)).any()

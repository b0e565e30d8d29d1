"""What is measured of a reference is what was done to it, and people are told what to do about it."""

import math
from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.loudness import Meter, integrated_lufs
from chatterbox_plus.audio.quality import REFERENCE_MIN_S, Quality, assess, assess_file
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.errors import InvalidAudio
from tests.audio.recordings import record, sine
from tests.engines.vowels import RATE, babble

RNG = np.random.default_rng(5)
T = np.arange(6 * RATE) / RATE


def room(seconds: float = 20, snr_db: float = 40, f0: float = 120) -> Samples:
    """Somebody babbling with pauses of half a second, in a room that hisses."""
    syllables = babble(f0, seconds * 0.8)
    hiss = np.random.default_rng(8).normal(0, 0.02, len(syllables))  # of an s at the end of every syllable
    syllables += (hiss * (np.abs(np.arange(len(syllables)) / RATE % 0.5 - 0.4) < 0.04)).astype(np.float32)
    turns = np.array_split(syllables, max(1, round(seconds / 2)))
    pause = np.zeros((round(seconds * RATE) - len(syllables)) // len(turns), np.float32)
    voice = np.concatenate([part for turn in turns for part in (turn, pause)])
    return hissing(voice, snr_db)


def hissing(voice: Samples, snr_db: float) -> Samples:
    level = math.sqrt(float(np.mean(np.square(voice[np.abs(voice) > 1e-4]))))
    noise = np.random.default_rng(7).normal(0, level * 10 ** (-snr_db / 20), len(voice))
    return (voice + noise).astype(np.float32)


def harmonics(hz: float, count: int, t: np.ndarray = T) -> np.ndarray:
    return np.sum([np.sin(2 * np.pi * hz * k * t + k * k) / k for k in range(1, count)], axis=0)


def look(samples: np.ndarray, rate: int = RATE) -> Quality:
    return assess(Clip(samples.astype(np.float32), rate))


def piano() -> np.ndarray:
    out = np.zeros(len(T))
    for i, step in enumerate((0, 4, 7, 12, 7, 4, 5, 9, 12, 9, 5, 0)):
        begin = i * RATE // 2
        t = T[: len(T) - begin][:RATE]
        out[begin : begin + len(t)] += harmonics(220 * 2 ** (step / 12), 9, t) * np.exp(-5 * t)
    return 0.1 * out


def chords() -> np.ndarray:
    out = np.zeros(len(T))
    for i, root in enumerate((220, 196, 174.6, 164.8) * 3):
        begin = i * RATE // 2
        t = T[: len(T) - begin][:RATE]
        out[begin : begin + len(t)] += sum(harmonics(root * r, 7, t) for r in (1, 1.25, 1.5)) * np.exp(-4 * t)
    return 0.05 * out


OTHER_SOUNDS = {
    "silence": np.zeros(len(T)),
    "tone": 0.5 * np.sin(2 * np.pi * 220 * T),
    "beeps": 0.5 * np.sin(2 * np.pi * 300 * T) * (2 * T % 1 < 0.5),
    "tone that swells": 0.2 * np.sin(2 * np.pi * 200 * T) * (1 + np.sin(2 * np.pi * 4 * T)),
    "siren": 0.4 * np.sin(np.cumsum(2 * np.pi * (300 + 150 * np.sin(2 * np.pi * 0.7 * T)) / RATE)),
    "noise": RNG.normal(0, 0.1, len(T)),
    "noise that swells": RNG.normal(0, 0.1, len(T)) * (1 + np.sin(2 * np.pi * 4 * T)),
    "hum at 50 Hz": 0.1 * harmonics(50, 12),
    "hum at 120 Hz in noise": 0.1 * harmonics(120, 12) + RNG.normal(0, 0.03, len(T)),
    "chord": 0.1 * sum(np.sin(2 * np.pi * hz * T) for hz in (220, 277.2, 329.6)),
    "chords": chords(),
    "piano": piano(),
    "clicks": (np.arange(len(T)) % (RATE // 100) == 0) * 0.5,
}


@pytest.mark.parametrize("what", OTHER_SOUNDS)
def test_what_nobody_said_is_no_speech(what: str) -> None:
    quality = look(OTHER_SOUNDS[what])
    assert (quality.speech_s, quality.speech_present, quality.rating) == (0, False, "poor")
    assert len(quality.advice) == 1
    assert quality.advice[0].startswith("No speech was found in it: send ")


@pytest.mark.parametrize("f0", [70, 110, 180, 300])
def test_voices_of_any_pitch_are_speech(f0: float) -> None:
    quality = look(room(f0=f0))
    assert quality.speech_s > 10
    assert quality.speech_s <= quality.duration_s


@pytest.mark.parametrize("snr_db", [30, 20, 10, 5])
def test_noise_is_measured_to_two_decibels(snr_db: float) -> None:
    quality = look(room(snr_db=snr_db))
    assert quality.snr_db == pytest.approx(snr_db, abs=2)
    assert any("noise behind the voice" in sentence for sentence in quality.advice) == (snr_db < 25)


def test_noise_is_not_known_without_a_pause() -> None:
    assert look(babble(110, 8)).snr_db is None


@pytest.mark.parametrize("ceiling", [0.25, 0.18, 0.12])
def test_clipped_samples_are_counted_and_no_others(ceiling: float) -> None:
    voice = room()
    quality = look(np.clip(voice, -ceiling, ceiling))
    truth = 100 * float(np.mean(np.abs(voice) >= ceiling))
    assert truth > 0.05
    assert quality.clipped_percent == pytest.approx(truth, rel=0.25)
    assert any("are clipped: record again" in sentence for sentence in quality.advice)
    assert look(voice).clipped_percent == 0


def test_soft_clipping_is_seen() -> None:
    assert look(np.tanh(12 * room())).clipped_percent > 0.5


@pytest.mark.parametrize("hz", [50, 220, 997, 6000])
def test_full_scale_is_not_clipping(hz: float) -> None:
    """The peaks of a tone all reach the same height, and each of them is round."""
    assert look(np.sin(2 * np.pi * hz * T)).clipped_percent == 0


def test_a_square_wave_is_all_ceiling() -> None:
    assert look(np.where(np.sin(2 * np.pi * 100 * T) >= 0, 0.5, -0.5)).clipped_percent == 100


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_silence_is_measured(share: float) -> None:
    voice = room(snr_db=30)
    silence = np.zeros(round(len(voice) * share / (1 - share)))
    quality = look(np.concatenate([silence, voice]))
    assert quality.silence_percent == pytest.approx(100 * share, abs=1)
    assert any("is silence" in sentence for sentence in quality.advice) == (share > 0.5)


@pytest.mark.parametrize(("rate", "advised"), [(8000, True), (16_000, False)])
@pytest.mark.parametrize("stored_at", [None, RATE])
def test_a_telephone_is_heard_at_any_rate(rate: int, advised: bool, stored_at: int | None) -> None:
    narrow = resampled(room(snr_db=28), RATE, rate)
    quality = look(resampled(narrow, rate, stored_at), stored_at) if stored_at else look(narrow, rate)
    assert quality.bandwidth_hz == pytest.approx(rate / 2, rel=0.1)
    assert any("telephone" in sentence for sentence in quality.advice) == advised


def resampled(samples: Samples, src: int, dst: int) -> Samples:
    resampler = Resampler(src, dst)
    return np.concatenate([resampler.push(samples), resampler.finish()])


def test_a_quiet_recording_is_measured_like_a_loud_one() -> None:
    loud, quiet = look(room()), look(0.01 * room())
    assert quiet.loudness_lufs == pytest.approx((loud.loudness_lufs or 0) - 40, abs=0.3)
    assert quiet.speech_s == pytest.approx(loud.speech_s, rel=0.05)
    assert quiet.snr_db == loud.snr_db
    assert any("very quiet" in sentence for sentence in quiet.advice)


def test_two_channels_are_compared() -> None:
    left, right = room(), room(f0=200)
    for pair, advice in (((left, left), None), ((left, 0 * left), "silent"), ((left, right), "different sounds")):
        quality = look(np.stack(pair))
        assert quality.channels == 2
        assert any("channels" in sentence for sentence in quality.advice) == (advice is not None)
        assert advice is None or any(advice in sentence for sentence in quality.advice)
    opposite = look(np.stack([left, -left]))
    assert opposite.rating == "poor"
    assert [sentence for sentence in opposite.advice if "cancel each other" in sentence] == list(opposite.advice)


def test_a_good_recording_gets_no_advice_and_a_poor_one_a_lot() -> None:
    good = look(room())
    assert (good.rating, good.advice) == ("good", ())
    poor = look(np.clip(room(seconds=2.5, snr_db=12), -0.1, 0.1))
    assert poor.rating == "poor"
    assert len(poor.advice) >= 3
    assert 0 <= poor.score < good.score <= 100


def test_more_speech_is_better() -> None:
    scores = [look(room(seconds)).score for seconds in (1, 3, 6, 20)]
    assert scores == sorted(scores)
    assert look(room(3)).advice[0] == "The recording is 3.0 s long; 10 to 30 s of one person speaking sound better."


def test_less_than_the_shortest_is_refused(decoder: Decoder, tmp_path: Path) -> None:
    path = record(tmp_path / "a.wav", sine(200, 0.29, RATE))
    with pytest.raises(InvalidAudio, match=r"my voice is shorter than 0\.3 s"):
        assess_file(decoder, path, name="my voice")
    assert look(sine(200, REFERENCE_MIN_S, RATE)).duration_s == REFERENCE_MIN_S


def test_a_file_is_read_at_its_own_rate(decoder: Decoder, tmp_path: Path) -> None:
    voice = room()
    path = record(tmp_path / "a.flac", np.stack([voice, voice]), rate=RATE)
    quality = assess_file(decoder, path, name="a.flac", cancel=None)
    assert (quality.sample_rate, quality.channels, quality.duration_s) == (RATE, 2, round(len(voice) / RATE, 3))
    body = quality.as_json()
    assert body["speech_present"] is True
    assert isinstance(body["advice"], list)
    assert set(body) >= {
        "snr_db",
        "clipped_percent",
        "silence_percent",
        "loudness_lufs",
        "bandwidth_hz",
        "score",
        "rating",
    }


def test_only_two_minutes_of_a_long_file_are_looked_at(decoder: Decoder, tmp_path: Path) -> None:
    begin, rest = room(20), sine(220, 130, 8000)
    path = record(tmp_path / "a.wav", np.concatenate([resampled(begin, RATE, 8000), rest]), rate=8000)
    quality = assess_file(decoder, path, name="a.wav")
    assert quality.duration_s == pytest.approx(150, abs=0.1)
    assert 10 < quality.speech_s < 21


@pytest.mark.parametrize("seconds", [0.1, 0.35, 3])
def test_loudness_alone_is_what_the_meter_reads(seconds: float) -> None:
    sound = sine(1000, seconds, RATE)
    meter = Meter(RATE)
    meter.push(sound)
    assert integrated_lufs(Clip(sound, RATE)) == pytest.approx(meter.finish().lufs, abs=0.1)
    assert integrated_lufs(Clip(np.zeros(RATE, np.float32), RATE)) == -math.inf


@pytest.mark.parametrize(
    "name", ["voices/jfk.flac", "voices/linda_johnson_01.mp3", "inputs/chatterbox-in-a-village-of-la-mancha.mp3"]
)
def test_people_are_heard(name: str, decoder: Decoder, recordings: Path) -> None:
    quality = assess_file(decoder, recordings / name, name=name)
    assert quality.rating == "good"
    assert quality.clipped_percent == 0
    assert quality.snr_db is not None
    assert quality.snr_db > 25
    assert quality.speech_s > 0.6 * min(quality.duration_s, 120)


@pytest.mark.parametrize("snr_db", [20, 10])
def test_noise_behind_people_is_measured(snr_db: float, decoder: Decoder, recordings: Path) -> None:
    clip = decoder.read(recordings / "voices/linda_johnson_02.flac", max_s=30)
    frames = np.square(clip.samples[: len(clip.samples) // 512 * 512]).reshape(-1, 512).mean(axis=1)
    active = frames[frames > frames.mean() / 10**1.59].mean()
    noise = RNG.normal(0, math.sqrt(active / 10 ** (snr_db / 10)), len(clip.samples))
    assert look(clip.samples + noise, clip.rate).snr_db == pytest.approx(snr_db, abs=1)

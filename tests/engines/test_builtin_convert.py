"""A recording in another voice: as long, at the same times, without seams, in flat memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.builtin.engine import BuiltinEngine
from chatterbox_plus.engines.builtin.synthesis import Synthesizer
from chatterbox_plus.engines.builtin.world import HOP, Speech
from chatterbox_plus.errors import Cancelled, InvalidAudio
from tests.engines.test_builtin_clone import RECORDINGS, halfway, harvest, read, reference
from tests.engines.vowels import MAN, RATE, WOMAN, babble, distance_db, vowel


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine()


@pytest.fixture(scope="module")
def woman() -> Reference:
    return reference(babble(220, 4, WOMAN))


def convert(
    engine: BuiltinEngine,
    samples: Samples,
    target: Reference,
    *,
    rate: int = RATE,
    block: int = 10_000,
    chunk_s: float = 60,
    overlap_s: float = 0.1,
) -> Samples:
    blocks = (samples[i : i + block] for i in range(0, len(samples), block))
    done = list(engine.convert(blocks, rate, target, chunk_s, overlap_s, lambda: False))
    return np.concatenate([np.zeros(0, np.float32), *done])


def levels_db(samples: Samples, window_s: float = 0.03) -> np.ndarray:
    size = round(window_s * RATE)
    power = np.convolve(samples.astype(np.float64) ** 2, np.ones(size) / size, "valid")[:: HOP // 2]
    return 10 * np.log10(power + 1e-12)


def flux(samples: Samples) -> np.ndarray:
    """How much the spectrum changes from one 5 ms to the next."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 480)[::HOP] * np.hanning(480)
    return np.sqrt(np.mean(np.diff(np.log(np.abs(np.fft.rfft(frames)) + 1e-3), axis=0) ** 2, axis=1))


@pytest.mark.parametrize(("source", "target"), [((110, MAN), (220, WOMAN)), ((220, WOMAN), (110, MAN))])
def test_pitch_and_colour_cross_over(engine: BuiltinEngine, source: tuple, target: tuple) -> None:
    spoken, voice = babble(source[0], 5, source[1]), babble(target[0], 5, target[1])
    done = convert(engine, spoken, reference(voice))
    assert harvest(done) == pytest.approx(harvest(voice), rel=0.03)
    assert distance_db(done, voice) < 0.5 * distance_db(spoken, voice)


@pytest.mark.parametrize(("chunk_s", "overlap_s"), [(1, 0), (2, 1.5)])
def test_no_seam_is_heard_in_a_sustained_vowel(
    engine: BuiltinEngine, woman: Reference, chunk_s: float, overlap_s: float
) -> None:
    done = convert(engine, vowel(110, 5, vibrato=0.01), woman, chunk_s=chunk_s, overlap_s=overlap_s)
    inner = done[RATE // 4 : -RATE // 4]
    level = levels_db(inner)
    assert level.min() > np.median(level) - 1.5
    assert level.max() < np.median(level) + 1.5
    whole = convert(engine, vowel(110, 5, vibrato=0.01), woman)[RATE // 4 : -RATE // 4]
    assert flux(inner).max() < 1.3 * flux(whole).max()


def test_short_windows_change_nothing_that_is_heard(engine: BuiltinEngine, woman: Reference) -> None:
    spoken = babble(120, 4)
    whole, parts = (levels_db(convert(engine, spoken, woman, chunk_s=chunk_s)) for chunk_s in (60, 2))
    loud = whole > whole.max() - 30
    # A vowel's first pulse may come up to a period earlier or later.
    apart = np.min([np.abs(np.roll(whole, shift) - parts) for shift in range(-4, 5)], axis=0)
    assert apart[loud].max() < 1.5


@pytest.mark.parametrize(
    ("rate", "n"), [(8_000, 12_345), (22_050, 400), (24_000, 1), (24_000, 1_201), (44_100, 7), (48_000, 30_001)]
)
def test_the_length_is_the_inputs(engine: BuiltinEngine, woman: Reference, rate: int, n: int) -> None:
    samples = (0.3 * np.sin(np.arange(n) * 2 * np.pi * 150 / rate)).astype(np.float32)
    done = convert(engine, samples, woman, rate=rate)
    assert len(done) == round(n * RATE / rate)
    assert np.isfinite(done).all()


def test_no_input_gives_no_output(engine: BuiltinEngine, woman: Reference) -> None:
    assert len(convert(engine, np.zeros(0, np.float32), woman)) == 0


@pytest.mark.parametrize("block", [997, 24_000, 10**6])
def test_any_block_size_gives_the_same_samples(engine: BuiltinEngine, woman: Reference, block: int) -> None:
    spoken = babble(120, 3)
    expected = convert(engine, spoken, woman, chunk_s=1, block=480, rate=22_050)
    assert np.array_equal(convert(engine, spoken, woman, chunk_s=1, block=block, rate=22_050), expected)


def test_sound_stays_at_its_time(engine: BuiltinEngine, woman: Reference) -> None:
    """Onsets of short vowels between pauses move by less than 30 ms."""
    starts = [0.3, 0.9, 1.7, 2.2]
    spoken = np.zeros(3 * RATE, np.float32)
    for start in starts:
        spoken[round(start * RATE) :][: RATE // 4] = vowel(110, 0.25)
    level = levels_db(convert(engine, spoken, woman), 0.005)
    loud = level > level.max() - 20
    onsets = np.flatnonzero(np.diff(loud.astype(int)) == 1) * (HOP // 2) / RATE + 0.005
    for start in starts:
        assert np.abs(onsets - start).min() < 0.03


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE, np.float32),
        1e-6 * vowel(110, 1),
        np.random.default_rng(0).normal(0, 1e-5, RATE).astype(np.float32),
    ],
    ids=["silence", "next to silence", "faint noise"],
)
def test_silence_stays_silent(engine: BuiltinEngine, woman: Reference, samples: Samples) -> None:
    assert np.abs(convert(engine, samples, woman)).max() < 0.01


@pytest.mark.parametrize(
    "samples",
    [
        np.random.default_rng(0).normal(0, 0.3, RATE).astype(np.float32),
        sum(0.2 * np.sin(np.arange(RATE) * 2 * np.pi * f / RATE) for f in (262, 330, 392, 1046)).astype(np.float32),
        np.sign(np.sin(np.arange(RATE) * 0.05)).astype(np.float32),
        np.eye(1, RATE, 5_000, dtype=np.float32)[0],
        np.full(RATE, 0.5, np.float32),
    ],
    ids=["noise", "chord", "clipped", "click", "offset"],
)
def test_what_is_not_speech_does_no_harm(engine: BuiltinEngine, woman: Reference, samples: Samples) -> None:
    done = convert(engine, samples, woman)
    assert np.isfinite(done).all()
    assert np.abs(done).max() <= 0.8913  # -1 dBFS


def test_background_is_boosted_no_more_than_the_voice(engine: BuiltinEngine) -> None:
    """A dull, noisy recording to a bright voice: what hisses in the pauses stays as far below the voice."""
    spoken = babble(110, 4)
    noisy = spoken + np.random.default_rng(0).normal(0, 0.003, len(spoken)).astype(np.float32)
    bright = np.diff(babble(220, 4, WOMAN), prepend=0.0).astype(np.float32) * 2
    done = convert(engine, noisy, reference(bright))

    def pauses_below_voice_db(samples: Samples) -> float:
        halves = samples.reshape(-1, RATE // 2)
        return float(10 * np.log10(np.mean(halves[:, 2400:7200] ** 2) / np.mean(halves[:, 10_300:11_300] ** 2)))

    assert pauses_below_voice_db(done) > pauses_below_voice_db(noisy) - 3


def test_peaks_are_not_squared_off(engine: BuiltinEngine, woman: Reference) -> None:
    """An "s" as loud as the vowels, and a loud target: no two samples in a row at the ceiling."""
    hiss = np.diff(np.random.default_rng(0).normal(0, 0.1, RATE), prepend=0.0).astype(np.float32)
    done = convert(engine, np.concatenate([babble(110, 3), hiss]), woman)
    high = np.abs(done) > 0.98 * np.abs(done).max()
    assert np.abs(done).max() <= 0.8913  # -1 dBFS
    assert not (high[1:] & (done[1:] == done[:-1])).any()


def test_the_top_of_the_spectrum_is_kept(engine: BuiltinEngine, woman: Reference) -> None:
    """Where source and target both hiss up to 12 kHz, so does the result."""
    hiss = np.random.default_rng(0).normal(0, 0.05, 2 * RATE).astype(np.float32)
    done = convert(engine, np.concatenate([vowel(110, 2), hiss]), reference(np.concatenate([vowel(220, 2), hiss])))
    power = np.abs(np.fft.rfft(done[3 * RATE : 4 * RATE])) ** 2
    assert 10 * np.log10(power[11_000:11_900].mean() / power[5_000:6_000].mean()) > -6


def test_memory_is_flat_however_long_the_input(engine: BuiltinEngine, woman: Reference, monkeypatch) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.builtin.convert.PRINT_S", 3.0)
    second = vowel(110, 1)

    def peak(seconds: int) -> int:
        tracemalloc.start()
        for _ in engine.convert((second for _ in range(seconds)), RATE, woman, 2, 0.1, lambda: False):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(10) < 1.2 * peak(6)


def test_it_gives_sound_before_the_input_has_ended(engine: BuiltinEngine, woman: Reference, monkeypatch) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.builtin.convert.PRINT_S", 2.0)
    taken = 0

    def blocks() -> Iterator[Samples]:
        nonlocal taken
        for _ in range(12):
            taken += 1
            yield vowel(110, 1)

    stream = engine.convert(blocks(), RATE, woman, 1, 0.1, lambda: False)
    assert len(next(stream)) > 0
    assert taken < 12
    stream.close()


def test_a_cancel_stops_it(engine: BuiltinEngine, woman: Reference) -> None:
    answers = iter([False] * 3)
    with pytest.raises(Cancelled):
        list(engine.convert(iter([babble(110, 20)]), RATE, woman, 2, 0.1, lambda: next(answers, True)))


def test_a_target_with_nothing_in_it_is_refused(engine: BuiltinEngine) -> None:
    with pytest.raises(InvalidAudio):
        list(
            engine.convert(
                iter([vowel(110, 1)]), RATE, Reference("0", Clip(np.zeros(RATE, np.float32), RATE)), 2, 0, bool
            )
        )


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not beside the repository")
@pytest.mark.parametrize(
    ("spoken", "voice"), [("jfk.flac", "linda_johnson_02.flac"), ("linda_johnson_02.flac", "jfk.flac")]
)
def test_recorded_people_change_voices(engine: BuiltinEngine, spoken: str, voice: str, tmp_path: Path) -> None:
    source, target = read(spoken)[: 8 * RATE], read(voice)[: 8 * RATE]
    done = convert(engine, source, reference(target), chunk_s=4)
    assert len(done) == len(source)
    # Meters are up to 6 % apart on reverberant rooms: half-way between two of them is what can be met.
    assert halfway(done) == pytest.approx(halfway(target), rel=0.03)
    for top_hz in (8_000, 12_000):
        assert distance_db(done, target, top_hz) < 0.6 * distance_db(source, target, top_hz)


def test_synthesis_does_not_depend_on_how_frames_are_cut() -> None:
    """Pulses and noise run on from push to push."""
    n = 300
    f0 = np.where(np.arange(n) % 100 < 70, 120 + 20 * np.sin(np.arange(n) / 20), 0.0)
    rough = np.random.default_rng(0)
    log_power = np.cumsum(rough.normal(0, 0.1, (n, 513)), axis=1).astype(np.float32)
    speech = Speech(f0, log_power, np.where(f0[:, None] > 0, 0.3, 1.0).astype(np.float32) * np.ones(513, np.float32))
    whole = Synthesizer()
    expected = np.concatenate([whole.push(speech), whole.finish()])
    cut, parts = Synthesizer(), []
    for start, end in [(0, 1), (1, 3), (3, 100), (100, 250), (250, n)]:
        parts.append(cut.push(speech.cut(start, end)))
    parts.append(cut.finish())
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-4 * np.abs(expected).max())
    assert len(expected) == n * HOP

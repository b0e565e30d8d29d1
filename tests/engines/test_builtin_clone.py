"""Speech in a reference's voice: its pitch, its colour, its loudness, and the words where they were."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyworld

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.builtin.engine import BuiltinEngine
from chatterbox_plus.engines.builtin.levels import active_rms
from chatterbox_plus.errors import Cancelled, InvalidAudio
from tests.engines.vowels import MAN, RATE, WOMAN, babble, distance_db, vowel

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."
RECORDINGS = Path(__file__).resolve().parents[2] / ".." / "shared" / "audio" / "voices"


@pytest.fixture(scope="module")
def engine() -> BuiltinEngine:
    return BuiltinEngine()


def reference(samples: Samples, rate: int = RATE) -> Reference:
    return Reference(str(hash(samples.tobytes())), Clip(samples, rate))


def say(engine: BuiltinEngine, voice: Reference | None, text: str = TEXT, seed: int = 1) -> Piece:
    return engine.speak(Passage(0, text, "en", seed), voice, lambda: False)


def harvest(samples: Samples) -> float:
    """Median F0, Hz, by a tracker that the engine does not use."""
    f0, _ = pyworld.harvest(samples.astype(np.float64), RATE, f0_floor=60, f0_ceil=500)
    return float(np.median(f0[f0 > 0]))


def halfway(samples: Samples) -> float:
    """The geometric mean of two meters' median F0, Hz."""
    sound = samples.astype(np.float64)
    rough, times = pyworld.dio(sound, RATE, f0_floor=60, f0_ceil=500)
    f0 = pyworld.stonemask(sound, rough, times, RATE)
    return float(np.sqrt(harvest(samples) * np.median(f0[f0 > 0])))


@pytest.mark.parametrize(("f0", "formants"), [(110, MAN), (300, WOMAN)])
def test_pitch_and_colour_become_the_references(engine: BuiltinEngine, f0: float, formants: tuple) -> None:
    voice = babble(f0, 4, formants)
    piece = say(engine, reference(voice))
    assert harvest(piece.clip.samples) == pytest.approx(harvest(voice), rel=0.03)
    for top_hz in (8_000, 12_000):
        plain = distance_db(say(engine, None).clip.samples, voice, top_hz)
        assert distance_db(piece.clip.samples, voice, top_hz) < 0.5 * plain
    assert np.abs(piece.clip.samples).max() <= 0.8913  # -1 dBFS


@pytest.mark.parametrize("gain", [0.05, 0.5])
def test_loudness_follows_the_reference(engine: BuiltinEngine, gain: float) -> None:
    voice = babble(150, 3) * np.float32(gain)
    assert active_rms(say(engine, reference(voice)).clip.samples, RATE) == pytest.approx(
        max(active_rms(voice, RATE), 10 ** (-32 / 20)), rel=0.3
    )


def test_the_same_reference_gives_the_same_bytes(engine: BuiltinEngine) -> None:
    voice = reference(babble(180, 2))
    first = say(engine, voice, "Hello there.").clip.samples
    say(engine, reference(babble(120, 2)), "Something else.")
    assert np.array_equal(say(engine, voice, "Hello there.", seed=7).clip.samples, first)
    assert np.array_equal(say(BuiltinEngine(), voice, "Hello there.").clip.samples, first)


def test_words_begin_where_they_do_without_a_reference(engine: BuiltinEngine) -> None:
    voice = reference(babble(240, 2, WOMAN))
    plain, cloned = say(engine, None), say(engine, voice)
    assert [w.char_start for w in plain.words] == [w.char_start for w in cloned.words]
    for before, after in zip(plain.words, cloned.words, strict=True):
        assert abs(before.start_s - after.start_s) < 0.03


def test_words_stay_where_they_were(engine: BuiltinEngine) -> None:
    """Beeps of espeak-ng's own timing: what is loud before is loud after, within 30 ms."""
    text = "Stop. Stop. Stop."
    piece = say(engine, reference(babble(110, 3)), text)
    assert [text[w.char_start : w.char_end] for w in piece.words] == ["Stop"] * 3
    samples = piece.clip.samples
    power = np.convolve(samples.astype(np.float64) ** 2, np.ones(240) / 240, "same")
    loud = np.flatnonzero(power > power.max() * 1e-2) / RATE
    for word in piece.words:
        inside = loud[(loud >= word.start_s - 0.03) & (loud <= word.end_s + 0.03)]
        assert inside[-1] <= word.end_s + 0.03
        assert word.start_s < inside[0] < word.end_s
    between = [(a.end_s + 0.03, b.start_s) for a, b in zip(piece.words, piece.words[1:], strict=False)]
    for start, end in between:
        assert not ((loud > start) & (loud < end)).any()


@pytest.mark.parametrize(
    "samples",
    [
        np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32),
        vowel(150, 0.31),
        np.concatenate([np.zeros(RATE, np.float32), vowel(150, 0.3)]),
        np.sign(np.sin(np.arange(RATE) * 0.05)).astype(np.float32),
    ],
    ids=["noise", "short", "mostly silence", "clipped"],
)
def test_poor_references_still_give_sound(engine: BuiltinEngine, samples: Samples) -> None:
    piece = say(engine, reference(samples), "Hello.")
    assert np.isfinite(piece.clip.samples).all()
    assert 0.005 < active_rms(piece.clip.samples, RATE) < 0.5


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), vowel(150, 0.2), np.zeros(0, np.float32)])
def test_a_reference_with_nothing_in_it_is_refused(engine: BuiltinEngine, samples: Samples) -> None:
    with pytest.raises(InvalidAudio, match="reference"):
        say(engine, reference(samples), "Hello.")


def test_nothing_to_say_is_a_short_silence(engine: BuiltinEngine) -> None:
    piece = say(engine, reference(babble(150, 2)), "…")
    assert not piece.clip.samples.any()
    assert piece.words == ()


def test_a_cancel_is_asked_for_all_the_time(engine: BuiltinEngine) -> None:
    asked = 0

    def after(most: int) -> Callable[[], bool]:
        def cancelled() -> bool:
            nonlocal asked
            asked += 1
            return asked > most

        return cancelled

    with pytest.raises(Cancelled):
        engine.speak(Passage(0, TEXT, "en", 1), reference(babble(160, 8)), after(1))
    assert asked == 2
    with pytest.raises(Cancelled):
        engine.speak(Passage(0, TEXT, "en", 1), reference(babble(140, 8)), after(6))


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_references_come_at_any_rate(engine: BuiltinEngine, rate: int) -> None:
    voice = babble(200, 3, WOMAN)
    piece = say(engine, reference(resample(voice, RATE, rate), rate), "Good morning to you all.")
    assert harvest(piece.clip.samples) == pytest.approx(harvest(voice), rel=0.04)


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not beside the repository")
@pytest.mark.parametrize("name", ["jfk.flac", "linda_johnson_02.flac"])
def test_recorded_people_are_approached(engine: BuiltinEngine, name: str) -> None:
    voice = read(name)[: 10 * RATE]
    piece = say(engine, reference(voice))
    # Meters are up to 6 % apart on reverberant rooms: half-way between two of them is what can be met.
    assert halfway(piece.clip.samples) == pytest.approx(halfway(voice), rel=0.03)
    assert distance_db(piece.clip.samples, voice) < 0.6 * distance_db(say(engine, None).clip.samples, voice)


def read(name: str) -> Samples:
    import av

    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(RECORDINGS / name)) as source:
        frames = [out for frame in source.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])

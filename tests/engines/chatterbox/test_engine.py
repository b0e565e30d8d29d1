"""The engine as a whole: what it says is whole, repeatable, what was asked for; no speech, as weights are random."""

import threading
import time
from dataclasses import replace
from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.base import Passage, Reference
from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine
from chatterbox_plus.engines.chatterbox.guard import FASTEST, derived_seed
from chatterbox_plus.engines.chatterbox.watermark import Watermarker, installed
from chatterbox_plus.errors import Cancelled, GenerationError, InvalidAudio, InvalidOption, MissingExtra
from tests.engines.chatterbox.forced import ForcedEngine, forced_length
from tests.engines.chatterbox.making import (
    RATE,
    convert,
    cut,
    engine_of,
    passage,
    reference,
    speak,
    voice,
    whole,
)
from tests.needs import missing

TOKEN = 960  # samples
TAIL = 3  # tokens of silence that Turbo and Nano are given
FAMILIES = ("english", "multilingual", "nano")
LONG = "Hello there, old friend. " * 9  # enough tokens for an option to matter
OPTIONS = {
    "temperature": 0.3,
    "cfg_weight": 0.0,
    "exaggeration": 2.0,
    "min_p": 0.5,
    "top_p": 0.5,
    "top_k": 2,
    "repetition_penalty": 3.0,
    "steps": 1,
}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ForcedEngine]:
    """Loaded when first used."""
    return {name: engine_of(tmp_path_factory.mktemp(name), name) for name in FAMILIES}


@pytest.fixture(params=["english", "nano"])
def engine(request: pytest.FixtureRequest, engines: dict[str, ForcedEngine]) -> ForcedEngine:
    return engines[request.param]


@pytest.fixture
def untrimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the decoder made, to its last sample."""
    monkeypatch.setattr("chatterbox_plus.engines.chatterbox.saying.trimmed", lambda samples, rate: samples)


def say(engine: ChatterboxEngine, what: Passage, voice: Reference | None = None) -> Samples:
    return speak(engine, what, voice).clip.samples


# What is said


def test_speech_is_sound_that_begins_and_ends_in_silence(engine: ForcedEngine) -> None:
    piece = speak(engine, passage(), reference())
    samples = piece.clip.samples
    assert piece.clip.rate == RATE
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1
    assert max(abs(samples[0]), abs(samples[-1])) < 1e-3 * np.abs(samples).max()


def test_words_are_timed_within_the_piece_and_in_order(engine: ForcedEngine) -> None:
    piece = speak(engine, passage("Three little words."), None)
    assert len(piece.words) == 3
    times = [time for word in piece.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= piece.clip.duration_s


@pytest.mark.usefixtures("untrimmed")
@pytest.mark.parametrize(("name", "more"), [("english", 0), ("nano", TAIL)])
def test_speech_is_as_long_as_its_tokens(engines: dict[str, ForcedEngine], name: str, more: int) -> None:
    text = "Hello there, old friend."
    assert len(say(engines[name], passage(text))) == TOKEN * (forced_length(text) + more)


@pytest.mark.usefixtures("untrimmed")
def test_the_multilingual_model_leaves_out_the_noise_of_the_last_token(engines: dict[str, ForcedEngine]) -> None:
    text = "Hello there, old friend."
    assert len(say(engines["multilingual"], passage(text))) == TOKEN * (forced_length(text) - 1)


@pytest.mark.usefixtures("untrimmed")
def test_ids_without_a_sound_are_left_out_wherever_they_are(engines: dict[str, ForcedEngine]) -> None:
    text = "There are marks in between."
    said = forced_length(text)
    marks = sum(step % 3 == 1 for step in range(said))
    assert len(say(engines["english"], passage(text))) == TOKEN * (said - marks)


@pytest.mark.parametrize("text", ["…", "?!", "— ♪ —", "👍"])
def test_a_text_without_anything_to_say_is_a_moment_of_silence(engine: ForcedEngine, text: str) -> None:
    piece = speak(engine, passage(text), None)
    assert not piece.clip.samples.any()
    assert piece.clip.duration_s == pytest.approx(0.1)
    assert not piece.words


def test_a_voice_can_be_learnt_from_a_moment_and_from_more_than_is_heard(engines: dict[str, ForcedEngine]) -> None:
    for seconds in (0.3, 40.0):
        assert say(engines["nano"], passage(), reference(100, seconds)).any()


def test_a_reference_at_another_rate_is_the_same_voice(engines: dict[str, ForcedEngine]) -> None:
    model, clip = engines["english"].model, reference().clip
    with torch.inference_mode():
        same, own = model.listen(Clip(resample(clip.samples, RATE, 44_100), 44_100)), model.listen(clip)
    assert same.flow.mel.shape == own.flow.mel.shape
    assert torch.cosine_similarity(same.t3.speaker, own.t3.speaker, 0) > 0.999
    assert (same.flow.mel - own.flow.mel).abs().mean() < 0.1


def test_silence_teaches_no_voice(engine: ForcedEngine) -> None:
    silent = Reference("silent", Clip(np.zeros(2 * RATE, np.float32), RATE))
    with pytest.raises(InvalidAudio):
        say(engine, passage(), silent)


def test_another_voice_sounds_otherwise(engine: ForcedEngine) -> None:
    said = [say(engine, passage(), who) for who in (None, reference(120), reference(240))]
    assert not any(np.array_equal(a, b) for a, b in pairwise(said))


def test_without_a_voice_of_its_own_and_a_reference_nothing_can_be_said(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "nano", without={"conds"})
    assert not engine.info.default_voice
    with pytest.raises(InvalidOption, match="name a recording") as caught:
        say(engine, passage())
    assert caught.value.param == "reference_audio_filename"
    assert say(engine, passage(), reference()).any()


# The same again


def test_the_same_request_gives_the_same_bytes_whatever_was_said_between(engine: ForcedEngine) -> None:
    first = say(engine, passage(seed=5), reference())
    say(engine, passage("Something else, longer than that.", seed=6))
    whole(convert(engine, iter([voice(90, 1.0)]), RATE, reference(), 10, 0.1))
    np.testing.assert_array_equal(say(engine, passage(seed=5), reference()), first)


def test_another_seed_is_another_take(engine: ForcedEngine) -> None:
    assert not np.array_equal(say(engine, passage(seed=5)), say(engine, passage(seed=6)))


@pytest.mark.parametrize("name", ["english", "nano"])
def test_an_option_changes_the_sound_just_where_the_model_is_said_to_use_it(
    engines: dict[str, ForcedEngine], name: str
) -> None:
    engine, seeds = engines[name], (1, 2, 3)

    def take(seed: int, **given: float) -> Samples:
        return say(engine, passage(LONG, seed, **given))

    plain = {seed: take(seed) for seed in seeds}
    changing = {
        option
        for option, value in OPTIONS.items()
        if any(not np.array_equal(take(seed, **{option: value}), plain[seed]) for seed in seeds)
    }
    assert changing == engine.info.uses & OPTIONS.keys()
    assert engine.info.uses <= OPTIONS.keys()


def test_naming_the_defaults_changes_nothing(engine: ForcedEngine) -> None:
    plain = Passage(0, "Hello there.", "en", 7)
    named = replace(plain, options=engine.model.family.defaults)
    np.testing.assert_array_equal(say(engine, named), say(engine, plain))


# What goes wrong


@pytest.mark.parametrize(("word", "said"), [("loop", "it repeated itself"), ("endless", "it did not come to an end")])
def test_a_model_that_runs_away_is_asked_once_more_and_then_it_is_an_error(
    engines: dict[str, ForcedEngine], word: str, said: str
) -> None:
    engine = engines["nano"]
    with pytest.raises(GenerationError, match=said) as caught:
        say(engine, passage(f"A {word} here."))
    assert f"“A {word} here.”" in caught.value.message
    assert "Another seed" in caught.value.message
    assert engine.attempts == 2


@pytest.mark.parametrize("word", ["loop", "endless"])
def test_a_model_that_runs_away_once_is_heard_with_the_derived_seed(
    engines: dict[str, ForcedEngine], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, text = engines["nano"], f"The first {word} here."
    said = say(engine, passage(text, 5))
    assert engine.attempts == 2
    monkeypatch.setattr(ForcedEngine, "tame", True)
    np.testing.assert_array_equal(said, say(engine, passage(text, derived_seed(5, 1))))


def test_speech_that_ends_long_before_its_text_is_an_error(
    engines: dict[str, ForcedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ForcedEngine, "fastest", FASTEST)
    with pytest.raises(GenerationError, match="ended too early"):
        say(engines["nano"], passage("These words are many more than so few tokens can have said."))
    assert engines["nano"].attempts == 2


def test_a_long_text_is_quoted_in_short(engines: dict[str, ForcedEngine]) -> None:
    with pytest.raises(GenerationError) as caught:
        say(engines["nano"], passage("loop " * 50))
    assert len(caught.value.message) < 250


# Going away


@pytest.mark.parametrize("name", ["english", "nano"])
def test_speech_is_called_off_between_two_tokens(engines: dict[str, ForcedEngine], name: str) -> None:
    say(engines[name], passage())  # loaded
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        speak(engines[name], passage("endless " * 40), None, cancel.is_set)
    assert cancel.is_set()


@pytest.mark.parametrize("name", ["english", "nano"])
def test_being_called_off_is_noticed_within_a_second(engines: dict[str, ForcedEngine], name: str) -> None:
    say(engines[name], passage())  # loaded
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 20

    with pytest.raises(Cancelled):
        speak(engines[name], passage("endless " * 40), None, cancelled)
    assert np.diff(asked).max() < 1


def test_a_conversion_is_called_off_between_two_windows(engines: dict[str, ForcedEngine]) -> None:
    cancel, second = threading.Event(), voice(90, 1.0)
    stream = convert(engines["nano"], repeat(second), RATE, reference(), 1.0, 0.1, cancel.is_set)
    next(stream)
    cancel.set()
    with pytest.raises(Cancelled):
        next(stream)


# Conversion


@pytest.mark.parametrize(
    ("count", "rate"), [(3 * RATE, RATE), (50_001, RATE), (12_345, 44_100), (800, 8_000), (1, RATE)]
)
def test_a_conversion_is_as_long_as_the_recording(engines: dict[str, ForcedEngine], count: int, rate: int) -> None:
    recording = voice(90, count / rate, rate)[:count]
    for name in ("english", "nano"):
        converted = whole(convert(engines[name], cut(recording, 997, 4800), rate, reference(), 2.0, 0.2))
        assert len(converted) == round(count * RATE / rate)
        assert np.isfinite(converted).all()


def test_a_conversion_does_not_depend_on_blocks(engines: dict[str, ForcedEngine]) -> None:
    recording = voice(90, 3.0)
    cuts = [(997,), (24_000, 1), (10**6,)]
    said = [whole(convert(engines["nano"], cut(recording, *sizes), RATE, reference(), 1.5, 0.1)) for sizes in cuts]
    assert np.array_equal(said[0], said[1])
    assert np.array_equal(said[1], said[2])


def test_people_are_converted_to_people(engines: dict[str, ForcedEngine], recordings: Path) -> None:
    with Decoder() as decoder:
        said = decoder.read(recordings / "inputs" / "chatterbox-hello_quick_brown.wav", max_s=4)
        target = decoder.read(recordings / "voices" / "jfk.flac", max_s=10)
    who = Reference("jfk", target)
    converted = whole(convert(engines["nano"], cut(said.samples, 4800), said.rate, who, 30, 0.1))
    assert len(converted) == round(len(said.samples) * RATE / said.rate)
    assert converted.any()


def test_nobody_can_be_converted_to_silence(engines: dict[str, ForcedEngine]) -> None:
    silent = Reference("silent", Clip(np.zeros(2 * RATE, np.float32), RATE))
    with pytest.raises(InvalidAudio):
        whole(convert(engines["nano"], iter([voice(90, 1.0)]), RATE, silent, 1.0, 0.1))


# The mark


@pytest.fixture
def marker() -> Watermarker:
    if not installed():
        missing("the watermark's weights (resemble-perth)")
    return Watermarker()


def test_the_mark_is_there_if_it_was_asked_for_and_only_then(
    engines: dict[str, ForcedEngine], marker: Watermarker
) -> None:
    plain = say(engines["nano"], passage(LONG))
    marked = say(engines["nano"], Passage(0, LONG, "en", 7, watermark=True))
    assert marker.confidence(marked, RATE) > 0.9
    assert marker.confidence(plain, RATE) < 0.1
    assert np.abs(marked[:100]).max() < 1e-2
    assert np.corrcoef(plain[: len(marked)], marked[: len(plain)])[0, 1] > 0.99


def test_a_conversion_is_marked_in_every_window(engines: dict[str, ForcedEngine], marker: Watermarker) -> None:
    for watermark in (False, True):
        blocks = cut(voice(90, 6.0), 4800)
        converted = whole(convert(engines["nano"], blocks, RATE, reference(), 2.0, 0.1, watermark=watermark))
        found = [marker.confidence(part, RATE) > 0.5 for part in np.array_split(converted, 3)]
        assert found == [watermark] * 3


def test_a_mark_without_its_package_is_a_missing_extra(
    engines: dict[str, ForcedEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatterbox_plus.engines.chatterbox.watermark._weights", lambda: None)
    engines["nano"].watermarker = Watermarker()
    with pytest.raises(MissingExtra, match=r"chatterbox-plus\[watermark\]"):
        say(engines["nano"], Passage(0, "Hello.", "en", 7, watermark=True))

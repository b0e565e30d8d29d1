"""Which value counts, and what is said about fields that count for nothing."""

import pytest

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.defaults import with_defaults
from chatterbox_plus.synthesis.notes import conversion_notes, join_notes, speech_notes, text_notes
from chatterbox_plus.synthesis.options import ConversionOptions, FileSegment, JoinOptions, SpeechOptions
from tests.fakes import TONE


def test_the_request_wins_over_the_voice_and_the_voice_over_the_configuration():
    sent = SpeechOptions(text="x", temperature=0.3)
    voice = ("voice", {"temperature": 0.5, "speed_factor": 1.5})
    config = ("tts_defaults", {"speed_factor": 0.8, "trim": True})
    merged = with_defaults(sent, voice, config)
    assert (merged.temperature, merged.speed_factor, merged.trim, merged.seed) == (0.3, 1.5, True, 0)


def test_an_explicit_value_equal_to_the_default_still_wins():
    assert with_defaults(SpeechOptions(text="x", speed_factor=1.0), ("v", {"speed_factor": 2.0})).speed_factor == 1.0


def test_unknown_and_null_defaults_are_passed_over():
    assert with_defaults(SpeechOptions(text="x"), ("v", {"colour": "red", "seed": None})).seed == 0


def test_a_stored_project_does_not_contradict_the_folder_that_was_sent():
    assert with_defaults(SpeechOptions(text="x", folder="a"), ("config", {"project": "b"})).subfolder == "a"
    assert with_defaults(SpeechOptions(text="x"), ("config", {"project": "b"})).subfolder == "b"


def test_a_default_out_of_range_names_whose_it_is():
    with pytest.raises(InvalidOption, match=r"the voice bob.*speed_factor"):
        with_defaults(SpeechOptions(text="x"), ("the voice bob", {"speed_factor": 9}))


NOTED = [
    ({"cfg_weight": 0.5}, "cfg_weight"),
    ({"num_candidates_per_chunk": 5}, "num_candidates_per_chunk"),
    ({"whisper_model_name": "large"}, "whisper_model_name"),
    ({"ae_margin": 0.1}, "ae_margin"),
    ({"trim_threshold_ms": 300}, "trim_threshold_ms"),
    ({"normalize_level": -20}, "normalize_level"),
    ({"speed_factor_library": "librosa"}, "speed_factor_library"),
    ({"disable_watermark": False}, "disable_watermark"),
    ({"webhook_url": "http://localhost/x"}, "webhook_url"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("fields", "name"), NOTED)
def test_a_sent_field_without_effect_is_named(fields, name):
    (note,) = speech_notes(SpeechOptions(text="x", **fields), TONE)
    assert note.startswith(name)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0.5},
        {"bypass_whisper_checking": True},
        {"disable_watermark": True},
        {"trim": True, "trim_threshold_ms": 300},
        {"use_auto_editor": True, "ae_margin": 0.1},
        {"speed_factor_library": "auto"},
        {"num_candidates_per_chunk": 1},
    ],
)
def test_nothing_is_remarked_where_everything_is_as_asked(fields):
    assert speech_notes(SpeechOptions(text="x", **fields), TONE) == []


FILES = (FileSegment(filename="a.wav"), FileSegment(filename="b.wav"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"trim_threshold_ms": 300}, "trim_threshold_ms"),
        ({"pause_variation_ms": 100}, "pause_variation_ms"),
        ({"seed": 5}, "seed"),
        ({"crossfade_ms": 100, "pause_duration_ms": 500}, "crossfade_ms"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_field_without_effect_on_a_join_is_named(fields, name):
    (note,) = join_notes(JoinOptions(segments=FILES, **fields))
    assert note.startswith(name)


@pytest.mark.parametrize(
    "fields", [{}, {"trim": True, "trim_threshold_ms": 300}, {"pause_duration_ms": 500, "seed": 5}, {"crossfade_ms": 9}]
)
def test_nothing_is_remarked_of_a_join_as_asked(fields):
    assert join_notes(JoinOptions(segments=FILES, **fields)) == []


def test_a_note_never_breaks_a_header():
    hostile = {"bad\r\nX-Evil: 1; ü": 1}
    (note,) = speech_notes(SpeechOptions(text="x", **hostile), TONE)
    assert note.isascii()
    assert note.isprintable()
    assert ";" not in note


def test_no_remark_about_the_watermark_of_a_neural_engine():
    neural = EngineInfo("turbo", 24_000, ("en",), (), frozenset(), estimates_word_times=True, preview=False)
    assert conversion_notes(ConversionOptions(target_voice_source="v", disable_watermark=False), neural) == []


@pytest.mark.parametrize(
    ("text", "language", "marks"),
    [
        ("Hello there", "en", []),
        ("Hello there", "ru", []),
        ("1234 😀", "en", []),
        ("Привет, мир", "ru", []),
        ("Привет, мир", "en", ["Cyrillic", "such as ru"]),
        ("สวัสดี", "en", ["Thai", "such as th"]),
        ("你好。", "en", ["Chinese", "such as cmn"]),
        ("你好。", "cmn", []),
        ("Say 你好 to your friends", "en", []),
        ("今日は良い天気です", "ja", ["kanji"]),
        ("こんにちは", "ja", []),
    ],
)
def test_text_that_is_not_read_as_written_is_remarked_on(text: str, language: str, marks: list[str]):
    notes = text_notes(text, language, TONE)
    assert len(notes) == bool(marks)
    assert all(mark in notes[0] for mark in marks)

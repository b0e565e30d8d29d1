"""The option objects refuse what makes no sense, and only that."""

import pytest
from pydantic import ValidationError

from chatterbox_plus.synthesis.options import (
    ConversionOptions,
    FileSegment,
    JoinOptions,
    SilenceSegment,
    SpeechOptions,
    belonging_to,
)

FILE = FileSegment(filename="a.wav")
PAUSE = SilenceSegment(duration_ms=100, notation="(100ms)")

REFUSED = [
    (SpeechOptions, {"text": ""}),
    (SpeechOptions, {"text": " \n\t"}),
    (SpeechOptions, {"text": "\ud800"}),
    (SpeechOptions, {"text": "x", "speed_factor": 0.49}),
    (SpeechOptions, {"text": "x", "speed_factor": 2.01}),
    (SpeechOptions, {"text": "x", "speed_factor": float("nan")}),
    (SpeechOptions, {"text": "x", "temperature": 0.05}),
    (SpeechOptions, {"text": "x", "temperature": float("inf")}),
    (SpeechOptions, {"text": "x", "seed": -1}),
    (SpeechOptions, {"text": "x", "seed": 2**32}),
    (SpeechOptions, {"text": "x", "export_formats": []}),
    (SpeechOptions, {"text": "x", "export_formats": ["ogg"]}),
    (SpeechOptions, {"text": "x", "export_formats": "wav"}),
    (SpeechOptions, {"text": "x", "project": "a", "folder": "b"}),
    (SpeechOptions, {"text": "x", "project": ".."}),
    (SpeechOptions, {"text": "x", "whisper_model_name": "huge"}),
    (SpeechOptions, {"text": "x", "streaming": "always"}),
    (ConversionOptions, {"target_voice_source": ""}),
    (ConversionOptions, {"target_voice_source": "v", "chunk_sec": 0}),
    (ConversionOptions, {"target_voice_source": "v", "chunk_sec": 301}),
    (ConversionOptions, {"target_voice_source": "v", "chunk_sec": 2, "overlap_sec": 2.0}),
    (JoinOptions, {"segments": []}),
    (JoinOptions, {"segments": [PAUSE]}),
    (JoinOptions, {"segments": [FILE], "crossfade_ms": 5001}),
    (JoinOptions, {"segments": [FILE], "pause_duration_ms": 100, "pause_variation_ms": 100}),
]


@pytest.mark.parametrize(("kind", "fields"), REFUSED)
def test_is_refused(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields)


def test_formats_are_lower_case_and_listed_once_in_order():
    assert SpeechOptions(text="x", export_formats=["MP3", "wav", "mp3"]).export_formats == ("mp3", "wav")


@pytest.mark.parametrize(("given", "folder"), [(None, ""), ("", ""), ("/", ""), ("a\\b/", "a/b"), ("./a", "a")])
def test_project_and_folder_mean_the_same(given, folder):
    assert SpeechOptions(text="x", project=given).subfolder == folder
    assert SpeechOptions(text="x", folder=given).subfolder == folder


def test_a_default_variation_larger_than_the_pause_is_not_the_clients_fault():
    assert JoinOptions(segments=(FILE,), pause_duration_ms=100).pause_variation_ms == 200


def test_fields_know_whose_they_are():
    sampling = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}
    assert belonging_to("model") == sampling | {"cfg_weight", "exaggeration", "steps"}
    assert "num_candidates_per_chunk" in belonging_to("judge")

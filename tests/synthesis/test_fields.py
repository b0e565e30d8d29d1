"""The fields of a form are the options themselves: none forgotten, none with a default or a range of its own."""

from typing import Any

import pytest

from chatterbox_plus.api.book import BookRequest
from chatterbox_plus.api.options import BOOK
from chatterbox_plus.engines.chatterbox.families import FAMILIES
from chatterbox_plus.synthesis.fields import (
    CONVERSION,
    JOINING,
    OTHER_NAMES,
    SPEECH,
    Groups,
    Hearing,
    conversion_fields,
    form_fields,
    joining_fields,
    speech_fields,
)
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions

MODELS = [
    Hearing("builtin", frozenset(), joins_sentences=False, preview=True),
    *(Hearing(name, frozenset(family.defaults)) for name, family in FAMILIES.items()),
]
KINDS = [(SpeechOptions, SPEECH), (ConversionOptions, CONVERSION), (JoinOptions, JOINING), (BookRequest, BOOK)]


def by_name(fields: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in fields}


@pytest.mark.parametrize(("kind", "groups"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_option_stands_in_one_group(kind: Any, groups: Groups) -> None:
    told = [name for names in groups.values() for name in names]
    assert len(told) == len(set(told))
    assert set(told) == set(kind.model_fields) - OTHER_NAMES


@pytest.mark.parametrize(("kind", "groups"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_field_with_its_default_and_at_its_ends_is_taken(kind: Any, groups: Groups) -> None:
    """What a form shows at first, and at both ends of each slider, is what a request may have."""
    needed = {
        SpeechOptions: {"text": "."},
        ConversionOptions: {"target_voice_source": "."},
        JoinOptions: {"segments": [{"filename": "."}]},
    }.get(kind, {"text": "."})
    for field in form_fields(kind, groups):
        if field["name"] in needed or field["type"] == "object":
            continue
        values = [field["default"], *(field["choices"] or ()) * (field["type"] == "choice")]
        if field["type"] in ("number", "integer"):
            values += [field["minimum"], field["maximum"]]
        for value in values:
            if field["name"] == "pause_variation_ms":
                continue  # it must be smaller than the pause
            kind.model_validate({"overlap_sec": 0, **needed, "chunk_sec": 300, field["name"]: value})


def test_types_ranges_and_choices_are_told() -> None:
    told = by_name(speech_fields(MODELS, {}))
    temperature = told["temperature"]
    assert {key: temperature[key] for key in ("type", "group", "minimum", "maximum", "default")} == {
        "type": "number", "group": "first", "minimum": 0.1, "maximum": 2, "default": None,
    }  # fmt: skip
    assert (told["top_p"]["minimum"], told["top_p"]["maximum"]) == (0.01, 1)
    assert (told["export_formats"]["type"], told["export_formats"]["choices"]) == ("list", ["wav", "mp3", "flac"])
    assert (told["normalize_method"]["type"], told["normalize_method"]["choices"]) == ("choice", ["ebu", "peak"])
    assert told["trim_threshold_ms"]["needs"] == "trim"
    assert told["model"]["choices"] == ["auto", *(model.name for model in MODELS)]
    assert all(field["description"] for field in told.values())


def test_a_slider_can_stand_at_every_default() -> None:
    fields = [*speech_fields(MODELS, {}), *conversion_fields(MODELS, {}), *joining_fields()]
    for field in fields:
        if field["type"] == "number" and field["default"] is not None:
            steps = (field["default"] - field["minimum"]) / field["step"]
            assert steps == pytest.approx(round(steps)), field["name"]


def test_a_field_says_which_models_hear_it() -> None:
    told = by_name(speech_fields(MODELS, {}))
    assert told["text"]["models"] is None
    assert told["exaggeration"]["models"] == ["english", "multilingual"]
    assert told["top_k"]["models"] == ["turbo", "nano"]
    assert told["enable_batching"]["models"] == list(FAMILIES)
    assert told["disable_watermark"]["models"] == list(FAMILIES)
    assert told["num_candidates_per_chunk"]["models"] == told["speed_factor_library"]["models"] == []


def test_the_server_s_own_defaults_are_told() -> None:
    told = by_name(speech_fields(MODELS, {"temperature": 0.7, "trim": True}))
    assert (told["temperature"]["default"], told["trim"]["default"], told["seed"]["default"]) == (0.7, True, 0)

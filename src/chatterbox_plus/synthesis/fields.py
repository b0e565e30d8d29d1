"""The options as fields of a form: type, default, range, choices, words, and which models hear them.

All of it comes from the options themselves; what is written here is only their order, and which belong together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.synthesis.notes import GROUPING, NEEDS
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, SpeechOptions, belonging_to

Groups = Mapping[str, tuple[str, ...]]
"""Group -> its fields, both in the order in which a form shows them."""

INPUT, FIRST = "input", "first"
"""What the work is done on, which every form has its own widgets for; and the few that matter first."""
OTHER_NAMES = frozenset({"folder"})  # of a field that has one already
_UNHEARD = frozenset({"speed_factor_library"})  # taken, for clients of the original; nothing changes
_STEPS = ((1.0, 0.01), (5.0, 0.05), (math.inf, 0.5))  # a range up to so wide -> a step that a hand can aim at
_KINDS = {"number": "number", "integer": "integer", "boolean": "boolean", "string": "string", "array": "list"}

SPEECH: Groups = MappingProxyType(
    {
        INPUT: ("text", "reference_audio_filename"),
        FIRST: ("model", "language", "speed_factor", "exaggeration", "temperature", "cfg_weight", "seed"),
        "sampling": ("top_p", "top_k", "min_p", "repetition_penalty", "steps"),
        "text": (
            "to_lowercase", "normalize_spacing", "fix_dot_letters", "remove_reference_numbers", "normalize_numbers",
            "sound_words_field", "smart_batch_short_sentences", "enable_batching",
        ),
        "sound": (
            "trim", "trim_threshold_ms", "use_auto_editor", "ae_threshold", "ae_margin", "keep_original_wav_ae",
            "normalize_audio", "normalize_method", "normalize_level", "normalize_tp", "normalize_lra",
            "speed_factor_library",
        ),
        "output": (
            "export_formats", "project", "timestamps", "reuse_takes", "streaming", "disable_watermark", "webhook_url",
        ),
        "judge": (
            "num_candidates_per_chunk", "max_attempts_per_candidate", "bypass_whisper_checking", "whisper_model_name",
            "use_faster_whisper", "use_longest_transcript_on_fail",
        ),
    }
)  # fmt: skip
CONVERSION: Groups = MappingProxyType(
    {
        INPUT: ("input_audio_source", "target_voice_source"),
        FIRST: ("model", "chunk_sec", "overlap_sec"),
        "output": ("export_formats", "project", "disable_watermark"),
    }
)
JOINING: Groups = MappingProxyType(
    {
        INPUT: ("segments",),
        FIRST: ("pause_duration_ms", "pause_variation_ms", "crossfade_ms", "normalize_levels"),
        "sound": ("trim", "trim_threshold_ms", "seed"),
        "output": ("export_formats", "output_filename", "project"),
    }
)


@dataclass(frozen=True)
class Hearing:
    """What a model makes of the options: its name, the model options it uses, whether it says several sentences in one
    go, and whether it is only a stand-in, whose audio carries no watermark."""

    name: str
    uses: frozenset[str]
    joins_sentences: bool = True
    preview: bool = False

    @classmethod
    def of(cls, name: str, info: EngineInfo) -> "Hearing":
        return cls(name, info.uses, info.joins_sentences, info.preview)


def speech_fields(models: Sequence[Hearing], defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of speech. models: all that can be named. defaults: the server's own, where they differ."""
    return form_fields(SpeechOptions, SPEECH, models, defaults)


def conversion_fields(models: Sequence[Hearing], defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a conversion; see `speech_fields`."""
    return form_fields(ConversionOptions, CONVERSION, models, defaults)


def joining_fields() -> list[dict[str, Any]]:
    """The fields of a join."""
    return form_fields(JoinOptions, JOINING)


def form_fields(
    kind: type[BaseModel],
    groups: Groups,
    models: Sequence[Hearing] = (),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """One entry for each field in the groups, in their order. Raises KeyError for a name that is no field."""
    schema = kind.model_json_schema()
    needed, known = schema.get("required", ()), schema.get("$defs", {})
    return [
        _field(name, group, _plain(schema["properties"][name], known), name in needed, models, defaults)
        for group, names in groups.items()
        for name in names
    ]


def _field(
    name: str,
    group: str,
    schema: Mapping[str, Any],
    required: bool,
    models: Sequence[Hearing],
    defaults: Mapping[str, Any],
) -> dict[str, Any]:
    inside = schema.get("items", {})
    choices = schema.get("enum") or (inside.get("enum") if isinstance(inside, dict) else None)
    kind = _KINDS.get(schema.get("type", "object"), "object")
    if name == "model":
        choices = [schema["default"], *(model.name for model in models)]
    if choices and kind == "string":
        kind = "choice"
    field: dict[str, Any] = {
        "name": name,
        "group": group,
        "type": kind,
        "default": defaults.get(name, schema.get("default")),
        "minimum": schema.get("minimum"),
        "maximum": schema.get("maximum"),
        "choices": choices,
        "description": schema.get("description", ""),
        "models": _heard_by(name, models),
    }
    if kind in ("number", "integer"):
        field["step"] = 1 if kind == "integer" else _step(schema)
    if "exclusiveMinimum" in schema:
        field["minimum"] = schema["exclusiveMinimum"] + field["step"]
    if "maxLength" in schema:
        field["max_length"] = schema["maxLength"]
    if required:
        field["required"] = True
    if name in NEEDS:
        field["needs"] = NEEDS[name]
    return field


def _heard_by(name: str, models: Iterable[Hearing]) -> list[str] | None:
    """Names of the models that a field changes something with; None: with all."""
    if name in belonging_to("model"):
        return [model.name for model in models if name in model.uses]
    if name in belonging_to("judge") or name in _UNHEARD:
        return []
    if name in GROUPING:
        return [model.name for model in models if model.joins_sentences]
    if name == "disable_watermark":
        return [model.name for model in models if not model.preview]
    return None


def _step(schema: Mapping[str, Any]) -> float:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    width = high - low if low is not None and high is not None else math.inf
    return next(step for widest, step in _STEPS if width <= widest)


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without the ways in which it says "or null", and without references."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        return _plain({**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]}, known)
    if "$ref" in schema:
        within = known[schema["$ref"].rpartition("/")[2]]
        return _plain({**within, **{key: value for key, value in schema.items() if key != "$ref"}}, known)
    return dict(schema)

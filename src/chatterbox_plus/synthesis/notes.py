"""What is said plainly about fields that were sent and change nothing."""

from collections.abc import Iterable

from chatterbox_plus.engines.base import EngineInfo, Reference
from chatterbox_plus.engines.chatterbox.languages import TAGS
from chatterbox_plus.synthesis.options import ConversionOptions, JoinOptions, Options, SpeechOptions, belonging_to
from chatterbox_plus.synthesis.voices import OPENAI_VOICES, Speaker
from chatterbox_plus.text.scripts import foreign_script, has_kanji

NEEDS = {
    "trim_threshold_ms": "trim",
    "ae_threshold": "use_auto_editor",
    "ae_margin": "use_auto_editor",
    "keep_original_wav_ae": "use_auto_editor",
    "normalize_method": "normalize_audio",
    "normalize_level": "normalize_audio",
    "normalize_tp": "normalize_audio",
    "normalize_lra": "normalize_audio",
}
"""Options that only matter when another one is on."""

GROUPING = {"enable_batching", "smart_batch_short_sentences"}

_AS_ASKED = {
    "enable_batching": False,
    "smart_batch_short_sentences": False,
    "bypass_whisper_checking": True,
    "num_candidates_per_chunk": 1,
    "max_attempts_per_candidate": 1,
    "speed_factor_library": "auto",
}
"""Values that ask for just what happens anyway: nothing to remark."""


def speech_notes(sent: SpeechOptions, info: EngineInfo, *, judge: bool = False) -> list[str]:
    """Remarks on the fields of a speech request that had no effect.

    sent: the request before any defaults were filled in: only what the client wrote is remarked on.
    judge: whether takes are compared (Whisper), so that the judge's fields matter.
    """
    fields = sent.model_fields_set & set(SpeechOptions.model_fields)
    notes = unknown_notes(sent)
    notes += _idle((fields & belonging_to("model")) - info.uses, sent, f"the {info.name} engine does not use it")
    if not judge:
        notes += _idle(fields & belonging_to("judge"), sent, "speech validation is not installed")
    if not info.joins_sentences:
        notes += _idle(fields & GROUPING, sent, f"the {info.name} engine says every sentence on its own")
    notes += _idle(fields & {"speed_factor_library"}, sent, "one library makes all speed changes")
    for name in sorted(fields & set(NEEDS)):
        if getattr(sent, name) and not getattr(sent, NEEDS[name]):
            notes.append(f"{name} had no effect: {NEEDS[name]} is off")
    if sent.webhook_url is not None:
        notes.append("webhook_url had no effect: it belongs to /api/v1/tts/async")
    return notes + _watermark(sent.disable_watermark, info)


def voice_notes(speaker: Speaker, reference: Reference | None, info: EngineInfo) -> list[str]:
    """Remarks on a voice that will not sound as somebody may expect."""
    if reference is not None and 0 < reference.clip.duration_s < info.reference_s:
        return [
            f"the recording of {speaker.name} is {reference.clip.duration_s:.1f} s long: "
            f"the {info.title} knows a voice well from {info.reference_s:g} s on"
        ]
    if speaker.name.lower() in OPENAI_VOICES and speaker.stock is None and speaker.recording is None:
        return [
            f"{speaker.name} is the voice that came with the {info.title}: "
            f"store a recording under that name to hear another one"
        ]
    return []


def text_notes(text: str, language: str, info: EngineInfo) -> list[str]:
    """Remarks on text that is not read as its writer would read it."""
    remark = foreign_script(text, language)
    notes = [remark] if remark else []
    lowered = text.lower()
    if read_out := [tag for tag in TAGS if tag in lowered and tag not in info.sounds]:
        whose = info.title or f"{info.name} engine"
        notes.append(f"{', '.join(read_out)} will be read out as words: the {whose} performs no sounds")
    if language in info.remarks:
        notes.append(info.remarks[language])
    if info.preview and language == "ja" and has_kanji(text):
        notes.append(f"the {info.name} engine cannot read kanji and spells them out: write kana")
    return notes


def conversion_notes(sent: ConversionOptions, info: EngineInfo) -> list[str]:
    """Remarks on the fields of a conversion request that had no effect."""
    return unknown_notes(sent) + _watermark(sent.disable_watermark, info)


def join_notes(sent: JoinOptions) -> list[str]:
    """Remarks on the fields of a join request that had no effect."""
    notes = unknown_notes(sent)
    if sent.trim_threshold_ms and "trim_threshold_ms" in sent.model_fields_set and not sent.trim:
        notes.append("trim_threshold_ms had no effect: trim is off")
    if not sent.pause_duration_ms:
        for name in sorted({"pause_variation_ms", "seed"} & sent.model_fields_set):
            if getattr(sent, name):
                notes.append(f"{name} had no effect: there are no natural pauses")
    elif sent.crossfade_ms:
        notes.append("crossfade_ms had no effect: every gap has a pause or a silence")
    return notes


def unknown_notes(sent: Options) -> list[str]:
    """Remarks on fields that no operation knows."""
    return [f"{_printable(name)} had no effect: there is no such field" for name in sorted(sent.model_extra or {})[:10]]


def _printable(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != ";" else "?" for c in name[:64])


def _idle(names: Iterable[str], sent: Options, why: str) -> list[str]:
    asked = sorted(n for n in names if getattr(sent, n) is not None and getattr(sent, n) != _AS_ASKED.get(n))
    return [f"{name} had no effect: {why}" for name in asked]


def _watermark(disabled: bool, info: EngineInfo) -> list[str]:
    if disabled or not info.preview:
        return []
    return [f"disable_watermark=false had no effect: the {info.name} engine's audio carries no watermark"]

"""What can be asked for: one frozen object per operation, the only place where a default or a range is written.

The API's bodies and forms, the CLI's flags, job specifications and the page's form are all made from these fields.
`belongs_to` in a field's extra says whose it is: "model" fields change how a model speaks (None = that model's own
default) and have no effect with an engine that does not use them; "judge" fields steer the choice between takes.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from chatterbox_plus.audio.formats import NATIVE_FORMATS
from chatterbox_plus.engines.registry import MODELS

MAX_SEED = 2**32 - 1

_MODEL: dict[str, Any] = {"belongs_to": "model"}
_JUDGE: dict[str, Any] = {"belongs_to": "judge"}


def _formats(value: Any) -> Any:
    """Lower case, without repeats: the order stays, since the first is the one that is streamed."""
    if isinstance(value, list | tuple) and not value:
        raise ValueError("at least one format is needed")
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(dict.fromkeys(item.strip().lower() for item in value))
    raise ValueError('must be a list of names, such as ["wav", "mp3"]')


def _folder(value: str) -> str:
    """A sub-folder of outputs/ in forward slashes; "" and "/" mean its root. Unsafe parts are the store's to refuse."""
    parts = [part.strip() for part in value.replace("\\", "/").split("/")]
    parts = [part for part in parts if part not in ("", ".")]
    if parts and all(part == ".." for part in parts):
        raise ValueError("the folder leads out of the outputs")
    return "/".join(parts)


NativeFormat = Literal["wav", "mp3", "flac"]
Formats = Annotated[tuple[NativeFormat, ...], Field(min_length=1), BeforeValidator(_formats)]
Folder = Annotated[str, Field(max_length=255), AfterValidator(_folder)] | None

assert set(NATIVE_FORMATS) == {"wav", "mp3", "flac"}


class Options(BaseModel):
    """Base of the three. Numbers are never NaN or infinite.

    Unknown fields change nothing, as in the original; they are kept in `model_extra` so that the reply can say so.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    project: Folder = Field(None, description="Sub-folder of outputs/ for the result; made when missing.")
    folder: Folder = Field(None, description="Another name for `project`.")

    @model_validator(mode="after")
    def _one_folder(self) -> Self:
        if self.project is not None and self.folder is not None and self.project != self.folder:
            raise ValueError("`project` and `folder` name the same thing and differ: send one")
        return self

    @property
    def subfolder(self) -> str:
        """Where the result goes below outputs/: "" is its root."""
        return self.project or self.folder or ""


class SpeechOptions(Options):
    """POST /api/v1/tts, `say`, a job: text in, speech out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "This will be spoken faster", "speed_factor": 1.5, "export_formats": ["wav"]},
                {"text": "Chapter one.", "reference_audio_filename": "narrator.wav", "project": "book", "seed": 42},
            ]
        }
    )

    text: str = Field(min_length=1, description="What to say. The server's limit is in /api/v1/config.")
    reference_audio_filename: str | None = Field(
        None,
        max_length=2048,
        description="A file in reference_audio/ (extension optional), a stock voice, or an http(s) URL of a recording.",
    )
    model: str = Field("auto", max_length=200, description=f"Which model speaks: {', '.join(MODELS)}, or an added one.")
    language: str | None = Field(None, max_length=35, description="Such as en or pt-br; default from the voice.")

    exaggeration: float | None = Field(None, ge=0, le=2, description="How dramatic.", json_schema_extra=_MODEL)
    temperature: float | None = Field(None, ge=0.1, le=2, description="How varied.", json_schema_extra=_MODEL)
    cfg_weight: float | None = Field(
        None, ge=0, le=2, description="How close to the text and voice.", json_schema_extra=_MODEL
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="Only the likeliest sounds with this share.", json_schema_extra=_MODEL
    )
    top_k: int | None = Field(
        None, ge=0, le=10_000, description="Only so many of the likeliest sounds; 0 = all.", json_schema_extra=_MODEL
    )
    min_p: float | None = Field(
        None, ge=0, le=1, description="Only sounds this likely, relative to the likeliest.", json_schema_extra=_MODEL
    )
    repetition_penalty: float | None = Field(
        None, ge=1, le=3, description="How much a sound said before is avoided.", json_schema_extra=_MODEL
    )
    steps: int | None = Field(
        None, ge=1, le=50, description="Of the decoder: more are finer and slower.", json_schema_extra=_MODEL
    )
    seed: int = Field(0, ge=0, le=MAX_SEED, description="0 = a new one each time; the reply says which was used.")

    num_candidates_per_chunk: int = Field(3, ge=1, le=10, description="Takes to choose from.", json_schema_extra=_JUDGE)
    max_attempts_per_candidate: int = Field(3, ge=1, le=10, description="Tries per take.", json_schema_extra=_JUDGE)
    bypass_whisper_checking: bool = Field(False, description="Take the first take.", json_schema_extra=_JUDGE)
    whisper_model_name: Literal["tiny", "base", "small", "medium", "large"] = Field(
        "medium", description="Which Whisper listens.", json_schema_extra=_JUDGE
    )
    use_faster_whisper: bool = Field(True, description="Listen with faster-whisper.", json_schema_extra=_JUDGE)
    use_longest_transcript_on_fail: bool = Field(
        True, description="If no take is good, the one in which most was heard.", json_schema_extra=_JUDGE
    )

    enable_batching: bool = Field(False, description="Say several sentences in one go, up to 400 characters.")
    smart_batch_short_sentences: bool = Field(True, description="Join short sentences until 100 characters.")

    to_lowercase: bool = Field(True, description="Lower-case the text before it is spoken.")
    normalize_spacing: bool = Field(True, description="Collapse runs of blanks.")
    fix_dot_letters: bool = Field(True, description="Say U.S.A. as letters.")
    remove_reference_numbers: bool = Field(True, description="Leave out [1] and (2) after a sentence.")
    normalize_numbers: bool = Field(True, description="Read numbers, money, dates, units and abbreviations aloud.")
    sound_words_field: str = Field("", max_length=20_000, description="Replacement rules, one `from=>to` a line.")

    use_auto_editor: bool = Field(False, description="Shorten silences inside the speech.")
    keep_original_wav_ae: bool = Field(False, description="Keep the uncut wav beside the cut one.")
    ae_threshold: float = Field(0.06, ge=0, le=1, description="What counts as silence, relative to the peak.")
    ae_margin: float = Field(0.2, ge=0, le=1, description="Seconds kept on each side of sound.")

    normalize_audio: bool = Field(False, description="Bring the loudness to `normalize_level`.")
    normalize_method: Literal["ebu", "peak"] = Field("ebu", description="EBU R128 loudness, or the highest peak.")
    normalize_level: float = Field(-24.0, ge=-70, le=0, description="LUFS for ebu, dBFS for peak.")
    normalize_tp: float = Field(-2.0, ge=-20, le=0, description="Highest true peak, dBTP.")
    normalize_lra: float = Field(7.0, ge=1, le=50, description="Widest loudness range, LU.")

    speed_factor: float = Field(1.0, ge=0.5, le=2.0, description="2.0 = half the time at the same pitch.")
    speed_factor_library: Literal["auto", "audiostretchy", "librosa", "torchaudio"] = Field(
        "auto", description="Accepted; one method makes all speed changes."
    )
    trim: bool = Field(False, description="Cut silence at both ends.")
    trim_threshold_ms: int = Field(200, ge=50, le=1000, description="Silence shorter than this stays.")

    export_formats: Formats = Field(("wav", "mp3"), description="The first is streamed, the others are linked.")
    disable_watermark: bool = Field(
        True, description="false = mark the audio as synthetic, where a watermarker is there."
    )
    streaming: Literal["live", "exact"] = Field(
        "live", description="Of live replies. live: sound leaves while its passage is made; exact: once it is made."
    )
    webhook_url: str | None = Field(None, max_length=2048, description="Only for /api/v1/tts/async.")
    timestamps: bool = Field(False, description="Word times in the reply (url mode) and in the sidecar.")
    reuse_takes: bool = Field(
        False, description="Take passages that were spoken before with the same text, voice, model, options and seed."
    )

    @field_validator("text")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("text is blank")
        return text

    @field_validator("text", "sound_words_field")
    @classmethod
    def _unicode(cls, text: str) -> str:
        text.encode("utf-8")  # a lone surrogate is a ValueError here, not a crash later
        return text


class ConversionOptions(Options):
    """POST /api/v1/vc, `convert`: the same words and timing in another voice."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "input_audio_source": "interview.wav",
                    "target_voice_source": "speaker2.wav",
                    "chunk_sec": 30,
                    "export_formats": ["wav"],
                }
            ]
        }
    )

    input_audio_source: str | None = Field(
        None, max_length=2048, description="A file in vc_inputs/, or an http(s) URL; or upload one."
    )
    target_voice_source: str = Field(
        min_length=1, max_length=2048, description="A file in reference_audio/, or an http(s) URL."
    )
    model: str = Field("auto", max_length=200, description="Which model converts.")
    chunk_sec: int = Field(60, ge=1, le=300, description="Long input is worked on in windows of so many seconds.")
    overlap_sec: float = Field(0.1, ge=0, le=5, description="How far neighbouring windows overlap.")
    disable_watermark: bool = Field(
        True, description="false = mark the audio as synthetic, where a watermarker is there."
    )
    export_formats: Formats = Field(("wav", "mp3"), description="The first is streamed, the others are linked.")

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap_sec >= self.chunk_sec:
            raise ValueError("overlap_sec must be smaller than chunk_sec")
        return self


SILENCE_TOKEN = re.compile(r"^\((\d+(?:\.\d+)?)(ms|s)\)$", re.ASCII)
MIN_SILENCE_MS, MAX_SILENCE_MS = 50, 10_000
MAX_SEGMENTS = 1000


class FileSegment(BaseModel):
    """A stored output to join in, by its path below outputs/."""

    model_config = ConfigDict(frozen=True)
    type: Literal["server_file"] = "server_file"
    filename: str


class SilenceSegment(BaseModel):
    """An exact silence."""

    model_config = ConfigDict(frozen=True)
    type: Literal["silence"] = "silence"
    duration_ms: int = Field(ge=MIN_SILENCE_MS, le=MAX_SILENCE_MS)
    notation: str  # as it was asked for: "(1s)"


class UploadSegment(BaseModel):
    """A file sent along with the request, by its place among them."""

    model_config = ConfigDict(frozen=True)
    type: Literal["upload"] = "upload"
    index: int = Field(ge=0)


Segment = FileSegment | SilenceSegment | UploadSegment


class JoinOptions(Options):
    """POST /api/v1/concat, `join`: files and silences, in order, as one recording."""

    segments: tuple[Segment, ...] = Field(min_length=1, max_length=MAX_SEGMENTS)
    export_formats: Formats = Field(("wav",), description="The first is streamed, the others are linked.")
    normalize_levels: bool = Field(True, description="Bring every file to the same level.")
    crossfade_ms: int = Field(0, ge=0, le=5000, description="Blend neighbours that have no pause between them.")
    pause_duration_ms: int = Field(0, ge=0, le=3000, description="Natural pause between neighbours.")
    pause_variation_ms: int = Field(200, ge=0, le=500, description="How far a natural pause may differ.")
    trim: bool = Field(False, description="Cut silence at both ends of every file.")
    trim_threshold_ms: int = Field(200, ge=50, le=1000, description="Silence shorter than this stays.")
    output_filename: str | None = Field(None, max_length=200, description="Name of the result, without extension.")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="Makes the natural pauses repeatable.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not any(not isinstance(s, SilenceSegment) for s in self.segments):
            raise ValueError("at least one audio file is needed")
        if "pause_variation_ms" in self.model_fields_set and 0 < self.pause_duration_ms <= self.pause_variation_ms:
            raise ValueError("pause_variation_ms must be smaller than pause_duration_ms")
        return self


def belonging_to(owner: str) -> frozenset[str]:
    """Names of the speech options that belong to "model" or "judge"."""
    return frozenset(
        name
        for name, info in SpeechOptions.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("belongs_to") == owner
    )

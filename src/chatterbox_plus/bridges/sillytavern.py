"""What SillyTavern's own Chatterbox provider asks for: the routes and fields of the server it was written for
(Chatterbox-TTS-Server), said in our words. Errors are ours, whose `detail` that provider shows.
"""

from typing import Annotated, Any, Literal

from annotated_types import Ge
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.responses import Response

from chatterbox_plus.api.bridge import LiveResponse
from chatterbox_plus.api.errors import Reply, checked
from chatterbox_plus.api.openai import OpenAIFormat, Speed, lower
from chatterbox_plus.api.replies import ERRORS, disposition, made_headers
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.audio.formats import FORMATS, OPENAI_FORMATS
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.voices import VoiceInfo

router = APIRouter(tags=["SillyTavern"])
NOBODY = "S1"
"""What the provider names where its user has chosen no voice."""
LEAST_TEMPERATURE = next(
    float(bound.ge)  # type: ignore[arg-type]
    for bound in SpeechOptions.model_fields["temperature"].metadata
    if isinstance(bound, Ge)
)
"""The provider's slider begins at 0."""
_ANY_SEED = -1
_LIKE = "as for POST /api/v1/tts"
_CHUNKS = "text is cut at the ends of sentences"
_EXAMPLE: dict[str, Any] = {"text": "Hello there.", "voice_mode": "predefined", "predefined_voice_id": "nova"}

_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Audio while it is made.",
        "content": {
            FORMATS[name].media_type: {"schema": {"type": "string", "format": "binary"}} for name in OPENAI_FORMATS
        },
    },
    **ERRORS,
}
_PREDEFINED = {"display_name": "nova", "filename": "nova", "voice_id": "nova", "language": "en", "gender": "female"}


def _list(description: str, example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {"application/json": {"example": [example]}}}, **ERRORS}


_VOICES = _list("What predefined_voice_id may be.", _PREDEFINED)
_FILES = _list("What reference_audio_filename may be.", "speaker1.wav")


class TtsFields(BaseModel):
    """How that server is asked. What else is sent means the same as in POST /api/v1/tts."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, json_schema_extra={"examples": [_EXAMPLE]})

    text: str = Field(min_length=1, description="What to say.")
    voice_mode: Annotated[Literal["predefined", "clone"], BeforeValidator(lower)] = Field(
        "predefined", description="Which of the next two fields names the voice."
    )
    predefined_voice_id: str | None = Field(None, max_length=2048, description="Any voice; S1 is the default one.")
    reference_audio_filename: str | None = Field(None, max_length=2048, description="A stored voice.")
    output_format: OpenAIFormat = Field("wav", description="What the audio comes as.")
    split_text: bool = Field(True, description="Accepted; text is always cut at the ends of sentences.")
    chunk_size: int | None = Field(None, description="Accepted; has no effect.")
    temperature: float | None = Field(None, ge=0, description=f"How varied, {_LIKE}; 0 means the least there is.")
    exaggeration: float | None = Field(None, description=f"How dramatic, {_LIKE}.")
    cfg_weight: float | None = Field(None, description=f"How close to the text and voice, {_LIKE}.")
    seed: int | None = Field(None, ge=_ANY_SEED, description="0 and -1: a new one each time.")
    speed_factor: Speed = Field(1.0, description="2.0 = half the time at the same pitch.")
    language: str | None = Field(None, max_length=35, description="Such as en or pt-br; default from the voice.")

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_unsent(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        return {name: value for name, value in sent.items() if value is not None and (value != "" or name == "text")}

    @model_validator(mode="after")
    def _names_a_voice(self) -> "TtsFields":
        if self.voice is None:
            field = "predefined_voice_id" if self.voice_mode == "predefined" else "reference_audio_filename"
            raise ValueError(f"{field} is missing: with voice_mode {self.voice_mode} it names the voice")
        return self

    @property
    def voice(self) -> str | None:
        return self.predefined_voice_id if self.voice_mode == "predefined" else self.reference_audio_filename

    def options(self) -> SpeechOptions:
        """The same in our words, but for format and speed. Raises a 422."""
        least = self.temperature is not None and self.temperature < LEAST_TEMPERATURE
        ours = {
            "text": self.text,
            "reference_audio_filename": None if self.voice == NOBODY else self.voice,
            "temperature": LEAST_TEMPERATURE if least else self.temperature,
            "exaggeration": self.exaggeration,
            "cfg_weight": self.cfg_weight,
            "seed": None if self.seed == _ANY_SEED else self.seed,
            "language": self.language,
        }
        sent = {name: value for name, value in ours.items() if value is not None}
        return checked(SpeechOptions, {**(self.model_extra or {}), **sent})

    @property
    def asked_speed(self) -> float | None:
        """None where the client leaves it to the server."""
        return self.speed_factor if "speed_factor" in self.model_fields_set else None

    @property
    def notes(self) -> list[str]:
        """Remarks on what has no effect, or another one than that server's."""
        found = []
        if self.voice == NOBODY:
            found.append(f"{NOBODY} is nobody's name here: the default voice spoke")
        if not self.split_text:
            found.append(f"split_text had no effect: {_CHUNKS}")
        if self.chunk_size is not None:
            found.append(f"chunk_size had no effect: {_CHUNKS}")
        if self.temperature is not None and self.temperature < LEAST_TEMPERATURE:
            found.append(f"temperature {self.temperature:g} became {LEAST_TEMPERATURE:g}, the least there is")
        return found


@router.get("/get_predefined_voices", summary="Voices that are always there", responses=_VOICES)
async def get_predefined_voices(state: State) -> Response:
    """OpenAI's names first, then the engine's own voices; stored ones are the clones."""
    voices = await state.bridge.call(state.studio.voice_list)
    return Reply([_predefined(voice) for voice in voices if voice.kind != "file"])


@router.get("/get_reference_files", summary="Voices that were stored", responses=_FILES)
async def get_reference_files(state: State) -> Response:
    """The paths of all recordings in reference_audio/."""
    voices = await state.bridge.call(state.studio.voice_list)
    return Reply([voice.id for voice in voices if voice.kind == "file"])


@router.post("/tts", summary="Speak a text, as Chatterbox-TTS-Server does", responses=_AUDIO, response_class=Response)
async def tts(fields: TtsFields, request: Request, state: State) -> Response:
    """The first bytes leave while the first sentence is made. Nothing is kept unless `keep_openai_outputs` is set."""
    return await _speech(fields, request, state)


@router.get("/tts-stream", summary="The same by its address alone", responses=_AUDIO, response_class=Response)
async def tts_stream(fields: Annotated[TtsFields, Query()], request: Request, state: State) -> Response:
    """For the `src` of an audio element."""
    return await _speech(fields, request, state)


async def _speech(fields: TtsFields, request: Request, state: ApiState) -> Response:
    options = fields.options()
    stream = await state.bridge.open(
        request,
        lambda cancel, _: state.studio.speak_live(
            options,
            cancel=cancel,
            format=fields.output_format,
            keep=state.settings.api.keep_openai_outputs,
            speed=fields.asked_speed,
        ),
    )
    headers = made_headers(stream.live.model, (*stream.live.notes, *fields.notes), stream.live.seed)
    headers |= {
        "X-Accel-Buffering": "no",
        "Cache-Control": "no-store",  # another seed, another take: none is to be played again from memory
        "Content-Disposition": disposition(stream.live.filename),
    }
    return LiveResponse(stream, media_type=stream.live.format.media_type, headers=headers)


def _predefined(voice: VoiceInfo) -> dict[str, Any]:
    return {
        "display_name": voice.name if voice.name == voice.id else f"{voice.name} ({voice.id})",
        "filename": voice.id,
        "voice_id": voice.id,
        "language": voice.language,
        "gender": voice.gender,
    }

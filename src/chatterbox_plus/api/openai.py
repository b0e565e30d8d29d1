"""OpenAI's routes, as its SDK and the programs written for it call them; each also without `/v1`."""

import base64
import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from starlette.responses import Response

from chatterbox_plus.api.bridge import LiveResponse, Stream
from chatterbox_plus.api.errors import OpenAIErrorBody, Reply, checked, render
from chatterbox_plus.api.replies import disposition, made_headers
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.audio.formats import FORMATS, OPENAI_FORMATS
from chatterbox_plus.errors import NotFound
from chatterbox_plus.synthesis.options import SpeechOptions, belonging_to
from chatterbox_plus.synthesis.results import LiveAudio
from chatterbox_plus.synthesis.voices import VoiceInfo

router = APIRouter(tags=["OpenAI"])
CREATED = 1_750_000_000  # Unix seconds; OpenAI's lists have one for every model, and ours are older than any request
NAMES = ("chatterbox-tts", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""What clients ask for by habit; each means `auto`."""
CHARACTERS_PER_TOKEN = 4  # OpenAI's own rule of thumb for English text
TOKENS_PER_SECOND = 25  # Chatterbox's speech tokens

_OURS = ("language", "seed", "streaming", "disable_watermark", *sorted(belonging_to("model")))
_MEANINGS: dict[int | str, str] = {
    "default": "Any other error.",  # and no 422, which these routes never answer
    400: "A field is missing or out of its range.",
    401: "The server asks for a key, and none of its own was shown.",
    403: "The voice is a URL that leads to a host that is not public.",
    404: "There is no such voice.",
    409: "The model is not installed, or the name of the voice is ambiguous.",
    413: "The request is too large.",
    429: "More requests in a minute than this caller may make; see Retry-After.",
    500: "The engine failed.",
    502: "The voice is a URL that could not be fetched.",
    503: "Too many requests are waiting; see Retry-After.",
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": OpenAIErrorBody, "description": text} for status, text in _MEANINGS.items()
}


class VoiceId(BaseModel):
    id: str = Field(max_length=2048)


def lower(value: Any) -> Any:
    """A word in any case, with blanks around it; everything else as it is."""
    return value.strip().lower() if isinstance(value, str) else value


OpenAIFormat = Annotated[Literal["mp3", "opus", "aac", "flac", "wav", "pcm"], BeforeValidator(lower)]
Speed = Annotated[float, Field(ge=0.25, le=4.0)]


class SpeechFields(BaseModel):
    """How a text is to be said, as OpenAI's clients say it. Fields we do not know are ignored."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str = Field(max_length=200, description="One of ours selects it; any other name means the default.")
    voice: str | VoiceId = Field(description='A stored file, one of OpenAI\'s names, a stock voice, or {"id": …}.')
    response_format: OpenAIFormat = Field("mp3", description="pcm: 24 kHz, 16 bit, mono, without a header.")
    speed: Speed = Field(1.0, description="2.0 = half the time at the same pitch.")
    instructions: str | None = Field(None, max_length=4096, description="Accepted; has no effect.")

    @model_validator(mode="before")
    @classmethod
    def _null_is_unsent(cls, body: Any) -> Any:
        """Some clients write down every field, with null where their user chose nothing."""
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body

    def options(self, text: str) -> SpeechOptions:
        """The same in our words, but for format and speed. Raises a 422."""
        voice = self.voice if isinstance(self.voice, str) else self.voice.id
        ours = {name: (self.model_extra or {}).get(name) for name in _OURS}
        asked = {"text": text, "model": self.model, "reference_audio_filename": voice or None, **ours}
        return checked(SpeechOptions, {name: value for name, value in asked.items() if value is not None})

    @property
    def asked_speed(self) -> float | None:
        """None where the client leaves it to the server."""
        return self.speed if "speed" in self.model_fields_set else None

    @property
    def notes(self) -> list[str]:
        """Remarks on what has no effect."""
        return ["instructions had no effect: no model here follows them"] if self.instructions else []


class SpeechRequest(SpeechFields):
    """What OpenAI's clients send."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "chatterbox-tts",
                    "input": "Hello, this is a test",
                    "voice": "speaker1.wav",
                    "response_format": "wav",
                    "speed": 1.2,
                }
            ]
        },
    )

    input: str = Field(min_length=1, description="What to say.")
    stream_format: Annotated[Literal["audio", "sse"], BeforeValidator(lower)] = Field(
        "audio", description="`sse`: the audio in events."
    )


assert OPENAI_FORMATS == ("mp3", "opus", "aac", "flac", "wav", "pcm")

_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "`speech.audio.delta` events with `audio` in base64, then one `speech.audio.done` with `usage`.",
    "properties": {"data": {"type": "string", "contentMediaType": "application/json"}},
    "required": ["data"],
}
_AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Audio while it is made, or events with it in base64.",
        "content": {
            **{FORMATS[name].media_type: {"schema": {"type": "string", "format": "binary"}} for name in OPENAI_FORMATS},
            "text/event-stream": {"schema": _EVENT},
        },
    },
    **_ERRORS,
}


_MODEL = {"id": "chatterbox-tts", "object": "model", "created": CREATED, "owned_by": "chatterbox-plus"}
_NAME = {"id": "chatterbox-tts", "name": "chatterbox-tts"}
_VOICE = {
    "id": "speaker1.wav",
    "name": "speaker1.wav",
    "object": "audio.voice",
    "kind": "file",
    "language": None,
    "gender": None,
}


def _answers(description: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {"application/json": {"example": example}}}, **_ERRORS}


_MODELS = _answers("What `model` may be.", {"object": "list", "data": [_MODEL]})
_ONE_MODEL = _answers("The model.", _MODEL)
_AUDIO_MODELS = _answers("What `model` may be.", {"object": "list", "models": [_NAME], "data": [_NAME]})
_VOICES = _answers("What `voice` may be, twice.", {"object": "list", "voices": [_VOICE], "data": [_VOICE]})


@router.post("/v1/audio/speech", summary="Speak a text, as OpenAI does", responses=_AUDIO, response_class=Response)
@router.post("/audio/speech", include_in_schema=False)
async def create_speech(body: SpeechRequest, request: Request, state: State) -> Response:
    """Speech in any of OpenAI's formats; the first bytes leave while the first sentence is made."""
    options = body.options(body.input)
    stream = await state.bridge.open(
        request,
        lambda cancel, _: state.studio.speak_live(
            options,
            cancel=cancel,
            format=body.response_format,
            keep=state.settings.api.keep_openai_outputs,
            speed=body.asked_speed,
            any_model=True,
        ),
    )
    headers = made_headers(stream.live.model, (*stream.live.notes, *body.notes), stream.live.seed)
    headers |= {"X-Accel-Buffering": "no", "Cache-Control": "no-cache"}
    if body.stream_format == "sse":
        return LiveResponse(
            stream, media_type="text/event-stream", headers=headers, frame=_delta, last=_done(body.input, stream)
        )
    headers["Content-Disposition"] = disposition(stream.live.filename)
    return LiveResponse(stream, media_type=stream.live.format.media_type, headers=headers)


@router.get("/v1/models", summary="Models, in OpenAI's form", responses=_MODELS)
@router.get("/models", include_in_schema=False)
async def list_models(state: State) -> Response:
    """The models that are installed, and the names that mean the default one."""
    return Reply({"object": "list", "data": [_model(name) for name in _model_names(state)]})


@router.get("/v1/models/{model}", summary="One model, in OpenAI's form", responses=_ONE_MODEL)
@router.get("/models/{model}", include_in_schema=False)
async def get_model(
    model: Annotated[str, PathParameter(description="One of the names in the list.", examples=["chatterbox-tts"])],
    state: State,
) -> Response:
    """The one of that name, if it is in the list."""
    if model not in _model_names(state):
        raise NotFound("There is no model of that name", param="model")
    return Reply(_model(model))


@router.get("/v1/audio/models", summary="Models, as Open WebUI asks for them", responses=_AUDIO_MODELS)
@router.get("/audio/models", include_in_schema=False)
async def list_audio_models(state: State) -> Response:
    """The same names, as `models`."""
    found = [{"id": name, "name": name} for name in _model_names(state)]
    return Reply({"object": "list", "models": found, "data": found})


@router.get("/v1/audio/voices", summary="Voices, as the community's clients ask for them", responses=_VOICES)
@router.get("/audio/voices", include_in_schema=False)
async def list_audio_voices(
    state: State,
    legacy: Annotated[bool, Query(description="Only the names.")] = False,
    model: Annotated[str | None, Query(description="Accepted; every model has every voice.")] = None,
    language: Annotated[str | None, Query(description="Only stock voices of this language.")] = None,
) -> Response:
    """Stored voices first, then the thirteen names OpenAI's clients know, then the engine's own."""
    studio = state.studio
    body = await state.bridge.call(lambda: _rendered(tuple(studio.voice_list(language)), legacy))
    return Response(body, media_type="application/json")


@lru_cache(maxsize=4)
def _rendered(voices: tuple[VoiceInfo, ...], legacy: bool) -> bytes:
    """The list as JSON: long, asked for often, and seldom another."""
    if legacy:
        names = [voice.id for voice in voices]
        return render({"object": "list", "voices": names, "data": names})
    found = [
        {
            "id": voice.id,
            "name": voice.name,
            "object": "audio.voice",
            "kind": voice.kind,
            "language": voice.language,
            "gender": voice.gender,
        }
        for voice in voices
    ]
    return render({"object": "list", "voices": found, "data": found})


def _model_names(state: ApiState) -> list[str]:
    return [*NAMES, *(model.name for model in state.studio.models() if model.installed)]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "chatterbox-plus"}


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _delta(chunk: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})


def _done(text: str, stream: Stream[LiveAudio, bytes]) -> Callable[[], bytes]:
    """The last event. Our engines count no tokens of text, so those are estimated."""

    def event() -> bytes:
        heard = math.ceil(len(text) / CHARACTERS_PER_TOKEN)
        spoken = math.ceil(stream.live.duration_s * TOKENS_PER_SECOND)
        usage = {"input_tokens": heard, "output_tokens": spoken, "total_tokens": heard + spoken}
        return _event({"type": "speech.audio.done", "usage": usage})

    return event

"""OpenAI's routes, as its own SDK and the programs written for it use them."""

import base64
import json
from collections.abc import Iterator

import openai
import pytest

from chatterbox_plus.audio.formats import FORMATS, OPENAI_FORMATS
from chatterbox_plus.settings import Api, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

SPEECH = "/v1/audio/speech"
BODY = {"model": "tts-1", "input": "hello", "voice": "alloy"}


@pytest.fixture(scope="module")
def client(server: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=server.url + "/v1", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("name", OPENAI_FORMATS)
def test_the_sdk_gets_every_format(name: str, client: openai.OpenAI, studio: FakeStudio) -> None:
    answer = client.audio.speech.create(model="tts-1", input="hello", voice="alloy", response_format=name, speed=0.25)  # type: ignore[arg-type]
    assert answer.read() == b"hello"
    assert answer.response.headers["content-type"] == FORMATS[name].media_type
    more = studio.calls[-1].more
    assert more == {"format": name, "keep": False, "speed": 0.25, "any_model": True}


def test_mp3_is_what_comes_when_nothing_is_said(server: LiveServer) -> None:
    """Open WebUI sends no response_format and stores what comes as .mp3."""
    assert server.post(SPEECH, BODY).headers["Content-Type"] == "audio/mpeg"


def test_the_sdk_streams(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(model="m", input="hello", voice="alloy") as answer:
        assert b"".join(answer.iter_bytes()) == b"hello"


@pytest.mark.parametrize("voice", ["speaker1.wav", {"id": "speaker1.wav"}])
def test_a_voice_is_a_name_or_an_object(voice: object, server: LiveServer, studio: FakeStudio) -> None:
    assert server.post(SPEECH, {**BODY, "voice": voice}).status_code == 200
    assert studio.calls[-1].options.reference_audio_filename == "speaker1.wav"


def test_an_empty_voice_means_the_default_one(server: LiveServer, studio: FakeStudio) -> None:
    assert server.post(SPEECH, {**BODY, "voice": ""}).status_code == 200
    assert studio.calls[-1].options.reference_audio_filename is None


def test_errors_are_the_sdks_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.audio.speech.create(model="tts-1", input="hello", voice="nobody")
    assert missing.value.code == "resource_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.audio.speech.create(model="tts-1", input="hello", voice="alloy", speed=5)
    assert (wrong.value.param, wrong.value.type) == ("speed", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as long:
        client.audio.speech.create(model="tts-1", input="a" * 10_001, voice="alloy")
    assert (long.value.code, long.value.param) == ("text_too_long", "input")
    with pytest.raises(openai.InternalServerError) as full:
        client.audio.speech.create(model="tts-1", input="full", voice="alloy")
    assert full.value.status_code == 503


def test_extra_fields_are_welcome(server: LiveServer, studio: FakeStudio) -> None:
    """Home Assistant, koboldcpp and others send their own; those of ours that fit are used."""
    extra = {"instructions": "whisper", "stream": True, "seed": 9, "language": "de", "lang_code": "a", "volume": 1}
    extra["streaming"] = "exact"
    answer = server.post(SPEECH, {**BODY, **extra})
    assert answer.status_code == 200
    assert "instructions had no effect" in answer.headers["X-Chatterbox-Notes"]
    options = studio.calls[-1].options
    assert (options.seed, options.language, options.streaming) == (9, "de", "exact")


def test_null_is_as_good_as_unsent(server: LiveServer, studio: FakeStudio) -> None:
    """Some programs write down every field they know; the speed of the voice or the configuration counts then."""
    nothing = dict.fromkeys(["response_format", "speed", "stream_format", "instructions"])
    answer = server.post(SPEECH, {**BODY, **nothing})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "audio/mpeg")
    assert studio.calls[-1].more["speed"] is None


@pytest.mark.parametrize(
    ("data", "message", "param"),
    [
        ("{", "The body is not valid JSON", None),
        ('{"model": "m", "voice": "alloy", "input": " "}', "input: text is blank", "input"),
    ],
)
def test_a_message_names_the_field_that_was_sent(data: str, message: str, param: str, server: LiveServer) -> None:
    answer = server.ask("POST", SPEECH, data=data, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["message"], error["param"]) == (400, message, param)


def test_events_carry_the_audio_and_end_with_the_usage(server: LiveServer) -> None:
    answer = server.post(SPEECH, {**BODY, "stream_format": "sse"})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.strip().split("\n\n")]
    assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.done"]
    assert base64.b64decode(events[0]["audio"]) == b"hello"
    usage = events[-1]["usage"]
    assert usage == {"input_tokens": 2, "output_tokens": 5, "total_tokens": 7}  # 5 characters, 0.2 s


def test_files_are_kept_only_when_set(studio: FakeStudio) -> None:
    with serve(Settings(api=Api(keep_openai_outputs=True)), studio) as server:
        server.post(SPEECH, BODY)
    assert studio.calls[-1].more["keep"] is True


def test_the_sdk_lists_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"tts-1", "chatterbox-tts", "builtin"} <= set(names)
    assert "turbo" not in names, "not installed"
    assert client.models.retrieve("builtin").id == "builtin"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("turbo")


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_lists_have_the_keys_that_clients_read(prefix: str, server: LiveServer) -> None:
    voices = server.get(prefix + "/audio/voices?model=tts-1").json()
    assert voices["voices"] == voices["data"]
    assert [voice["id"] for voice in voices["voices"]] == ["speaker1.wav", "alloy", "en+f3"]
    assert all(voice["name"] for voice in voices["voices"])
    assert server.get(prefix + "/audio/voices?legacy=true").json()["voices"] == ["speaker1.wav", "alloy", "en+f3"]
    assert "tts-1" in [model["id"] for model in server.get(prefix + "/audio/models").json()["models"]]
    assert "tts-1" in [model["id"] for model in server.get(prefix + "/models").json()["data"]]
    assert server.post(prefix + "/audio/speech", BODY).content == b"hello"
    error = server.post(prefix + "/audio/speech", {**BODY, "voice": "nobody"})
    assert set(error.json()) == {"error"}

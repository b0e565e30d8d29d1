"""The programs people have, against the real application and the built-in engine: their requests, and OpenAI's SDK."""

import asyncio
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.audio.formats import OPENAI_FORMATS
from chatterbox_plus.bridges.clients import CLIENTS
from chatterbox_plus.bridges.replay import Client, Outcome, Place, replay
from chatterbox_plus.commands.doctor import Sender
from chatterbox_plus.settings import Api, Paths, Settings
from tests.api.live_server import LiveServer, serve
from tests.hearing import container_format, listen

TEXT = "Hello. This is a test."
PAGE = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serve(Settings(paths=Paths(data_dir=tmp_path_factory.mktemp("house")))) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, str]]:
    """A house that asks for keys, and a user's key."""
    data = tmp_path_factory.mktemp("locked")
    _, key = KeyStore.at(data).add("ana", project="ana")
    with serve(Settings(api=Api(api_key_required=True), paths=Paths(data_dir=data))) as running:
        yield running, key


@pytest.fixture(scope="module")
def sdk(house: LiveServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="none", base_url=house.url + "/v1", max_retries=0) as client:
        yield client


def replayed(client: Client, server: LiveServer, key: str | None = None) -> list[Outcome]:
    with Sender(server.url, key) as send:
        return list(replay(client, Place(server.url, PAGE), send))


def faults(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.step.what}: {outcome.fault.problem}" for outcome in outcomes if outcome.fault]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_all_that_it_asks_is_answered_as_it_needs(client: Client, house: LiveServer) -> None:
    outcomes = replayed(client, house)
    assert faults(outcomes) == []
    assert len(outcomes) >= 3


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_with_keys_on_it_works_with_a_key_if_it_can_show_one(client: Client, locked: tuple[LiveServer, str]) -> None:
    server, key = locked
    outcomes = replayed(client, server, key)
    if client.name != "sillytavern-chatterbox":
        assert faults(outcomes) == []
        return
    assert outcomes[0].fault is None, "that the server is there, anybody may see"
    assert next(outcome.fault.mend for outcome in outcomes if outcome.fault).startswith("this program has no field")


def test_what_was_spoken_for_sillytavern_can_be_heard(house: LiveServer) -> None:
    chatterbox = next(client for client in CLIENTS if client.name == "sillytavern-chatterbox")
    spoken = [o.answer.body for o in replayed(chatterbox, house) if "speaks" in o.step.what or "plays" in o.step.what]
    assert [container_format(sound) for sound in spoken] == ["wav", "ogg", "wav", "wav"]
    for sound in spoken:
        assert len(listen(sound)) > 24_000


# OpenAI's SDK: every way it has to give an answer

Speak = Callable[..., openai._legacy_response.HttpxBinaryResponseContent]


@pytest.mark.parametrize("format", OPENAI_FORMATS)
def test_the_sdk_has_one_sound_by_every_way_of_reading(format: str, sdk: openai.OpenAI, tmp_path: Path) -> None:
    def speak() -> openai._legacy_response.HttpxBinaryResponseContent:
        return sdk.audio.speech.create(
            model="tts-1", voice="nova", input=TEXT, response_format=format, extra_body={"seed": 7}
        )  # type: ignore[call-overload]

    answer = speak()
    whole = answer.content
    assert len(whole) > 1000
    assert answer.read() == whole
    assert b"".join(answer.iter_bytes(1000)) == whole
    answer.write_to_file(tmp_path / "written")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own: it does not stream
        answer.stream_to_file(tmp_path / "streamed")
    assert (tmp_path / "written").read_bytes() == whole == (tmp_path / "streamed").read_bytes()
    assert speak().content == whole, "a seed is a seed"


def test_the_sdk_streams_in_all_its_ways(sdk: openai.OpenAI, tmp_path: Path) -> None:
    with_streaming = sdk.audio.speech.with_streaming_response
    asked = {"model": "tts-1", "voice": "nova", "input": TEXT, "response_format": "wav", "extra_body": {"seed": 7}}
    with with_streaming.create(**asked) as answer:  # type: ignore[arg-type]
        parts = list(answer.iter_bytes())
    assert len(parts) > 1
    with with_streaming.create(**asked) as answer:  # type: ignore[arg-type]
        answer.stream_to_file(tmp_path / "speech.wav")
    assert (tmp_path / "speech.wav").read_bytes() == b"".join(parts)
    assert sdk.audio.speech.with_raw_response.create(**asked).content == b"".join(parts)  # type: ignore[arg-type]
    with with_streaming.create(**{**asked, "stream_format": "sse"}) as answer:  # type: ignore[arg-type]
        events = [line for line in answer.iter_lines() if line]
    assert events[-1].startswith('data: {"type":"speech.audio.done"')


def test_the_async_sdk_does_the_same(house: LiveServer, tmp_path: Path) -> None:
    asked = {"model": "tts-1", "voice": "nova", "input": TEXT, "response_format": "wav", "extra_body": {"seed": 7}}

    async def all_of_it() -> tuple[bytes, bytes]:
        async with openai.AsyncOpenAI(api_key="none", base_url=house.url + "/v1", max_retries=0) as client:
            whole = (await client.audio.speech.create(**asked)).content  # type: ignore[call-overload]
            async with client.audio.speech.with_streaming_response.create(**asked) as answer:  # type: ignore[arg-type]
                await answer.stream_to_file(tmp_path / "speech.wav")
            assert [voice.id async for voice in client.models.list()]
            return whole, (tmp_path / "speech.wav").read_bytes()

    whole, streamed = asyncio.run(all_of_it())
    assert whole == streamed


def test_the_sdk_keeps_a_voice_with_a_consent_and_speaks_in_it(house: LiveServer, sdk: openai.OpenAI) -> None:
    recording = house.get("/api/v1/voices").json()["voices"][0]["url"]
    sound = (Path(house.app.state.api.settings.paths.data_dir) / "reference_audio" / recording).read_bytes()
    consents, voices = sdk.audio.voice_consents, sdk.audio.voices
    consent = consents.create(name="Narrator", language="en-US", recording=("consent.wav", io.BytesIO(sound)))
    assert [each.id for each in consents.list()] == [consent.id]
    assert consents.update(consent.id, name="The narrator").name == "The narrator"
    voice = voices.create(name="A narrator", audio_sample=("sample.wav", io.BytesIO(sound)), consent=consent.id)
    assert (voice.object, voice.name, voice.id) == ("audio.voice", "A narrator", "A narrator.wav")
    assert voice.id in [each["id"] for each in house.get("/v1/audio/voices").json()["voices"]]
    for named in (voice.id, {"id": voice.id}):
        answer = sdk.audio.speech.create(model="tts-1", voice=named, input="Hello.", response_format="wav")  # type: ignore[arg-type]
        assert len(listen(answer.content)) > 6_000
    assert voices.delete(voice.id).deleted is True
    assert voice.id not in [each["id"] for each in house.get("/v1/audio/voices").json()["voices"]]
    with pytest.raises(openai.NotFoundError) as missing:
        voices.create(name="Another", audio_sample=("sample.wav", io.BytesIO(sound)), consent="cons_1234")
    assert missing.value.param == "consent"
    assert consents.delete(consent.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        consents.retrieve(consent.id)

"""Home Assistant's protocol, spoken by its own client to a real server with the built-in engine."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from wyoming.info import Describe, Info, TtsVoice
from wyoming.ping import Ping
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from chatterbox_plus.settings import Api, Bridges, Models, Settings
from tests.api.live_server import LiveServer, serve
from tests.api.talking import comes_true, empties
from tests.bridges.assistants import Heard, connected, hear, run, said, send, spoken

MAX_TEXT = 4000
LONG = "And this is another one, which nobody will hear. " * 80
PCM = {"rate": 24_000, "width": 2, "channels": 1}


def listening(**api: float) -> Settings:
    return Settings(bridges=Bridges(wyoming=True, wyoming_port=0), api=Api(**{"max_text_length": MAX_TEXT, **api}))


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with serve(listening()) as running:
        yield running


async def described(server: LiveServer) -> Info:
    async with connected(server) as client:
        await send(client, Describe())
        heard = await hear(client, "info")
        assert heard.last is not None
        return Info.from_event(heard.last)


@pytest.fixture(scope="module")
def voices(server: LiveServer) -> dict[str, TtsVoice]:
    (program,) = run(described(server)).tts
    return {voice.name: voice for voice in program.voices}


def test_a_client_learns_what_there_is(server: LiveServer, voices: dict[str, TtsVoice]) -> None:
    info = run(described(server))
    (program,) = info.tts
    assert (program.name, program.installed, program.supports_synthesize_streaming) == ("chatterbox-plus", True, True)
    assert not info.asr
    assert {"narrator.wav", "speaker1.wav", "de", "en+f3"} <= set(voices)
    assert all(voice.installed and voice.languages and voice.description for voice in program.voices)


def test_a_recording_is_offered_in_every_language_it_can_speak(voices: dict[str, TtsVoice]) -> None:
    assert voices["narrator.wav"].languages == ["en"]
    german = voices["narrator.wav@de"]
    assert (german.languages, german.description) == (["de"], "narrator.wav")
    assert "narrator.wav@en" not in voices
    assert "zh" in voices["cmn"].languages


def test_only_the_languages_that_were_chosen_are_offered() -> None:
    chosen = listening().model_copy(
        update={"bridges": Bridges(wyoming=True, wyoming_port=0, wyoming_languages=("de",))}
    )
    with serve(chosen) as server:
        (program,) = run(described(server)).tts
    assert {v.name for v in program.voices if v.name.startswith("narrator")} == {"narrator.wav", "narrator.wav@de"}


def test_a_text_is_spoken(server: LiveServer) -> None:
    heard = run(spoken(server, "Hello there."))
    assert (heard.order[0], heard.order[-1]) == ("audio-start", "audio-stop")
    assert set(heard.order[1:-1]) == {"audio-chunk"}
    assert heard.audio == pcm(server, "Hello there.")


def pcm(server: LiveServer, text: str, voice: str = "default", **more: str) -> bytes:
    body = {"model": "tts-1", "input": text, "voice": voice, "response_format": "pcm", **more}
    return server.post("/v1/audio/speech", body).content


def test_every_piece_of_sound_says_what_it_is(server: LiveServer) -> None:
    async def first_events() -> list[dict[str, object]]:
        async with connected(server) as client:
            await send(client, said("Hello."))
            return [event.data for _ in range(2) if (event := await client.read_event())]

    for data in run(first_events()):
        assert data.items() >= PCM.items()


@pytest.mark.parametrize(
    "name, voice, same",
    [
        ("narrator.wav", {}, {"voice": "narrator.wav"}),
        ("narrator", {}, {"voice": "narrator.wav"}),
        ("narrator.wav@de", {}, {"voice": "narrator.wav", "language": "de"}),
        ("de+f3", {}, {"voice": "de+f3"}),
        ("nova", {}, {"voice": "nova"}),
        (None, {"language": "de"}, {"voice": "default", "language": "de"}),
        (None, {}, {}),
    ],
)
def test_a_voice_is_who_its_name_says(
    server: LiveServer, name: str | None, voice: dict[str, str], same: dict[str, str]
) -> None:
    assert run(spoken(server, "Guten Tag.", name, **voice)).audio == pcm(server, "Guten Tag.", **same)


@pytest.mark.parametrize(
    "text, name, voice, code, words",
    [
        ("Hello.", "nobody", {}, "RESOURCE_NOT_FOUND", "voice not found: nobody"),
        ("Hello.", "nobody@de", {}, "RESOURCE_NOT_FOUND", "voice not found: nobody"),
        ("Hello.", "../secret.wav", {}, "PERMISSION_DENIED", ""),
        ("Hello.", "nova", {"speaker": "loud"}, "RESOURCE_NOT_FOUND", "loud"),
        ("Hello.", None, {"language": "xx"}, "VALIDATION_ERROR", "language"),
        ("Hello.", "n" * 3000, {}, "VALIDATION_ERROR", "2048"),
        ("  ", None, {}, "VALIDATION_ERROR", "blank"),
        ("a" * (MAX_TEXT + 1), None, {}, "TEXT_TOO_LONG", str(MAX_TEXT)),
    ],
)
def test_what_cannot_be_spoken_is_an_error_and_the_end(
    server: LiveServer, text: str, name: str | None, voice: dict[str, str], code: str, words: str
) -> None:
    async def refused() -> tuple[Heard, Heard]:
        async with connected(server) as client:
            await send(client, said(text, name, **voice))
            return await hear(client), await hear(client)

    heard, after = run(refused())
    assert (heard.order, heard.error["code"]) == (["error"], code)
    assert words in heard.error["text"]
    assert after.order == [None]


def test_a_text_that_is_still_being_written_is_heard_already(server: LiveServer) -> None:
    async def talk() -> tuple[Heard, Heard]:
        async with connected(server) as client:
            await send(client, SynthesizeStart(), SynthesizeChunk("This is the first sentence. And "))
            first = await hear(client, "audio-chunk")
            await send(client, SynthesizeChunk("this is another."))
            # what Home Assistant adds, for servers that know no pieces
            await send(client, said("This is the first sentence. And this is another."), SynthesizeStop())
            return first, await hear(client, "synthesize-stopped", "error")

    first, rest = run(talk())
    assert first.order == ["audio-start", "audio-chunk"]
    assert rest.order[-2:] == ["audio-stop", "synthesize-stopped"]
    assert rest.order.count("audio-start") == 0


def test_a_text_in_pieces_is_spoken_in_the_voice_that_was_asked_for(server: LiveServer) -> None:
    async def talk(voice: SynthesizeVoice | None) -> Heard:
        async with connected(server) as client:
            await send(client, SynthesizeStart(voice=voice), SynthesizeChunk("Guten "), SynthesizeChunk("Tag."))
            await send(client, SynthesizeStop())
            return await hear(client, "synthesize-stopped", "error")

    assert run(talk(SynthesizeVoice(name="de+f3"))).audio != run(talk(SynthesizeVoice(name="de"))).audio
    assert run(talk(SynthesizeVoice(name="nobody"))).error["code"] == "RESOURCE_NOT_FOUND"


@pytest.mark.parametrize("pieces", [(), ("",), ("... ", "!")])
def test_nothing_to_say_is_an_error_not_silence(server: LiveServer, pieces: tuple[str, ...]) -> None:
    async def talk() -> Heard:
        async with connected(server) as client:
            await send(client, SynthesizeStart(), *map(SynthesizeChunk, pieces), SynthesizeStop())
            return await hear(client, "synthesize-stopped", "error")

    heard = run(talk())
    assert (heard.order, heard.error["code"]) == (["error"], "VALIDATION_ERROR")


def test_texts_of_one_connection_are_said_in_turn(server: LiveServer) -> None:
    async def talk() -> list[bytes]:
        async with connected(server) as client:
            await send(client, said("One."), said("Two, which is longer.", "de"), Ping("still there?"))
            pong = await hear(client, "pong")
            first = await hear(client, heard=Heard(audio=pong.audio))
            return [first.audio, (await hear(client)).audio]

    assert run(talk()) == [pcm(server, "One."), pcm(server, "Two, which is longer.", "de")]


def test_two_at_once_do_not_mix(server: LiveServer) -> None:
    texts = {"One of them is English, and says so.": "en+f3", "Der andere spricht Deutsch.": "de"}

    async def both() -> list[Heard]:
        return await asyncio.gather(*(spoken(server, text, name) for text, name in texts.items()))

    assert [heard.audio for heard in run(both())] == [pcm(server, text, name) for text, name in texts.items()]


@pytest.mark.parametrize("streamed", [False, True])
def test_who_leaves_frees_their_place(server: LiveServer, streamed: bool) -> None:
    async def leave() -> None:
        async with connected(server) as client:
            await send(client, *([SynthesizeStart(), SynthesizeChunk(LONG)] if streamed else [said(LONG)]))
            await hear(client, "audio-chunk")
            assert server.app.state.api.studio.busy == 1

    run(leave())
    assert empties(server)


def test_a_full_house_refuses_at_once() -> None:
    settings = listening(queue_limit=0).model_copy(update={"models": Models(workers=1)})
    with serve(settings) as server:

        async def crowd() -> Heard:
            async with connected(server) as client:
                await send(client, said(LONG))
                await hear(client, "audio-chunk")
                return await spoken(server, "Hello.")

        assert run(crowd()).error["code"] == "SERVICE_OVERLOADED"


def test_who_begins_a_text_and_never_ends_it_is_told_so() -> None:
    with serve(listening(request_timeout_seconds=0.3)) as server:

        async def dawdle() -> Heard:
            async with connected(server) as client:
                await send(client, SynthesizeStart(), SynthesizeChunk("And then"))
                return await hear(client)

        assert run(dawdle()).error["code"] == "GENERATION_TIMEOUT"
        assert empties(server)


def test_a_server_that_stops_says_so_to_whom_it_speaks() -> None:
    async def interrupted() -> Heard:
        async with connected(server) as client:
            await send(client, *[said(LONG)] * 6)  # more than it could say meanwhile
            await hear(client, "audio-chunk")
            stopped = asyncio.create_task(asyncio.to_thread(stopping.__exit__, None, None, None))
            heard = await hear(client, "error")
            await client.disconnect()
            await stopped
            return heard

    stopping = serve(listening())
    server = stopping.__enter__()
    assert run(interrupted()).error["code"] == "SERVICE_STOPPING"


@pytest.mark.parametrize(
    "line, code",
    [
        (b"GET / HTTP/1.1\r\n", "VALIDATION_ERROR"),
        (b"[1, 2]\n", "VALIDATION_ERROR"),
        (b'{"data": {}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize"}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": 5}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": "\\ud800"}}\n', "VALIDATION_ERROR"),
        (b'{"type": "ping", "data": {"text": "\\ud800"}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": "Hi.", "voice": {"speaker": "\\ud800"}}}\n', "VALIDATION_ERROR"),
        (b'{"type": "ping", "data": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"\n", "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": "Hi.", "voice": "nova"}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": "Hi.", "voice": {"name": 5}}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize", "data": {"text": "<p/>", "text_format": "ssml"}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize-chunk", "data": {"text": "Hi."}}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize-stop"}\n', "VALIDATION_ERROR"),
        (b'{"type": "synthesize-start"}\n{"type": "synthesize-start"}\n', "VALIDATION_ERROR"),
        (b'{"type": "ping", "data_length": 99999999999}\n', "FILE_TOO_LARGE"),
        (b'{"type": "ping", "payload_length": 99999999999}\n', "FILE_TOO_LARGE"),
        (b'{"type": "' + b"x" * 5_000_000 + b'"}\n', "VALIDATION_ERROR"),
        (json.dumps({"type": "synthesize"}).encode() + b"\n" * 3, "VALIDATION_ERROR"),
    ],
)
def test_what_is_no_event_is_refused_and_breaks_nothing(server: LiveServer, line: bytes, code: str) -> None:
    async def nonsense() -> Heard:
        async with connected(server) as client:
            assert client._writer is not None
            client._writer.write(line)
            return await hear(client)

    assert run(nonsense()).error["code"] == code
    assert run(spoken(server, "Hello.")).order[-1] == "audio-stop"


def test_events_of_other_services_are_passed_over(server: LiveServer) -> None:
    async def other() -> Heard:
        async with connected(server) as client:
            assert client._writer is not None
            client._writer.write(b'{"type": "transcribe", "data": {"language": "en"}}\n{"type": "select-program"}\n')
            await send(client, Ping("here"))
            return await hear(client, "pong")

    heard = run(other())
    assert heard.last is not None
    assert heard.last.data == {"text": "here"}


def test_what_fails_is_among_the_errors_of_the_server(server: LiveServer) -> None:
    run(spoken(server, "Hello.", "nobody"))
    failures = server.app.state.api.metrics.failures
    assert comes_true(lambda: any(each.endpoint == "wyoming synthesize" for each in failures.all()))

"""The WebSocket that speaks while it is written to, on a real server with the built-in engine."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatterbox_plus.settings import Api, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve
from tests.api.talking import (
    PATH,
    START,
    closed,
    comes_true,
    empties,
    list_until_closed,
    listen,
    opened,
    say,
    spoken,
    text,
)
from tests.hearing import container_format

LONG = "This is the first sentence of many. " + "And this is another one, which nobody will hear. " * 40
RATE = 24_000
MAX_TEXT = 4000


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with serve(Settings(api=Api(max_text_length=MAX_TEXT))) as running:
        yield running


def test_a_stream_is_started_spoken_and_done(server: LiveServer) -> None:
    stream = spoken(server, "Hello the", "re. How ", "are you?")
    assert stream.order[0] == "started"
    assert stream.of("started") == [
        {"type": "started", "sample_rate": RATE, "format": "pcm", "model": "builtin", "voice": "alloy", "seed": 7,
         "words_estimated": False, "notes": []}
    ]  # fmt: skip
    assert [passage["text"] for passage in stream.of("words")] == ["Hello there.", "How are you?"]
    assert [word["text"] for word in stream.words] == ["Hello", "there", "How", "are", "you"]
    (done,) = stream.of("done")
    duration_s = len(stream.audio) / 2 / RATE
    assert done == {
        "type": "done", "spoken_text": "Hello there. How are you?", "words_spoken": 5, "words_estimated": False,
        "cancelled": False, "duration_s": pytest.approx(duration_s, abs=2e-3), "notes": [],
    }  # fmt: skip


def test_what_only_the_text_tells_is_noted_in_the_end(server: LiveServer) -> None:
    assert spoken(server, "... ", "!").of("done")[0]["notes"] == ["nothing in the text can be spoken"]
    (note,) = spoken(server, "Привет, как дела?").of("done")[0]["notes"]
    assert "Cyrillic" in note


def test_words_sound_when_they_are_said_to(server: LiveServer) -> None:
    written = "One two. Three."
    stream = spoken(server, written)
    samples = np.abs(np.frombuffer(stream.audio, "<i2"))
    for word in stream.words:
        assert written[word["char_start"] : word["char_end"]] == word["text"]
        assert samples[round(word["start_s"] * RATE) : round(word["end_s"] * RATE)].max() > 1000
    first, last = stream.of("words")
    assert samples[round(first["end_s"] * RATE) : round(last["start_s"] * RATE)].max() == 0


def test_a_clause_is_heard_before_the_text_ends(server: LiveServer) -> None:
    with opened(server) as socket:
        say(socket, START, text("This is complete. "))
        stream = listen(socket, until="audio")
        assert stream.order == ["started", "words", "audio"]
        say(socket, text("And so is this"), {"type": "flush"})
        listen(socket, until="words", stream=stream)
        say(socket, text(" in the end"), {"type": "end"})
        listen(socket, stream=stream)
    assert [passage["text"] for passage in stream.of("words")] == ["This is complete.", "And so is this", "in the end"]


def test_the_pieces_make_no_difference(server: LiveServer) -> None:
    written = "Dr. No said it was 3.14, or about 1,000, as far as he knew. Did he?"
    assert spoken(server, *written).audio == spoken(server, written).audio


@pytest.mark.parametrize("format", ["pcm", "wav", "mp3", "opus", "aac", "flac"])
def test_every_format_is_one_stream(format: str, server: LiveServer, tmp_path: Path) -> None:
    stream = spoken(server, "One sentence. And another one.", response_format=format, speed=1.2)
    assert stream.of("started")[0]["format"] == format
    if format != "pcm":
        (tmp_path / "heard").write_bytes(stream.audio)
        assert container_format(tmp_path / "heard") == {"opus": "ogg"}.get(format, format)


@pytest.mark.parametrize("played_s", [0.0, 0.7, 1.2, 2.0])
def test_who_interrupts_is_told_what_was_heard(played_s: float, server: LiveServer) -> None:
    with opened(server) as socket:
        say(socket, START, text(LONG))
        stream = listen(socket, until="words")
        while len(stream.audio) < 2.1 * 2 * RATE:
            listen(socket, until="audio", stream=stream)
        say(socket, {"type": "cancel", "played_s": played_s})
        listen(socket, stream=stream)
        (done,) = stream.of("done")
        heard = [word for word in stream.words if word["end_s"] <= played_s]
        assert (done["cancelled"], done["words_spoken"], done["played_s"]) == (True, len(heard), played_s)
        assert done["spoken_text"] == (LONG[: heard[-1]["char_end"]] if heard else "")
        assert len(stream.audio) < 60 * RATE, "most of it was never said"
        say(socket, START)
        assert listen(socket, until="started").order == ["started"], "nothing of the old one came after its end"
        assert comes_true(lambda: server.app.state.api.studio.busy == 1), "the old one has left the house"


def test_without_a_word_of_the_listener_no_more_was_heard_than_there_was_time_for(server: LiveServer) -> None:
    with opened(server) as socket:
        say(socket, START, text(LONG))
        listen(socket, until="audio")
        say(socket, {"type": "cancel"})
        stream = listen(socket)
        (done,) = stream.of("done")
        assert 0 <= done["played_s"] <= done["duration_s"]
        assert LONG.startswith(done["spoken_text"])


def test_who_interrupts_what_was_sent_but_not_yet_played_is_told_too(server: LiveServer) -> None:
    with opened(server) as socket:
        say(socket, START, text("One two three."), {"type": "end"})
        stream = listen(socket)
        second = stream.words[1]
        say(socket, {"type": "cancel", "played_s": second["end_s"]})
        (done,) = listen(socket).of("done")
    assert (done["spoken_text"], done["words_spoken"], done["cancelled"]) == ("One two", 2, True)


def test_one_socket_speaks_again_and_again(server: LiveServer) -> None:
    with opened(server) as socket:
        for words in ("One.", "Two!"):
            say(socket, START, text(words), {"type": "end"})
            stream = listen(socket)
            assert stream.of("done")[0]["spoken_text"] == words
            assert stream.words[0]["char_start"] == 0
            assert stream.audio == spoken(server, words).audio


def test_two_sockets_do_not_mix(server: LiveServer) -> None:
    voices, written = ("en+f3", "en"), "We speak at the same time. Nobody is confused."
    alone = [spoken(server, written, voice=voice).audio for voice in voices]
    assert alone[0] != alone[1]
    with opened(server) as one, opened(server, "/audio/speech/stream") as other:
        for socket, voice in ((one, voices[0]), (other, voices[1])):
            say(socket, {**START, "voice": voice})
        for piece in written.split(" "):
            for socket in (one, other):
                say(socket, text(piece + " "))
        for socket in (one, other):
            say(socket, {"type": "end"})
        assert [listen(socket).audio for socket in (one, other)] == alone


FLAWS: list[tuple[list[Any], str, str | None]] = [
    (["no json"], "validation_error", None),
    ([b"\x00"], "validation_error", None),
    (["[]"], "validation_error", "type"),
    ([{"type": "sing"}], "validation_error", "type"),
    ([{"type": ["start"]}], "validation_error", "type"),
    (["[" * 100_000], "validation_error", None),
    ([{"type": "start"}], "validation_error", "model"),
    ([{**START, "speed": 9}], "validation_error", "speed"),
    ([{**START, "temperature": 9}], "validation_error", "temperature"),
    ([{**START, "response_format": "ogg"}], "validation_error", "response_format"),
    ([{**START, "streaming": "never"}], "validation_error", "streaming"),
    ([{**START, "voice": "nobody"}], "resource_not_found", "voice"),
    ([{**START, "language": "xx-none"}], "validation_error", "language"),
    ([START, {"type": "text"}], "validation_error", "text"),
    ([START, '{"type": "text", "text": "\\ud800"}'], "validation_error", None),
    ([START, text("x" * (MAX_TEXT + 1))], "text_too_long", "text"),
    ([START, text("x" * MAX_TEXT), text("y")], "text_too_long", "text"),
    ([START, {"type": "cancel", "played_s": -1}], "validation_error", "played_s"),
    ([START, START], "validation_error", "type"),
    ([text("Hello.")], "validation_error", "type"),
    ([{"type": "flush"}], "validation_error", "type"),
    ([{"type": "cancel"}], "validation_error", "type"),
    ([{"type": "end"}], "validation_error", "type"),
    ([START, {"type": "end"}, text("x")], "validation_error", "type"),
]


@pytest.mark.parametrize(("messages", "code", "param"), FLAWS)
def test_what_is_wrong_is_told_and_ends_it(
    messages: list[Any], code: str, param: str | None, server: LiveServer
) -> None:
    with opened(server) as socket:
        for message in messages:
            socket.send(json.dumps(message) if isinstance(message, dict) else message)
        (told,) = listen(socket, until="error").of("error")
        assert (told["error"]["code"], told["error"]["param"]) == (code, param)
        assert set(told["error"]) == {"message", "type", "param", "code"}
        assert closed(socket) == 1011
    assert empties(server)


def test_a_message_without_end_is_not_taken(server: LiveServer) -> None:
    with opened(server) as socket:
        socket.send("x" * (3 * 2**20))
        assert closed(socket) == 1009


def test_who_leaves_leaves_nothing_behind(server: LiveServer) -> None:
    with opened(server) as socket:
        say(socket, START, text(LONG))
        listen(socket, until="audio")
    assert empties(server)


def test_who_neither_writes_nor_reads_is_not_waited_for() -> None:
    with serve(Settings(api=Api(request_timeout_seconds=0.2))) as server:
        with opened(server) as socket:
            assert closed(socket) == 1000
        with opened(server) as socket:
            say(socket, START, text("Hello there. "))
            listen(socket, until="audio")
            assert all(isinstance(came, bytes) for came in list_until_closed(socket))
            assert socket.close_code == 1000
        with opened(server, max_queue=1) as socket:
            say(socket, START, text(LONG), text(LONG), {"type": "end"})
            assert comes_true(lambda: server.app.state.api.studio.busy == 1)
            assert empties(server), "who does not read is not waited for"
            assert all('"done"' not in str(came) for came in list_until_closed(socket))


def test_a_full_house_says_so() -> None:
    settings = Settings.model_validate({"models": {"workers": 1}, "api": {"queue_limit": 0}})
    with serve(settings) as server, opened(server) as first, opened(server) as second:
        say(first, START)
        listen(first, until="started")
        say(second, START)
        (told,) = listen(second, until="error").of("error")
        assert told["error"]["code"] == "service_overloaded"
        assert closed(second) == 1013
        say(first, text("Still here."), {"type": "end"})
        assert listen(first).of("done")


def test_a_socket_is_counted_once_and_what_it_says_as_made() -> None:
    with serve(Settings()) as server:
        spoken(server, "One.")
        metrics = server.app.state.api.metrics
        assert comes_true(lambda: ("GET", PATH) in metrics.routes())
        counted = metrics.routes()["GET", PATH]
        assert (counted.times.count, counted.classes) == (1, {1: 1})
        assert metrics.generations()["tts"]["count"] == 1
        with opened(server) as socket:
            socket.send("no json")
            listen(socket, until="error")
        assert comes_true(lambda: metrics.errors() == {"VALIDATION_ERROR": 1})


def test_an_error_that_nobody_meant_closes_it_and_says_nothing(tmp_path: Path) -> None:
    studio: Any = FakeStudio(tmp_path)

    def dictate(*args: Any, **more: Any) -> None:
        raise ZeroDivisionError("a secret of the house")

    studio.dictate = dictate
    with serve(Settings(), studio) as server, opened(server) as socket:
        say(socket, START)
        assert closed(socket) == 1011
        assert comes_true(lambda: server.app.state.api.metrics.errors() == {"INTERNAL_ERROR": 1})


@pytest.mark.parametrize("headers", [b"", b"Sec-WebSocket-Version: 13\r\n", b"X: y\r\n" * 150])
def test_a_handshake_that_is_none_is_refused(headers: bytes, server: LiveServer) -> None:
    upgrade = b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    with server.raw(b"GET " + PATH.encode() + b" HTTP/1.1\r\n" + upgrade + headers + b"\r\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert server.get(PATH).status_code == 404


def test_a_server_that_stops_says_so() -> None:
    with ExitStack() as sockets:
        with serve(Settings()) as server:
            socket = sockets.enter_context(opened(server))
            say(socket, START, text("Hello there. "))
            listen(socket, until="audio")
        assert all(isinstance(came, bytes) for came in list_until_closed(socket))
        assert socket.close_code == 1012

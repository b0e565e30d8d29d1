"""What SillyTavern's Chatterbox provider sends means the same in our words, or is refused with a reason."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.bridges.sillytavern import LEAST_TEMPERATURE
from chatterbox_plus.settings import Api, Settings
from chatterbox_plus.synthesis.options import SpeechOptions
from tests.api.fake_studio import Call, FakeStudio
from tests.api.live_server import LiveServer, serve

CHUNKS = "chunk_size had no effect: text is cut at the ends of sentences"
SAID = {
    "text": "hello",
    "voice_mode": "predefined",
    "predefined_voice_id": "alloy",
    "temperature": 0.8,
    "exaggeration": 0.5,
    "cfg_weight": 0.4,
    "seed": 7,
    "speed_factor": 1.5,
    "language": "de",
    "split_text": True,
    "chunk_size": 120,
    "output_format": "mp3",
}
"""Every field that is documented."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> FakeStudio:
    return FakeStudio(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def server(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(Settings(), studio) as running:
        yield running


def asked(method: str, server: LiveServer, **fields: Any) -> requests.Response:
    if method == "POST":
        return server.post("/tts", fields)
    return server.get("/tts-stream", params=fields)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_every_field_arrives_in_our_words(method: str, server: LiveServer, studio: FakeStudio) -> None:
    answer = asked(method, server, **SAID)
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["Content-Type"] == "audio/mpeg"
    call: Call = studio.calls[-1]
    assert call.options == SpeechOptions(
        text="hello",
        reference_audio_filename="alloy",
        temperature=0.8,
        exaggeration=0.5,
        cfg_weight=0.4,
        seed=7,
        language="de",
    )
    assert call.more == {"format": "mp3", "keep": False, "speed": 1.5, "any_model": False}
    assert answer.headers["X-Chatterbox-Notes"].endswith(f"; {CHUNKS}")


def test_what_is_left_out_or_null_is_left_to_the_server(server: LiveServer, studio: FakeStudio) -> None:
    nothing = dict.fromkeys([*SAID, "reference_audio_filename"])
    answer = asked("POST", server, **{**nothing, "text": "hello", "predefined_voice_id": "alloy"})
    assert answer.headers["Content-Type"] == "audio/wav"
    assert "had no effect" not in answer.headers["X-Chatterbox-Notes"]
    assert studio.calls[-1].options.model_fields_set == {"text", "reference_audio_filename"}
    assert studio.calls[-1].more["speed"] is None


@pytest.mark.parametrize(
    ("fields", "voice"),
    [
        ({"voice_mode": "clone", "reference_audio_filename": "speaker1.wav"}, "speaker1.wav"),
        (
            {"voice_mode": "Clone", "reference_audio_filename": "speaker1.wav", "predefined_voice_id": "alloy"},
            "speaker1.wav",
        ),
        ({"predefined_voice_id": "alloy", "reference_audio_filename": "speaker1.wav"}, "alloy"),
        ({"predefined_voice_id": "S1"}, None),
    ],
)
def test_the_mode_says_which_field_names_the_voice(
    fields: dict[str, str], voice: str | None, server: LiveServer, studio: FakeStudio
) -> None:
    assert asked("POST", server, text="hello", **fields).status_code == 200
    assert studio.calls[-1].options.reference_audio_filename == voice


@pytest.mark.parametrize(("seed", "meant"), [(0, 0), (-1, 0), (5, 5)])
def test_0_and_minus_1_are_any_seed(seed: int, meant: int, server: LiveServer, studio: FakeStudio) -> None:
    assert asked("GET", server, text="hello", predefined_voice_id="alloy", seed=seed).status_code == 200
    assert studio.calls[-1].options.seed == meant


def test_what_has_another_effect_is_told(server: LiveServer, studio: FakeStudio) -> None:
    answer = asked("POST", server, text="hello", predefined_voice_id="S1", temperature=0, split_text=False)
    assert studio.calls[-1].options.temperature == LEAST_TEMPERATURE == 0.1
    told = answer.headers["X-Chatterbox-Notes"]
    for remark in ("S1 is nobody's name", "split_text had no effect", "temperature 0 became 0.1"):
        assert remark in told


def test_fields_of_ours_work_here_too(server: LiveServer, studio: FakeStudio) -> None:
    assert asked("POST", server, **SAID, model="builtin", trim=True).status_code == 200
    assert (studio.calls[-1].options.model, studio.calls[-1].options.trim) == ("builtin", True)


@pytest.mark.parametrize(
    ("wrong", "status", "reason"),
    [
        ({"text": ""}, 422, "text"),
        ({"text": " "}, 422, "text is blank"),
        ({"predefined_voice_id": None}, 422, "predefined_voice_id is missing"),
        ({"voice_mode": "clone"}, 422, "reference_audio_filename is missing"),
        ({"voice_mode": "sung"}, 422, "voice_mode"),
        ({"predefined_voice_id": "nobody"}, 404, "nobody"),
        ({"output_format": "ogg"}, 422, "output_format"),
        ({"speed_factor": 5}, 422, "speed_factor"),
        ({"exaggeration": 3}, 422, "exaggeration"),
        ({"seed": -2}, 422, "seed"),
        ({"text": "full"}, 503, ""),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_what_cannot_be_is_refused_with_its_reason(
    method: str, wrong: dict[str, Any], status: int, reason: str, server: LiveServer
) -> None:
    answer = asked(method, server, **{**SAID, **wrong})
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert answer.json()["detail"], "which the provider shows"


def test_stock_voices_are_predefined_and_stored_ones_are_clones(server: LiveServer) -> None:
    voices = server.get("/get_predefined_voices").json()
    assert [voice["voice_id"] for voice in voices] == ["alloy", "en+f3"]
    assert all(voice["display_name"] and voice["filename"] == voice["voice_id"] for voice in voices)
    assert server.get("/get_reference_files").json() == ["speaker1.wav"]


def test_files_are_kept_only_when_set(studio: FakeStudio) -> None:
    with serve(Settings(api=Api(keep_openai_outputs=True)), studio) as server:
        assert asked("GET", server, **SAID).status_code == 200
    assert studio.calls[-1].more["keep"] is True


def test_a_page_elsewhere_cannot_make_a_browser_speak(server: LiveServer, studio: FakeStudio) -> None:
    """The route is a GET that makes work: an image or a sound in any page could ask for it."""
    calls = len(studio.calls)
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "audio"}
    assert server.get("/tts-stream", params=SAID, headers=headers).status_code == 403
    assert len(studio.calls) == calls


def test_a_broken_stream_breaks_the_connection(server: LiveServer) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = asked("GET", server, **{**SAID, "text": "break"}).content

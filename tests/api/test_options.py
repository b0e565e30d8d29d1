"""What can be asked for, as a page makes its forms of it."""

from typing import Any

from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.options import MAX_SEGMENTS, MAX_SILENCE_MS, MIN_SILENCE_MS
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

OPTIONS = "/api/v1/options"
MOST_BYTES = 25_000  # a page loads it before anything else


def test_it_is_small_and_names_every_kind(server: LiveServer) -> None:
    answer = server.get(OPTIONS)
    assert len(answer.content) < MOST_BYTES
    told: dict[str, Any] = answer.json()
    assert all(told[kind] for kind in ("speech", "conversion", "joining", "book", "models", "formats", "limits"))
    assert told["limits"] == server.get("/api/v1/config").json()["api_limits"]
    assert told["pieces"] == {"max": MAX_SEGMENTS, "min_silence_ms": MIN_SILENCE_MS, "max_silence_ms": MAX_SILENCE_MS}
    models = {model["name"]: model for model in told["models"]}
    assert models["builtin"]["installed"]
    assert "en" in models["builtin"]["languages"]
    assert models["turbo"]["options"]["top_k"] == 1000
    assert models["turbo"]["sounds"]


def test_who_has_it_already_is_told_so(server: LiveServer) -> None:
    tag = server.get(OPTIONS).headers["ETag"]
    again = server.ask("GET", OPTIONS, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert server.ask("GET", OPTIONS, headers={"If-None-Match": '"other"'}).status_code == 200


def test_defaults_of_the_configuration_count(studio: FakeStudio) -> None:
    settings = Settings(tts_defaults={"temperature": 0.7}, speed_factor={"default_speed_factor": 1.5})
    with serve(settings, studio) as server:
        told = {field["name"]: field["default"] for field in server.get(OPTIONS).json()["speech"]}
    assert (told["temperature"], told["speed_factor"]) == (0.7, 1.5)

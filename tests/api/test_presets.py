"""Presets over HTTP: saved, listed, replaced, refused as a request would be."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer

PRESETS = "/api/v1/presets"
FIELDS = {"name", "kind", "options", "created_date", "updated_date"}


@pytest.fixture(autouse=True)
def empty(studio: FakeStudio) -> Iterator[None]:
    yield
    for preset in studio.library.presets.all():
        studio.library.presets.delete(preset.name)


def put(server: LiveServer, name: str, options: dict[str, Any], query: str = "", **more: Any) -> Any:
    body = {"options": options, **{key: more.pop(key) for key in ("kind",) if key in more}}
    return server.ask("PUT", f"{PRESETS}/{name}{query}", json=body, **more)


def test_a_preset_comes_back_as_it_was_sent(server: LiveServer) -> None:
    sent = {"speed_factor": 0.9, "reference_audio_filename": "speaker1.wav", "export_formats": ["mp3"]}
    saved = put(server, "Calm%20narrator", {**sent, "temperature": None}).json()
    assert (saved["success"], saved["name"], saved["kind"], saved["options"]) == (
        True, "Calm narrator", "speech", sent,
    )  # fmt: skip
    told = server.get(f"{PRESETS}/calm%20narrator").json()
    assert {key: told[key] for key in FIELDS} == {key: saved[key] for key in FIELDS}
    assert server.get(PRESETS).json()["presets"] == [{key: saved[key] for key in FIELDS}]


def test_a_list_can_be_of_one_kind(server: LiveServer) -> None:
    put(server, "a", {"seed": 1})
    put(server, "b", {"crossfade_ms": 50}, kind="joining")
    put(server, "c", {"chunk_sec": 30}, kind="conversion")
    assert [preset["name"] for preset in server.get(f"{PRESETS}?kind=joining").json()["presets"]] == ["b"]
    assert server.get(PRESETS).json()["count"] == 3


def test_it_is_replaced_only_if_that_is_wanted(server: LiveServer) -> None:
    put(server, "one", {"seed": 1})
    for answer in (
        put(server, "ONE", {"seed": 2}, "?overwrite=false"),
        put(server, "one", {"seed": 2}, headers={"If-None-Match": "*"}),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (409, "FILE_EXISTS")
    assert put(server, "one", {"seed": 2}, headers={"If-None-Match": '"x"'}).status_code == 422
    assert server.get(f"{PRESETS}/one").json()["options"] == {"seed": 1}
    assert put(server, "one", {"seed": 3}).json()["options"] == {"seed": 3}


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        ("speech", {"speed_factor": 9}, "speed_factor"),
        ("speech", {"speedfactor": 1}, "speedfactor"),
        ("speech", {"text": "Hello."}, "text"),
        ("speech", {"crossfade_ms": 5}, "crossfade_ms"),
        ("speech", {"export_formats": []}, "export_formats"),
        ("joining", {"segments": []}, "segments"),
        ("joining", {"temperature": 1}, "temperature"),
        ("conversion", {"chunk_sec": 0}, "chunk_sec"),
        ("conversion", {"input_audio_source": "a.wav"}, "input_audio_source"),
    ],
)
def test_an_option_that_a_request_would_refuse_is_named(
    server: LiveServer, kind: str, options: dict[str, Any], field: str
) -> None:
    answer = put(server, "one", options, kind=kind)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:3] == ["body", "options", field]
    assert server.get(f"{PRESETS}/one").status_code == 404


def test_what_is_no_preset_is_refused(server: LiveServer) -> None:
    assert server.ask("PUT", f"{PRESETS}/one", json={"kind": "book", "options": {}}).status_code == 422
    assert server.ask("PUT", f"{PRESETS}/one", json={"kind": "speech"}).status_code == 422
    assert put(server, "a%3Ab", {}).status_code == 422
    assert put(server, "a%2Fb", {}).status_code == 404


def test_it_can_be_deleted(server: LiveServer) -> None:
    put(server, "one", {"seed": 1})
    assert server.ask("DELETE", f"{PRESETS}/One").json()["name"] == "one"
    assert server.ask("DELETE", f"{PRESETS}/one").status_code == 404

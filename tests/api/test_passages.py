"""A task passage by passage: heard, said again, chosen, and made anew of what was chosen."""

import io
import time
import wave
from collections.abc import Iterator
from typing import Any

import pytest

from chatterbox_plus.settings import Paths, Settings
from tests.api.live_server import LiveServer, serve
from tests.synthesis.houses import ListeningHost, tone_house

TEXT = "One is. Two is. Three is."
WAIT_S = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, ListeningHost]]:
    data = tmp_path_factory.mktemp("data")
    with tone_house(data) as (studio, host), serve(Settings(paths=Paths(data_dir=data)), studio) as server:
        yield server, host


@pytest.fixture
def server(house: tuple[LiveServer, ListeningHost]) -> LiveServer:
    return house[0]


def finished(server: LiveServer, reply: Any) -> dict[str, Any]:
    """The task that a 202 promised, once it has succeeded."""
    assert reply.status_code == 202, reply.text
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        told: dict[str, Any] = server.get(reply.json()["status_url"]).json()
        if told["success"] is not None:
            assert told["success"], told
            return told
        time.sleep(0.02)  # polling as a client does, bounded by the deadline
    raise AssertionError("the task did not end")


@pytest.fixture
def task(server: LiveServer) -> str:
    body = {"text": TEXT, "smart_batch_short_sentences": False, "to_lowercase": False, "export_formats": ["wav"]}
    told = finished(server, server.post("/api/v1/tts/async", body))
    return f"/api/v1/tasks/{told['task_id']}"


def seconds(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnframes() / file.getframerate()


def test_every_passage_is_listed_with_its_place(server: LiveServer, task: str) -> None:
    told = server.get(f"{task}/passages").json()
    assert [TEXT[p["char_start"] : p["char_end"]] for p in told["passages"]] == ["One is.", "Two is.", "Three is."]
    assert {p["state"] for p in told["passages"]} == {"kept"}
    page = server.get(f"{task}/passages?page=2&page_size=2").json()
    assert ([p["number"] for p in page["passages"]], page["total"]) == ([3], 3)


def test_a_passage_is_heard_alone(server: LiveServer, task: str) -> None:
    reply = server.get(f"{task}/passages/2/audio")
    assert reply.headers["content-type"] == "audio/wav"
    assert seconds(reply.content) == pytest.approx(0.07, abs=0.001)


def test_takes_are_made_compared_and_chosen(house: tuple[LiveServer, ListeningHost], task: str) -> None:
    server, host = house
    made = server.post(f"{task}/passages/2/retake", {"text": "Two was not."}).json()
    assert made["passage"]["text"] == "Two was not."
    again = server.post(f"{task}/passages/2/retake", {"text": "No.", "choose": False}).json()
    assert again["passage"]["text"] == "Two was not."
    assert [take["chosen"] for take in again["passage"]["takes"]] == [True, False]
    assert seconds(server.get(f"{task}/passages/2/audio?take=original").content) == pytest.approx(0.07, abs=0.001)
    assert seconds(server.get(again["take"]["audio_url"]).content) == pytest.approx(0.03, abs=0.001)
    host.asked.clear()
    rendered = finished(server, server.post(f"{task}/render"))
    assert rendered["result"]["passages"] == 3
    assert host.asked == []  # all of it had been spoken
    chosen = server.ask("PUT", f"{task}/passages/2", json={"take": None}).json()
    assert chosen["passage"]["text"] == "Two is."


def test_a_take_of_a_take_goes_on_from_it(server: LiveServer, task: str) -> None:
    server.post(f"{task}/passages/1/retake", {"text": "Once upon a time."})
    rendered = finished(server, server.post(f"{task}/render"))
    told = server.get(f"/api/v1/tasks/{rendered['task_id']}/passages").json()
    assert [p["text"] for p in told["passages"]] == ["Once upon a time.", "Two is.", "Three is."]


def test_a_book_is_edited_in_the_same_way(server: LiveServer) -> None:
    chapters = [{"title": "A", "text": "One is. Two is."}, {"title": "B", "text": "Three is. Four is."}]
    body = {"title": "Edited", "chapters": chapters, "options": {"smart_batch_short_sentences": False}}
    task = f"/api/v1/tasks/{finished(server, server.post('/api/v1/book', body))['task_id']}"
    told = server.get(f"{task}/passages").json()["passages"]
    assert [(p["number"], p["chapter"]) for p in told] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert server.post(f"{task}/passages/3/retake", {"text": "Three was."}).status_code == 200
    rendered = finished(server, server.post(f"{task}/render"))
    shown = server.get(rendered["output_url"].replace(".m4b", ".srt")).text
    assert "Three was." in shown
    assert "Three is." not in shown


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/passages/4/audio", None, 404),
        ("GET", "/passages/0/audio", None, 422),
        ("GET", "/passages/1/audio?take=take_none", None, 404),
        ("POST", "/passages/4/retake", {"seed": 1}, 404),
        ("POST", "/passages/1/retake", {"seed": 0}, 422),
        ("POST", "/passages/1/retake", {"text": ""}, 422),
        ("POST", "/passages/1/retake", {"text": "  "}, 422),
        ("PUT", "/passages/1", {"take": "take_none"}, 404),
        ("PUT", "/passages/1", {}, 422),
        ("POST", "/render", {"webhook_url": "ftp://x"}, 422),
    ],
)
def test_what_cannot_be_is_said(
    server: LiveServer, task: str, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    assert server.ask(method, task + path, json=body).status_code == status


def test_only_speech_has_passages(server: LiveServer) -> None:
    rows = server.post("/api/v1/batch", {"items": [{"text": "One is."}], "options": {"export_formats": ["wav"]}})
    assert server.get(f"{rows.json()['status_url']}/passages").status_code == 409
    assert server.get("/api/v1/tasks/task_none/passages").status_code == 404

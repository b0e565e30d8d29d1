"""A speech task heard while it is made: from its beginning, passage by passage, the same sound that its file holds."""

import io
import threading
import wave
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.api import task_audio
from chatterbox_plus.errors import Overloaded
from tests.api.task_house import PATIENCE_S, House, events, house

HEADER_BYTES = 44
LONG = "One is long enough that some of it has left the change of speed before the next one comes to it."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as running:
        yield running


def listening(home: House, id: str, **query: str) -> requests.Response:
    return requests.get(f"{home.server.url}/api/v1/tasks/{id}/audio", params=query, stream=True, timeout=PATIENCE_S)


def samples(content: bytes) -> bytes:
    return content[HEADER_BYTES:]


def seconds(data: bytes) -> float:
    with wave.open(io.BytesIO(data)) as file:
        return file.getnframes() / file.getframerate()


def passages(home: House, id: str) -> list[dict[str, Any]]:
    return list(home.server.get(f"/api/v1/tasks/{id}/passages").json()["passages"])


def test_the_first_passage_is_heard_before_the_last_is_spoken(home: House) -> None:
    id = home.submit(f"{LONG} Now wait alpha. And three.", speed_factor=2.0)
    with listening(home, id) as reply:
        assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/wav")
        chunks = reply.iter_content(1024)
        heard = next(chunks)
        assert home.task(id)["success"] is None, "it is still being made"
        home.open("alpha")
        heard += b"".join(chunks)
    told = home.ended(id)
    made = home.server.get(told["output_url"]).content
    assert samples(heard) == samples(made)
    assert home.said("one is long enough") == 1, "listening speaks nothing"


def test_every_format_is_heard_and_an_ended_task_is_its_file(home: House) -> None:
    id = home.submit("Short.")
    told = home.ended(id)
    reply = listening(home, id)
    assert reply.url.endswith(told["output_url"])
    assert [step.status_code for step in reply.history] == [307]
    mp3 = listening(home, id, format="mp3")
    assert (mp3.status_code, mp3.history, mp3.headers["content-type"]) == (200, [], "audio/mpeg")
    assert mp3.content
    assert listening(home, id, format="m4b").status_code == 422


def test_a_file_that_was_deleted_is_put_together_again(home: House) -> None:
    id = home.submit("This will be deleted.")
    url = home.ended(id)["output_url"]
    made = home.server.get(url).content
    name = url.rpartition("/")[2]
    assert home.server.ask("DELETE", f"/api/v1/output/{name}?confirm=true").status_code == 200
    reply = listening(home, id)
    assert (reply.history, samples(reply.content)) == ([], samples(made))


def test_what_comes_to_nothing_breaks_off(home: House) -> None:
    """Half a speech never looks whole."""
    id = home.submit("This is said. Now wait nowhere.")
    with listening(home, id) as reply:
        chunks = reply.iter_content(1024)
        next(chunks)
        assert home.server.ask("DELETE", f"/api/v1/tasks/{id}").status_code == 200
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            list(chunks)
    assert listening(home, id).status_code == 409
    failed = home.submit("Now fail nevermore.")
    home.ended(failed, "failed")
    assert listening(home, failed).status_code == 409


def test_a_listener_who_waits_for_the_first_passage_is_told_what_became_of_it(home: House) -> None:
    id = home.submit("Now wait never.")
    home.waiting_at(id, 0)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(listening(home, id).status_code))
    waiting.start()
    home.server.ask("DELETE", f"/api/v1/tasks/{id}")
    waiting.join(PATIENCE_S)
    assert answers == [409]


def test_listeners_have_a_limit_and_leave_room_again(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    id = home.submit("One is heard. Now wait delta.")
    open_ones = [listening(home, id) for _ in range(task_audio.MOST_LISTENERS)]
    try:
        assert all(reply.status_code == 200 for reply in open_ones)
        refused = listening(home, id)
        assert (refused.status_code, refused.json()["error_code"]) == (503, Overloaded.code)
        assert home.server.get("/api/v1/health").status_code == 200
    finally:
        home.open("delta")
        for reply in open_ones:
            assert reply.content
    home.ended(id)
    assert listening(home, id, format="flac").status_code == 200


def test_only_speech_is_heard(home: House) -> None:
    rows = home.sent("/api/v1/batch", {"items": [{"text": "A row."}], "options": {"export_formats": ["wav"]}})
    assert listening(home, rows).status_code == 409
    assert listening(home, "task_none").status_code == 404


def test_a_passage_is_there_as_soon_as_an_event_says_so(home: House) -> None:
    id = home.submit("One is heard. Now wait epsilon.", speed_factor=2.0)
    with requests.get(f"{home.server.url}/api/v1/tasks/{id}/events", stream=True, timeout=PATIENCE_S) as told:
        event = next(event for event in events(told) if event.get("event") == "passage")
    assert event["data"]["passage"] == 1
    first, second = passages(home, id)
    assert (first["state"], second["state"]) == ("kept", "missing")
    wav = home.server.get(first["audio_url"]).content
    assert seconds(wav) == pytest.approx(first["seconds"], abs=0.001)
    assert (first["start_seconds"], first["end_seconds"]) == (0.0, pytest.approx(first["seconds"] / 2, abs=0.001))
    assert (second["seconds"], second["start_seconds"], second["end_seconds"]) == (None, None, None)
    home.open("epsilon")
    total = home.ended(id)["result"]["total_duration_seconds"]
    after = passages(home, id)
    assert after[0]["end_seconds"] == pytest.approx(first["end_seconds"], abs=0.002)
    gap = first["pause_seconds"] / 2
    assert after[1]["start_seconds"] == pytest.approx(after[0]["end_seconds"] + gap, abs=0.002)
    assert after[1]["end_seconds"] == pytest.approx(total, abs=0.3)  # and the pause after it


def test_times_are_those_of_the_finished_sound(home: House) -> None:
    """Trimmed and cut, which is known only in the end."""
    id = home.submit("One is heard. Now wait zeta.", trim=True, use_auto_editor=True)
    home.waiting_at(id, 1)
    assert {p["start_seconds"] for p in passages(home, id)} == {None}
    home.open("zeta")
    total = home.ended(id)["result"]["total_duration_seconds"]
    told = passages(home, id)
    times = [told[0]["start_seconds"], told[0]["end_seconds"], told[1]["start_seconds"], told[1]["end_seconds"]]
    assert times == sorted(times)
    assert 0 <= times[0] < times[1]
    assert times[-1] <= total + 0.01

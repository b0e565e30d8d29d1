"""What happens to a task, told as it happens: in order, nothing twice, nothing missed, and with an end."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.api import task_events
from tests.api.task_house import House, events, house


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("events")) as running:
        yield running


def listen(here: House, task: str, after: str = "", **headers: str) -> requests.Response:
    url = f"{here.server.url}/api/v1/tasks/{task}/events{after}"
    reply = requests.get(url, headers=headers, stream=True, timeout=15)
    assert reply.status_code == 200, reply.text
    return reply


def heard(here: House, task: str, after: str = "", **headers: str) -> list[dict[str, Any]]:
    """Everything until the stream ends, which it must of itself."""
    with listen(here, task, after, **headers) as reply:
        return [told for told in events(reply) if "event" in told]


def test_a_task_tells_its_whole_life_in_order(here: House) -> None:
    task = here.submit("One is said. Two is said. Three is said.")
    told = heard(here, task)
    assert [one["event"] for one in told] == ["queued", "started", "passage", "passage", "passage", "finished"]
    assert [int(one["id"]) for one in told] == [1, 2, 3, 4, 5, 6]
    assert [one["data"]["passage"] for one in told[2:5]] == [1, 2, 3]
    assert {one["data"]["passages"] for one in told[2:5]} == {3}
    assert [one["data"]["at"] for one in told] == sorted(one["data"]["at"] for one in told)
    assert told[-1]["data"]["status"] == "succeeded"
    assert told[-1]["data"]["output_url"] == here.task(task)["output_url"]
    assert heard(here, task) == told, "who comes late hears the same"


def test_an_event_is_told_when_it_happens_and_not_at_the_end(here: House) -> None:
    task = here.submit("Said at once. Now wait told please.")
    with listen(here, task) as reply:
        stream = (one for one in events(reply) if "event" in one)
        assert [next(stream)["event"] for _ in range(3)] == ["queued", "started", "passage"]
        assert here.task(task)["status"] == "running"
        here.open("told")
        assert [one["event"] for one in stream] == ["passage", "finished"]


def test_who_comes_back_hears_what_is_new(here: House) -> None:
    task = here.submit("A first one. A second one.")
    told = heard(here, task)
    for seen in range(len(told) + 2):
        assert heard(here, task, **{"Last-Event-ID": str(seen)}) == told[seen:]
        assert heard(here, task, f"?after={seen}") == told[seen:]
    assert heard(here, task, "?after=1", **{"Last-Event-ID": "4"}) == told[4:], "the header is the browser's own"


@pytest.mark.parametrize("seen", ["", "x", "-1", "1.5", "9" * 40, "١"])
def test_an_id_that_was_never_given_is_none(here: House, seen: str) -> None:
    task = here.submit("Short.")
    here.ended(task)
    assert len(heard(here, task, **{"Last-Event-ID": seen.encode().decode("latin-1")})) == 4


def test_pauses_retries_and_failures_are_told(here: House) -> None:
    task = here.submit("Here we go. They fail events today.")
    here.ended(task, "failed")
    assert heard(here, task)[-1]["data"]["error"]["code"] == "INVALID_AUDIO"
    here.open("events")
    here.server.post(f"/api/v1/tasks/{task}/retry")
    here.ended(task)
    assert [one["event"] for one in heard(here, task)] == [
        "queued", "started", "passage", "finished", "resumed", "started", "passage", "passage", "finished",
    ]  # fmt: skip
    paused = here.submit("Hold on. Now wait hold please.")
    here.waiting_at(paused, 1)
    here.server.post(f"/api/v1/tasks/{paused}/pause")
    here.open("hold")
    here.server.post(f"/api/v1/tasks/{paused}/resume")
    here.ended(paused)
    names = [one["event"] for one in heard(here, paused)]
    assert names.index("paused") + 1 == names.index("resumed")


def test_a_cancelled_task_ends_its_streams(here: House) -> None:
    task = here.submit("Said first. Then wait nobody please.")
    here.waiting_at(task, 1)
    told: list[dict[str, Any]] = []
    listener = threading.Thread(target=lambda: told.extend(heard(here, task)))
    listener.start()
    here.server.ask("DELETE", f"/api/v1/tasks/{task}")
    listener.join(10)
    assert not listener.is_alive()
    assert (told[-1]["event"], told[-1]["data"]["status"]) == ("finished", "cancelled")


def test_a_silent_stream_is_kept_open(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then: else a proxy takes it for dead."""
    monkeypatch.setattr(task_events, "ALIVE_S", 0.05)
    task = here.submit("Said first. Then wait silence please.")
    here.waiting_at(task, 1)
    with listen(here, task) as reply:
        assert reply.headers["Cache-Control"] == "no-store"
        assert any("comment" in one for one in events(reply))
    here.open("silence")
    here.ended(task)


def test_many_listen_at_once(here: House) -> None:
    task = here.submit("To everybody. Now wait crowd please. Good night.")
    here.waiting_at(task, 1)
    told: list[list[dict[str, Any]]] = []
    listeners = [threading.Thread(target=lambda: told.append(heard(here, task))) for _ in range(40)]
    for listener in listeners:
        listener.start()
    here.open("crowd")
    for listener in listeners:
        listener.join(15)
    assert len(told) == 40
    assert all(one == told[0] for one in told)

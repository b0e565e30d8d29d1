"""All tasks over one connection: every change, of one's own, with an end; nothing missed by who comes back."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.api import task_changes
from tests.api.task_house import House, events, house

CHANGES = "/api/v1/tasks/events"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("changes")) as running:
        yield running


def listen(here: House, query: str = "", **headers: str) -> requests.Response:
    reply = requests.get(f"{here.server.url}{CHANGES}{query}", headers=headers, stream=True, timeout=20)
    assert reply.status_code == 200, reply.text
    return reply


def heard(reply: requests.Response) -> Iterator[dict[str, Any]]:
    return (one for one in events(reply) if "event" in one)


def test_a_task_is_told_of_from_its_beginning_to_its_end(here: House) -> None:
    with listen(here, "?seconds=60") as reply:
        stream = heard(reply)
        task = here.submit("One is said. Now wait changed please.")
        seen = []
        for one in stream:
            if one["data"]["task_id"] != task:
                continue
            assert one["event"] == "task"
            seen.append(one["data"])
            if seen[-1]["status"] == "running" and seen[-1]["progress"]["done"] == 1:
                here.open("changed")
            if seen[-1]["success"] is not None:
                break
    assert seen[-1]["status"] == "succeeded"
    assert {one["about"] for one in seen} == {"One is said. Now wait changed please."}
    assert {"task_id", "kind", "progress", "output_files", "links"} <= seen[-1].keys()


def test_a_stream_ends_and_is_taken_up_where_it_was(here: House) -> None:
    first = here.submit("Before anybody listens.")
    here.ended(first)
    with listen(here, "?seconds=1") as reply:
        told = list(heard(reply))
    assert first in {one["data"]["task_id"] for one in told}, "what has just happened comes first"
    ids = [int(one["id"]) for one in told]
    assert ids == sorted(ids)
    second = here.submit("While nobody listens.")
    here.ended(second)
    with listen(here, "?seconds=1", **{"Last-Event-ID": str(ids[-1])}) as reply:
        assert second in {one["data"]["task_id"] for one in heard(reply)}


def test_rows_are_told_of_with_their_batch_alone(here: House) -> None:
    batch = here.sent("/api/v1/batch", {"items": [{"text": "A row."}, {"text": "Another row."}]})
    here.ended(batch)
    with listen(here, "?seconds=1") as reply:
        assert all("row" not in one["data"] for one in heard(reply))
    with listen(here, f"?seconds=1&batch={batch}") as reply:
        rows = [one["data"] for one in heard(reply)]
    assert {row["row"] for row in rows} == {1, 2}
    assert {row["parent_task_id"] for row in rows} == {batch}
    assert {row["about"] for row in rows} == {"A row.", "Another row."}


@pytest.mark.parametrize(
    ("query", "status"), [("?batch=task_nothing", 404), ("?seconds=0", 422), ("?seconds=601", 422)]
)
def test_what_cannot_be_watched_is_refused(here: House, query: str, status: int) -> None:
    assert requests.get(f"{here.server.url}{CHANGES}{query}", timeout=20).status_code == status


def test_who_was_away_for_long_hears_of_all_page_by_page(here: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [here.submit(f"One of many, number {number}.") for number in range(7)]
    for task in tasks:
        here.ended(task)
    monkeypatch.setattr(task_changes, "_PAGE", 2)
    with listen(here, "?seconds=1", **{"Last-Event-ID": "1"}) as reply:
        told = list(heard(reply))
    assert set(tasks) <= {one["data"]["task_id"] for one in told}
    assert len(told) == len({one["data"]["task_id"] for one in told}), "each of them once"
    assert [one["id"] for one in told] == sorted((one["id"] for one in told), key=int)


@pytest.mark.parametrize("seen", ["9" * 5000, "9" * 16, "-1", "x"])
def test_an_event_that_never_was_is_none(here: House, seen: str) -> None:
    with listen(here, "?seconds=1", **{"Last-Event-ID": seen}) as reply:
        assert reply.status_code == 200

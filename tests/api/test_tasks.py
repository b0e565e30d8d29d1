"""Tasks over HTTP: how they stand, and what can be done with them while they run and when they are over."""

import io
import time
import zipfile
from collections.abc import Iterator

import pytest

from tests.api.task_house import House, house

UNKNOWN = "task_0123456789abcdef01234567"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("tasks")) as running:
        yield running


def test_a_task_tells_how_far_it_is_and_what_came_of_it(here: House) -> None:
    task = here.submit("The first is easy. Then wait progress please. The third is short.", seed=5)
    found = here.waiting_at(task, 1)
    assert found["success"] is None
    assert found["progress"].pop("audio_seconds") >= 0.18, "ten milliseconds a character, and the pause after it"
    assert found["progress"] == {"done": 1, "total": 3, "unit": "passages", "percent": 33.3}
    assert found["estimated_seconds_left"] > 0
    assert (found["output_url"], found["output_files"], found["finished_at"]) == (None, [], None)
    here.open("progress")
    found = here.ended(task)
    assert (found["success"], found["error"], found["error_code"], found["attempt"]) == (True, None, None, 1)
    assert found["progress"]["percent"] == 100
    assert found["estimated_seconds_left"] is None
    assert found["created_at"] <= found["started_at"] <= found["finished_at"]
    assert found["result"]["generation_seed_used"] == 5
    (file,) = found["output_files"]
    assert here.server.get(file["url"]).content == (here.data / file["path"]).read_bytes()
    assert found["output_url"] == file["url"]
    assert found["progress"]["audio_seconds"] == found["result"]["total_duration_seconds"]


def test_a_list_has_the_newest_first_and_can_be_narrowed(here: House) -> None:
    first, second = here.submit("One."), here.submit("Two.")
    here.ended(first), here.ended(second)
    joined = here.sent("/api/v1/concat/async", {"segments": [here.task(first)["output_files"][0]["filename"]]})
    here.ended(joined)
    listed = here.server.get("/api/v1/tasks?page_size=2").json()
    assert [task["task_id"] for task in listed["tasks"]] == [joined, second]
    assert (listed["count"], listed["page_size"], listed["has_next"]) == (2, 2, True)
    assert listed["pagination"]["total_pages"] == listed["total_pages"]
    older = here.server.get("/api/v1/tasks?page_size=2&page=2").json()["tasks"]
    assert older[0]["task_id"] == first
    assert {t["kind"] for t in here.server.get("/api/v1/tasks?kind=concat").json()["tasks"]} == {"concat"}
    assert here.server.get("/api/v1/tasks?status=paused").json()["tasks"] == []
    assert here.server.get("/api/v1/tasks?status=asleep").status_code == 422


@pytest.mark.parametrize("page", [1_000, 288_230_376_151_711_743, 10**30])
def test_a_page_past_the_end_is_empty(here: House, page: int) -> None:
    listed = here.server.get(f"/api/v1/tasks?page={page}").json()
    assert (listed["tasks"], listed["has_next"]) == ([], False)


@pytest.mark.parametrize("id", [UNKNOWN, "%00", "%ff", "a%20b", "é", "x" * 5000])
def test_what_is_no_task_is_not_found_whatever_is_done_with_it(here: House, id: str) -> None:
    for method, path in [
        *(("GET", part) for part in ("", "/rows", "/zip", "/deliveries", "/events")),
        *(("POST", part) for part in ("/pause", "/resume", "/retry", "/deliveries/msg_1/redeliver")),
        ("DELETE", ""),
    ]:
        reply = here.server.ask(method, f"/api/v1/tasks/{id}{path}")
        assert (reply.status_code, reply.json()["error_code"]) == (404, "RESOURCE_NOT_FOUND"), (method, path)


@pytest.mark.alone
def test_a_cancelled_task_ends_within_a_second_and_leaves_nothing(here: House) -> None:
    before = here.outputs
    task = here.submit("It begins well. Then wait never please. And this is not said.")
    here.waiting_at(task, 1)
    began = time.monotonic()
    reply = here.server.ask("DELETE", f"/api/v1/tasks/{task}")
    assert (reply.status_code, reply.json()["status"], reply.json()["success"]) == (200, "cancelled", False)
    while here.server.get("/api/v1/health").json()["engine"]["busy"]:
        assert time.monotonic() - began < 1
    assert here.outputs == before
    assert here.task(task)["error_code"] == "CANCELLED"
    assert here.server.ask("DELETE", f"/api/v1/tasks/{task}").status_code == 200, "again is no error"


def test_a_task_that_waits_for_its_turn_can_be_cancelled(here: House) -> None:
    busy = [here.submit(f"Number {n} will wait turn please.") for n in range(2)]
    queued = here.submit("This is never said at all.")
    assert here.server.ask("DELETE", f"/api/v1/tasks/{queued}").json()["status"] == "cancelled"
    here.open("turn")
    for task in busy:
        here.ended(task)
    assert here.task(queued)["started_at"] is None
    assert here.said("never said at all") == 0


def test_a_paused_task_goes_on_where_it_stopped(here: House) -> None:
    task = here.submit("Alpha is said once. Now wait pause please. Omega comes last.")
    here.waiting_at(task, 1)
    assert here.server.post(f"/api/v1/tasks/{task}/pause").json()["status"] == "paused"
    assert here.server.post(f"/api/v1/tasks/{task}/pause").status_code == 200, "again is no error"
    here.open("pause")
    time.sleep(0.3)
    assert here.task(task)["status"] == "paused"
    assert here.said("omega") == 0
    assert here.server.post(f"/api/v1/tasks/{task}/resume").json()["status"] in ("queued", "running")
    assert here.ended(task)["attempt"] == 2
    assert (here.said("alpha"), here.said("omega")) == (1, 1)


def test_a_retried_task_does_only_what_is_missing(here: House) -> None:
    task = here.submit("Robins sing here. They fail retry today. Swallows come after.")
    failed = here.ended(task, "failed")
    assert (failed["error_code"], failed["error"]) == ("INVALID_AUDIO", "this sentence cannot be said yet")
    assert (failed["success"], failed["output_files"]) == (False, [])
    here.open("retry")
    assert here.server.post(f"/api/v1/tasks/{task}/retry").status_code == 200
    done = here.ended(task)
    assert (done["error"], done["attempt"]) == (None, 2)
    assert (here.said("robins"), here.said("fail retry")) == (1, 1)


def test_what_a_state_does_not_allow_is_refused(here: House) -> None:
    task = here.submit("Over.")
    here.ended(task)
    for method, path in [("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/retry")]:
        reply = here.server.ask(method, f"/api/v1/tasks/{task}{path}")
        assert (reply.status_code, reply.json()["error_code"]) == (409, "WRONG_STATE"), path
    assert here.task(task)["status"] == "succeeded"


def test_every_task_has_its_files_in_a_zip(here: House) -> None:
    task = here.submit("Zipped.", export_formats=["wav", "mp3"])
    made = here.ended(task)
    zipped = here.server.get(made["links"]["zip"])
    assert zipped.headers["Content-Type"] == "application/zip"
    assert int(zipped.headers["Content-Length"]) == len(zipped.content)
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(file["filename"] for file in made["output_files"])
        for file in made["output_files"]:
            assert archive.read(file["filename"]) == (here.data / file["path"]).read_bytes()
    with zipfile.ZipFile(io.BytesIO(here.server.get(made["links"]["zip"] + "?format=mp3").content)) as archive:
        assert [name.rpartition(".")[2] for name in archive.namelist()] == ["mp3"]
    assert here.server.get(made["links"]["zip"] + "?format=flac").status_code == 404
    assert here.server.get(made["links"]["zip"] + "?format=exe").status_code == 422


def test_a_zip_has_no_file_that_was_deleted(here: House) -> None:
    made = here.ended(here.submit("Soon gone.", export_formats=["wav", "mp3"]))
    (here.data / made["output_files"][0]["path"]).unlink()
    with zipfile.ZipFile(io.BytesIO(here.server.get(made["links"]["zip"]).content)) as archive:
        assert archive.namelist() == [made["output_files"][1]["filename"]]
    (here.data / made["output_files"][1]["path"]).unlink()
    assert here.server.get(made["links"]["zip"]).status_code == 404


def test_a_look_at_a_task_does_not_load_what_was_sent(here: House) -> None:
    """A book's text is megabytes."""
    task = here.submit("Said once.")
    store = here.server.app.state.api.jobs.store
    assert store.get(task).spec == {}
    assert all(one.spec == {} for one in store.listed()[0])
    assert store.whole(task).spec["options"]["text"] == "Said once."


def test_health_and_metrics_count_tasks(here: House) -> None:
    here.ended(here.submit("Counted."))
    deadline = time.monotonic() + 10
    while (told := here.server.get("/api/v1/health").json()["tasks"])["succeeded"] in (None, 0):
        assert time.monotonic() < deadline, "it is looked at every two seconds"
        time.sleep(0.05)
    assert set(told) == {"queued", "running", "paused", "succeeded", "failed", "cancelled", "working"}
    assert told["working"] is True
    text = here.server.get("/metrics").text
    assert 'chatterbox_tasks{status="succeeded"}' in text
    assert "chatterbox_tasks_working 1.0" in text

"""Many texts at once: from JSON, CSV or JSON lines; every row's state; failed rows again, alone; one zip."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest
import requests

from chatterbox_plus.library.naming import safe_name
from tests.api.shelf import tone
from tests.api.task_house import House, events, house, receiver
from tests.library.test_store import HOSTILE

BATCH = "/api/v1/batch"
WAV: dict[str, Any] = {"export_formats": ["wav"]}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("batch"), jobs={"concurrency": 3}) as running:
        for name in ("speaker1", "speaker2"):
            (running.data / "reference_audio" / f"{name}.wav").write_bytes(tone(1.0))
        yield running


def upload(here: House, name: str, content: str | bytes, **form: str) -> requests.Response:
    return here.server.ask("POST", BATCH, files={"file": (name, content)}, data=form)


def zipped(here: House, task: str, query: str = "") -> zipfile.ZipFile:
    reply = here.server.get(f"/api/v1/tasks/{task}/zip{query}")
    assert reply.status_code == 200, reply.text
    return zipfile.ZipFile(io.BytesIO(reply.content))


def test_every_item_becomes_a_file_in_its_own_voice(here: House) -> None:
    items = [{"text": "Welcome.", "name": "welcome"}, {"text": "Goodbye.", "voice": "speaker2.wav"}]
    options = {**WAV, "reference_audio_filename": "speaker1.wav", "project": "lobby"}
    reply = here.server.post(BATCH, json={"items": items, "options": options, "name": "greetings"})
    assert (reply.status_code, reply.json()["rows"]) == (202, 2)
    task = reply.json()["task_id"]
    done = here.ended(task)
    assert (done["kind"], done["name"], done["progress"]["percent"]) == ("batch", "greetings", 100)
    assert done["rows"] == {
        "total": 2, "queued": 0, "running": 0, "paused": 0, "succeeded": 2, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    first, second = here.rows(task)
    assert (first["row"], first["name"], first["parent_task_id"]) == (1, "welcome", task)
    assert first["output_files"][0]["path"] == "outputs/lobby/welcome.wav"
    sidecar = json.loads((here.data / second["output_files"][0]["path"]).with_suffix(".json").read_text("utf-8"))
    assert sidecar["parameters"]["reference_audio_filename"] == "speaker2.wav"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.csv", "text;name;speed_factor\nOne here.;a;1\n\"Two; there.\";b;2\n"),
        ("lines.tsv", "text\tname\nOne here.\ta\nTwo there.\tb\n"),
        ("lines.jsonl", '{"text": "One here.", "name": "a"}\n\n{"text": "Two there.", "name": "b"}\n'),
        ("lines", "\ufefftext,name\r\nOne here.,a\r\nTwo there.,b\r\n"),
    ],
)  # fmt: skip
def test_rows_come_from_a_file(here: House, name: str, content: str) -> None:
    folder = f"of {name}/here"
    reply = upload(here, name, content, options=json.dumps({**WAV, "project": folder}))
    assert reply.status_code == 202, reply.text
    task = here.ended(reply.json()["task_id"])
    assert task["name"] == name
    with zipped(here, task["task_id"]) as archive:
        assert archive.namelist() == ["a.wav", "b.wav"]
    assert sorted(path for path in here.outputs if path.startswith(f"{folder}/") and path.endswith("wav")) == [
        f"{folder}/a.wav",
        f"{folder}/b.wav",
    ]


def test_all_that_is_wrong_is_said_with_its_place_and_nothing_is_made(here: House) -> None:
    before = here.server.get("/api/v1/tasks").json()["total"]
    reply = upload(here, "x.csv", "text;speed_factor;name\n;1;a\nTwo.;9;b\nThree.;1;../c\n")
    assert (reply.status_code, reply.json()["error_code"]) == (422, "VALIDATION_ERROR")
    assert [item["loc"][1] for item in reply.json()["detail"]] == ["2.text", "3.speed_factor", "4.name"]
    rows = [{"text": "a", "voice": "speaker1"}, {"text": "b", "voice": "nobody"}, {"text": "c", "model": "none"}]
    reply = here.server.post(BATCH, json={"items": rows})
    assert [item["loc"][1].partition(".")[0] for item in reply.json()["detail"]] == ["2", "3"]
    assert "nobody" in reply.json()["error"]
    assert here.server.get("/api/v1/tasks").json()["total"] == before


def test_a_preview_tells_the_rows_as_they_are_read_and_makes_nothing(here: House) -> None:
    before = here.server.get("/api/v1/tasks").json()["total"], here.outputs
    table = "text;voice;speed_factor\nOne.;speaker1;1,5\n"
    refused = here.server.ask("POST", f"{BATCH}/preview", files={"file": ("x.csv", table)})
    assert refused.json()["detail"][0]["loc"][1] == "2.speed_factor"
    form = {"files": {"file": ("x.csv", table.replace("1,5", "1.5"))}, "data": {"options": '{"seed": 7}', "name": "n"}}
    told = here.server.ask("POST", f"{BATCH}/preview", **form).json()
    assert (told["name"], told["count"], told["characters"]) == ("n", 1, 4)
    (row,) = told["rows"]
    assert (row["row"], row["line"], row["text"], row["voice"]) == (1, 2, "One.", "speaker1")
    assert row["options"] == {"seed": 7, "speed_factor": 1.5}
    many = here.server.post(f"{BATCH}/preview", json={"items": [{"text": "x"}] * 150}).json()
    assert (many["count"], len(many["rows"])) == (150, 100)
    assert (here.server.get("/api/v1/tasks").json()["total"], here.outputs) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"items": []}, 422),
        ({"items": [{}]}, 422),
        ({"items": ["x"]}, 422),
        ({"items": [{"text": "x", "no_such_field": 1}]}, 422),
        ({"items": [{"text": "x"}], "options": {"text": "y"}}, 422),
        ({"items": [{"text": "x"}], "options": []}, 422),
        ({"items": [{"text": "x", "language": "xx"}]}, 422),
        ({"items": [{"text": "x", "webhook_url": "http://localhost/x"}]}, 422),
        ({"items": [{"text": "x", "project": "../y"}]}, 403),
        ({"items": [{"text": "x"}], "webhook_url": "ftp://x"}, 422),
        ({"items": [{"text": "x"}] * 10_001}, 422),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused(here: House, body: dict[str, Any], status: int) -> None:
    assert here.server.post(BATCH, json=body).status_code == status


def test_a_form_that_makes_no_sense_is_refused(here: House) -> None:
    assert here.server.ask("POST", BATCH, files={"rows": ("x.csv", "text\nx")}).status_code == 400
    assert here.server.ask("POST", BATCH, files=[("file", ("x.csv", "text\nx"))] * 2).status_code == 400
    assert here.server.ask("POST", BATCH, data="text\nx", headers={"Content-Type": "text/csv"}).status_code == 400
    for form in ({"options": "{"}, {"options": "[]"}, {"speed_factor": "2"}):
        assert upload(here, "x.csv", "text\nx", **form).status_code in (400, 422), form


def test_failed_rows_are_visible_and_done_again_alone(here: House) -> None:
    items = [{"text": "Larks are fine.", "name": "l1"}, {"text": "They fail row today."}, {"text": "Larks again."}]
    with receiver() as told:
        task = here.sent(BATCH, {"items": items, "options": WAV, "webhook_url": told.url})
        failed = here.ended(task, "failed")
        assert (failed["error_code"], failed["error"][:6]) == ("ROWS_FAILED", "1 of 3")
        assert [row["status"] for row in here.rows(task)] == ["succeeded", "failed", "succeeded"]
        bad = here.server.get(f"/api/v1/tasks/{task}/rows?status=failed").json()["tasks"]
        assert [(row["row"], row["error_code"]) for row in bad] == [(2, "INVALID_AUDIO")]
        with zipped(here, task) as archive:
            assert len(archive.namelist()) == 2, "what is there can be had already"
        here.open("row")
        assert here.server.post(f"/api/v1/tasks/{task}/retry").status_code == 200
        assert here.ended(task)["rows"]["succeeded"] == 3
        assert here.said("larks") == 2, "only the failed row was said again"
        assert [message["success"] for _, message in told.about(task, 2)] == [False, True]
    with zipped(here, task) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert names[0] == "l1.wav"
    assert [name[:5] for name in names[1:]] == ["0002_", "0003_"]


def test_one_row_is_done_again_by_itself(here: House) -> None:
    task = here.sent(BATCH, {"items": [{"text": "They fail single today."}, {"text": "Fine."}], "options": WAV})
    here.ended(task, "failed")
    here.open("single")
    row = here.rows(task)[0]["task_id"]
    assert here.server.post(f"/api/v1/tasks/{row}/retry").status_code == 200
    here.ended(row)
    assert here.ended(task)["success"] is True


def test_a_batch_is_paused_resumed_and_cancelled_with_its_rows(here: House) -> None:
    items = [{"text": f"Line {n} must wait rows here."} for n in range(6)]
    task = here.sent(BATCH, {"items": items, "options": WAV})
    here.until(task, lambda batch: batch["rows"]["running"])
    assert here.server.post(f"/api/v1/tasks/{task}/pause").json()["rows"]["paused"] == 6
    assert here.server.post(f"/api/v1/tasks/{task}/resume").json()["rows"]["paused"] == 0
    assert here.server.ask("DELETE", f"/api/v1/tasks/{task}").json()["rows"]["cancelled"] == 6
    assert here.task(task)["status"] == "cancelled"
    here.open("rows")
    assert here.server.get(f"/api/v1/tasks/{task}/zip").status_code == 404


def test_a_batch_tells_of_every_row(here: House) -> None:
    task = here.sent(BATCH, {"items": [{"text": "Yes.", "name": "told"}, {"text": "No."}], "options": WAV})
    with requests.get(f"{here.server.url}/api/v1/tasks/{task}/events", stream=True, timeout=15) as reply:
        told = [one for one in events(reply) if "event" in one]
    assert [one["event"] for one in told] == ["queued", "started", "row", "row", "finished"]
    assert {(one["data"]["row"], one["data"]["name"]) for one in told[2:4]} == {(1, "told"), (2, None)}


def test_rows_are_paged_in_order_and_are_no_tasks_of_the_list(here: House) -> None:
    task = here.sent(BATCH, {"items": [{"text": f"Number {n}."} for n in range(5)], "options": WAV})
    here.ended(task)
    page = here.server.get(f"/api/v1/tasks/{task}/rows?page=2&page_size=2").json()
    assert ([row["row"] for row in page["tasks"]], page["total"]) == ([3, 4], 5)
    listed = here.server.get("/api/v1/tasks?page_size=100").json()["tasks"]
    assert not [one for one in listed if "parent_task_id" in one]


def test_a_zip_is_named_after_its_batch(here: House) -> None:
    for name, archive in (("chapter v1.2", "chapter v1.2.zip"), ("lines.csv", "lines.zip")):
        task = here.sent(BATCH, {"items": [{"text": "Yes."}], "options": WAV, "name": name})
        here.ended(task)
        reply = here.server.get(f"/api/v1/tasks/{task}/zip")
        assert f'filename="{archive}"' in reply.headers["Content-Disposition"]


def test_one_name_is_one_file_whatever_was_there(here: House) -> None:
    body = {
        "items": [{"text": "A.", "name": "same"}, {"text": "B.", "name": "same"}],
        "options": {**WAV, "folder": "n"},
    }
    first, second = (here.ended(here.sent(BATCH, body))["task_id"] for _ in range(2))
    paths = [row["output_files"][0]["path"] for task in (first, second) for row in here.rows(task)]
    assert len(set(paths)) == 4
    with zipped(here, second) as archive:
        assert archive.namelist() == ["same.wav", "same_2.wav"], "as the batch calls them"


def test_no_name_leads_out(here: House) -> None:
    """Of a row, a batch, a folder, a book and its chapters: refused at once, or made safe."""
    outside = here.data.parent
    (outside / "canary.wav").write_bytes(b"outside")
    before = beside(here)
    text, sent = {"text": "A."}, []
    for turn, hostile in enumerate(HOSTILE):
        name = hostile.replace("{tmp}", str(outside))
        ways: list[tuple[str, dict[str, Any]]] = [
            (BATCH, {"items": [{**text, "name": name}], "name": name[:200], "options": WAV}),
            (BATCH, {"items": [{**text, "project": name}], "options": WAV}),
            ("/api/v1/tts/async", {**text, "folder": name, **WAV}),
            ("/api/v1/book", {**text, "title": name}),
            ("/api/v1/book", {"chapters": [{**text, "title": name}], "format": "mp3", "project": name}),
        ]
        for path, body in (ways[turn % 5], ways[(turn + 2) % 5]):  # in turns: most of them make audio
            reply = here.server.ask("POST", path, data=json.dumps(body), headers={"Content-Type": "application/json"})
            assert reply.status_code in (202, 400, 403, 422), (path, name, reply.text)
            assert str(outside) not in reply.text.replace(name, "")
            if reply.status_code == 202:
                sent.append(reply.json()["task_id"])
    assert len(sent) > 30
    for task in sent:
        here.until(task, lambda task: task["success"] is not None)
        here.server.get(f"/api/v1/tasks/{task}/zip")
    assert beside(here) == before
    for path in here.outputs:
        *folders, last = path.split("/")
        unnumbered = re.sub(r"_\d+$", "", PurePosixPath(last).stem)
        assert all(safe_name(part) == part for part in (*folders, unnumbered)), path


def beside(here: House) -> dict[str, bytes]:
    """Everything that is not in the outputs, but for what tasks themselves are kept in."""
    inside = [*(here.data / name for name in ("outputs", "takes", "temp", "jobs")), here.doors]
    return {
        path.relative_to(here.data.parent).as_posix(): path.read_bytes()
        for path in here.data.parent.rglob("*")
        if path.is_file()
        and not path.name.startswith("jobs.sqlite")
        and not any(path.is_relative_to(folder) for folder in inside)
    }


def test_thousands_of_rows_may_be_sent_and_no_more_bytes_than_the_limit(here: House) -> None:
    """A body of 3 MB is too large for a text, and none for a batch."""
    long = {"text": "x" * 3_000_000}
    assert here.server.post("/api/v1/tts/async", json=long).status_code == 413
    for path in (BATCH, f"{BATCH}/preview"):
        reply = here.server.post(path, json={"items": [long]})
        assert (reply.status_code, "text" in reply.json()["error"]) == (422, True), path
    head = f"POST {BATCH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    with here.server.raw(f"{head}{41 * 2**20}\r\n\r\n".encode()) as connection:
        assert connection.recv(2000).startswith(b"HTTP/1.1 413 ")
    with here.server.raw(f"{head}{39 * 2**20}\r\n\r\n".encode()) as connection:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):  # it waits for the body
            connection.recv(2000)


def test_a_preview_takes_as_much_as_a_batch(here: House) -> None:
    table = b"text\n" + b"Said again and again.\n" * 4000 + b"x" * 3_000_000 + b"\n"
    reply = here.server.post(f"{BATCH}/preview", files={"file": ("lines.csv", table, "text/csv")})
    assert reply.status_code == 422, "one text is too long, and that is all"
    assert "4002" in reply.json()["error"], reply.json()["error"]

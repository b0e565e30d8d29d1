"""Models over HTTP: what there is, pulled with progress, called off, removed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.api import models
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.settings import DownloadRetries, ErrorHandling, Paths, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve
from tests.api.task_house import events
from tests.models.fake_hub import FakeHub, fake_hub
from tests.models.making import files_of, lay

T3 = "t3_nano_v1.safetensors"
PULLS = "/api/v1/models/pulls"
WAIT_S = 20


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with fake_hub({CATALOG["nano"].repo: files_of("nano")}) as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(hub: FakeHub, data: Path) -> Iterator[LiveServer]:
    handling = ErrorHandling(download_retries=DownloadRetries(max_retries=0))
    with serve(Settings(paths=Paths(data_dir=data), error_handling=handling), FakeStudio(data)) as running:
        yield running
        for gate in hub.gates.values():
            gate.set()


def model(server: LiveServer, name: str = "nano") -> dict[str, Any]:
    reply = server.get(f"/api/v1/models/{name}")
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def ended(server: LiveServer, name: str = "nano") -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while (told := server.get(f"{PULLS}/{name}").json())["success"] is None:
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return dict(told)


def half(server: LiveServer, hub: FakeHub) -> None:
    """A pull that stands still within its largest file."""
    hub.gates[T3] = threading.Event()
    assert server.post("/api/v1/models/pull", {"model": "nano"}).status_code == 202
    deadline = time.monotonic() + WAIT_S
    while not hub.sent.get(T3):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_list_tells_of_models_that_are_not_here(server: LiveServer) -> None:
    told = server.get("/api/v1/models").json()
    assert told["success"] is True
    found = {one["name"]: one for one in told["models"]}
    assert set(found) == {"builtin", *CATALOG}
    assert told["count"] == len(found)
    assert (found["builtin"]["installed"], found["builtin"]["source"]) == (True, "built in")
    nano = found["nano"]
    assert (nano["installed"], nano["source"], nano["languages"], nano["family"]) == (False, None, ["en"], "nano")
    assert nano["download_bytes"] > 10**9
    assert len(found["multilingual"]["languages"]) == 23


def test_a_pull_answers_at_once_and_ends_with_the_model_there(server: LiveServer, data: Path) -> None:
    begun = server.post("/api/v1/models/pull", {"model": "nano"})
    assert begun.status_code == 202
    assert begun.json()["status_url"] == f"{PULLS}/nano"
    told = ended(server)
    size = sum(map(len, files_of("nano").values()))
    assert (told["status"], told["percent"], told["bytes_done"], told["total_bytes"]) == ("succeeded", 100, size, size)
    here = model(server)
    assert (here["installed"], here["source"], here["size_bytes"]) == (True, "pulled", size)
    assert here["download_bytes"] == size, "now it is known"
    assert here["pull"]["status"] == "succeeded"
    assert str(data) not in str(here), "where the server has it is nobody's business"


def test_progress_comes_as_events_until_the_end(
    server: LiveServer, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "LOOK_S", 0.01)
    half(server, hub)
    headers = {"Accept": "text/event-stream"}
    with requests.get(f"{server.url}{PULLS}/nano", headers=headers, stream=True, timeout=WAIT_S) as reply:
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        heard = []
        for one in events(reply):
            if "event" in one:
                heard.append(one)
                hub.gates[T3].set()
    assert [one["event"] for one in heard[-1:]] == ["finished"]
    assert {one["event"] for one in heard[:-1]} == {"progress"}
    assert heard[-1]["data"]["success"] is True
    done = [one["data"]["bytes_done"] for one in heard]
    assert done == sorted(done)


def test_a_pull_that_is_called_off_goes_on_later(server: LiveServer, hub: FakeHub) -> None:
    half(server, hub)
    assert server.ask("DELETE", f"{PULLS}/nano").json()["status"] == "cancelling"
    again = server.post("/api/v1/models/pull", {"model": "nano"})
    assert (again.status_code, again.json()["error_code"]) == (409, "WRONG_STATE")
    hub.gates[T3].set()
    assert ended(server)["status"] == "cancelled"
    assert model(server)["unfinished"] is True
    assert server.ask("DELETE", f"{PULLS}/nano").status_code == 409
    server.post("/api/v1/models/pull", {"model": "nano"})
    assert ended(server)["status"] == "succeeded"
    assert hub.bodies(T3)[-1].range


def test_a_pull_that_fails_says_why(server: LiveServer, hub: FakeHub) -> None:
    hub.wrong = {T3}
    server.post("/api/v1/models/pull", {"model": "nano"})
    told = ended(server)
    assert (told["status"], told["success"], told["error_code"]) == ("failed", False, "DOWNLOAD_FAILED")
    assert T3 in told["error"]


def test_a_model_is_removed_when_it_is_meant(server: LiveServer, data: Path) -> None:
    lay(data / "models" / "nano", files_of("nano"))
    assert model(server)["source"] == "copied"
    refused = server.ask("DELETE", "/api/v1/models/nano")
    assert (refused.status_code, refused.json()["error_code"]) == (400, "VALIDATION_ERROR")
    gone = server.ask("DELETE", "/api/v1/models/nano?confirm=true")
    assert (gone.status_code, gone.json()["installed"]) == (200, False)
    assert not (data / "models" / "nano").exists()
    again = server.ask("DELETE", "/api/v1/models/nano?confirm=true")
    assert (again.status_code, again.json()["error_code"]) == (409, "MODEL_NOT_INSTALLED")


def test_an_added_model_is_listed_and_forgotten(server: LiveServer, data: Path, tmp_path: Path) -> None:
    folder = lay(tmp_path / "mine", files_of("multilingual"))
    (data / "models").mkdir(parents=True)
    (data / "models" / "mine.json").write_text(f'{{"family": "multilingual", "folder": "{folder.as_posix()}"}}')
    assert model(server, "mine")["source"] == "added"
    assert server.ask("DELETE", "/api/v1/models/mine?confirm=true").status_code == 200
    assert server.get("/api/v1/models/mine").status_code == 404
    assert list(folder.iterdir())


def test_a_damaged_model_says_what_is_wrong(server: LiveServer, data: Path) -> None:
    files = files_of("nano")
    lay(data / "models" / "nano", files | {T3: files[T3][:-1]})
    told = model(server)
    assert told["installed"] is False
    assert told["problem"].startswith(f"{T3} is cut off")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/v1/models/tiny", None, 404, "RESOURCE_NOT_FOUND"),
        ("GET", f"{PULLS}/nano", None, 404, "RESOURCE_NOT_FOUND"),
        ("DELETE", f"{PULLS}/nano", None, 404, "RESOURCE_NOT_FOUND"),
        ("DELETE", "/api/v1/models/tiny?confirm=true", None, 404, "RESOURCE_NOT_FOUND"),
        ("DELETE", "/api/v1/models/..%2Fvoices?confirm=true", None, 404, "RESOURCE_NOT_FOUND"),
        ("DELETE", "/api/v1/models/builtin?confirm=true", None, 404, "RESOURCE_NOT_FOUND"),
        ("POST", "/api/v1/models/pull", {"model": "tiny"}, 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/models/pull", {"model": "../x"}, 422, "VALIDATION_ERROR"),
        ("POST", "/api/v1/models/pull", {}, 422, "VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_is_refused(
    server: LiveServer, method: str, path: str, body: Any, status: int, code: str
) -> None:
    reply = server.ask(method, path, json=body)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code)

"""Two real servers, one PostgreSQL, one store for the audio, and nothing else in common."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.tables import tasks
from tests.jobs.postgres import postgres
from tests.live import LiveServer, live_server

SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody knows why it does so every day. "
TAKEN_OVER_S = 40  # promised


@dataclass(frozen=True)
class House:
    """servers: a and b. ask: whoever is asked answers as either would; with the key of an administrator."""

    servers: tuple[LiveServer, LiveServer]
    database: Database
    key: str

    def ask(self, server: int, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return requests.request(method, self.servers[server].url + path, headers=headers, timeout=60, **more)

    def finished(self, server: int, id: str, within_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while (task := self.ask(server, "GET", f"/api/v1/tasks/{id}").json())["status"] not in ("succeeded", "failed"):
            assert time.monotonic() < deadline, task
            time.sleep(0.2)
        assert task["status"] == "succeeded", task
        found: dict[str, Any] = task
        return found

    def worker_of(self, id: str) -> int:
        """Which of them works on it now."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with self.database.reading() as connection:
                row = connection.execute(select(tasks.c.executor, tasks.c.status).where(tasks.c.id == id)).one()
            for number, server in enumerate(self.servers):
                if row.status == "running" and f"-{server.process.pid}-" in (row.executor or ""):
                    return number
            time.sleep(0.05)
        raise AssertionError(f"nobody works on {id}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("two")
    with postgres() as server, ExitStack() as running:
        url = server.database()
        env = {
            "CHATTERBOX_DATABASE_URL": url,
            "CHATTERBOX_STORAGE_URL": (folder / "store").as_uri(),
            "CHATTERBOX_API_KEY_REQUIRED": "true",
            "CHATTERBOX_WORKERS": "1",
            "CHATTERBOX_TASK_CONCURRENCY": "1",
        }
        key = admin_key(folder / "anywhere", url)
        servers = tuple(running.enter_context(live_server(folder / name, env=env)) for name in "ab")
        database = Database(database_url(url, folder))
        try:
            yield House((servers[0], servers[1]), database, key)
        finally:
            database.close()


def admin_key(data: Path, url: str) -> str:
    """Made where no server runs: the keys are in the database."""
    from chatterbox_plus.access.caller import Role
    from chatterbox_plus.house import open_keys
    from chatterbox_plus.settings import Settings

    store = open_keys(Settings.model_validate({"paths": {"data_dir": data}, "storage": {"database_url": url}}))
    _, text = store.add("me", role=Role.ADMIN)
    store.close()
    return text


def speech(house: House, text: str) -> bytes:
    body = {"text": text, "export_formats": ["wav"]}
    return house.ask(0, "POST", "/api/v1/tts", json=body).content


def test_a_voice_sent_to_one_speaks_on_the_other(house: House) -> None:
    sound = speech(house, SENTENCE)
    sent = house.ask(0, "POST", "/api/v1/voice", files={"voice_file": ("ada.wav", sound, "audio/wav")})
    assert sent.status_code in (200, 201), sent.text
    body = {"text": "Hello.", "reference_audio_filename": "ada.wav", "export_formats": ["wav"]}
    said = house.ask(1, "POST", "/api/v1/tts", json=body, params={"response_mode": "url"})
    assert said.status_code == 200, said.text
    url = said.json()["output_files"][0]["url"]
    on_a, on_b = (house.ask(n, "GET", url) for n in (0, 1))
    assert on_a.content == on_b.content
    assert on_a.headers["etag"] == on_b.headers["etag"]  # ranges of one file, whoever is asked for the next


def test_a_link_signed_by_one_opens_on_the_other(house: House) -> None:
    made = house.ask(0, "POST", "/api/v1/tts", json={"text": "Hello."}, params={"response_mode": "url"}).json()
    name = made["output_files"][0]["filename"]
    link = house.ask(0, "POST", f"/api/v1/outputs/{name}/link").json()["url"]
    path = link[link.index("/outputs/") :]
    assert requests.get(house.servers[1].url + path, timeout=30).status_code == 200
    assert house.ask(1, "DELETE", f"/api/v1/output/{name}", params={"confirm": "true"}).status_code == 200
    time.sleep(4)
    assert requests.get(house.servers[0].url + path, timeout=30).status_code == 404


def test_a_task_sent_to_one_is_told_of_and_served_by_the_other(house: House) -> None:
    sent = house.ask(0, "POST", "/api/v1/tts/async", json={"text": SENTENCE, "export_formats": ["mp3"]})
    assert sent.status_code == 202, sent.text
    id = sent.json()["task_id"]
    assert id in [task["task_id"] for task in house.ask(1, "GET", "/api/v1/tasks").json()["tasks"]]
    task = house.finished(1, id, 30)
    for number in (0, 1):
        assert house.ask(number, "GET", task["output_url"]).status_code == 200


def test_what_a_killed_server_worked_on_is_finished_by_the_other(house: House) -> None:
    sound = speech(house, SENTENCE * 5)
    sent = house.ask(
        0,
        "POST",
        "/api/v1/vc/async",
        files={"input_audio": ("long.wav", sound, "audio/wav")},
        data={"target_voice_source": "ada.wav"},
    )
    assert sent.status_code == 202, sent.text
    id = sent.json()["task_id"]
    working = house.worker_of(id)
    house.servers[working].process.kill()
    house.servers[working].process.wait()  # else it is still there, to who asks for its number
    task = house.finished(1 - working, id, TAKEN_OVER_S + 15)
    made = house.ask(1 - working, "GET", task["output_url"])
    assert made.status_code == 200
    assert len(made.content) > 50_000

"""Keys over HTTP: made, listed and revoked by admins; never where nobody is asked for one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.settings import Api, Paths, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

KEYS = "/api/v1/keys"


@pytest.fixture
def admin(tmp_path: Path) -> str:
    store = KeyStore.at(tmp_path / "data")
    try:
        return store.add("me", role=Role.ADMIN)[1]
    finally:
        store.close()


@pytest.fixture
def server(tmp_path: Path, admin: str) -> Iterator[LiveServer]:
    data = tmp_path / "data"
    settings = Settings(paths=Paths(data_dir=data), api=Api(api_key_required=True))
    with serve(settings, FakeStudio(data)) as running:
        yield running


def ask(server: LiveServer, key: str, method: str, path: str = KEYS, **more: Any) -> requests.Response:
    return requests.request(method, server.url + path, headers={"x-api-key": key}, timeout=20, **more)


def until(server: LiveServer, key: str, status: int) -> None:
    """A running server knows of a change within a second."""
    while ask(server, key, "GET", "/api/v1/config").status_code != status:
        pass


def test_a_key_is_shown_once_works_and_ends_for_good(server: LiveServer, admin: str) -> None:
    made = ask(server, admin, "POST", json={"name": "ana"})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["role"], told["project"], told["yours"]) == ("user", "ana", False)
    until(server, told["key"], 200)
    listed = ask(server, admin, "GET").json()
    assert [(key["name"], key["yours"]) for key in listed["keys"]] == [("me", True), ("ana", False)]
    assert told["key"].split("_", 2)[2] not in str(listed)
    assert "digest" not in str(listed)
    assert ask(server, told["key"], "GET").status_code == 403, "a user makes and sees none"
    kept = ask(server, admin, "DELETE", f"{KEYS}/{told['id']}")
    assert (kept.status_code, kept.json()["error_code"]) == (400, "VALIDATION_ERROR")
    gone = ask(server, admin, "DELETE", f"{KEYS}/{told['id']}?confirm=true")
    assert gone.status_code == 200, gone.text
    assert gone.json()["revoked_at"]
    until(server, told["key"], 401)


def test_nobody_locks_themselves_out(server: LiveServer, admin: str) -> None:
    mine = ask(server, admin, "GET").json()["keys"][0]["id"]
    refused = ask(server, admin, "DELETE", f"{KEYS}/{mine}?confirm=true")
    assert (refused.status_code, refused.json()["error_code"]) == (409, "WRONG_STATE")
    assert ask(server, admin, "DELETE", f"{KEYS}/me?confirm=true").status_code == 404, "nor by their name"
    assert ask(server, admin, "GET").json()["count"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": ""}, 422),
        ({"name": "no/slash"}, 422),
        ({"name": "x", "role": "king"}, 422),
        ({"name": "x", "role": "admin", "project": "p"}, 400),
        ({"name": "x", "rate_limit_per_minute": -1}, 422),
        ({"name": "ME"}, 409),
    ],
)
def test_a_key_that_cannot_be_is_refused_with_the_reason(
    server: LiveServer, admin: str, body: dict[str, Any], status: int
) -> None:
    refused = ask(server, admin, "POST", json=body)
    assert refused.status_code == status, refused.text
    assert ask(server, admin, "GET").json()["count"] == 1


def test_without_keys_none_can_be_made(tmp_path: Path) -> None:
    """Whoever reaches an open server could leave a door behind that outlasts the day it is closed."""
    with serve(Settings(paths=Paths(data_dir=tmp_path)), FakeStudio(tmp_path)) as running:
        for method, path in (("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/x?confirm=true")):
            refused = requests.request(
                method, running.url + path, json={"name": "x"} if method == "POST" else None, timeout=20
            )
            assert (refused.status_code, refused.json()["error_code"]) == (409, "WRONG_STATE")
            assert "CHATTERBOX_API_KEY_REQUIRED" in refused.json()["error"]
    assert not (tmp_path / "keys.sqlite").exists()

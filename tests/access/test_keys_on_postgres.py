"""Several servers share their keys through PostgreSQL."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.access import keyring
from chatterbox_plus.access.keyring import Keyring
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.errors import DatabaseAway, SettingsError
from chatterbox_plus.house import open_keyring, open_keys
from chatterbox_plus.settings import Settings
from tests.jobs.postgres import Postgres, postgres
from tests.live import free_port


@pytest.fixture(scope="module")
def databases() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def settings(data: Path, url: str) -> Settings:
    return Settings.model_validate({"paths": {"data_dir": data}, "storage": {"database_url": url}})


@pytest.fixture
def two(databases: Postgres, tmp_path: Path) -> Iterator[tuple[Keyring, KeyStore]]:
    """What one server holds, and the keys as another server's command line sees them."""
    url = databases.database()
    ring, store = open_keyring(settings(tmp_path / "a", url)), open_keys(settings(tmp_path / "b", url))
    yield ring, store
    ring.close()
    store.close()


def test_a_key_made_on_one_server_opens_the_other(
    two: tuple[Keyring, KeyStore], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ring, store = two
    monkeypatch.setattr(keyring, "FRESH_S", -1.0)
    key, text = store.add("mine")
    ring.refresh()
    found = ring.find(text)
    assert found
    assert found.id == key.id
    assert store.signing_secret() == ring._store.signing_secret()  # one server's links are good on the other
    store.revoke("mine")
    ring.refresh()
    assert ring.find(text) is None
    assert not list(tmp_path.rglob("keys.sqlite"))


def test_servers_that_start_at_once_agree(databases: Postgres, tmp_path: Path) -> None:
    where = settings(tmp_path, databases.database())
    secrets: list[bytes] = []

    def start() -> None:
        store = open_keys(where)
        secrets.append(store.signing_secret())
        store.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 6
    assert len(set(secrets)) == 1


def test_known_keys_outlive_a_restart_of_the_database_and_no_more(
    databases: Postgres,
    two: tuple[Keyring, KeyStore],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ring, store = two
    _, text = store.add("mine")
    monkeypatch.setattr(keyring, "FRESH_S", -1.0)
    ring.refresh()
    databases.stop()
    try:
        ring.refresh()
        assert ring.find(text)
        assert "known keys" in caplog.text
        monkeypatch.setattr(ring, "_grace_s", 0.0)
        with pytest.raises(DatabaseAway):
            ring.refresh()
        with pytest.raises(DatabaseAway):
            store.listed()
    finally:
        databases.start()
    ring.refresh()
    assert ring.find(text)
    assert not ring._away


def test_while_the_database_stands_still_nobody_with_a_known_key_waits(
    databases: Postgres, two: tuple[Keyring, KeyStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, store = two
    monkeypatch.setattr(keyring, "FRESH_S", 0.2)
    monkeypatch.setattr("chatterbox_plus.jobs.patience.PatientConnection.patience_s", 2.0)
    store.add("mine")
    databases.freeze()
    try:
        time.sleep(0.3)
        ring.refresh()  # the first one finds out
        time.sleep(0.3)
        assert ring.stale
        asking = threading.Thread(target=ring.refresh)
        asking.start()
        time.sleep(0.1)
        began = time.monotonic()
        ring.refresh()
        assert asking.is_alive()
        assert time.monotonic() - began < 1
        asking.join(20)
    finally:
        databases.thaw()


def test_no_password_is_ever_shown(tmp_path: Path) -> None:
    nobody = f"postgresql://keeper:secret@127.0.0.1:{free_port()}/keys"
    with pytest.raises(SettingsError) as told:
        open_keys(settings(tmp_path, nobody))
    assert "secret" not in str(told.value)
    done = subprocess.run(
        [sys.executable, "-m", "chatterbox_plus", "keys", "list", "--data-dir", str(tmp_path)],
        env={"CHATTERBOX_DATABASE_URL": nobody, "PATH": "", "SYSTEMROOT": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "keys cannot be used" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_keys_are_made_listed_and_ended_from_the_command_line(databases: Postgres, tmp_path: Path) -> None:
    url = databases.database().replace("tester@", "tester:secret@")

    def keys(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "chatterbox_plus", "keys", *words, "--data-dir", str(tmp_path)]
        return subprocess.run(command, env={"CHATTERBOX_DATABASE_URL": url}, capture_output=True, text=True)

    made = keys("add", "laptop", "--role", "admin")
    assert made.returncode == 0, made.stderr
    store = open_keys(settings(tmp_path, url))
    assert [key.name for key in store.listed()] == ["laptop"]
    assert "laptop" in keys("list").stdout
    assert keys("revoke", "laptop").returncode == 0
    assert store.listed() == []
    store.close()
    assert "secret" not in made.stdout + made.stderr

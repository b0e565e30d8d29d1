"""Keys: what is kept of them, and what they may be."""

import os
import threading
from pathlib import Path

import pytest

from chatterbox_plus.access.caller import Caller, Role
from chatterbox_plus.access.keyring import Keyring
from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.access.signing import Signer
from chatterbox_plus.errors import Ambiguous, BadRequest, DatabaseAway, InvalidOption, NotFound, SettingsError


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore.at(tmp_path)


def ring(store: KeyStore) -> Keyring:
    return Keyring(store)


def test_no_key_can_be_read_back_from_the_disk(tmp_path: Path, store: KeyStore) -> None:
    _, text = store.add("mine")
    secret = text.split("_", 2)[2]
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()
        if os.name != "nt":
            assert path.stat().st_mode & 0o077 == 0


def test_a_key_opens_for_itself_and_nothing_like_it(store: KeyStore) -> None:
    key, text = store.add("mine", role=Role.ADMIN)
    other, other_text = store.add("another")
    keys = ring(store)
    assert keys.find(text) == key
    assert keys.find(other_text) == other
    mixed = f"cbp_{key.id}_{other_text.removeprefix(f'cbp_{other.id}_')}"
    for wrong in ("", "none", text[:-1], text + "x", text.upper(), f" {text}", mixed, f"cbp_00000000_{'a' * 43}"):
        assert keys.find(wrong) is None


def test_a_revoked_key_opens_nothing_and_neither_does_its_session(store: KeyStore) -> None:
    key, text = store.add("mine")
    before = ring(store)
    cookie = before.signer.session(key.id)
    assert before.of_session(cookie) == key
    assert store.revoke("mine").id == key.id
    after = ring(store)
    assert after.find(text) is None
    assert after.of_session(cookie) is None
    with pytest.raises(NotFound):
        store.revoke(key.id)
    assert [k.revoked_at is None for k in store.listed(revoked=True)] == [False]
    store.add("mine")  # the name is free again


def test_a_running_server_learns_of_changes(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("chatterbox_plus.access.keyring.time.monotonic", lambda: now[0])
    keys = ring(store)
    _, text = store.add("mine")
    assert keys.find(text) is None
    assert not keys.stale
    now[0] += 1.1
    assert keys.stale
    keys.refresh()
    assert keys.find(text) is not None
    now[0] += 61
    keys.refresh()
    assert store.listed()[0].last_used_at is not None


def test_a_session_uses_its_key(store: KeyStore) -> None:
    key, _ = store.add("mine")
    keys = ring(store)
    assert keys.of_session(keys.signer.session(key.id)) == key
    keys.close()
    assert store.listed()[0].last_used_at is not None


def test_keys_are_listed_in_the_order_they_were_made_in(store: KeyStore) -> None:
    names = [f"key {number}" for number in range(12)]
    for name in names:
        store.add(name)
    assert [key.name for key in store.listed()] == names


@pytest.mark.parametrize("name", ["", "   ", "a/b", "x" * 65, "a\nb", "a\x1b[0m", "<b>"])
def test_a_name_is_plain_text(name: str, store: KeyStore) -> None:
    with pytest.raises(InvalidOption):
        store.add(name)


@pytest.mark.parametrize(
    "project", ["", "..", "../x", "a/../b", "/a/", ".hidden", "con", "a/nul", "a b", "ä", "a" * 65]
)
def test_a_project_is_a_plain_folder(project: str, store: KeyStore) -> None:
    if project == "/a/":
        assert store.add("mine", project=project)[0].project == "a"
    else:
        with pytest.raises(InvalidOption):
            store.add("mine", project=project)


def test_a_project_is_made_from_the_name(store: KeyStore) -> None:
    assert store.add("Living room")[0].project == "Living-room"
    with pytest.raises(InvalidOption):
        store.add("客厅")  # give it one: a folder named "-" is nobody's
    assert store.add("客厅", project="living")[0].project == "living"


def test_two_keys_never_share_a_name_nor_a_folder_by_accident(store: KeyStore) -> None:
    store.add("Team")
    with pytest.raises(Ambiguous):
        store.add("team", project="other")
    with pytest.raises(Ambiguous):
        store.add("second", project="team")  # one folder with Team on Windows and macOS
    with pytest.raises(Ambiguous):
        store.add("Team.")  # its project would be Team, too
    assert store.add("second", project="Team")[0].project == "Team"  # on purpose


def test_an_admin_has_no_project(store: KeyStore) -> None:
    with pytest.raises(BadRequest):
        store.add("boss", role=Role.ADMIN, project="x")
    assert store.add("boss", role=Role.ADMIN)[0].caller.may_read_output("anything/at/all.wav")


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(SettingsError, match="keys"):
        KeyStore.at(tmp_path)


def test_a_database_that_cannot_be_written_keeps_nobody_out(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, text = store.add("mine")
    keys = ring(store)
    for period in ("FRESH_S", "NOTED_S"):
        monkeypatch.setattr(f"chatterbox_plus.access.keyring.{period}", -1.0)
    with store._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 1")  # of the one connection that the pool hands out
    assert keys.find(text) is not None
    keys.refresh()
    keys.close()
    assert "cannot note which keys were used" in caplog.text


def test_a_database_that_is_lost_opens_nothing(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ring(store)
    monkeypatch.setattr("chatterbox_plus.access.keyring.FRESH_S", -1.0)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE api_keys")
    for ask in (keys.refresh, store.listed, lambda: store.add("mine"), lambda: store.revoke("mine")):
        with pytest.raises(DatabaseAway, match="cannot be"):
            ask()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    stores = [KeyStore.at(tmp_path) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda s=s, n=n: [s.add(f"key {n} {i}") for i in range(5)])  # type: ignore[misc]
        for n, s in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores[0].listed()) == 20
    assert len({s.signing_secret() for s in stores}) == 1


# Callers


def test_a_caller_reads_below_its_project_only() -> None:
    user = Caller(role=Role.USER, project="team", key="k")
    assert user.may_read_output("team/a.wav")
    for path in ("team", "teams/a.wav", "a.wav", "other/team/a.wav", ""):
        assert not user.may_read_output(path)


def test_a_voice_is_changed_by_who_brought_it() -> None:
    user = Caller(role=Role.USER, project="team", key="k")
    assert user.may_change("team")
    for owner in (None, "", "other"):
        assert not user.may_change(owner)
    assert Caller().may_change("anybody")


# Signatures


def test_a_link_opens_one_file_for_a_while() -> None:
    signer, stranger = Signer(b"a" * 32), Signer(b"b" * 32)
    query = dict(part.split("=") for part in signer.link("book/a.wav", 60, key="0123abcd", now=1000).split("&"))
    valid = signer.link_is_valid
    assert valid("book/a.wav", **query, now=1059.9)
    assert not valid("book/a.wav", **query, now=1060)
    assert not valid("book/b.wav", **query, now=1000)
    changed = ({"expires": str(int(query["expires"]) + 1)}, {"key": "ffffffff"}, {"signature": "ä" * 64})
    assert not any(valid("book/a.wav", **{**query, **change}, now=1000) for change in changed)
    assert not stranger.link_is_valid("book/a.wav", **query, now=1000)


def test_a_session_ends_and_cannot_be_made_up() -> None:
    signer = Signer(b"a" * 32)
    cookie = signer.session("0123abcd", now=1000)
    assert signer.session_key(cookie, now=1001) == "0123abcd"
    assert signer.session_key(cookie, now=1000 + 31 * 86_400) is None
    key, expires, mark = cookie.split(".")
    link = signer.link(key, 10**6, key=key, now=1000)
    forged = (
        f"ffffffff.{expires}.{mark}",
        f"{key}.{int(expires) + 1}.{mark}",
        f"{key}.{expires}.{link[-64:]}",
        "",
        "..",
    )
    assert [signer.session_key(word, now=1001) for word in forged] == [None] * 5

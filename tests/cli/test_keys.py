"""`keys`: made, listed and ended from the command line; the key itself is seen once."""

import json
from pathlib import Path

import pytest

from tests.cli.helpers import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, tmp_path / "data")


def test_a_key_is_printed_once_and_alone(shell: Shell) -> None:
    made = shell("keys", "add", "Living room", "--project", "home", "--rate-limit", "60")
    assert made.returncode == 0
    key = made.stdout.decode().strip()
    assert key.startswith("cbp_")
    assert "only time" in made.stderr.decode()
    listed = shell("keys", "list", "--json")
    (known,) = json.loads(listed.stdout)["keys"]
    assert (known["name"], known["role"], known["project"]) == ("Living room", "user", "home")
    assert known["rate_limit_per_minute"] == 60
    assert key.rpartition("_")[2] not in listed.stdout.decode()
    assert "digest" not in known


def test_a_key_is_revoked_by_name_or_id_and_stays_on_record(shell: Shell) -> None:
    for name in ("one", "two"):
        shell("keys", "add", name)
    ids = {key["name"]: key["id"] for key in json.loads(shell("keys", "list", "--json").stdout)["keys"]}
    assert shell("keys", "revoke", "one").returncode == 0
    assert shell("keys", "revoke", ids["two"]).returncode == 0
    assert shell("keys", "list").stdout == b""
    revoked = shell("keys", "list", "--revoked").stdout.decode().splitlines()
    assert [line.split("\t")[1] for line in revoked] == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["add", "a/b"], 1, "name"),
        (["add", "boss", "--role", "admin", "--project", "x"], 1, "admin"),
        (["add", "x", "--project", "../y"], 1, "project"),
        (["add", "x", "--role", "king"], 2, "invalid choice"),
        (["revoke", "nobody"], 1, "no key"),
        ([], 2, "required"),
    ],
)
def test_what_cannot_be_is_explained(shell: Shell, words: list[str], status: int, complaint: str) -> None:
    done = shell("keys", *words)
    assert done.returncode == status
    assert complaint in done.stderr.decode()
    assert done.stdout == b""

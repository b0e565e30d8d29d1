"""`models`: what is here, fetched, added and forgotten from the command line."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.models.catalog import CATALOG
from tests.cli.helpers import COMMAND, Shell
from tests.models.fake_hub import FakeHub, fake_hub
from tests.models.making import files_of, lay

T3 = "t3_nano_v1.safetensors"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return Shell(tmp_path, tmp_path / "data")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub({CATALOG["nano"].repo: files_of("nano")}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


def test_the_list_has_every_model_that_can_be_pulled(shell: Shell) -> None:
    rows = [line.split("\t") for line in shell("models", "list").stdout.decode().splitlines()]
    assert [row[0] for row in rows] == [*CATALOG]
    assert {row[2] for row in rows} == {""}, "none of them is here"
    assert not (shell.data / "models").exists()
    told = json.loads(shell("models", "list", "--json").stdout)["models"]
    assert [model["installed"] for model in told] == [False] * len(CATALOG)


def test_a_pulled_model_is_there_until_it_is_removed(shell: Shell, hub: FakeHub) -> None:
    done = shell("models", "pull", "nano")
    assert done.returncode == 0, done.stderr
    folder = Path(done.stdout.decode().strip())
    assert (shell.cwd / folder / T3).read_bytes() == files_of("nano")[T3]
    info = json.loads(shell("models", "info", "nano", "--json").stdout)
    assert (info["installed"], info["source"]) == (True, "pulled")
    assert "source\tpulled" in shell("models", "info", "nano").stdout.decode().splitlines()
    assert shell("models", "remove", "nano").returncode == 0
    assert not (shell.data / "models" / "nano").exists()
    gone = shell("models", "remove", "nano")
    assert (gone.returncode, b"not installed" in gone.stderr) == (1, True)


def test_ctrl_c_keeps_what_has_come(shell: Shell, hub: FakeHub) -> None:
    hub.gates[T3] = threading.Event()
    pull = subprocess.Popen(
        [*COMMAND, "models", "pull", "nano"], cwd=shell.cwd, env=shell.env(), stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not hub.sent.get(T3):
        assert pull.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pull.send_signal(signal.SIGINT)
    time.sleep(0.5)  # the signal is on its way, and the hub says nothing yet
    hub.gates[T3].set()
    assert pull.communicate(timeout=60)[0] == b""
    assert pull.returncode == 130
    assert b"begun" in shell("models", "list").stdout
    assert shell("models", "pull", "nano").returncode == 0
    assert hub.bodies(T3)[-1].range


def test_an_added_folder_is_used_where_it_lies(shell: Shell, tmp_path: Path) -> None:
    lay(tmp_path / "pack", files_of("multilingual"))
    added = shell("models", "add", "hindi", "pack", "--json")
    told = json.loads(added.stdout)
    assert (told["success"], told["name"], told["family"], told["source"]) == (True, "hindi", "multilingual", "added")
    assert told["folder"] == str(tmp_path / "pack")
    assert "hindi" in shell("models", "list").stdout.decode()
    assert shell("models", "remove", "hindi").returncode == 0
    assert len(list((tmp_path / "pack").iterdir())) == len(files_of("multilingual"))


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ([], 2, "required"),
        (["pull", "whatever"], 2, "invalid choice"),
        (["info", "whatever"], 1, "no model whatever"),
        (["remove", "../data"], 1, "no model"),
        (["add", "../x", "."], 1, "small letters"),
        (["add", "x", "nowhere"], 1, "no folder"),
        (["add", "x", "."], 1, "no t3*.safetensors"),
        (["add", "turbo", ".", "--family", "nano"], 1, "turbo is a turbo model"),
        (["add", "x", ".", "--family", "bark"], 2, "invalid choice"),
    ],
)
def test_what_cannot_be_is_explained(shell: Shell, words: list[str], status: int, complaint: str) -> None:
    done = shell("models", *words)
    assert done.returncode == status
    assert complaint in done.stderr.decode()
    assert done.stdout == b""


def test_a_file_that_is_cut_off_is_named(shell: Shell, tmp_path: Path) -> None:
    files = files_of("nano")
    lay(tmp_path / "mine", files | {T3: files[T3][:-1]})
    done = shell("models", "add", "mine", "mine", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["error_code"] == "INVALID_MODEL"
    assert told["error"].startswith(f"{T3} is cut off")

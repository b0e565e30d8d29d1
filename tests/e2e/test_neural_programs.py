"""Models that are installed, from the command line, and on a server in a process of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import requests

from chatterbox_plus.cli import main
from tests.docs.pages import ROOT
from tests.e2e.neural_house import ADDED, PATIENCE_S, furnish, recording, told
from tests.engines.chatterbox.forced import FACTORY
from tests.hearing import container_format, listen
from tests.live import live_server

HELLO = "Hello there, old friend."
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("neural") / "data"
    furnish(data)
    return data


@pytest.fixture
def run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A command in this process: its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATTERBOX_DATA_DIR", str(data))
    monkeypatch.setenv("CHATTERBOX_DEVICE", "cpu")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("chatterbox_plus.engines.neural.FACTORY", FACTORY)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


def test_say_speaks_with_a_model_and_remarks_on_what_it_cannot(run: Run) -> None:
    status, out, err = run("say", HELLO, "--model", "nano", "--seed", "7", "--cfg-weight", "0", "-o", "a.wav", "--json")
    assert status == 0, err
    report = json.loads(out)
    assert (report["model"], report["seed"]) == ("nano", 7)
    assert "cfg_weight had no effect" in err + out
    assert container_format(Path("a.wav")) == "wav"
    assert len(listen(Path("a.wav"))) > 0.3 * 24_000


def test_convert_speaks_with_a_model(run: Run) -> None:
    Path("talk.wav").write_bytes(recording(1.5))
    Path("friend.wav").write_bytes(recording(6.0, 200.0))
    status, out, err = run("convert", "talk.wav", "--to", "friend.wav", "--model", ADDED, "-o", "b.wav", "--json")
    assert status == 0, err
    assert json.loads(out)["model"] == ADDED
    assert len(listen(Path("b.wav"))) == 1.5 * 24_000


def test_batch_and_book_speak_with_a_model(run: Run) -> None:
    Path("rows.csv").write_text("text,name,model\nThe first row.,one,nano\nThe second row.,two,builtin\n", "utf-8")
    status, _, err = run("batch", "rows.csv", "--format", "wav", "--json")
    assert status == 0, err
    assert {path.name for path in Path("rows").glob("*.wav")} == {"one.wav", "two.wav"}
    Path("book.md").write_text("# One\n\nThe first. [laugh]\n", "utf-8")
    status, out, err = run("book", "book.md", "--model", "nano", "-o", "book.m4b", "--json")
    assert status == 0, err
    assert json.loads(out)["models"] == ["nano"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--model", "multilingual-v3"), "chatterbox-plus models pull multilingual-v3"),
        (("--model", "whatever"), "there is no model of that name"),
        (("--model", "nano", "--language", "fr"), "Nano model speaks: en"),
    ],
)
def test_what_a_model_cannot_do_is_said(run: Run, words: tuple[str, ...], complaint: str) -> None:
    status, out, err = run("say", HELLO, *words, "-o", "c.wav")
    assert (status != 0, out) == (True, "")
    assert complaint in err
    assert not Path("c.wav").exists()


def test_a_server_speaks_and_leaves_no_process_behind(data: Path, tmp_path: Path) -> None:
    env = {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "CHATTERBOX_DEVICE": "cpu",
        "CHATTERBOX_DATA_DIR": str(data),
    }
    with live_server(tmp_path, env=env, program="tests.e2e.forced_program", flags=("--data-dir", str(data))) as server:

        def ask(method: str, path: str, **more: object) -> dict[str, object]:
            return told(requests.request(method, server.url + path, timeout=PATIENCE_S, **more))  # type: ignore[arg-type]

        assert "speaks with: nano" in server.log.read_text("utf-8")
        warmed = ask("POST", "/api/v1/warmup", json={"model": "auto", "tasks": ["tts", "vc"]})
        assert (warmed["model"], warmed["tasks"]) == ("nano", ["tts", "vc"])
        body = {"text": HELLO, "reference_audio_filename": "anna", "seed": 7, "export_formats": ["wav"]}
        assert ask("POST", "/api/v1/tts?response_mode=url", json=body)["model"] == "nano"
        assert ask("GET", "/api/v1/health")["status"] == "healthy"
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert any("ForcedEngine" in word for child in children for word in child.cmdline())
    assert not [child for child in children if child.is_running()]
    log = server.log.read_text("utf-8")
    assert "Traceback" not in log, log

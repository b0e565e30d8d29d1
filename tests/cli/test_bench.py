"""`bench`: figures of the installed models, as a table and as lines; never how good they are."""

import json
from pathlib import Path

import pytest

from chatterbox_plus.cli import main
from chatterbox_plus.commands import bench
from chatterbox_plus.engines.chatterbox.timing.figures import KINDS
from tests.cli.helpers import Shell
from tests.engines.chatterbox.making import shelved

SPEECH = ["total_rtf", "tokens_per_s", "flow_rtf", "vocoder_rtf", "first_audio_s", "long_text_x", "peak_memory_mb"]
CONVERSION = ["total_rtf", "flow_rtf", "vocoder_rtf", "peak_memory_mb"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a tiny Nano, and little to be measured."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(bench, "_SENTENCES", 2)
    monkeypatch.setattr(bench, "_CONVERTED_S", 1.0)
    shelved(tmp_path, "nano")
    return tmp_path


def test_every_figure_is_a_line_after_one_that_tells_what_it_was_measured_on(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "--mode", "exact", "--rounds", "1", "--prompt-s", "2", "--json", "--data-dir", str(data)]
    assert main(words) == 0
    told = capsys.readouterr()
    first, *lines = [json.loads(line) for line in told.out.splitlines()]
    assert list(first) == ["machine", "torch", "commit", "version"]
    found = [(line["variant"], line["figure"]) for line in lines]
    assert found == [("nano", name) for name in SPEECH] + [("vc", name) for name in CONVERSION]
    for line in lines:
        assert (line["mode"], line["unit"]) == ("exact", KINDS[line["figure"]].unit)
        assert line["value"] > 0
        assert line["upstream"] is line["ratio"] is None


def test_people_get_a_table(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "vc", "--mode", "exact", "--rounds", "1", "--data-dir", str(data)]) == 0
    _, empty, head, *rows = capsys.readouterr().out.splitlines()
    assert empty == ""
    assert head.split() == ["variant", "mode", "figure", "value", "unit", "upstream", "ratio"]
    assert [row.split()[:3] for row in rows] == [["vc", "exact", name] for name in CONVERSION]


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ([], 1, "models pull nano"),
        (["nano"], 1, "models pull nano"),
        (["--vs-upstream"], 1, "make bench-engine"),
        (["--mode", "bf16"], 2, "invalid choice"),
        (["--rounds", "0"], 2, "1 to 100"),
    ],
)
def test_what_cannot_be_measured_is_explained(tmp_path: Path, words: list[str], status: int, complaint: str) -> None:
    shell = Shell(tmp_path, tmp_path / "data")
    done = shell("bench", *words, env=shell.env(HF_HOME=str(tmp_path / "hf")))
    assert (done.returncode, done.stdout) == (status, b"")
    assert complaint in done.stderr.decode()


def test_a_model_that_is_not_here_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "turbo", "--data-dir", str(data)]) == 1
    assert "models pull turbo" in capsys.readouterr().err

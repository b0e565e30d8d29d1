"""`python -m parity gpu`, without a GPU: the command is whole, and notices what is off."""

import json
from pathlib import Path

import pytest
import torch

from parity import gpu, ours
from parity.gpu import Work
from tests.engines.chatterbox import checkpoints


def test_every_check_of_a_gpu_runs_on_a_cpu_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    assert gpu.main(["nano"], tmp_path, "cpu", tiny=True) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stages = {line["stage"] for line in lines if "stage" in line}
    assert {"likeliest tokens, pool", "mel", "wave", "exact: estimator, padded and not"} <= stages
    assert all(line["ok"] for line in lines if "stage" in line)
    figures = {line["figure"] for line in lines if "figure" in line}
    assert {
        "tokens_per_s, 3 rows, graphs",
        "tokens_per_s, 3 rows, eager",
        "flow_rtf, 2 at once",
        "vocoder_rtf",
    } <= figures
    assert all(line["value"] > 0 for line in lines if line.get("unit") in ("1/s", "s/s"))


def test_a_device_that_computes_something_else_is_noticed() -> None:
    right, wrong = (ours.load("english", checkpoints.tiny("english")) for _ in range(2))
    with torch.inference_mode():
        wrong.t3.speech_head.weight.neg_()  # type: ignore[operator, union-attr]
        wrong.flow.encoder_proj.bias.add_(0.1)
        results = {result.stage: result.ok for result in gpu._like_the_cpu("english", right, wrong, Work(12))}
    assert results == {
        "likeliest tokens, plain decoder": False,
        "likeliest tokens, pool": False,
        "mel": False,
        "wave": True,
    }


def test_a_device_that_is_not_here_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["nano"], tmp_path, "cuda:9", tiny=True) == 2
    assert "no device cuda:9" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

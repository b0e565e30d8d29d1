"""What there is to run on, and what follows from it."""

import pytest
import torch

from chatterbox_plus.engines.chatterbox import devices, matrices
from chatterbox_plus.errors import ModelLoadError

CPU = torch.device("cpu")


def test_automatic_precision_is_never_the_one_that_changes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for known, chosen in ((("exact", "fast", "int8"), "fast"), (("exact", "int8"), "exact"), (("exact",), "exact")):
        monkeypatch.setattr(matrices, "modes", lambda device, known=known: known)
        assert devices.mode_for("auto", CPU) == chosen


def test_a_precision_that_is_not_here_is_an_error_and_not_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "modes", lambda device: ("exact", "fast"))
    assert devices.mode_for("exact", CPU) == "exact"
    with pytest.raises(ModelLoadError, match="int8 is not to be had on cpu; there are exact, fast"):
        devices.mode_for("int8", CPU)


def test_a_gpu_takes_in_as_many_as_its_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, row = torch.device("cuda:0"), 100 * 2**20
    for memory_gb, rows in ((1, 4), (8, 16), (141, 128)):
        monkeypatch.setattr(devices, "available", lambda memory=memory_gb: {"cpu": 0, "cuda:0": memory * 2**30})
        assert devices.rows_for(gpu, row) == rows
    assert devices.rows_for(CPU, row) == 8

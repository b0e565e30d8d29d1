"""Files of weights that are not what they should be are named, and nothing of them runs."""

import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from chatterbox_plus.engines.chatterbox.checkpoint import Weights, fill
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.t3 import SIZES, T3
from chatterbox_plus.errors import ModelLoadError
from parity import ours
from tests.engines.chatterbox import checkpoints

CPU = torch.device("cpu")
T3_FILE, S3GEN_FILE = "t3_cfg.safetensors", "s3gen.safetensors"


def filled(module: nn.Module, weights: Weights, prefix: str = "") -> nn.Module:
    fill(module, weights, prefix, device=CPU, dtype=torch.float32)
    return module


def on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return make()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny English model of the test's own."""
    return Path(shutil.copytree(checkpoints.tiny("english"), tmp_path / "english"))


def load(folder: Path) -> Model:
    model = ours.load("english", folder)
    model.load(frozenset({"tts", "vc"}))
    return model


def failure(folder: Path) -> str:
    """What loading says; never a place on this machine, nor a library's words."""
    with pytest.raises(ModelLoadError) as caught:
        load(folder)
    told = caught.value.message
    assert str(folder.parent) not in told
    assert not any(word in told for word in ("Error", "rror:", "pickle", "header", "None", "torch.Size"))
    return told


@pytest.mark.parametrize("name", ["ve.safetensors", T3_FILE, S3GEN_FILE, "conds.pt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{name} is missing" in failure(folder)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", [T3_FILE, "conds.pt"])
def test_a_truncated_file_is_named(folder: Path, name: str, part: float) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(len(whole) * part)])
    assert f"{name} is damaged" in failure(folder)


@pytest.mark.parametrize("content", [b"<html>\n", b"{}", bytes(range(256)) * 40, b"\x80\x02.", b"PK\3\4"])
@pytest.mark.parametrize("name", [S3GEN_FILE, "conds.pt"])
def test_a_file_of_something_else_is_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    told = failure(folder)
    assert name in told
    assert "damaged" in told or "another model" in told


def test_weights_of_something_else_are_told_by_their_first_missing_key(folder: Path) -> None:
    save_file({"bert.embeddings.weight": torch.zeros(3, 4)}, folder / S3GEN_FILE)
    assert f"{S3GEN_FILE} has no tokenizer.encoder.conv1.weight" in failure(folder)


def test_another_model_under_this_name_is_told_by_a_shape(folder: Path) -> None:
    small = T3(replace(SIZES["english"], dim=32, layers=2, heads=2, hidden=64))
    save_file(small.state_dict(), folder / T3_FILE)
    told = failure(folder)
    assert f"{T3_FILE} is of another model: " in told
    assert re.search(r"tfmr\.\S+ is 32\S*, not 64", told)


def test_a_missing_weight_is_told_by_file_and_key(folder: Path) -> None:
    key = "flow.encoder.after_norm.bias"
    weights = load_file(folder / S3GEN_FILE)
    del weights[key]
    save_file(weights, folder / S3GEN_FILE)
    assert f"{S3GEN_FILE} has no {key}" in failure(folder)


@pytest.mark.parametrize("ending", ["original0", "original1"])
def test_half_of_a_normed_weight_is_told_by_file_and_key(folder: Path, ending: str) -> None:
    weights = load_file(folder / S3GEN_FILE)
    key = next(key for key in weights if key.endswith(f"parametrizations.weight.{ending}"))
    wrong = {**weights, key: torch.zeros(2, 2, 2)}
    del weights[key]
    save_file(weights, folder / S3GEN_FILE)
    assert f"{S3GEN_FILE} has no {key.split('.parametrizations')[0]}" in failure(folder)
    save_file(wrong, folder / S3GEN_FILE)
    assert f"{S3GEN_FILE} is of another model: {key.split('.parametrizations')[0]}" in failure(folder)


def test_a_tokenizer_of_another_model_is_noticed(folder: Path) -> None:
    weights = load_file(folder / T3_FILE)
    weights["text_emb.weight"] = weights["text_emb.weight"][:100].clone()
    save_file(weights, folder / T3_FILE)
    assert f"{T3_FILE} only 100" in failure(folder)


class Trap:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_does_not_run(folder: Path, tmp_path: Path, zipped: bool) -> None:
    trap = {"t3": Trap(tmp_path / "sprung"), "gen": {}}
    if zipped:
        torch.save(trap, folder / "conds.pt")
    else:
        (folder / "conds.pt").write_bytes(pickle.dumps(trap, 2))
    assert "conds.pt is damaged" in failure(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_in_a_pickle_is_one_kind_of_error(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    whole, chance = (tmp_path / "a.pt").read_bytes(), random.Random(1)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] = chance.randrange(256)
        (tmp_path / "a.pt").write_bytes(damaged)
        with suppress(ModelLoadError), warnings.catch_warnings(action="ignore"):
            Weights(tmp_path / "a.pt")


def test_a_pickle_of_the_old_kind_is_read_too(tmp_path: Path) -> None:
    torch.save({"a": {"weight": torch.ones(2)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert Weights(tmp_path / "old.pt")["a.weight"].tolist() == [1, 1]


def test_weights_nested_under_model_are_found(tmp_path: Path) -> None:
    torch.save({"model": [{"lstm.weight": torch.ones(2, 3)}]}, tmp_path / "nested.pt")
    weights = Weights(tmp_path / "nested.pt")
    assert weights.shapes == {"lstm.weight": (2, 3)}
    assert weights["lstm.weight"].sum() == 6


@pytest.mark.parametrize("make", [lambda: nn.Conv1d(3, 5, 7), lambda: nn.ConvTranspose1d(4, 2, 6)])
def test_weight_norm_is_folded_as_torch_computes_it(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    normed = nn.Sequential(weight_norm(make()))
    normed[0].parametrizations.weight.original0.data *= 3  # type: ignore[union-attr, operator]  # else it is the norm already
    save_file(normed.state_dict(), tmp_path / "normed.safetensors")
    plain = filled(nn.Sequential(on_meta(make)), Weights(tmp_path / "normed.safetensors"))
    assert torch.equal(plain.state_dict()["0.weight"], normed[0].weight)  # type: ignore[arg-type]
    assert torch.equal(plain.state_dict()["0.bias"], normed[0].bias)  # type: ignore[arg-type]


def test_half_precision_files_are_loaded_as_the_models_own_kind(tmp_path: Path) -> None:
    save_file({"weight": torch.ones(2, 3, dtype=torch.float16), "bias": torch.zeros(2)}, tmp_path / "half.safetensors")
    assert (
        filled(on_meta(lambda: nn.Linear(3, 2)), Weights(tmp_path / "half.safetensors")).weight.dtype is torch.float32
    )


def test_weights_that_speech_does_not_need_are_not_loaded(folder: Path) -> None:
    dead = ("tfmr.embed_tokens.weight", "text_head.weight")
    assert set(dead) < set(load_file(folder / T3_FILE))
    assert not set(dead) & set(load(folder).t3.state_dict())


def test_loading_does_not_import_pytorchs_compiler() -> None:
    """It takes seconds, and nothing here uses it."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from parity import ours\n"
        "ours.load('nano', Path(sys.argv[1])).load(frozenset({'tts', 'vc'}))\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, checkpoints.tiny("nano")], env=environment).returncode == 0


def test_weights_are_mapped_and_not_copied() -> None:
    """What has not been used yet takes no memory: 870 MB come in a moment."""
    path = checkpoints.full_nano() / "t3_nano_v1.safetensors"
    t3 = on_meta(lambda: T3(SIZES["nano"]))
    before = resident_mb()
    filled(t3, Weights(path))
    assert resident_mb() - before < 100
    assert sum(tensor.nbytes for tensor in t3.state_dict().values()) > 500e6


def resident_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)

"""The folders of random weights that tests and `make parity` work on are shaped like the official ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from parity import checkpoints as written
from parity import official, ours, tiny, weights
from parity.__main__ import main
from tests.engines.chatterbox import checkpoints

TABLES = ("ve", "t3_english", "t3_multilingual", "t3_turbo", "t3_nano", "s3gen", "s3gen_meanflow")


@pytest.mark.parametrize("table", TABLES)
def test_all_that_our_networks_read_has_the_official_name_and_shape(table: str) -> None:
    known = official.names(table)
    assert {name: known.get(name) for name in tiny.live(table, {})} == tiny.live(table, {})


def test_tables_have_as_many_numbers_as_the_models_are_said_to_have() -> None:
    counts = {table: sum(int(np.prod(shape)) for shape in official.names(table).values()) for table in TABLES}
    assert counts["t3_english"] == 532_405_248
    assert counts["t3_nano"] == 217_471_139
    assert counts["s3gen_meanflow"] - counts["s3gen"] == 2048 * 1024


@pytest.mark.parametrize("variant", list(written.RECIPES))
def test_a_tiny_folder_loads_like_an_official_one(variant: str) -> None:
    folder = checkpoints.tiny(variant)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 60e6
    model = ours.load(variant, folder)
    if variant == "vc":  # S3Gen alone
        assert model.flow
        assert model.vocoder
        assert model.s3_tokenizer
    else:
        model.load(frozenset({"tts", "vc"}))


def test_weights_depend_on_the_name_and_on_nothing_else() -> None:
    one, other = weights.tensor("flow.encoder_proj.weight", (80, 512)), weights.tensor("text_emb.weight", (80, 512))
    assert (one == weights.tensor("flow.encoder_proj.weight", (80, 512))).all()
    assert not (one == other).any()
    assert float(one[0, 0]) == pytest.approx(0.04942007, rel=1e-6)  # wherever this runs


def test_files_hold_what_they_say(tmp_path: Path) -> None:
    shapes = {"a.weight": (3, 5), "a.num_batches_tracked": (), "a.bias": (3,)}
    written.write_safetensors(tmp_path / "a.safetensors", shapes)
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert {name: tuple(file.get_tensor(name).shape) for name in file.keys()} == shapes  # noqa: SIM118
        assert torch.equal(file.get_tensor("a.weight"), torch.from_numpy(weights.tensor("a.weight", (3, 5))))


def test_pt_files_have_the_same_weights() -> None:
    pickled = torch.load(checkpoints.tiny("multilingual") / "ve.pt", weights_only=True)
    with safe_open(checkpoints.tiny("english") / "ve.safetensors", framework="pt") as file:
        assert {name: tensor.tolist() for name, tensor in pickled.items()} == {
            name: file.get_tensor(name).tolist()
            for name in file.keys()  # noqa: SIM118
        }


def test_variants_share_what_they_have_in_common(tmp_path: Path) -> None:
    for variant in ("english", "vc"):
        written.write(variant, tmp_path / variant, sizes="tiny", share=tmp_path / "shared")
    assert (tmp_path / "english/s3gen.safetensors").samefile(tmp_path / "vc/s3gen.safetensors")


def test_a_folder_is_written_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["parity", "write", "vc", str(tmp_path / "vc"), "--tiny"])
    assert main() == 0
    assert {file.name for file in (tmp_path / "vc").iterdir()} == {"s3gen.safetensors", "conds.pt", "sizes.json"}

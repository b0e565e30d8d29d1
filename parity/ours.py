"""Our side: a model out of a folder, through the loader that the program uses."""

from pathlib import Path

import torch

from chatterbox_plus.engines.chatterbox.model import Model
from parity.checkpoints import RECIPES

GPT2 = ("turbo", "nano")


def load(variant: str, folder: Path, device: str = "cpu", mode: str = "exact") -> Model:
    """The parts of a variant, each loaded when it is first asked for. "vc" is S3Gen alone: it has no T3 to ask for."""
    family = {"vc": "english", "multilingual-v3": "multilingual"}.get(variant, variant)
    return Model(family, files(variant, folder), torch.device(device), mode)


def files(variant: str, folder: Path) -> dict[str, Path]:
    """The files of a folder that `checkpoints.write` has made, by their role."""
    found = {"t3": folder / "none", "conds": folder / "conds.pt"}
    for name in RECIPES[variant].tables:
        role = next(role for role in ("ve", "t3", "s3gen") if name.startswith(role))
        found[role] = folder / name
    for name in ("grapheme_mtl_merged_expanded_v1.json", "tokenizer.json", "vocab.json"):
        if (folder / name).exists():
            found["tokenizer"] = folder / name
    return found

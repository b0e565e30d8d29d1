"""Folders of random weights for tests, written once and kept under `build/` until the code that writes them changes."""

import hashlib
import os
import shutil
from functools import cache
from pathlib import Path

from parity import checkpoints, official, vocabularies, weights
from parity import tiny as small
from parity.environment import ROOT

_CACHE = ROOT / "build" / "test-checkpoints"


def full_nano() -> Path:
    """The official shapes: 1.9 GB, ten seconds to write."""
    return _kept("nano", "full")


def tiny(variant: str) -> Path:
    """A few megabytes with the official names. variant: of `parity.checkpoints.RECIPES`."""
    return _kept(variant, "tiny")


def _kept(variant: str, sizes: str) -> Path:
    """A folder that has it, or gets it: whole, whoever else asks at the same time. Nobody may write into it."""
    kind = f"{variant}-{sizes}"
    folder = _CACHE / f"{kind}-{_code(sizes)}"
    if not folder.exists():
        for old in _CACHE.glob(f"{kind}-*"):  # nobody asks for these again
            if not old.suffix:  # those with one are being written
                shutil.rmtree(old, ignore_errors=True)
        made = checkpoints.write(variant, folder.with_suffix(f".{os.getpid()}"), sizes=sizes)
        try:
            made.rename(folder)
        except OSError:  # somebody else was faster
            if not folder.exists():
                raise
            shutil.rmtree(made)
    return folder


@cache
def _code(sizes: str) -> str:
    """Another one for every change of what decides on a folder's contents; of tiny ones our networks decide too."""
    modules = [checkpoints, official, small, vocabularies, weights]
    files = [Path(module.__file__) for module in modules] + sorted(official.SHAPES.iterdir())
    if sizes == "tiny":
        files += sorted((ROOT / "src/chatterbox_plus/engines/chatterbox").glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]

"""What `make parity` does in upstream's environment."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from chatterbox_plus.engines.chatterbox.model import Model
from parity import checkpoints, ours, references, sounds, stages
from parity.environment import ROOT
from parity.recording import recordings
from parity.upstream import Upstream, load

RECORDING = ROOT.parent / "shared" / "audio" / "voices" / "jfk.flac"
"""A real voice beside the made-up one, where it is at hand."""


def compare(variants: Sequence[str], cache: Path, *, device: str = "cpu", perturb: str | None = None) -> int:
    """Print a line of JSON for every stage. Gives 1 if any is beyond its limit, else 0.

    cache: where checkpoints are kept; 8 GB for all variants. perturb: a weight of ours to change first.
    """
    good = True
    with tempfile.TemporaryDirectory(prefix="chatterbox-parity-") as folder:
        made = sounds.write(Path(folder) / "made-up voice.wav", 12)
        long = sounds.write(Path(folder) / "made-up speech.wav", 35, seed=2)
        voices = [made, *([RECORDING] if RECORDING.exists() else [])]
        for variant in variants:
            began = time.monotonic()
            weights = checkpoints.write(variant, cache / variant, share=cache / "shared")
            with _quiet():
                upstream = Upstream(variant, load(variant, weights))
            model = ours.load(variant, weights, device)
            if perturb is not None:
                _change(model, perturb)
            results = stages.compare(upstream, model, voices, long if variant == "vc" else None)
            while True:
                with _quiet():
                    result = next(results, None)
                if result is None:
                    break
                sys.stdout.write(result.line() + "\n")
                sys.stdout.flush()
                good = good and result.ok
            sys.stderr.write(f"{variant}: {time.monotonic() - began:.0f} s, PyTorch {torch.__version__}\n")
            del upstream, model, results
    return 0 if good else 1


def record() -> int:
    """Write what upstream makes of the cases in `parity.references`. Gives 0."""
    with _quiet():
        answers = list(recordings())
    for variant, recorded in answers:
        sys.stdout.write(f"{references.write(variant, recorded)}\n")
    return 0


def _change(model: Model, name: str) -> None:
    """Give one weight another scale. name: part and weight, as "flow.encoder_proj.weight". Raises AttributeError."""
    part, _, weight = name.partition(".")
    with torch.no_grad():
        getattr(model, part).get_parameter(weight).mul_(1.1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Upstream prints while it works; our output is for programs."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield

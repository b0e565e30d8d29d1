"""Which processor a model runs on: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

Run as a program it tells what PyTorch finds here, as a line of JSON: the server itself never imports PyTorch.
"""

import json
import sys

import torch

from chatterbox_plus.engines.chatterbox import matrices
from chatterbox_plus.errors import ModelLoadError

_ROWS, _MOST_ROWS = 8, 128  # a CPU's cores are busy with 8; a GPU hardly notices the first dozens


def choose(name: str) -> torch.device:
    """auto: the first GPU, else Apple's, else the CPU. Raises ModelLoadError for one that is not here."""
    found = available()
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if any(d.startswith(kind) for d in found)), "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in found:
        raise ModelLoadError(f"PyTorch finds no device {name} here; it finds {', '.join(found)}")
    return torch.device(wanted)


def mode_for(precision: str, device: torch.device) -> str:
    """The mode of `matrices` that is used there; auto is the fast one. Raises ModelLoadError for one that is not."""
    known = matrices.modes(device)
    if precision == "auto":
        return matrices.FAST if matrices.FAST in known else matrices.EXACT
    if precision not in known:
        raise ModelLoadError(f"the precision {precision} is not to be had on {device}; there are {', '.join(known)}")
    return precision


def rows_for(device: torch.device, row_bytes: int) -> int:
    """How many passages are taken in at once where each needs so much memory: a fifth of a GPU's, in all."""
    if device.type != "cuda":
        return _ROWS
    return max(_ROWS // 2, min(_MOST_ROWS, available()[str(device)] // 5 // row_bytes))


def available() -> dict[str, int]:
    """Every device by name, and its memory in bytes; 0: the machine's own."""
    found = {"cpu": 0}
    if torch.cuda.is_available():
        found |= {
            f"cuda:{i}": torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count())
        }
    if torch.backends.mps.is_available():
        found["mps"] = 0
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"torch": torch.__version__, "devices": available()}) + "\n")

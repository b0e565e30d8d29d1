"""Which processor a model runs on: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

Run as a program it tells what PyTorch finds here, as a line of JSON: the server itself never imports PyTorch.
"""

import json
import sys

import torch

from chatterbox_plus.errors import ModelLoadError


def choose(name: str) -> torch.device:
    """auto: the first GPU, else Apple's, else the CPU. Raises ModelLoadError for one that is not here."""
    found = available()
    if name == "auto":
        name = next((kind for kind in ("cuda", "mps") if any(d.startswith(kind) for d in found)), "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in found:
        raise ModelLoadError(f"PyTorch finds no device {name} here; it finds {', '.join(found)}")
    return torch.device(wanted)


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

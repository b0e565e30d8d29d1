"""`python -m chatterbox_plus.engines.chatterbox.timing`: a process that measures one model in one mode (`protocol`).

With a device's name (`auto`, `cpu`, `cuda`, `mps`) it only tells what there is, as a line of JSON.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from chatterbox_plus.engines.chatterbox import devices, matrices
from chatterbox_plus.engines.chatterbox.timing.driving import Driver
from chatterbox_plus.engines.chatterbox.timing.protocol import Measures, answer
from chatterbox_plus.errors import ModelLoadError


def about(device: str) -> dict[str, Any]:
    try:
        chosen = devices.choose(device)
    except ModelLoadError as error:
        return {"error": error.message}
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else ""
    return {"torch": torch.__version__, "device": name, "modes": matrices.modes(chosen)}


def main() -> None:
    if sys.argv[1:]:
        sys.stdout.write(json.dumps(about(sys.argv[1])) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="chatterbox-bench-") as prints:

        def open_model(setup: dict[str, Any]) -> Measures:
            return Driver.open(**setup, prints=Path(prints)).measures

        answer(open_model)


if __name__ == "__main__":
    main()

"""Models small enough for tests: the official names, keys and shapes, and next to no numbers."""

import io
import json
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path

from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.checking import _TELLTALES, Shape

T3_BYTES = 300_000  # of what stands for the numbers of a T3: a download that can be broken off


def safetensors(shapes: Mapping[str, Shape], size: int = 64, seed: int = 0) -> bytes:
    """A file with that header and so many bytes after it, which all belong to its first key."""
    header = {
        key: {"dtype": "F32", "shape": shape, "data_offsets": [0, size] if number == 0 else [size, size]}
        for number, (key, shape) in enumerate(shapes.items())
    }
    told = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return len(told).to_bytes(8, "little") + told + random.Random(seed).randbytes(size)


def pt(seed: int = 0) -> bytes:
    """What torch.save writes, as far as anybody looks at it here."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("archive/data.pkl"), random.Random(seed).randbytes(2000))
    return buffer.getvalue()


def part(family: str, role: str, size: int = 64) -> bytes:
    return safetensors(_TELLTALES[family][role], size, seed=len(family) + len(role))


def files_of(name: str) -> dict[str, bytes]:
    """All files of an official model, as its repository has them."""
    spec = CATALOG[name]
    made: dict[str, bytes] = {}
    for file in spec.files:
        first = file.names[0]
        if first.endswith(".safetensors"):
            made[first] = part(spec.family, file.role, T3_BYTES if file.role == "t3" else 64)
        elif first.endswith(".pt"):
            made[first] = pt(len(first))
        elif file.role == "merges":
            continue
        else:
            made[first] = json.dumps({"of": first}).encode()
    return made


def lay(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder

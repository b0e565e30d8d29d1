"""Whether a model's file is whole and what it is called, found out in a moment: headers are read, tensors are not."""

import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from chatterbox_plus.errors import InvalidModel

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Of a safetensors file: key -> shape."""
SIZES = "sizes.json"
"""A folder that has it is of other sizes than the official ones: keys are compared, shapes are not."""
_MAX_HEADER = 100_000_000  # bytes; the format's own limit
_POINTER = b"version https://git-lfs"
_PICKLE = b"\x80"  # what torch wrote before its files were zip files

# Some keys of each part and their shapes (upstream's modules, instantiated): enough to tell the families apart.
_LLAMA: dict[str, Shape] = {
    "speech_emb.weight": (8194, 1024),
    "cond_enc.perceiver.pre_attention_query": (1, 32, 1024),
    "tfmr.layers.0.self_attn.q_proj.weight": (1024, 1024),
    "tfmr.layers.29.mlp.down_proj.weight": (1024, 4096),
}
_FLOW: dict[str, Shape] = {"flow.input_embedding.weight": (6561, 512), "flow.spk_embed_affine_layer.weight": (80, 192)}
_MEANFLOW: dict[str, Shape] = {**_FLOW, "flow.decoder.estimator.time_embed_mixer.weight": (1024, 2048)}
_VE: dict[str, Shape] = {"lstm.weight_ih_l0": (1024, 40), "proj.weight": (256, 256)}


def _gpt2(width: int, layers: int) -> dict[str, Shape]:
    return {
        "text_emb.weight": (50276, width),
        "speech_emb.weight": (6563, width),
        "tfmr.h.0.attn.c_attn.weight": (width, 3 * width),
        f"tfmr.h.{layers - 1}.mlp.c_fc.weight": (width, 4 * width),
    }


_TELLTALES: dict[str, dict[str, dict[str, Shape]]] = {
    "english": {"t3": {"text_emb.weight": (704, 1024), **_LLAMA}, "s3gen": _FLOW, "ve": _VE},
    "multilingual": {"t3": {"text_emb.weight": (2454, 1024), **_LLAMA}, "s3gen": _FLOW, "ve": _VE},
    "turbo": {"t3": _gpt2(1024, 24), "s3gen": _MEANFLOW, "ve": _VE},
    "nano": {"t3": _gpt2(768, 12), "s3gen": _MEANFLOW, "ve": _VE},
}


def check(path: Path, role: str, family: str) -> None:
    """Raises InvalidModel, naming the file and what is wrong with it: gone, empty, cut off, foreign."""
    if path.suffix == ".safetensors":
        told = mismatch(shapes(path), role, family, sizes=not (path.parent / SIZES).exists())
        if told:
            raise InvalidModel(f"{path.name} is not the {role} of a {family} model: {told}")
    else:
        _whole(path, *_state(path))


def shapes(path: Path) -> Shapes:
    """What the header of a safetensors file says is in it. Raises InvalidModel if the file is not as long as that."""
    return _header(path, *_state(path))


def mismatch(found: Shapes, role: str, family: str, *, sizes: bool = True) -> str | None:
    """The first key that the part must have and has not, or not so, in words. sizes: compare shapes, too."""
    for key, shape in _TELLTALES[family].get(role, {}).items():
        if key not in found:
            # the number of the last layer is a matter of size
            if not sizes and any(part.isdigit() and part != "0" for part in key.split(".")):
                continue
            return f"there is no {key} in it"
        if sizes and found[key] != shape:
            return f"{key} has the shape {_spelled(found[key])}, not {_spelled(shape)}"
    return None


def fitting(found: Shapes, *, sizes: bool = True) -> list[str]:
    """The families whose T3 these keys and shapes may be."""
    families = [family for family in _TELLTALES if mismatch(found, "t3", family, sizes=sizes) is None]
    if sizes or len(families) < 2 or "text_emb.weight" not in found:
        return families
    # Of other sizes, vocabularies still tell English from the others: tokenizers come in one size.
    vocabulary = found["text_emb.weight"][0]
    return [family for family in families if _TELLTALES[family]["t3"]["text_emb.weight"][0] == vocabulary] or families


def _spelled(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "of a single number"


def _state(path: Path) -> tuple[int, int]:
    """Size and time, by which what was found out is remembered. Raises InvalidModel."""
    try:
        state = path.stat()
    except FileNotFoundError:
        raise InvalidModel(f"{path.name} is not there") from None
    except OSError as error:
        raise InvalidModel(f"{path.name} cannot be read: {error.strerror}") from None
    if not state.st_size:
        raise InvalidModel(f"{path.name} is empty")
    return state.st_size, state.st_mtime_ns


def _start(path: Path, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(length)
    except OSError as error:
        raise InvalidModel(f"{path.name} cannot be read: {error.strerror}") from None
    if start.startswith(_POINTER[:length]):
        raise InvalidModel(f"{path.name} only points to the file in Git LFS: `git lfs pull` fetches it")
    return start


@lru_cache(maxsize=128)
def _header(path: Path, size: int, _modified: int) -> Shapes:
    start = _start(path, len(_POINTER))
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or length > _MAX_HEADER:
        raise InvalidModel(f"{path.name} is no safetensors file")
    if 8 + length > size:
        raise InvalidModel(f"{path.name} is cut off: it has {size:,} bytes and its header alone needs {8 + length:,}")
    try:
        header = json.loads(_start(path, 8 + length)[8:])
        told = {key: value for key, value in header.items() if key != "__metadata__"}
        end = max((value["data_offsets"][1] for value in told.values()), default=0)
        found = {key: tuple(int(n) for n in value["shape"]) for key, value in told.items()}
        whole = 8 + length + int(end)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise InvalidModel(f"{path.name} is no safetensors file: its header cannot be read") from None
    if size < whole:
        raise InvalidModel(f"{path.name} is cut off: it has {size:,} bytes of {whole:,}")
    if size > whole:
        raise InvalidModel(f"{path.name} is damaged: it has {size:,} bytes where its header knows of {whole:,}")
    return MappingProxyType(found)


@lru_cache(maxsize=256)
def _whole(path: Path, _size: int, _modified: int) -> None:
    start = _start(path, len(_POINTER))
    if path.suffix == ".pt":
        # A zip file's table of contents is at its end: one that is cut off has none.
        if not start.startswith(_PICKLE) and not zipfile.is_zipfile(path):
            cut = start.startswith(b"PK")
            raise InvalidModel(f"{path.name} is {'cut off' if cut else 'no file of PyTorch'}")
    elif path.suffix == ".json":
        try:
            json.loads(path.read_bytes())
        except (ValueError, OSError):
            raise InvalidModel(f"{path.name} is cut off, or no JSON") from None

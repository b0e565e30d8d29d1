"""Folders like the official ones, with random weights: the same files, names and shapes; the same numbers everywhere.

A full folder takes 1.1 to 3.3 GB of disk, and 10 to 40 s; a tiny one some megabytes, and a second. Folders that `share`
keep what variants have in common once, as hard links.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from parity import official, tiny, vocabularies, weights
from parity.official import Shape

REFERENCE_S = 2.0
"""Seconds of the default voice's prompt in `conds.pt`: short, so that tests are. Official ones have 10."""


@dataclass(frozen=True)
class Recipe:
    """The files of a variant: of which table each one is, and what it reads text with."""

    tables: Mapping[str, str]  # file name -> table of `official.names`
    vocabulary: Callable[[Path], None] | None = None
    t3_prompt: int | None = None  # speech tokens of the voice that T3 hears; None: there is no T3


def _turbo(t3_file: str, t3_table: str) -> Recipe:
    tables = {"ve.safetensors": "ve", t3_file: t3_table, "s3gen_meanflow.safetensors": "s3gen_meanflow"}
    return Recipe(tables, vocabularies.write_gpt2, 375)


def _multilingual(t3_file: str) -> Recipe:
    tables = {"ve.pt": "ve", t3_file: "t3_multilingual", "s3gen.pt": "s3gen"}
    return Recipe(tables, vocabularies.write_multilingual, 150)


RECIPES = {
    "english": Recipe(
        {"ve.safetensors": "ve", "t3_cfg.safetensors": "t3_english", "s3gen.safetensors": "s3gen"},
        vocabularies.write_english,
        150,
    ),
    "multilingual": _multilingual("t3_mtl23ls_v2.safetensors"),
    "multilingual-v3": _multilingual("t3_mtl23ls_v3.safetensors"),
    "turbo": _turbo("t3_turbo_v1.safetensors", "t3_turbo"),
    "nano": _turbo("t3_nano_v1.safetensors", "t3_nano"),
    "vc": Recipe({"s3gen.safetensors": "s3gen"}),
}
COMPUTED = ("tokenizer._mel_filters", "tokenizer.window")
"""Upstream reads s3gen.safetensors without these, the other two files only with them: ours must take both."""


def write(variant: str, folder: Path, *, sizes: str = "full", share: Path | None = None) -> Path:
    """Write a variant's folder, or what is missing of it. Gives the folder.

    variant: a key of RECIPES. sizes: "full", or "tiny" for a few layers of a few channels, told in `sizes.json`.
    share: a folder of the same file system that keeps the big files, for other variants to link to.
    Raises KeyError, OSError.
    """
    recipe = RECIPES[variant]
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in recipe.tables.items():
        path = folder / name
        if share is None and path.exists():
            continue
        shapes = official.names(table) if sizes == "full" else tiny.names(table)
        if name == "s3gen.safetensors":
            shapes = {key: shape for key, shape in shapes.items() if key not in COMPUTED}
        if share is None:
            _write_weights(path, shapes)
            continue
        kept = share / f"{_digest(shapes)}{path.suffix}"
        if not kept.exists():
            share.mkdir(parents=True, exist_ok=True)
            _write_weights(kept, shapes)
        if not (path.exists() and path.samefile(kept)):  # else it is there, and of the present code
            path.unlink(missing_ok=True)
            path.hardlink_to(kept)
    if share is not None:
        for kept in share.iterdir():
            if kept.suffix != ".part" and kept.stat().st_nlink == 1:  # of no variant any more
                kept.unlink()
    if sizes != "full":
        text = json.dumps(tiny.sizes(recipe.tables.values()), indent=1)
        (folder / "sizes.json").write_text(text + "\n", encoding="utf-8")
    if recipe.vocabulary is not None:
        recipe.vocabulary(folder)
    _write_conditionals(folder / "conds.pt", recipe.t3_prompt)
    return folder


def _write_weights(path: Path, shapes: Mapping[str, Shape]) -> None:
    """Whole or not at all: a half-written file of this name is never seen."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write_safetensors(part, shapes)
        if path.suffix == ".pt":
            torch.save(_mapped(np.memmap(part, np.uint8, "c")), part.with_suffix(".pt"))
            part.with_suffix(".pt").replace(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_safetensors(
    path: Path, shapes: Mapping[str, Shape], tensor: Callable[[str, Shape], weights.Array] = weights.tensor
) -> None:
    """Write a file of weights tensor by tensor, so that memory holds one of them at a time.

    The format: eight bytes with the length of a JSON header, the header, the numbers. Eight-byte numbers come first, so
    that everything is aligned.
    """
    names = sorted(shapes, key=lambda name: (_code(name) != "I64", name))
    header: dict[str, object] = {}
    end = 0
    for name in names:
        begin, end = end, end + (8 if _code(name) == "I64" else 4) * int(np.prod(shapes[name], dtype=np.int64))
        header[name] = {"dtype": _code(name), "shape": list(shapes[name]), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            file.write(np.ascontiguousarray(tensor(name, shapes[name])).data)


def _code(name: str) -> str:
    return "I64" if name.endswith("num_batches_tracked") else "F32"


def _mapped(stored: "np.memmap[tuple[int], np.dtype[np.uint8]]") -> dict[str, torch.Tensor]:
    """The tensors of a mapped safetensors file, each with a storage of its own, as `torch.save` wants them."""
    length = int(stored[:8].view(np.int64)[0])
    found = {}
    for name, entry in json.loads(bytes(stored[8 : 8 + length])).items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = stored[begin:end].view(np.int64 if entry["dtype"] == "I64" else np.float32)
        found[name] = torch.from_numpy(values.reshape(entry["shape"]))
    return found


def _write_conditionals(path: Path, t3_prompt: int | None) -> None:
    """A built-in voice made of nothing, with the names and kinds of `conds.pt`."""
    tokens = round(25 * REFERENCE_S)
    direction = np.abs(weights.tensor("conds.speaker", (1, 256)))
    gen = {
        "prompt_token": random_tokens("conds.prompt", tokens)[None],
        "prompt_token_len": torch.tensor([tokens]),
        "prompt_feat": torch.from_numpy(weights.tensor("conds.mel", (1, 2 * tokens, 80)) * 2 - 6),
        "prompt_feat_len": None,
        "embedding": torch.from_numpy(weights.tensor("conds.embedding", (1, 192))),
    }
    t3 = {
        "speaker_emb": torch.from_numpy(direction / np.linalg.norm(direction)),
        "clap_emb": None,
        "cond_prompt_speech_tokens": random_tokens("conds.t3", min(t3_prompt or 0, tokens))[None],
        "cond_prompt_speech_emb": None,
        "emotion_adv": torch.full((1, 1, 1), 0.5),
    }
    torch.save({"t3": t3, "gen": gen} if t3_prompt is not None else {"gen": gen}, path)


def random_tokens(name: str, count: int) -> torch.Tensor:
    """(count,) speech tokens below 6561, int64; the same ones for the same name."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    spread = np.random.Generator(np.random.Philox(key=key)).random(count)
    return torch.from_numpy((spread * 6561).astype(np.int64))


def _digest(shapes: Mapping[str, Shape]) -> str:
    """Equal for files of equal contents: names, shapes, and the code that makes the numbers."""
    code = Path(weights.__file__).read_bytes()
    return hashlib.sha256(repr(sorted(shapes.items())).encode() + code).hexdigest()[:16]

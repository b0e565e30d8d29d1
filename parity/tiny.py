"""Small models of the official kinds, for tests: a few layers of a few channels, with every name that such a file has.

Shapes come from our own networks, made on the meta device; names that those never read are there as well, in some size.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from chatterbox_plus.engines.chatterbox.flow import Flow
from chatterbox_plus.engines.chatterbox.s3_tokenizer import S3Tokenizer
from chatterbox_plus.engines.chatterbox.t3 import SIZES, T3
from chatterbox_plus.engines.chatterbox.vocoder import Vocoder
from chatterbox_plus.engines.chatterbox.voice_encoder import VoiceEncoder
from chatterbox_plus.engines.chatterbox.xvector import CamPPlus
from parity import official
from parity.official import Shape

Sizes = Mapping[str, Any]

PARTS: Mapping[str, Sizes] = {
    "t3": {"dim": 64, "layers": 2, "heads": 2},
    "s3_tokenizer": {"width": 64, "heads": 2, "layers": 2},
    "speaker_encoder": {"planes": 8, "growth": 4, "start": 16},
    "flow": {
        "size": 32,
        "encoder": {"heads": 2, "inner": 64, "layers": 2, "up_layers": 1},
        "estimator": {"size": 32, "heads": 2, "head_size": 16, "blocks": 1, "mid_stages": 2},
    },
    "vocoder": {"size": 32, "pitch_size": 32},
}
"""What `sizes.json` holds: part -> arguments of its class. Voices stay as wide as the official ones, so the voice
encoder is not among them."""

_GAIN, _DIRECTION = ".parametrizations.weight.original0", ".parametrizations.weight.original1"


def networks(table: str, sizes: Mapping[str, Sizes]) -> dict[str, nn.Module]:
    """Our networks for an official file, on the meta device, by the prefix of their names in it.

    sizes: as PARTS; {} for the official ones.
    """
    makers: dict[str, Callable[[], nn.Module]]
    if table == "ve":
        makers = {"": VoiceEncoder}
    elif table.startswith("t3_"):
        makers = {"": lambda: T3(replace(SIZES[table.removeprefix("t3_")], **sizes.get("t3", {})))}
    else:
        makers = {
            "tokenizer.": lambda: S3Tokenizer(**sizes.get("s3_tokenizer", {})),
            "speaker_encoder.": lambda: CamPPlus(**sizes.get("speaker_encoder", {})),
            "flow.": lambda: Flow(meanflow=table == "s3gen_meanflow", **sizes.get("flow", {})),
            "mel2wav.": lambda: Vocoder(**sizes.get("vocoder", {})),
        }
    with torch.device("meta"):
        return {prefix: make() for prefix, make in makers.items()}


def live(table: str, sizes: Mapping[str, Sizes]) -> dict[str, Shape]:
    """Name and shape in the file of all that our networks read, where weight norm is two tensors as in official ones.

    sizes: as PARTS; {} for the official ones.
    """
    known = official.names(table)
    normed = {_general(name.removesuffix(_GAIN)) for name in known if name.endswith(_GAIN)}
    found: dict[str, Shape] = {}
    for prefix, network in networks(table, sizes).items():
        for name, tensor in network.state_dict().items():
            layer, shape = (prefix + name).removesuffix(".weight"), tuple(tensor.shape)
            if name.endswith(".weight") and _general(layer) in normed:
                found[layer + _GAIN] = (shape[0], *(1 for _ in shape[1:]))
                found[layer + _DIRECTION] = shape
            else:
                found[prefix + name] = shape
    return found


def names(table: str) -> dict[str, Shape]:
    """As `official.names`, of a tiny file: what is read, and the names of what is not."""
    found = live(table, PARTS)
    read = {_general(name) for name in found}
    dead = {name: shape for name, shape in official.names(table).items() if _general(name) not in read}
    return found | {name: shape if math.prod(shape) < 100_000 else (1,) for name, shape in dead.items()}


def sizes(tables: Iterable[str]) -> dict[str, Sizes]:
    """The contents of `sizes.json` for a folder with files of these tables."""
    tables = list(tables)
    parts = [part for part in PARTS if part != "t3" or any(table.startswith("t3_") for table in tables)]
    return {part: PARTS[part] for part in parts}


def _general(name: str) -> str:
    """A name without its numbers: the same in every layer."""
    return re.sub(r"\d+", "#", name)

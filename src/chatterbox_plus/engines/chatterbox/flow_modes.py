"""How exactly S3Gen's flow and vocoder are computed.

`exact`: float32, equal to upstream. `fast`: layers in bfloat16, with all that adds up over blocks and steps, norms, the
pitch, the source and both transforms of the vocoder in float32. `int8`: the flow's linear layers in whole numbers of 8
bits, the rest as in `fast`. Softmax and sums inside a product of matrices are float32 in all of them.
"""

from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import nn

from chatterbox_plus.engines.chatterbox import lowered
from chatterbox_plus.engines.chatterbox.conformer import RelativeAttention
from chatterbox_plus.engines.chatterbox.estimator import Attention
from chatterbox_plus.engines.chatterbox.flow import Flow
from chatterbox_plus.engines.chatterbox.vocoder import Snake, Vocoder, widening

MODES = ("exact", "fast", "int8")

# Asked a few times an utterance, or the last word on the sound: these stay as exact as they are.
_FLOW_KEEPS = ("spk_embed_affine_layer", "encoder_proj", "time_mlp", "time_embed_mixer", "mlp", "linear_pos")
_VOCODER_KEEPS = ("f0_predictor", "m_source", "conv_post")


def flow_modes(device: torch.device) -> tuple[str, ...]:
    """Those that differ on a device, `exact` first. One that does not is the one before it in MODES."""
    if device.type == "cuda":
        return ("exact", "fast") if torch.cuda.is_bf16_supported(including_emulation=False) else ("exact",)
    found = ["exact"]
    if device.type == "cpu" and lowered.multiplies_bfloat16():
        found.append("fast")
    if device.type == "cpu" and lowered.multiplies_int8():
        found.append("int8")
    return tuple(found)


@torch.no_grad()
def lower(part: Flow | Vocoder, mode: str) -> None:
    """Lay a part out for a mode, once, in place, where its weights are. Raises ValueError for a mode that is none.

    Layer by layer, and each lets go of its float32 weights: what the part takes beside them is one layer. `exact` gains
    by it too, on a CPU. Afterwards `state_dict` has other names than the checkpoints.
    """
    if mode not in MODES:
        raise ValueError(f"no mode {mode}; there are {', '.join(MODES)}")
    device = next(part.parameters()).device
    mode = [known for known in flow_modes(device) if MODES.index(known) <= MODES.index(mode)][-1]
    if isinstance(part, Flow):
        part.together = device.type != "cpu"
    if device.type == "cuda":
        if mode == "fast":
            _to_bfloat16(part)
    elif device.type == "cpu" and lowered.packs():
        _pack(part, mode)


def _to_bfloat16(part: Flow | Vocoder) -> None:
    if isinstance(part, Vocoder):
        _widen(part)
    kinds = (nn.Linear, nn.Conv1d, nn.LayerNorm, Snake)
    for _, layer in _layers(part, kinds, _FLOW_KEEPS if isinstance(part, Flow) else _VOCODER_KEEPS):
        layer.to(torch.bfloat16)


def _pack(part: Flow | Vocoder, mode: str) -> None:
    halved = mode != "exact" and lowered.multiplies_bfloat16()
    dtype = torch.bfloat16 if halved else torch.float32
    for module in part.modules():
        if isinstance(module, RelativeAttention | Attention):
            module.join()
            module.attends_in = torch.bfloat16 if halved else None
    if isinstance(part, Vocoder):
        _widen(part)
        for name, layer in _layers(part, (nn.Conv1d,)):
            kept = name.partition(".")[0] in _VOCODER_KEEPS
            part.set_submodule(name, lowered.PackedConv(layer, torch.float32 if kept else dtype))
        return
    for name, layer in _layers(part, (nn.Linear, nn.Conv1d), _FLOW_KEEPS):
        if isinstance(layer, nn.Linear) and mode == "int8":
            part.set_submodule(name, lowered.Int8Linear(layer))
        elif isinstance(layer, nn.Conv1d) and layer.kernel_size != (1,):
            part.set_submodule(name, lowered.PackedConv(layer, dtype))
        else:
            part.set_submodule(name, lowered.PackedLinear(layer, dtype))


def _widen(vocoder: Vocoder) -> None:
    for i, layer in enumerate(vocoder.ups):
        vocoder.ups[i] = widening(layer)


def _layers(
    part: nn.Module, kinds: tuple[type[nn.Module], ...], keeps: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Those of some kinds, with their names, except below parts whose names are in `keeps`."""
    for name in [name for name, module in part.named_modules() if isinstance(module, kinds)]:
        if not set(name.split(".")) & set(keeps):
            yield name, part.get_submodule(name)

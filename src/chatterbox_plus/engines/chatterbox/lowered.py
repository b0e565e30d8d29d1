"""Layers whose weights are laid out once for the arithmetic they are used with, and attention that stays in the cache.

All of it is for CPUs, out of what PyTorch brings: oneDNN's own layouts of weights, in float32 as in bfloat16, and
linear layers in whole numbers of 8 bits. Layers take and give (B, T, C) like everything around them; what they give is
of their own type, and a sum that began in float32 stays in float32.
"""

import math
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# Scores looked at together, 800 kB in bfloat16: they are written, read and read again, all in a core's own cache.
_SCORES = 400_000
_PACKING = ("_reorder_linear_weight", "_linear_pointwise", "_reorder_convolution_weight", "_convolution_pointwise")
_INT8_ENGINES = ("onednn", "x86", "fbgemm")  # the quickest first


def packs() -> bool:
    """Whether this PyTorch can lay out weights for its CPU kernels ahead of time."""
    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in _PACKING)
    )


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16: without them it is slower than float32."""
    return packs() and (_has("avx512_bf16") or _has("amx_tile"))


def multiplies_int8() -> bool:
    """Whether this CPU multiplies whole numbers quicker than others, and PyTorch has linear layers for it."""
    return packs() and _has("vnni") and hasattr(torch.ops.quantized, "linear_dynamic") and _int8_engine() is not None


def _has(instructions: str) -> bool:
    told: Callable[[], bool] | None = getattr(torch.cpu, f"_is_{instructions}_supported", None)
    return told is not None and told()


def _int8_engine() -> str | None:
    return next((name for name in _INT8_ENGINES if name in torch.backends.quantized.supported_engines), None)


class PackedLinear(nn.Module):
    """A linear layer, or a convolution over single frames, in float32 or bfloat16."""

    def __init__(self, layer: nn.Linear | nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self._bias = None if layer.bias is None else layer.bias.to(dtype)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.flatten(1).to(dtype).contiguous(), None)

    def forward(self, x: Tensor) -> Tensor:
        done: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self._weight, self._bias, "none", [], "")
        return done


class Int8Linear(nn.Module):
    """A linear layer with weights of 8 bits, a scale for each output, and inputs rounded to 8 bits, a scale a call."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        scale = (layer.weight.abs().amax(dim=1) / 127).clamp_(min=torch.finfo(torch.float32).tiny)
        zero = torch.zeros(len(scale), dtype=torch.long)
        with _int8_packing():
            rounded = torch.quantize_per_channel(layer.weight, scale, zero, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(rounded, layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        done: Tensor = torch.ops.quantized.linear_dynamic(x.float(), self._packed, False)
        return done


@contextmanager
def _int8_packing() -> Iterator[None]:
    """Weights remember the library they were packed for; which one it is, only a global says."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = _int8_engine() or before
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*deprecated", UserWarning)  # tensors of whole numbers: since 2.13
            yield
    finally:
        torch.backends.quantized.engine = before


class PackedConv(nn.Module):
    """A convolution in float32 or bfloat16."""

    def __init__(self, layer: nn.Conv1d, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_channels, self.kernel_size = layer.out_channels, layer.kernel_size
        self.stride, self.dilation = layer.stride, layer.dilation
        self.padding, self.dtype = (int(layer.padding[0]),), dtype
        self._bias = None if layer.bias is None else layer.bias.to(dtype)
        weight = layer.weight.to(dtype).unsqueeze(2)
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(
            weight, [0, self.padding[0]], [1, self.stride[0]], [1, self.dilation[0]], 1, None
        )

    def forward(self, x: Tensor, padding: int | None = None) -> Tensor:
        """padding: on both sides; None for the layer's own."""
        image = x.to(self.dtype).transpose(1, 2).unsqueeze(2)
        beside = self.padding[0] if padding is None else padding
        stride, dilation = [1, self.stride[0]], [1, self.dilation[0]]
        done: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image, self._weight, self._bias, [0, beside], stride, dilation, 1, "none", [], ""
        )
        return done.squeeze(2).transpose(1, 2)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Callable[[int, int, int, int], Tensor] | None = None,
) -> Tensor:
    """Attention head by head, in blocks of queries whose scores stay in the cache.

    query, with the scale already in it, key, value: (B, T, H, D). mask: bool (B, 1, 1, T), True for a row's own frames,
    which come first; padding gets zero. bias(row, head, start, stop) -> what is added to the scores of queries
    start ... stop - 1, (stop - start, T). Gives (B, T, H * D). PyTorch's own takes twice the time in bfloat16.
    """
    batch, frames, heads, depth = query.shape
    counts = [frames] * batch if mask is None else mask.flatten(1).sum(dim=1).tolist()
    made = torch.zeros if min(counts) < frames else torch.empty
    done = made(batch, frames, heads, depth, dtype=query.dtype)
    for row, count in enumerate(counts):
        pieces = math.ceil(count / max(64, _SCORES // max(count, 1)))
        size = math.ceil(count / max(pieces, 1))
        for head in range(heads):
            keys, values = key[row, :count, head].T, value[row, :count, head]
            for start in range(0, count, max(size, 1)):
                stop = min(start + size, count)
                scores = torch.mm(query[row, start:stop, head], keys)
                if bias is not None:
                    scores.add_(bias(row, head, start, stop)[:, :count])
                torch.mm(torch.softmax(scores, dim=-1), values, out=done[row, start:stop, head])
    return done.view(batch, frames, heads * depth)

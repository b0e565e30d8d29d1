"""Products with a model's weights, as accurate and as quick as somebody wants them: `exact`, `fast`, `int8`.

`exact` is float32. `fast` keeps weights in half of that: on a CPU 16-bit floats that are widened inside the product
(FBGEMM; the sums are float32, the relative error about 2e-4), on CUDA bfloat16. `int8` has a scale for each output and
one for each row of the input, found as it comes; the relative error is about 1e-2. What a processor cannot do is not
offered there: `modes`.
"""

import contextlib
import warnings
from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EXACT, FAST, INT8 = "exact", "fast", "int8"
_TESTED, _TOO_FAR = 64, 0.05  # size of a product that is tried, and its relative error that tells broken from coarse


@lru_cache(8)
def modes(device: torch.device) -> tuple[str, ...]:
    """What differs on a device, the most accurate first."""
    if device.type == "cuda":
        return (EXACT, FAST) if torch.cuda.is_bf16_supported() else (EXACT,)
    if device.type != "cpu":
        return (EXACT,)
    return (EXACT, *(mode for mode in (FAST, INT8) if _works(mode)))


def choose(mode: str, device: torch.device) -> str:
    """The mode that is used for a wanted one: itself, or the next more accurate one that the device knows."""
    order = (EXACT, FAST, INT8)
    return next(known for known in reversed(order[: order.index(mode) + 1]) if known in modes(device))


def matrix(weight: Tensor, bias: Tensor | None, mode: str) -> nn.Module:
    """x (..., k) -> x @ weight.T + bias (..., n), for a weight (n, k) on the device it is used on.

    mode: one of `modes` there.
    """
    if mode == EXACT:
        return Exact(weight, bias)
    if weight.device.type == "cuda":
        return Bfloat16(weight, bias)
    return (Half if mode == FAST else Int8)(weight, bias)


def project(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., k), weight (n, k), bias (n,) -> x @ weight.T + bias (..., n); quick for the few rows of a decoding step.

    In float32 on a CPU, W @ x.T with two columns takes as long as reading W does. x @ W.T with two rows takes twice
    that, and with one row it runs on one core: that row is taken twice where there are several.
    """
    rows = x.numel() // x.shape[-1]
    if x.device.type != "cpu" or x.dtype != torch.float32 or rows > 3 or not weight.is_contiguous():
        return F.linear(x, weight, bias)
    if rows == 1 and torch.get_num_threads() == 1:
        return F.linear(x, weight, bias)
    columns = x.reshape(rows, -1).expand(max(rows, 2), -1).contiguous().t()
    out = (weight @ columns)[:, :rows].t().reshape(*x.shape[:-1], -1)
    return out if bias is None else out + bias


class Exact(nn.Module):
    """By `project`."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(weight.contiguous(), False),
            None if bias is None else nn.Parameter(bias, False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self.weight, self.bias)


class Bfloat16(nn.Module):
    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.to(torch.bfloat16).contiguous(), False)
        self.bias = None if bias is None else nn.Parameter(bias.to(torch.bfloat16), False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.to(torch.bfloat16), self.weight, self.bias).to(x.dtype)


class Half(nn.Module):
    """16-bit weights, 32-bit everything else."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        with _quiet():
            self._packed = torch.ops.quantized.linear_prepack_fp16(weight.float().contiguous(), bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return out


class Int8(nn.Module):
    """A scale for each output of the weight and for each row of the input: a row comes out the same in any company."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.bias = None if bias is None else nn.Parameter(bias.float(), False)
        with _quiet():
            scales = weight.float().abs().amax(1).clamp_min(1e-8) / 127
            zeros = torch.zeros(len(weight), dtype=torch.long)
            whole = torch.quantize_per_channel(weight.float(), scales.double(), zeros, 0, torch.qint8)
            self._packed = torch.ops.quantized.linear_prepack(whole, None)
        # The operator takes one scale for all rows, from the smallest to the largest number it meets: rows are brought
        # to -1 ... 1 first, and one row more sees to it that both ends are met.
        self._ends = torch.zeros(1, weight.shape[1])
        self._ends[0, 0], self._ends[0, 1] = 1, -1
        # Without VNNI two products of 8 bits are added up in 16, which overflows unless inputs have 7.
        self._reduce = not _vnni()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        largest = torch.linalg.vector_norm(rows, torch.inf, dim=1, keepdim=True).clamp_min_(1e-30)
        out: Tensor = torch.ops.quantized.linear_dynamic(
            torch.cat([rows / largest, self._ends]), self._packed, self._reduce
        )
        out = out[:-1].mul_(largest)
        return (out if self.bias is None else out.add_(self.bias)).view(*x.shape[:-1], -1)


@lru_cache(1)
def _vnni() -> bool:
    told = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(told and told())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch calls these operators deprecated in favour of a package that has none for a CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _works(mode: str) -> bool:
    """Whether this PyTorch has the operators for this processor, and they compute what they should."""
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(_TESTED, _TESTED, generator=generator) for _ in range(2))
    try:
        found = matrix(weight, None, mode)(x)
    except (RuntimeError, AttributeError):  # so PyTorch says that there is no such operator, or none for this processor
        return False
    wanted = x @ weight.t()
    return bool((found - wanted).norm() < _TOO_FAR * wanted.norm())

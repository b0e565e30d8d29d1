"""The Llama backbone of the English and the multilingual token model.

Sizes and constants: upstream's `llama_configs.py` (Llama_520M). The tables of the rotation are scaled as Llama 3.1
scales them.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.backbone import Context, Linear, Rows, attend, fused, split_parts

_THETA = 500_000.0
_SCALE, _LOW, _HIGH, _TRAINED = 8.0, 1.0, 4.0, 8192  # of the frequencies; positions the unscaled ones were trained on
_EPS = 1e-5
_BLOCK = 1024  # positions; the tables of the rotation are made for a multiple of so many


@lru_cache(maxsize=8)
def _rotation(positions: int, size: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines (positions, size) of the angles by which a head's pairs (i, i + size / 2) are turned."""
    rate = 1.0 / (_THETA ** (torch.arange(0, size, 2, dtype=torch.float32, device=device) / size))
    length = 2 * math.pi / rate  # positions in a whole turn
    blend = (_TRAINED / length - _LOW) / (_HIGH - _LOW)
    scaled = torch.where(length > _TRAINED / _LOW, rate / _SCALE, (1 - blend) * rate / _SCALE + blend * rate)
    rate = torch.where(length < _TRAINED / _HIGH, rate, scaled)
    angle = torch.outer(torch.arange(positions, dtype=torch.float32, device=device), rate)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([cos, cos], -1).to(dtype), torch.cat([-sin, sin], -1).to(dtype)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (Linear(dim, dim, bias=False) for _ in range(4))
        self._qkv: nn.Module | None = None

    def settle(self, mode: str) -> None:
        self._qkv = fused(self.q_proj, self.k_proj, self.v_proj, mode=mode)
        del self.q_proj, self.k_proj, self.v_proj
        self.o_proj = fused(self.o_proj, mode=mode)  # type: ignore[assignment]

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], rows: Rows, layer: int) -> Tensor:
        if self._qkv is None:
            projected = torch.cat([self.q_proj(x), self.k_proj(x), self.v_proj(x)], -1)
        else:
            projected = self._qkv(x)
        parts = split_parts(projected, self.heads)
        cos, sin = rotation  # (b, 1, n, d)
        queries_keys = parts[:2]
        swapped = queries_keys.roll(queries_keys.shape[-1] // 2, -1)
        torch.addcmul(queries_keys * cos, swapped, sin, out=queries_keys)
        out: Tensor = self.o_proj(attend(parts, rows, layer))
        return out


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = (Linear(dim, hidden, bias=False) for _ in range(2))
        self.down_proj = Linear(hidden, dim, bias=False)
        self._wide: nn.Module | None = None

    def settle(self, mode: str) -> None:
        self._wide = fused(self.gate_proj, self.up_proj, mode=mode)
        del self.gate_proj, self.up_proj
        self.down_proj = fused(self.down_proj, mode=mode)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        gate, up = (self.gate_proj(x), self.up_proj(x)) if self._wide is None else self._wide(x).chunk(2, -1)
        out: Tensor = self.down_proj(F.silu(gate) * up)
        return out


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = (nn.RMSNorm(dim, eps=_EPS) for _ in range(2))
        self.self_attn = Attention(dim, heads)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], rows: Rows, layer: int) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), rotation, rows, layer)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Llama(nn.Module):
    def __init__(self, dim: int = 1024, layers: int = 30, heads: int = 16, hidden: int = 4096) -> None:
        super().__init__()
        self.head_size = dim // heads
        self.layers = nn.ModuleList(Layer(dim, heads, hidden) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=_EPS)

    def context(self, beginning: Context | None = None) -> Context:
        return Context(len(self.layers), beginning)

    def settle(self, mode: str) -> None:
        """After loading: bring the weights into the form they are used in, `matrices.matrix`'s for a mode."""
        for module in self.modules():
            if isinstance(module, Attention | Mlp):
                module.settle(mode)

    def forward(self, x: Tensor, contexts: Sequence[Context]) -> Tensor:
        """x (b, n, dim): what follows in each context -> (b, n, dim). n is 1, or b is."""
        count = x.shape[1]
        end = max(map(len, contexts)) + count
        tables = _rotation(-(-end // _BLOCK) * _BLOCK, self.head_size, x.device, x.dtype)
        rows = Rows(contexts)
        places = rows.places(count, x.device)
        rotation = tables[0][places][:, None], tables[1][places][:, None]
        for index, layer in enumerate(self.layers):
            x = layer(x, rotation, rows, index)
        rows.advance(count)
        out: Tensor = self.norm(x)
        return out

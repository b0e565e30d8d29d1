"""The GPT-2 backbone of Turbo and Nano.

Sizes and constants: upstream's `llama_configs.py` (GPT2_medium, GPT2_small).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.backbone import KvCache, attend, project, split_heads

_EPS = 1e-5


class Conv1D(nn.Module):
    """GPT-2's name for a linear layer whose weight is (in, out)."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(size_in, size_out)), nn.Parameter(torch.empty(size_out))

    def forward(self, x: Tensor) -> Tensor:
        return project(x, self.weight.t(), self.bias)

    def settle(self) -> None:
        """Lay the weight out in memory output by output, its shape staying: see `project`."""
        self.weight = nn.Parameter(self.weight.data.t().contiguous().t(), requires_grad=False)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = Conv1D(dim, 3 * dim), Conv1D(dim, dim)

    def forward(self, x: Tensor, cache: KvCache, layer: int, position: int) -> Tensor:
        queries, keys, values = (split_heads(part, self.heads) for part in self.c_attn(x).chunk(3, -1))
        out: Tensor = self.c_proj(attend(queries, *cache.store(layer, position, keys, values)))
        return out


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(dim, 4 * dim), Conv1D(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return out


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(dim, eps=_EPS) for _ in range(2))
        self.attn, self.mlp = Attention(dim, heads), Mlp(dim)

    def forward(self, x: Tensor, cache: KvCache, layer: int, position: int) -> Tensor:
        x = x + self.attn(self.ln_1(x), cache, layer, position)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Gpt2(nn.Module):
    def __init__(self, dim: int = 1024, layers: int = 24, heads: int = 16, positions: int = 8196) -> None:
        super().__init__()
        self.wpe = nn.Embedding(positions, dim)
        self.h = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(dim, eps=_EPS)

    def cache(self) -> KvCache:
        return KvCache(len(self.h))

    def settle(self) -> None:
        """After loading: quicker decoding on the cores of a CPU. One core alone is quicker without."""
        for module in self.modules():
            if isinstance(module, Conv1D):
                module.settle()

    def forward(self, x: Tensor, cache: KvCache, position: int) -> Tensor:
        """x (b, n, dim) at the positions from `position` on, those before it being in the cache -> (b, n, dim)."""
        x = x + self.wpe.weight[position : position + x.shape[1]]
        for index, layer in enumerate(self.h):
            x = layer(x, cache, index, position)
        out: Tensor = self.ln_f(x)
        return out

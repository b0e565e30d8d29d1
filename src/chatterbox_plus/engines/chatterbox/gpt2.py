"""The GPT-2 backbone of Turbo and Nano.

Sizes and constants: upstream's `llama_configs.py` (GPT2_medium, GPT2_small).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.backbone import Context, Rows, attend, split_parts
from chatterbox_plus.engines.chatterbox.matrices import matrix

_EPS = 1e-5


class Conv1D(nn.Module):
    """GPT-2's name for a linear layer whose weight is (in, out)."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(size_in, size_out)), nn.Parameter(torch.empty(size_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.t(), self.bias)

    def settled(self, mode: str) -> nn.Module:
        return matrix(self.weight.data.t(), self.bias.data, mode)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn: nn.Module = Conv1D(dim, 3 * dim)
        self.c_proj: nn.Module = Conv1D(dim, dim)

    def forward(self, x: Tensor, rows: Rows, layer: int) -> Tensor:
        out: Tensor = self.c_proj(attend(split_parts(self.c_attn(x), self.heads), rows, layer))
        return out


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.c_fc: nn.Module = Conv1D(dim, 4 * dim)
        self.c_proj: nn.Module = Conv1D(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return out


class Layer(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = (nn.LayerNorm(dim, eps=_EPS) for _ in range(2))
        self.attn, self.mlp = Attention(dim, heads), Mlp(dim)

    def forward(self, x: Tensor, rows: Rows, layer: int) -> Tensor:
        x = x + self.attn(self.ln_1(x), rows, layer)
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class Gpt2(nn.Module):
    def __init__(self, dim: int = 1024, layers: int = 24, heads: int = 16, positions: int = 8196) -> None:
        super().__init__()
        self.wpe = nn.Embedding(positions, dim)
        self.h = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(dim, eps=_EPS)

    def context(self, beginning: Context | None = None) -> Context:
        return Context(len(self.h), beginning)

    def settle(self, mode: str) -> None:
        """After loading: bring the weights into the form they are used in, `matrices.matrix`'s for a mode."""
        for module in self.modules():
            for name, inner in list(module.named_children()):
                if isinstance(inner, Conv1D):
                    setattr(module, name, inner.settled(mode))

    def forward(self, x: Tensor, contexts: Sequence[Context]) -> Tensor:
        """x (b, n, dim): what follows in each context -> (b, n, dim). n is 1, or b is."""
        rows = Rows(contexts)
        x = x + self.wpe(rows.places(x.shape[1], x.device))
        for index, layer in enumerate(self.h):
            x = layer(x, rows, index)
        rows.advance(x.shape[1])
        out: Tensor = self.ln_f(x)
        return out

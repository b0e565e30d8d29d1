"""What both token models are made of: products with few rows, and attention over a cache of keys and values."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_BLOCK = 256  # positions; the cache grows by so many. 10 s of speech


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


class Linear(nn.Linear):
    """nn.Linear by `project`."""

    def forward(self, input: Tensor) -> Tensor:
        return project(input, self.weight, self.bias)


class KvCache:
    """Keys and values of every layer, by position. Made for one text; its rows are those of the first `store`."""

    def __init__(self, layers: int) -> None:
        self._layers: list[Tensor | None] = [None] * layers  # each (2, rows, heads, capacity, head_size)

    def store(self, layer: int, position: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep keys and values (rows, heads, n, head_size) of the positions from `position` on.

        Returns all up to there, each (rows, heads, position + n, head_size): views, good until the next call.
        """
        end = position + keys.shape[2]
        kept = self._layers[layer]
        if kept is None or end > kept.shape[3]:
            kept = self._layers[layer] = self._grown(kept, position, keys, end)
        stored_keys, stored_values = kept[:, :, :, :end]
        stored_keys[:, :, position:] = keys
        stored_values[:, :, position:] = values
        return stored_keys, stored_values

    @staticmethod
    def _grown(kept: Tensor | None, position: int, like: Tensor, end: int) -> Tensor:
        """One layer at a time: growing takes the memory of a layer, not of the model."""
        rows, heads, _, size = like.shape
        grown = like.new_empty(2, rows, heads, -(-end // _BLOCK) * _BLOCK, size)
        if kept is not None:
            grown[:, :, :, :position] = kept[:, :, :, :position]
        return grown


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal, of the last n of m positions: queries (b, h, n, d), keys and values (b, h, m, d) -> (b, n, h d)."""
    n, m = queries.shape[2], keys.shape[2]
    mask = None if n in (1, m) else torch.ones(n, m, dtype=torch.bool, device=queries.device).tril(m - n)
    out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=n == m and n > 1)
    return out.transpose(1, 2).flatten(2)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(b, n, h d) -> (b, h, n, d)"""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)

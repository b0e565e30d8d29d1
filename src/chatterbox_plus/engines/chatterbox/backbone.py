"""What both token models are made of: contexts of keys and values, and attention over them.

Many sequences are decoded together, each in a context of its own. Contexts may share their beginning: what is the same
for all that a voice says is computed once, lies in memory once and is read once a step for all of them.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.matrices import EXACT, matrix, project

_BLOCK = 64  # positions; a context grows by so many. 2.6 s of speech


class Linear(nn.Linear):
    """nn.Linear by `project`."""

    def forward(self, input: Tensor) -> Tensor:
        return project(input, self.weight, self.bias)


class Context:
    """Keys and values of one sequence, by layer and position; `len` of it is how many positions there are.

    beginning: a context that comes before this one's own positions. It is never changed here, nor may others do so.
    """

    def __init__(self, layers: int, beginning: "Context | None" = None) -> None:
        self.beginning = beginning
        self.start = 0 if beginning is None else len(beginning)
        self.count = 0  # own positions
        self._layers: list[Tensor | None] = [None] * layers  # each (2, heads, capacity, head_size)

    def __len__(self) -> int:
        return self.start + self.count

    @property
    def nbytes(self) -> int:
        """Of its own positions."""
        return sum(kept.nbytes for kept in self._layers if kept is not None)

    def store(self, layer: int, keys_values: Tensor) -> Tensor:
        """Keep keys and values (2, heads, n, head_size) of the positions from `len` on; `advance` then counts them.

        Returns all of its own, (2, heads, count + n, head_size): a view, good until the next call.
        """
        end = self.count + keys_values.shape[2]
        kept = self._layers[layer]
        if kept is None or end > kept.shape[2]:
            kept = self._layers[layer] = self._grown(kept, keys_values, end)
        kept[:, :, self.count : end] = keys_values
        return kept[:, :, :end]

    def advance(self, positions: int) -> None:
        """All layers have stored so many."""
        self.count += positions

    def all(self, layer: int) -> Tensor:
        """Keys and values of every position, beginning included: (2, heads, len, head_size)."""
        own = self._layers[layer]
        assert own is not None
        own = own[:, :, : self.count]
        return own if self.beginning is None else torch.cat([self.beginning.all(layer), own], 2)

    def close(self) -> None:
        """Nothing is added any more: give back what was kept for that."""
        self._layers = [kept if kept is None else kept[:, :, : self.count].clone() for kept in self._layers]

    def _grown(self, kept: Tensor | None, like: Tensor, end: int) -> Tensor:
        """One layer at a time: growing takes the memory of a layer, not of the model."""
        _, heads, _, size = like.shape
        # Twice as much for long ones: what is copied in all stays in proportion to the length.
        capacity = max(-(-end // _BLOCK) * _BLOCK, 0 if kept is None else kept.shape[2] * 3 // 2)
        grown = like.new_empty(2, heads, capacity, size)
        if kept is not None:
            grown[:, :, : self.count] = kept[:, :, : self.count]
        return grown


class Rows:
    """The sequences of one call of a model, and which of them share their beginnings."""

    def __init__(self, contexts: Sequence[Context]) -> None:
        self.contexts = contexts
        self.groups: dict[Context | None, list[int]] = {}
        for row, context in enumerate(contexts):
            self.groups.setdefault(context.beginning, []).append(row)

    def places(self, count: int, device: torch.device) -> Tensor:
        """The positions that come next, (b, count)."""
        starts = torch.tensor([len(context) for context in self.contexts], device=device)
        return starts[:, None] + torch.arange(count, device=device)

    def advance(self, count: int) -> None:
        """All layers have stored so many positions."""
        for context in self.contexts:
            context.advance(count)


def attend(parts: Tensor, rows: Rows, layer: int) -> Tensor:
    """Causal attention of the newest n positions of b sequences, whose keys and values are stored on the way.

    parts: queries, keys and values (3, b, h, n, d) -> (b, n, h d). n is 1, or b is.
    """
    if parts.shape[3] > 1:
        (context,) = rows.contexts
        return _attend_many(parts[0], parts[1:, 0], context, layer)
    near = (parts[0, :, :, 0] * parts.shape[-1] ** -0.5).transpose(0, 1)  # (h, b, d)
    keys_values = parts[1:]
    if len(rows.groups) == 1:
        ((beginning, _),) = rows.groups.items()
        own = [context.store(layer, keys_values[:, row]) for row, context in enumerate(rows.contexts)]
        out = _attend_group(near, beginning, own, layer)
    else:
        out = torch.empty_like(near)
        for beginning, group in rows.groups.items():
            own = [rows.contexts[row].store(layer, keys_values[:, row]) for row in group]
            out[:, group] = _attend_group(near[:, group], beginning, own, layer)
    return out.transpose(0, 1).flatten(1)[:, None]


def _attend_group(near: Tensor, beginning: Context | None, own: Sequence[Tensor], layer: int) -> Tensor:
    """Of rows with the same beginning: scaled queries (h, r, d), keys and values of their own (2, h, n, d) each
    -> (h, r, d)."""
    if beginning is None:
        rows = [torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v) for q, (k, v) in _each(near, own)]
        return torch.cat(rows, 1)
    shared_keys, shared_values = beginning.all(layer)
    count = shared_keys.shape[1]
    scores = torch.bmm(near, shared_keys.transpose(1, 2))  # (h, r, count): read once for all of them
    shares, added = [], []
    for place, (query, (keys, values)) in enumerate(_each(near, own)):
        own_scores = torch.bmm(query, keys.transpose(1, 2))
        weights = torch.cat([scores[:, place : place + 1], own_scores], 2).softmax(-1)
        shares.append(weights[:, :, :count])
        added.append(torch.bmm(weights[:, :, count:], values))
    if len(own) == 1:
        return torch.baddbmm(added[0], shares[0], shared_values)
    return torch.baddbmm(torch.cat(added, 1), torch.cat(shares, 1), shared_values)


def _each(near: Tensor, own: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((near[:, place : place + 1], kept) for place, kept in enumerate(own))


def _attend_many(queries: Tensor, keys_values: Tensor, context: Context, layer: int) -> Tensor:
    """Of one sequence: queries (1, h, n, d), keys and values (2, h, n, d) -> (1, n, h d)."""
    kept = context.store(layer, keys_values)
    if context.beginning is not None:
        kept = torch.cat([context.beginning.all(layer), kept], 2)
    n, m = queries.shape[2], kept.shape[2]
    mask = None if n == m else torch.ones(n, m, dtype=torch.bool, device=queries.device).tril(m - n)
    keys, values = kept[:, None]
    out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=n == m)
    return out.transpose(1, 2).flatten(2)


def split_parts(x: Tensor, heads: int) -> Tensor:
    """Queries, keys and values side by side (b, n, 3 h d) -> (3, b, h, n, d)"""
    return x.view(*x.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(b, n, h d) -> (b, h, n, d)"""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def fused(*linears: nn.Linear, mode: str = EXACT) -> nn.Module:
    """Linear layers of the same input as one matrix, whose output is theirs side by side."""
    weight = torch.cat([linear.weight.data for linear in linears])
    biases = [linear.bias for linear in linears]
    bias = None if biases[0] is None else torch.cat([bias.data for bias in biases])
    return matrix(weight, bias, mode)

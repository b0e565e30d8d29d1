"""Rows of token models that are decoded together, in tensors that stay where they are.

A row is a text being said: its keys and values, its last token, its options. What a step does with the first so many
rows is a function of these tensors alone, so that it can be recorded (`graphs`): it hears each row's last token, finds
the next and writes it down. Rows that are not going, or have said as much as they may, come out as they went in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from chatterbox_plus.engines.chatterbox import device_sampling
from chatterbox_plus.engines.chatterbox.backbone import Context
from chatterbox_plus.engines.chatterbox.device_sampling import RowOptions
from chatterbox_plus.engines.chatterbox.gpt2 import Gpt2
from chatterbox_plus.engines.chatterbox.llama import Llama, _rotation
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.t3 import BOS, T3

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Layer, queries, keys and values (n, heads, d) -> (n, dim)."""

_ROWS, _POSITIONS = 4, 256  # to begin with; both grow, rows to twice as many, positions by multiples
_INTEGERS = ("token", "start", "drawn", "limit", "seed", "top_k")
_NUMBERS = ("temperature", "top_p", "min_p", "repetition_penalty", "cfg_weight")


@dataclass(frozen=True)
class Shape:
    """What a step is made for. rows: the first so many. lanes: 2 where any of them is guided. length: so many positions
    are looked at. ranked: see `device_sampling`."""

    rows: int
    lanes: int
    length: int
    ranked: bool


class Pool:
    """Of one T3, whose weights are settled. Callers hold `torch.inference_mode()`.

    A Llama's row has two lanes, the second for what would be said without the text.
    """

    def __init__(self, t3: T3, dtype: torch.dtype) -> None:
        """dtype: of keys and values."""
        self._t3, self._device = t3, t3.device
        self.lanes = 2 if t3.llama else 1
        self._scores = device_sampling.llama_scores if t3.llama else device_sampling.gpt2_scores
        self.rows = self.positions = 0
        self._going = torch.zeros((), dtype=torch.long, device=self._device)  # the first so many rows are
        self._integers = torch.zeros(0, len(_INTEGERS), dtype=torch.long, device=self._device)
        self._numbers = torch.zeros(0, len(_NUMBERS), device=self._device)
        self._said = torch.zeros(0, t3.sizes.speech_vocab, dtype=torch.bool, device=self._device)
        sizes = t3.sizes
        self._kept = torch.zeros(  # keys and values
            (sizes.layers, 2, 0, self.lanes, sizes.heads, 0, sizes.dim // sizes.heads), dtype=dtype, device=self._device
        )
        self._rotation: tuple[Tensor, Tensor] | None = None

    def make_room(self, rows: int, positions: int) -> bool:
        """For so many. Whether tensors have moved: steps that were recorded then are no good."""
        if rows <= self.rows and positions <= self.positions:
            return False
        more = self.rows or _ROWS
        while more < rows:
            more *= 2
        longer = max(self.positions, -(-positions // _POSITIONS) * _POSITIONS)
        layers, both, old, lanes, heads, length, size = self._kept.shape
        kept = self._kept.new_zeros(layers, both, more, lanes, heads, longer, size)
        kept[:, :, :old, :, :, :length] = self._kept
        self._kept = kept
        self._integers, self._numbers, self._said = (
            F.pad(x, (0, 0, 0, more - old)) for x in (self._integers, self._numbers, self._said)
        )
        if isinstance(self._t3.tfmr, Llama):
            self._rotation = _rotation(longer, size, self._device, self._t3.speech_emb.weight.dtype)
        self.rows, self.positions = more, longer
        return True

    def seat(self, row: int, contexts: list[Context], options: Sampling, seed: int, limit: int) -> None:
        """Put a text into a row. contexts: one, or with guidance two. limit: of tokens. There is room for them all."""
        start = len(contexts[0])
        values: dict[str, Any] = {"token": BOS, "start": start, "drawn": 0, "limit": limit, "seed": seed}
        values |= {name: getattr(options, name) for name in ("top_k", *_NUMBERS)}
        self._integers[row] = torch.tensor([int(values[name]) for name in _INTEGERS])
        self._numbers[row] = torch.tensor([float(values[name]) for name in _NUMBERS])
        self._said[row] = False
        self._said[row, BOS] = True
        self._kept[:, :, row].zero_()  # nothing times what is no number would be none
        for lane, context in enumerate(contexts):
            if not context.count and context.beginning is not None:  # nothing of its own follows
                context = context.beginning
            for layer, kept in enumerate(self._kept):
                kept[0, row, lane, :, :start], kept[1, row, lane, :, :start] = context.all(layer)

    def first(self, row: int, scores: Tensor, *, ranked: bool) -> None:
        """The first token of a row that was just seated, from scores (v,) before any filter."""
        self._draw(row, row + 1, scores[None], scores.new_ones(1, dtype=torch.bool), ranked=ranked, first=True)

    def swap(self, one: int, other: int, length: int) -> None:
        """Rows change places; their first `length` positions are all that they use."""
        kept = self._kept[:, :, :, :, :, :length].movedim(2, 0)
        for tensor in (self._integers, self._numbers, self._said, kept):
            held = tensor[one].clone()
            tensor[one] = tensor[other]
            tensor[other] = held

    def go(self, count: int) -> None:
        """From now on the first so many rows are going."""
        self._going.fill_(count)

    @property
    def tokens(self) -> Tensor:
        """The last of each row, (rows,); BROKEN where its logits were no numbers."""
        return self._integers[:, 0]

    def step(self, shape: Shape, change: Callable[[Tensor], Tensor] | None = None) -> None:
        """A token more for each row that is going. change: of the scores (rows, v) before any filter."""
        rows = shape.rows
        live = torch.arange(rows, device=self._device) < self._going
        live &= self._column("drawn", rows) < self._column("limit", rows)
        logits = self._t3.speech_head(self._hear(shape)).float().unflatten(0, (rows, shape.lanes))
        scores = device_sampling.guided(logits, self._column("cfg_weight", rows))
        if change is not None:
            scores = change(scores)
        self._draw(0, rows, scores, live, ranked=shape.ranked)

    def _column(self, name: str, stop: int, start: int = 0) -> Tensor:
        if name in _INTEGERS:
            return self._integers[start:stop, _INTEGERS.index(name)]
        return self._numbers[start:stop, _NUMBERS.index(name)]

    def _draw(self, start: int, stop: int, scores: Tensor, live: Tensor, *, ranked: bool, first: bool = False) -> None:
        """Find the next token of some rows and write it down where live (n,) is true."""
        options = RowOptions(**{name: self._column(name, stop, start) for name in ("top_k", *_NUMBERS)})
        said, token, drawn = self._said[start:stop], *(self._column(n, stop, start) for n in ("token", "drawn"))
        filtered = self._scores(scores, said, options, ranked=ranked)
        chosen = device_sampling.draw(scores, filtered, options, self._column("seed", stop, start), drawn)
        token.copy_(torch.where(live, chosen, token))
        drawn.add_(live)
        if first and not self._t3.llama:
            said[:, BOS] = False  # GPT-2 is kept from repeating it only until something has been said
        said.scatter_(1, token.clamp_min(0)[:, None], True)

    def _hear(self, shape: Shape) -> Tensor:
        """The hidden states (rows * lanes, dim) after each row's last token."""
        t3, rows, lanes = self._t3, shape.rows, shape.lanes
        # What has been said in full, or never began, looks at a place that it has; nothing comes of it.
        count = torch.minimum(self._column("drawn", rows), self._column("limit", rows) - 1).clamp_min(1)
        x = t3.speech_emb(self._column("token", rows).clamp_min(0))
        if t3.llama:
            x = x + t3.speech_pos_emb.emb(count)
        places = (
            (self._column("start", rows) + count - 1).clamp_min(0).repeat_interleave(lanes, output_size=rows * lanes)
        )
        x = x.repeat_interleave(lanes, 0, output_size=rows * lanes)
        if isinstance(t3.tfmr, Llama):
            assert self._rotation is not None
            cos, sin = (table[places] for table in self._rotation)
            return _through_llama(t3.tfmr, x, cos, sin, self._attention(shape, places))
        return _through_gpt2(t3.tfmr, x + t3.tfmr.wpe(places), self._attention(shape, places))

    def _attention(self, shape: Shape, places: Tensor) -> Attend:
        """Of the newest positions, whose keys and values are stored on the way. places (rows * lanes,)."""
        kept = self._kept[:, :, : shape.rows]
        kept = kept.flatten(2, 3) if shape.lanes == self.lanes else kept[:, :, :, 0]
        every = torch.arange(len(places), device=self._device)
        seen = (torch.arange(shape.length, device=self._device) <= places[:, None])[:, None, None]

        def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            kept[layer][:, every, :, places] = torch.stack([keys, values], 1).to(kept.dtype)
            past_keys, past_values = kept[layer, :, :, :, : shape.length]
            heard = F.scaled_dot_product_attention(
                queries[:, :, None].to(kept.dtype), past_keys, past_values, attn_mask=seen
            )
            return heard.flatten(1).to(queries.dtype)

        return attend


def _through_llama(tfmr: Llama, x: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
    """x (n, dim), one position of each row; cos, sin (n, d): how it is turned. As `Llama.forward`."""
    cos, sin = cos[:, None, None], sin[:, None, None]
    for index, layer in enumerate(tfmr.layers):
        attention: Any = layer.self_attn
        parts = attention._qkv(layer.input_layernorm(x)).unflatten(-1, (3, attention.heads, -1))  # type: ignore[operator]
        near = parts[:, :2]
        queries, keys = torch.addcmul(near * cos, near.roll(near.shape[-1] // 2, -1), sin).unbind(1)
        x = x + attention.o_proj(attend(index, queries, keys, parts[:, 2]))
        x = x + layer.mlp(layer.post_attention_layernorm(x))  # type: ignore[operator]
    out: Tensor = tfmr.norm(x)
    return out


def _through_gpt2(tfmr: Gpt2, x: Tensor, attend: Attend) -> Tensor:
    """x (n, dim), one position of each row, its place in it. As `Gpt2.forward`."""
    for index, layer in enumerate(tfmr.h):
        attention: Any = layer.attn
        parts = attention.c_attn(layer.ln_1(x)).unflatten(-1, (3, attention.heads, -1))  # type: ignore[operator]
        x = x + attention.c_proj(attend(index, *parts.unbind(1)))
        x = x + layer.mlp(layer.ln_2(x))  # type: ignore[operator]
    out: Tensor = tfmr.ln_f(x)
    return out

"""Convolutions that go on from block to block: each output is computed once, as soon as all it depends on is there.

Everything here has `push(x, last)`: of the next block (B, t, C), and whether nothing follows, comes what can be told by
then (B, n, C'), n >= 0; all blocks together come to what one push of the whole gives. A layer's padding, on both ends
of the whole, is before the first block and after the last. Layers are PyTorch's, or what `flow_modes` made of them.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.conformer import conv_frames
from chatterbox_plus.engines.chatterbox.lowered import PackedConv


class Continued(Protocol):
    def push(self, x: Tensor, last: bool) -> Tensor:
        """See the module."""


class Change(Protocol):
    """Something done to each number on its own, into `out` where that is given."""

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor: ...


class Convolution:
    """A convolution of what `change` makes of the input."""

    def __init__(self, layer: nn.Module, change: Change | None = None) -> None:
        assert isinstance(layer, nn.Conv1d | PackedConv)
        self._layer, self._change, self._padding = layer, change, int(layer.padding[0])
        self._reach, self._stride = layer.dilation[0] * (layer.kernel_size[0] - 1) + 1, layer.stride[0]
        self._held: Tensor | None = None

    def push(self, x: Tensor, last: bool) -> Tensor:
        if last and self._held is None:
            return conv_frames(self._layer, x if self._change is None else self._change(x))
        held = x.new_zeros(x.shape[0], self._padding, x.shape[2]) if self._held is None else self._held
        before, now, after = held.shape[1], x.shape[1], self._padding if last else 0
        known = x.new_empty(x.shape[0], before + now + after, x.shape[2])
        known[:, :before], known[:, before + now :] = held, 0
        if self._change is None:
            known[:, before : before + now] = x
        else:
            self._change(x, out=known[:, before : before + now])
        count = max(0, (known.shape[1] - self._reach) // self._stride + 1)
        self._held = known[:, count * self._stride :]
        if not count:
            return x.new_empty(x.shape[0], 0, self._layer.out_channels)
        return conv_frames(self._layer, known, padding=0)


class Widening:
    """A convolution each of whose outputs is `rate` frames, one after the other."""

    def __init__(self, layer: nn.Module, rate: int) -> None:
        self._convolution, self._rate = Convolution(layer), rate

    def push(self, x: Tensor, last: bool) -> Tensor:
        done = self._convolution.push(x, last)
        return done.reshape(done.shape[0], done.shape[1] * self._rate, done.shape[2] // self._rate)


class Elementwise:
    def __init__(self, change: nn.Module) -> None:
        self._change = change

    def push(self, x: Tensor, last: bool) -> Tensor:
        done: Tensor = self._change(x)
        return done


class Chain:
    def __init__(self, parts: Iterable[Continued]) -> None:
        self._parts = list(parts)

    def push(self, x: Tensor, last: bool) -> Tensor:
        for part in self._parts:
            x = part.push(x, last)
        return x


class Sum:
    """Of several streams of the same length, that are not equally far."""

    def __init__(self, count: int) -> None:
        self._held: list[Tensor | None] = [None] * count

    def push(self, parts: Sequence[Tensor]) -> Tensor:
        """The first part may be written into."""
        pieces = [[x] if held is None else [held, x] for held, x in zip(self._held, parts, strict=True)]
        count = min(sum(x.shape[1] for x in piece) for piece in pieces)
        total = (pieces[0][0] if len(pieces[0]) == 1 else torch.cat(pieces[0], dim=1))[:, :count]
        for piece in pieces[1:]:
            begin = 0
            for x in piece:
                end = min(begin + x.shape[1], count)
                total[:, begin:end] += x[:, : end - begin]
                begin = end
        self._held = [_after(piece, count) for piece in pieces]
        return total


def _after(pieces: list[Tensor], count: int) -> Tensor | None:
    """Without the first `count` frames, None if nothing is left."""
    left = []
    for x in pieces:
        left.append(x[:, min(count, x.shape[1]) :])
        count = max(0, count - x.shape[1])
    rest = torch.cat(left, dim=1)  # a copy: what is left holds no greater block in memory
    return rest if rest.shape[1] else None


class Residual:
    """What an inner stream makes of the input, and the input."""

    def __init__(self, inner: Continued) -> None:
        self._inner, self._sum = inner, Sum(2)

    def push(self, x: Tensor, last: bool) -> Tensor:
        return self._sum.push([self._inner.push(x, last), x])


class Mean:
    """Of what several streams make of the same input."""

    def __init__(self, inner: Sequence[Continued]) -> None:
        self._inner, self._sum = inner, Sum(len(inner))

    def push(self, x: Tensor, last: bool) -> Tensor:
        total = self._sum.push([part.push(x, last) for part in self._inner])
        return total.div_(len(self._inner))

"""The flow's estimator at a few fixed shapes, recorded for each (`graphs`): its inputs are padded up to the next one.

What is a row's own comes out as without padding, but for the order of sums: convolutions look to the left only, and
attention is told which frames count.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.estimator import Estimator
from chatterbox_plus.engines.chatterbox.graphs import Graphs

FRAMES = 64  # widths are multiples of so many
_KEPT = 48  # graphs


def pad(estimator: Estimator, graphs: Graphs | None = None) -> None:
    """From now on it is run so. Once, after its weights are where they stay. graphs: None for its device's."""
    device = next(estimator.parameters()).device
    whole = Padded(estimator.forward, Graphs(device, _KEPT) if graphs is None else graphs)
    estimator.forward = whole  # type: ignore[method-assign]


def rows_for(count: int) -> int:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 ... rows are enough for so many: never more than half of them in vain."""
    step = 1 << max(0, (count - 1).bit_length() - 2)
    return math.ceil(count / step) * step


class Padded:
    """Called like `Estimator.forward`. One thread's. Callers hold `torch.inference_mode()`."""

    def __init__(self, forward: Callable[..., Tensor], graphs: Graphs) -> None:
        self._forward, self._graphs = forward, graphs
        self._stores: dict[str, Tensor] = {}  # flat; what steps read and write lies at their beginnings

    def __call__(
        self,
        x: Tensor,
        mu: Tensor,
        t: Tensor,
        r: Tensor | None,
        speaker: Tensor,
        cond: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        batch, mels, frames = x.shape
        rows, width = rows_for(batch), math.ceil(frames / FRAMES) * FRAMES
        whole = mask is None and (rows, width) == (batch, frames)
        own = torch.ones(batch, frames, dtype=torch.bool, device=x.device) if mask is None else mask
        times = {"t": t, "r": t if r is None else r}
        size = (rows, mels, width)
        self._make_room({"x": x, "mu": mu, "cond": cond, "out": x}, math.prod(size))
        self._make_room({"speaker": speaker, "mask": own, **times}, rows * max(mels, width))
        big = {name: self._placed(name, *size) for name in ("x", "mu", "cond", "out")}
        for name, given in (("x", x), ("mu", mu), ("cond", cond)):
            big[name].zero_()[:batch, :, :frames] = given
        held = self._placed("speaker", rows, mels)
        held.zero_()[:batch] = speaker
        known = self._placed("mask", rows, width)
        known.zero_()[:batch, :frames] = own
        known[batch:, 0] = True  # rows of nothing look at something, too
        shared = {name: self._placed(name, 1 if len(time) == 1 else rows) for name, time in times.items()}
        for name, time in times.items():
            shared[name].zero_()[: len(time)] = time

        def step() -> None:
            ends = None if r is None else shared["r"]
            asked = big["x"], big["mu"], shared["t"], ends, held, big["cond"], None if whole else known
            big["out"].copy_(self._forward(*asked))

        self._graphs.run((rows, width, len(t) == 1, r is None, whole), step)
        return big["out"][:batch, :, :frames].clone()

    def _make_room(self, like: dict[str, Tensor], count: int) -> None:
        """For so many numbers each. Steps that were recorded know the old places."""
        for name, tensor in like.items():
            before = len(self._stores[name]) if name in self._stores else 0
            if before < count:
                self._graphs.clear()
                self._stores[name] = tensor.new_zeros(max(count, 2 * before))

    def _placed(self, name: str, *shape: int) -> Tensor:
        return self._stores[name][: math.prod(shape)].view(shape)

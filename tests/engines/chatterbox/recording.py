"""CUDA graphs without CUDA: operations are recorded with the tensors they were given, and done again on those.

Of a replay nothing of Python is left, as on a GPU: what a step took from Python, or a tensor that it made anew each
time, stays what it was when the step was recorded. Operations that no GPU could record are refused.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from chatterbox_plus.engines.chatterbox.graphs import Step

REFUSED = frozenset({"_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "unique", "item"})
"""Numbers that go to the host or come from it, shapes that depend on numbers."""


class Device(TorchDispatchMode):
    """Refuses what a GPU cannot record, and keeps the rest."""

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, list[tuple[int, Tensor]]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in REFUSED, name
        assert func.name() != "aten::repeat_interleave.Tensor"
        result = func(*args, **(kwargs or {}))
        given = {_memory(tensor) for tensor in _tensors((args, kwargs))}
        # Views, and what was changed in place, are there already when the operation has been done again.
        made = [(i, tensor) for i, tensor in enumerate(_tensors(result)) if _memory(tensor) not in given]
        self._done.append((func, args, kwargs or {}, made))
        return result

    def replay(self) -> None:
        for func, args, kwargs, made in self._done:
            again = _tensors(func(*args, **kwargs))
            for i, tensor in made:
                tensor.copy_(again[i])


def recorded(step: Step) -> Step:
    """As CUDA records: the step runs before, so that libraries are ready; recording it, it must not count either."""
    step()
    with Device() as device:
        step()
    return device.replay


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()

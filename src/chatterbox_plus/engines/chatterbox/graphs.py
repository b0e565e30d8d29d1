"""Steps of fixed shapes, recorded once as CUDA graphs and then replayed: launching hundreds of small kernels one by one
takes a GPU longer than running them.

A step reads and writes tensors that stay where they are, and asks the host for nothing. It is recorded for a key, which
holds all that may differ from call to call and is no tensor's content. Where there is no CUDA, the first step of a key
is kept and run again: the same code, so that a step whose key says too little is found without a GPU.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

Step = Callable[[], None]

_REHEARSALS = 2  # before recording: libraries make their plans and take their memory at the first call


class Graphs:
    """Those used last are kept. One thread's; all run on the stream that is current."""

    def __init__(self, device: torch.device, kept: int = 64, capture: Callable[[Step], Step] | None = None) -> None:
        """kept: how many. capture: makes of a step what is run in its place; None: CUDA's graphs on CUDA."""
        self._limit = kept
        self._steps: OrderedDict[Hashable, Step] = OrderedDict()
        self._cuda = _Cuda(device) if device.type == "cuda" else None
        self._capture = capture or self._cuda or _itself

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def able(self) -> bool:
        """Whether steps are recorded here, as far as is known."""
        return self._cuda is not None and self._cuda.able

    def run(self, key: Hashable, step: Step, rehearsing: AbstractContextManager[object] | None = None) -> None:
        """Run the step that was recorded for the key, or this one.

        rehearsing: in it the step is run some times before it is recorded, and must change nothing that matters.
        """
        recorded = self._steps.pop(key, None)
        if recorded is None:
            with rehearsing or nullcontext():
                recorded = self._capture(step)
        self._steps[key] = recorded  # the latest used is the last
        if len(self._steps) > self._limit:
            self._settle()
            self._steps.popitem(last=False)
        recorded()

    def clear(self) -> None:
        """The tensors that steps use are going elsewhere."""
        self._settle()
        self._steps.clear()
        if self._cuda is not None:
            self._cuda.forget()

    def _settle(self) -> None:
        """Nothing is let go that is still running."""
        if self._cuda is not None:
            torch.cuda.synchronize(self._cuda.device)


class Sent:
    """A tensor's content on its way to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._content = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._content.copy_(tensor.contiguous(), non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record(torch.cuda.current_stream(tensor.device))
        else:
            self._content = tensor.clone()

    def get(self) -> list[int]:
        """Waits for it."""
        if self._arrived is not None:
            self._arrived.synchronize()
        content: list[int] = self._content.tolist()
        return content


def _itself(step: Step) -> Step:
    return step


class _Cuda:
    """Records; after a step that could not be recorded, no other is tried: they then run as they are written, which is
    the same arithmetic."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.able = device, True
        self._aside: torch.cuda.Stream | None = None
        self._pool: Any = None  # of memory, that all graphs have in common: they never run at once

    def forget(self) -> None:
        """No graph is left; a pool that was given back must not be used again."""
        self._pool = None

    def __call__(self, step: Step) -> Step:
        if not self.able:
            return step
        with torch.cuda.device(self.device):
            current = torch.cuda.current_stream()
            aside = self._aside = self._aside or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_REHEARSALS):
                    step()
            current.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            try:
                # Another thread may ask CUDA for memory meanwhile; that is no mistake of ours.
                with torch.cuda.graph(graph, pool=self._pool, stream=aside, capture_error_mode="thread_local"):
                    step()
            except RuntimeError as error:  # so PyTorch says what CUDA refuses
                torch.cuda.set_stream(current)  # left behind by a recording that broke off
                self.able = False
                _log.warning("CUDA graphs cannot be recorded here, speech will be slower: %s", error)
                return step
        return graph.replay

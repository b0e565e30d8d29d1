"""What a comparison says: one line of JSON a stage."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LIMIT = 1e-4
"""Of the largest difference, in parts of the largest number: float32 added up in another order stays far below."""


@dataclass(frozen=True)
class Result:
    """One stage. error: max|ours - upstream's| / max|upstream's|, or whether all ids are the same."""

    variant: str
    stage: str
    error: float | bool

    @property
    def ok(self) -> bool:
        return self.error if isinstance(self.error, bool) else self.error <= LIMIT

    def line(self) -> str:
        """JSON; an error that is no number is told as null."""
        if isinstance(self.error, bool):
            measured: dict[str, object] = {"ids_equal": self.error, "limit": True}
        else:
            number = float(f"{self.error:.2e}") if self.error < float("inf") else None
            measured = {"max_rel_error": number, "limit": LIMIT}
        return json.dumps({"variant": self.variant, "stage": self.stage, **measured, "ok": self.ok})


def relative_error(ours: Tensor, upstreams: Tensor) -> float:
    """max|a - b| / max|b|; infinite for another shape, NaN for NaN, and so never within a limit."""
    if ours.shape != upstreams.shape:
        return float("inf")
    difference = (ours.detach().cpu().double() - upstreams.detach().cpu().double()).abs().max()
    return float(difference / upstreams.abs().max().cpu().double().clamp_min(1e-30))


def same_ids(ours: Sequence[int] | Tensor, upstreams: Sequence[int] | Tensor) -> bool:
    """Whether both are the same ids in the same order, and as many."""
    return torch.as_tensor(ours).tolist() == torch.as_tensor(upstreams).tolist()

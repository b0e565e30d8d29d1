"""The vocoder's two transforms, of 16 points every four samples, from block to block.

Both are products with small real matrices: that works on every device, and waits for none.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

BINS, HOP = 9, 4  # of the transform; samples
LIMIT = 0.99  # no sample goes beyond
_FFT = 2 * (BINS - 1)
_LOUDEST = 100.0  # of a bin


@lru_cache(maxsize=4)
def _window(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.hann_window(_FFT, dtype=torch.float64).to(device, dtype)


@lru_cache(maxsize=4)
def _analysis(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(16, 18): 16 samples times this are the real parts, then the imaginary parts of their windowed spectrum."""
    angle = torch.outer(torch.arange(_FFT), torch.arange(BINS)).double() * (2 * math.pi / _FFT)
    window = torch.hann_window(_FFT, dtype=torch.float64)[:, None]
    return (torch.cat([angle.cos(), -angle.sin()], dim=1) * window).to(device, dtype)


@lru_cache(maxsize=4)
def _synthesis(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(18, 16): the way back, windowed again and weighed so that four overlapping frames add up to the wave."""
    twice = torch.full((BINS, 1), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1  # bins that have no mirror image
    overlap = _window(torch.device("cpu"), torch.float64).square().sum() / HOP
    return (_analysis(torch.device("cpu"), torch.float64).T * twice.repeat(2, 1) / (_FFT * overlap)).to(device, dtype)


@lru_cache(maxsize=4)
def _edges(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What the first and the last four samples, where one of the four frames is missing, have to be raised by."""
    weight = _window(torch.device("cpu"), torch.float64).square()
    overlap = weight.sum() / HOP
    start, end = overlap / (overlap - weight[-HOP:]), overlap / (overlap - weight[:HOP])
    return start.to(device, dtype), end.to(device, dtype)


class Spectra:
    """The source (B, n) block by block into short spectra (B, count, 18): real parts, then imaginary parts."""

    def __init__(self) -> None:
        self._held: Tensor | None = None

    def push(self, source: Tensor, last: bool) -> Tensor:
        """The first block and the last hold more samples than half of the transform."""
        around = _FFT // 2
        if self._held is None:
            known = torch.cat([source[:, 1 : around + 1].flip(1), source], dim=1)
        else:
            known = torch.cat([self._held, source], dim=1)
        if last:
            known = torch.cat([known, known[:, -around - 1 : -1].flip(1)], dim=1)
        frames = known.unfold(1, _FFT, HOP)
        self._held = known[:, frames.shape[1] * HOP :]
        return frames @ _analysis(source.device, source.dtype)


class Samples:
    """The wave's spectra (B, n, 18), block by block, into its samples (B, m)."""

    def __init__(self) -> None:
        self._held: Tensor | None = None
        self._steps = 0  # of four samples, so far

    def push(self, shaped: Tensor, last: bool) -> Tensor:
        """shaped: logarithms of magnitudes, and angles whose sine is the phase."""
        size, phase = shaped[..., :BINS].exp().clamp_(max=_LOUDEST), shaped[..., BINS:].sin()
        parts = torch.cat([size * phase.cos(), size * phase.sin()], dim=-1)
        overlap = _FFT // HOP
        made = (parts @ _synthesis(parts.device, parts.dtype)).view(*parts.shape[:2], overlap, HOP)
        held = made.new_zeros(len(made), overlap - 1, overlap, HOP) if self._held is None else self._held
        if last:
            made = F.pad(made, (0, 0, 0, 0, 0, 1))
        known = torch.cat([held, made], dim=1)
        count = known.shape[1] - overlap + 1
        wave = known.new_zeros(len(known), count, HOP)
        for i in range(overlap):
            wave += known[:, overlap - 1 - i : overlap - 1 - i + count, i]
        self._held = known[:, count:]
        start, end = _edges(wave.device, wave.dtype)
        first, self._steps = 2 - self._steps, self._steps + count
        if 0 <= first < count:
            wave[:, first] *= start
        if first > 0:
            wave = wave[:, first:]  # the transform's frames are centred: half a frame on both sides is not ours
        if last:
            wave[:, -1] *= end
        return wave.flatten(1).clamp_(-LIMIT, LIMIT)

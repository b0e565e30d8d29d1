"""Faster or slower at the same pitch."""

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.graph import FilterGraph

MIN_SPEED, MAX_SPEED = 0.25, 4.0
# atempo works on windows of up to 85 ms and loses what does not fill the last one: silence pushes the sound out.
TAIL_S = 0.5
_BLOCK = 1024  # samples it gets at a time; more makes no difference but that a listener waits for them


def _factors(speed: float) -> list[float]:
    """Factors within 0.5-2.0, where atempo blends and skips nothing, whose product is `speed`."""
    factors = []
    while not 0.5 <= speed <= 2.0:
        factor = 0.5 if speed < 0.5 else 2.0
        factors.append(factor)
        speed /= factor
    return [*factors, speed]


class Stretch:
    """A Stage that plays `speed` times as fast with the pitch kept, on FFmpeg's `atempo` (waveform-similarity
    overlap-add). Out of n samples it makes exactly round(n / speed); speed 1 changes nothing.

    rate: Hz. speed: 0.25-4.0, else ValueError. channels: 1 or 2.
    """

    def __init__(self, rate: int, speed: float, channels: int = 1) -> None:
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise ValueError(f"speed {speed} is outside {MIN_SPEED}-{MAX_SPEED}")
        self._speed, self._channels = speed, channels
        self._tail = silence(samples_in(TAIL_S, rate), channels)
        self._graph = (
            FilterGraph(rate, channels, [("atempo", repr(factor)) for factor in _factors(speed)], _BLOCK)
            if speed != 1.0
            else None
        )
        self._ready = silence(0, channels)
        self._taken = self._given = 0  # samples

    def push(self, block: Samples) -> Samples:
        if self._graph is None:
            return block
        self._taken += block.shape[-1]
        self._add(self._graph.samples(self._graph.push(block)))
        return self._give()

    def finish(self) -> Samples:
        if self._graph is None:
            return silence(0, self._channels)
        self._add(self._graph.samples(self._graph.push(self._tail) + self._graph.finish()))
        rest = self._give()
        missing = round(self._taken / self._speed) - self._given
        return np.concatenate([rest, silence(missing, self._channels)], axis=-1) if missing else rest

    def map_time(self, t_s: float) -> float:
        return t_s / self._speed

    def _add(self, parts: list[Samples]) -> None:
        self._ready = np.concatenate([self._ready, *parts], axis=-1)

    def _give(self) -> Samples:
        """What is ready, but never more than belongs to the input so far: the end is not known yet."""
        n = min(self._ready.shape[-1], round(self._taken / self._speed) - self._given)
        out, self._ready = self._ready[..., :n], self._ready[..., n:]
        self._given += n
        return out

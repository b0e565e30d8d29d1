"""Blocks of any size in, blocks of one size out: what makes a stage's result independent of how its input was cut."""

import numpy as np

from chatterbox_plus.audio.clip import Samples, silence


class Regroup:
    """Collects samples and hands them on in blocks of exactly `size`."""

    def __init__(self, size: int, channels: int) -> None:
        self._size, self._channels = size, channels
        self._held: list[Samples] = []
        self._count = 0

    def push(self, block: Samples) -> list[Samples]:
        """The whole blocks that are ready now, each (size,) or (channels, size)."""
        self._held.append(block.astype(np.float32))  # a copy: the caller may use its buffer again
        self._count += block.shape[-1]
        if self._count < self._size:
            return []
        samples = np.concatenate(self._held, axis=-1)
        whole = self._count - self._count % self._size
        self._held, self._count = [samples[..., whole:]], self._count - whole
        return [samples[..., i : i + self._size] for i in range(0, whole, self._size)]

    def rest(self) -> Samples:
        """What is left, fewer than `size` samples; nothing is held afterwards."""
        left = np.concatenate([silence(0, self._channels), *self._held], axis=-1)
        self._held, self._count = [], 0
        return left

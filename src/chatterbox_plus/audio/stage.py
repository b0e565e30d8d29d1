"""What every change of the sound has in common: blocks go in, blocks come out, and time can be followed through it."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from chatterbox_plus.audio.clip import Samples


class Stage(Protocol):
    """A change of the sound that is heard block by block. However the input is cut, the output samples are the same.

    One stage serves one stream: after `finish` it is spent.
    """

    def push(self, block: Samples) -> Samples:
        """Take the next samples, (n,) or (channels, n), n >= 0; give those that are ready, perhaps none."""

    def finish(self) -> Samples:
        """Give what is left once the input has ended."""

    def map_time(self, t_s: float) -> float:
        """Where the moment t_s (seconds from the start of the input) lies in the output, in seconds."""


class Chain:
    """Stages one after the other, as one stage. An empty chain changes nothing."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def push(self, block: Samples) -> Samples:
        for stage in self._stages:
            block = stage.push(block)
        return block

    def finish(self) -> Samples:
        """What is left in every stage, each one's rest having gone through those after it."""
        if not self._stages:
            return np.zeros(0, np.float32)
        rest = self._stages[0].finish()
        for stage in self._stages[1:]:
            rest = np.concatenate([stage.push(rest), stage.finish()], axis=-1)
        return rest

    def map_time(self, t_s: float) -> float:
        for stage in self._stages:
            t_s = stage.map_time(t_s)
        return t_s


def through(stage: Stage, blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The blocks as they come out of a stage, its rest at the end."""
    with closing_after(blocks):
        for block in blocks:
            yield stage.push(block)
    yield stage.finish()


@contextmanager
def closing_after(source: Iterable[object]) -> Iterator[None]:
    """Closes a generator once the block is left: what it holds (a child, a file) is free at once, not when its memory
    happens to be collected."""
    try:
        yield
    finally:
        if isinstance(source, Generator):
            source.close()

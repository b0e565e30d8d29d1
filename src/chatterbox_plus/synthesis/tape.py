"""Sound that has to be heard more than once: kept in memory while short, on disk beyond."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from chatterbox_plus.audio.clip import Samples

_IN_MEMORY = 16 * 2**20  # bytes: about three minutes of 24 kHz mono
_BLOCK = 24_000  # samples a block on reading


class Tape:
    """Mono float32 samples, written once, read from the start as often as wanted. A context manager."""

    def __init__(self, folder: Path) -> None:
        """folder: where the tape goes when it outgrows memory; it has no name there that could be left behind."""
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(folder))  # noqa: SIM115 - closed in __exit__
        self._samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._samples

    def record(self, blocks: Iterable[Samples]) -> None:
        """Append mono blocks (n,)."""
        for block in blocks:
            self._file.write(np.ascontiguousarray(block, np.float32).tobytes())
            self._samples += len(block)

    def play(self) -> Iterator[Samples]:
        """All samples from the start, in blocks (n,). One reader at a time."""
        self._file.seek(0)
        while data := self._file.read(4 * _BLOCK):
            yield np.frombuffer(data, np.float32)

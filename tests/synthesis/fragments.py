"""A host that speaks in fragments, in the test's own thread: what it has made so far can be counted."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.base import EngineInfo, Fragment, Passage, Piece, Reference
from tests.fakes import CHARACTER_S, TONE, sine, words


class FragmentHost:
    """As ToneEngine, in fragments of `size_s`: ten milliseconds of 440 Hz for each character."""

    def __init__(self, size_s: float = 0.04, *, rate: int = TONE.rate, info: EngineInfo = TONE) -> None:
        self.info = replace(info, rate=rate)
        self.size = round(size_s * rate)
        self.made_s = 0.0
        self.asked: list[tuple[str, list[str], dict[str, Any]]] = []  # which way, the texts, and what else
        self.closed = 0

    def speak_live(self, passages: Sequence[Passage], reference: Reference | None, **more: Any) -> Iterator[Fragment]:
        self.asked.append(("live", [passage.text for passage in passages], more))
        try:
            for passage in passages:
                samples = self.sound(passage)
                for at in range(0, len(samples), self.size):
                    part, last = samples[at : at + self.size], at + self.size >= len(samples)
                    self.made_s += len(part) / self.info.rate
                    said = words(passage.text) if last else ()
                    yield Fragment(passage.index, Clip(part, self.info.rate), last, said)
        finally:
            self.closed += 1

    def speak(self, passages: Sequence[Passage], reference: Reference | None, **more: Any) -> Iterator[Piece]:
        self.asked.append(("whole", [passage.text for passage in passages], more))
        for passage in passages:
            self.made_s += len(self.sound(passage)) / self.info.rate
            yield Piece(passage.index, Clip(self.sound(passage), self.info.rate), words(passage.text))

    def sound(self, passage: Passage) -> Samples:
        """All of a passage."""
        return sine(440, len(passage.text) * CHARACTER_S, self.info.rate)


class BrokenHost(FragmentHost):
    """Makes what cannot be heard: nothing, or no numbers."""

    def __init__(self, value: float, length: int) -> None:
        super().__init__()
        self._samples = np.full(length, value, np.float32)

    def sound(self, passage: Passage) -> Samples:
        return self._samples

    def speak_live(self, passages: Sequence[Passage], reference: Reference | None, **more: Any) -> Iterator[Fragment]:
        yield Fragment(0, Clip(self._samples, self.info.rate), True)

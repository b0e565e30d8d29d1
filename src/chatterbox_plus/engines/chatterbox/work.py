"""What the engine has in hand, as small steps: passages being said (`saying`), recordings converted (`converting`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Outcome
from chatterbox_plus.engines.chatterbox.flow import Spoken
from chatterbox_plus.engines.chatterbox.vocoder import draw_source, fade_in

if TYPE_CHECKING:
    from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine
    from chatterbox_plus.engines.chatterbox.model import Model

Outcomes = list[Outcome]


@dataclass(frozen=True, eq=False)
class Decode:
    """What a job asks of the engine: a mel of this, in so many steps. Several are made together."""

    spoken: Spoken
    steps: int


Job = Generator[Decode | Future[Any], Any, Outcomes]
"""Gives what it wants decoded, is sent the mel (80, frames), or gives what another thread is at, is sent what comes of
that; ends with what has come of it all."""


class Work(ABC):
    """Something in hand. lane: lower ones first. ticket: in the order of arrival. over: its last outcome is given."""

    def __init__(self, engine: ChatterboxEngine, lane: int, ticket: int) -> None:
        self.engine, self.lane, self.ticket = engine, lane, ticket
        self.over = False
        self.asked: Decode | Future[Any] | None = None  # by the job; it does not go on until this is answered
        self.group: Group | None = None  # in which that is being made
        self._job: Job | None = None
        self._answer: Tensor | None = None

    @property
    @abstractmethod
    def due(self) -> bool:
        """Whether there is sound to be made."""

    @property
    def waiting(self) -> bool:
        """Whether another thread is at its sound."""
        return isinstance(self.asked, Future) and not self.asked.done()

    @property
    def active(self) -> bool:
        """Whether there is anything to be done."""
        return self.due

    @property
    def order(self) -> tuple[float, ...]:
        """Of works in a lane, the least goes first."""
        return (math.inf, 0, self.ticket)

    @abstractmethod
    def _next_job(self) -> Job:
        """The next sound, when it is due."""

    def answer(self, mel: Tensor) -> None:
        """What the job has asked for."""
        self.asked = self.group = None
        self._answer = mel

    def sound(self) -> Outcomes:
        """Go on with the job, or begin one, until it asks for something or is done. Raises PlusError."""
        try:
            if self._job is None:
                self._job = self._next_job()
                self.asked = next(self._job)
            elif isinstance(self.asked, Future):
                result, self.asked = self.asked.result(), None
                self.asked = self._job.send(result)
            else:
                assert self._answer is not None
                answer, self._answer = self._answer, None
                self.asked = self._job.send(answer)
        except StopIteration as end:
            self._job = None
            outcomes: Outcomes = end.value
            return outcomes
        return []

    def stop_job(self) -> None:
        """What is under way comes to nothing."""
        if self._job is not None:
            self._job.close()
        if self.group is not None:
            self.group.leave(self)
        self._job = self.asked = self._answer = None

    def drop(self) -> None:
        """It is not wanted any more."""
        self.over = True
        self.stop_job()


class Group:
    """Mels that are made together, a step of the decoder at a time. Each comes out as it would alone."""

    def __init__(self, model: Model, works: Sequence[Work]) -> None:
        """works: each asks for one, all in as many steps."""
        self._works: list[Work | None] = list(works)  # None: it has left
        asked = [work.asked for work in works if isinstance(work.asked, Decode)]
        batch = [decode.spoken for decode in asked]
        steps = asked[0].steps
        self._decoding = model.flow.decoding(batch, steps)
        for work in works:
            work.group = self

    def leave(self, work: Work) -> None:
        """Nobody waits for this one any more; the others go on."""
        self._works = [None if kept is work else kept for kept in self._works]
        work.group = None

    def step(self) -> None:
        """After the last step everybody has their mel."""
        try:
            next(self._decoding)
        except StopIteration as end:
            for work, mel in zip(self._works, end.value, strict=True):
                if work is not None:
                    work.answer(mel)


def spoken(engine: ChatterboxEngine, mel: Tensor, generator: torch.Generator) -> Samples:
    """A mel (80, F) -> its sound (480 F,) at 24 kHz, with noise in upstream's order of drawing."""
    phase, source = draw_source(generator, mel.shape[1])
    wave = engine.model.vocoder.wave(mel, phase.to(mel.device), source.to(mel.device))
    fade = fade_in(wave.device)
    wave[: len(fade)] *= fade[: len(wave)]
    samples: Samples = wave.float().cpu().numpy()
    return samples

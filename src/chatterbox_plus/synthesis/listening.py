"""Hearing speech that a task is making, as it is made: the same passages, the same finish, and nothing spoken twice."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from threading import Event

from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import Cancelled, GenerationTimeout, PlusError
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.job import still_wanted
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.results import LiveAudio
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import Takes, take_key

LOOK_S = 0.05  # between two looks for the next passage
ASK_S = 0.5  # between two questions how the task stands, and to other servers for what they have spoken

Ended = Callable[[], PlusError | None]
"""None while somebody is still at work; else what to say of passages that are not there."""


class Awaited(Takes):
    """Takes that somebody else makes: each is waited for, none is spoken."""

    def __init__(self, store: ContentStore, ended: Ended) -> None:
        super().__init__(store)
        self._ended = ended
        self._ask = 0.0  # when to ask next, of the monotonic clock

    def speak(
        self,
        host: EngineHost,
        passages: Sequence[Passage],
        reference: Reference | None,
        *,
        cancel: Event,
        timeout_s: float,
        ahead: int | None = None,
        lane: int = 0,
    ) -> Iterator[Piece]:
        """As `Takes.speak`. Raises what `Ended` says, Cancelled, and GenerationTimeout after so long without any."""
        for passage in passages:
            piece = self._awaited(take_key(host.info, passage, reference), cancel, timeout_s)
            yield replace(piece, index=passage.index)

    def _awaited(self, key: str, cancel: Event, timeout_s: float) -> Piece:
        deadline = time.monotonic() + timeout_s
        while True:
            if key in self.store and (piece := self.load(key)) is not None:
                return piece
            now = time.monotonic()
            if now >= self._ask:
                over = self._ended()  # before the look: what ends a task is written after its takes
                if (piece := self.load(key)) is not None:
                    return piece
                if over is not None:
                    raise over
                self._ask = now + ASK_S
            if now > deadline:
                raise GenerationTimeout("nothing more of the task was spoken for too long")
            if cancel.wait(LOOK_S):
                raise Cancelled("the listener left")


def listen(
    studio: Studio,
    options: SpeechOptions,
    ended: Ended,
    *,
    commission: Commission,
    store: ContentStore,
    format: str,
    cancel: Event,
) -> LiveAudio:
    """What the commission makes of the options, from its beginning, as bytes of `format`; nothing is kept or counted.

    store: where its passages are kept. Raises what `Studio.speak` raises about a request.
    """
    job = studio.listening(options, cancel, commission, Awaited(store, ended))
    encoder = job.sound.encoder(format)

    def make(live: LiveAudio) -> Generator[bytes]:
        with closing_after(blocks := job.blocks(None)):
            for block in blocks:
                still_wanted(job)
                live.duration_s += block.shape[-1] / job.sound.rate
                if data := encoder.push(block):
                    yield data
        if rest := encoder.finish():
            yield rest

    return LiveAudio(
        make,
        format=FORMATS[format],
        filename=job.destination.stem + FORMATS[format].suffix,
        model=job.model,
        notes=job.notes,
        seed=job.seed,
        cancel=cancel,
        release=lambda: None,
    )

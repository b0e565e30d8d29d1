"""Work that may be begun again after a crash, and must then come to the same."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from chatterbox_plus.synthesis.plan import NO_EDITS, Edits


@dataclass(frozen=True)
class Commission:
    """Always the same names and the same seeds; what an attempt left behind is known by the id.

    when: gives the files their names. seed: used where the request names none, >= 1. lane: who goes before it at the
    engine (see `EngineHost.speak`): whoever waits for a reply has 0. name: of the result, instead of the usual.
    on_passage: told of every passage that is done: its number from 1, how many there are, seconds of speech so far.
    edits: passages that are to be said otherwise than the request's text has them.
    """

    id: str
    when: datetime
    seed: int
    lane: int = 1
    name: str | None = None
    on_passage: Callable[[int, int, float], None] | None = None
    edits: Edits = field(default_factory=lambda: NO_EDITS)

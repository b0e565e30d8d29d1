"""A studio over engines that can be computed, which remembers what its engine was asked to say."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.engines.base import Passage, Piece, Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.library.library import Library
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.takes import Takes
from tests.fakes import TONE

WHEN = datetime(2025, 6, 22, 14, 30, 22, 456, tzinfo=UTC)


class ListeningHost(EngineHost):
    """Remembers the texts it was asked to say."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.asked: list[str] = []

    def speak(self, passages: Sequence[Passage], reference: Reference | None, **more: Any) -> Iterator[Piece]:
        self.asked += [passage.text for passage in passages]
        return super().speak(passages, reference, **more)


@contextmanager
def tone_house(data: Path, *, takes_bytes: int = 10**9) -> Iterator[tuple[Studio, ListeningHost]]:
    """The studio and its host. Every character sounds for 10 ms."""
    folders = (data / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))
    host = ListeningHost(TONE, "tests.fakes:ToneEngine", workers=2)
    studio = Studio(
        Library(*folders),
        Engines("tone", engines={"tone": host}),
        Decoder(workers=1),
        capacity=4,
        timeout_s=20,
        max_text_chars=10_000,
        takes=Takes(ContentStore(data / "takes", takes_bytes)),
    )
    try:
        yield studio, host
    finally:
        studio.close()


def commission(id: str = "task_1", **more: Any) -> Commission:
    return Commission(id, WHEN, 7, **more)


def never() -> threading.Event:
    """A cancellation that does not come."""
    return threading.Event()

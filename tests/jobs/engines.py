"""An engine that writes down what it says, so that what was done again can be counted."""

import os
import time
from dataclasses import replace
from pathlib import Path

from chatterbox_plus.engines.base import Cancelled, EngineInfo, Passage, Piece, Reference
from tests.fakes import TONE, ToneEngine

SPOKEN_LOG = "TESTS_SPOKEN_LOG"  # a file's path
SPOKEN_DELAY_S = "TESTS_SPOKEN_DELAY_S"  # how long a passage takes
COUNTING: EngineInfo = replace(TONE, name="counting", joins_sentences=False)


class CountingEngine(ToneEngine):
    """ToneEngine, a sentence at a time; a line per passage, with its text and our process's id, before it is said."""

    info = COUNTING

    def speak(self, passage: Passage, reference: Reference | None, cancelled: Cancelled) -> Piece:
        note(Path(os.environ[SPOKEN_LOG]), f"{passage.text}\t{os.getpid()}\n")
        time.sleep(float(os.environ.get(SPOKEN_DELAY_S, "0")))
        return super().speak(passage, reference, cancelled)


def note(log: Path, line: str) -> None:
    """Appends in one step, whoever else does at the same time."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)

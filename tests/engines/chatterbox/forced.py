"""An engine that says when it stops: the random weights of tests hardly ever do. Runs in children as
"tests.engines.chatterbox.forced:ForcedEngine"."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.engines.base import Outcome, Passage, Piece, Speech
from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine
from chatterbox_plus.engines.chatterbox.families import RATE
from chatterbox_plus.engines.chatterbox.t3 import STOP

FACTORY = "tests.engines.chatterbox.forced:ForcedEngine"
MARK = 6700  # an id of the Llama models that has no sound
_ALPHABET = 12  # codes that are said: random weights find all 6561 about as likely, and would never say one again


def forced_length(text: str) -> int:
    """Tokens until the stop."""
    return 6 + len(text) // 8


class ForcedEngine(ChatterboxEngine):
    """Says `forced_length` tokens for a text, all of them codes, but where the text has one of these words.

    loop: the same token again and again; endless: it never stops; with "first": at the first attempt only. marks: every
    third id is one without a sound. die: the process ends. pid: a piece of one sample that is this process's id.
    """

    fastest = math.inf
    attempts = 0  # at the latest passage
    tame = False  # whether it stops after all

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._told: list[tuple[int, Outcome]] = []

    def speak(self, ticket: int, speech: Speech) -> None:
        if "die" in speech.passage.text:
            os._exit(9)
        if "pid" in speech.passage.text:
            here = Clip(np.array([os.getpid()], np.float32), RATE)
            self._told.append((ticket, Piece(speech.passage.index, here)))
        else:
            super().speak(ticket, speech)

    @property
    def idle(self) -> bool:
        return not self._told and super().idle

    def step(self) -> list[tuple[int, Outcome]]:
        told, self._told = self._told, []
        return told or super().step()

    def on_logits(self, passage: Passage, attempt: int) -> Callable[[int, Tensor], Tensor]:
        self.attempts = attempt + 1
        words = passage.text.split()
        wild = not self.tame and (attempt == 0 or "first" not in words)

        def forced(step: int, logits: Tensor) -> Tensor:
            few = logits[:_ALPHABET]
            logits = torch.full_like(logits, -1e4)
            logits[:_ALPHABET] = 2 * (few - few.mean()) / few.std()
            if wild and "loop" in words:
                return _only(logits, 5)
            if "marks" in words and step % 3 == 1:
                return _only(logits, MARK)
            if step >= forced_length(passage.text) and not (wild and "endless" in words):
                return _only(logits, STOP)
            return logits

        return forced


def _only(logits: Tensor, token: int) -> Tensor:
    return torch.full_like(logits, -1e4).index_fill(0, torch.tensor(token), 1e4)

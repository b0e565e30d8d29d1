"""A text with marks as one stream of speech: several voices, pauses of given lengths, and when every word sounds."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.stage import closing_after
from chatterbox_plus.engines.base import Reference
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.pipeline import Speaking, TimedWord
from chatterbox_plus.synthesis.plan import Plan
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.takes import Takes, careful_ahead, take_key
from chatterbox_plus.text.markup import Pause

TURN_S = 0.35  # between two voices
BREAK_S = 1.2  # for what is shown and cannot be said: "* * *"


@dataclass(frozen=True)
class Turn:
    """What one voice says in one go. start: where in the narrated text, edits in it, that begins. options: with all
    defaults filled in."""

    plan: Plan
    start: int
    host: EngineHost
    reference: Reference | None
    options: SpeechOptions


@dataclass(frozen=True)
class Break:
    """Silence in the place of something that is not said."""


Part = Turn | Pause | Break


class Narration:
    """A text, planned. `blocks` may be run once; `words` is complete when it has ended."""

    def __init__(
        self,
        parts: Sequence[Part],
        text: str,
        takes: Takes | None,
        *,
        cancel: Event,
        timeout_s: float,
        lane: int,
    ) -> None:
        """text: what is narrated, with its marks and all edits. lane: see `EngineHost.speak`.

        What a crash loses is what is in work: see `careful_ahead`."""
        self.parts, self.text, self._takes = tuple(parts), text, takes
        self._cancel, self._timeout_s, self._lane = cancel, timeout_s, lane
        self.words: list[TimedWord] = []
        self.passages = sum(len(part.plan.passages) for part in parts if isinstance(part, Turn))
        self.count = sum(part.plan.count for part in parts if isinstance(part, Turn))  # passages before any edit

    @property
    def key(self) -> str:
        """The same for two narrations exactly if they sound the same: 64 hex digits."""
        told: list[object] = [TURN_S, BREAK_S]
        for part in self.parts:
            if isinstance(part, Turn):
                told += [
                    (take_key(part.host.info, planned.passage, part.reference), planned.pause_s)
                    for planned in part.plan.passages
                ]
            else:
                told.append(part.ms if isinstance(part, Pause) else "break")
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def models(self) -> tuple[str, ...]:
        """Those that speak, each once."""
        return tuple(dict.fromkeys(part.host.info.name for part in self.parts if isinstance(part, Turn)))

    @property
    def texts(self) -> list[str]:
        """What is said in one go each, as it stands in the text."""
        said = []
        for part in self.parts:
            if isinstance(part, Turn):
                for planned in part.plan.passages:
                    start, end = planned.place
                    said.append(part.plan.text[start:end])
        return said

    def blocks(self, progress: Progress | None = None) -> Iterator[Samples]:
        """Mono samples (n,) at SPEECH_RATE. progress: of passages. Raises what `Speaking.blocks` raises."""
        done_s, passages = 0.0, 0
        for part, following in zip(self.parts, (*self.parts[1:], None), strict=True):
            if not isinstance(part, Turn):
                block = silence(samples_in(part.ms / 1000 if isinstance(part, Pause) else BREAK_S, SPEECH_RATE))
                done_s += len(block) / SPEECH_RATE
                yield block
                continue
            before = passages

            def told(done: float, total: float | None, before: int = before) -> None:
                if progress:
                    progress(before + done, self.passages)

            speaking = Speaking(
                part.plan,
                part.host,
                part.reference,
                cancel=self._cancel,
                timeout_s=self._timeout_s,
                progress=told,
                takes=self._takes,
                ahead=careful_ahead(part.host.info),
                lane=self._lane,
            )
            with closing_after(blocks := speaking.blocks()):
                yield from blocks
            self.words += [
                replace(
                    word,
                    start_s=word.start_s + done_s,
                    end_s=word.end_s + done_s,
                    char_start=word.char_start + part.start,
                    char_end=word.char_end + part.start,
                )
                for word in speaking.words
            ]
            done_s += speaking.spoken_s
            passages += len(part.plan.passages)
            if isinstance(following, Turn):
                pause = silence(samples_in(TURN_S, SPEECH_RATE))
                done_s += len(pause) / SPEECH_RATE
                yield pause

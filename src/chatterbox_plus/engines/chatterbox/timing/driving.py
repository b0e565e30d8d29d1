"""One model measured: the engine itself is driven, as its host does it, and says texts of a forced length.

Whose time it was is found out from outside: the calls of the model's parts are timed. Seconds of speech are those of
the tokens (`material.seconds`), before silence is cut off the ends.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from chatterbox_plus.engines.base import Conversion, Finished, Fragment, Outcome, Passage, Piece, Reference, Speech
from chatterbox_plus.engines.chatterbox.decoding import Utterance
from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine
from chatterbox_plus.engines.chatterbox.guard import CEILING
from chatterbox_plus.engines.chatterbox.prints import CODES
from chatterbox_plus.engines.chatterbox.t3 import STOP
from chatterbox_plus.engines.chatterbox.timing.listening import Listener, told
from chatterbox_plus.engines.chatterbox.timing.material import (
    SENTENCE,
    forced_length,
    long_text,
    read_voice,
    seconds,
    sentence,
)
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured, Measures, peak_memory
from chatterbox_plus.errors import PlusError
from chatterbox_plus.models.catalog import FAMILIES

_WARM_LETTERS = 20

T = TypeVar("T")
R = TypeVar("R")


class TimedEngine(ChatterboxEngine):
    """Hears made-up tokens in place of those that the model draws, and the stop when it is time: every mode says the
    same, and neither random weights nor real ones talk on. The model does all of its work; nothing waits for this."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        chance = torch.Generator().manual_seed(0)
        self._made_up: list[int] = torch.randint(CODES, (CEILING,), generator=chance).tolist()
        self._length = 0

    @torch.inference_mode()
    def warm(self, tasks: frozenset[str]) -> None:
        super().warm(tasks)
        if "tts" in tasks:
            _replace(self.model.decoder, "begin", self._begin)

    def on_logits(self, passage: Passage, attempt: int) -> None:
        """Called before a text is begun; leaves the logits alone."""
        self._length = forced_length(passage.text)

    def _begin(self, original: Callable[..., Utterance], *args: Any) -> Utterance:
        utterance = original(*args)
        _replace(utterance, "hear", partial(self._hear, utterance, self._length))
        return utterance

    def _hear(self, utterance: Utterance, length: int, original: Callable[[int], None], token: int) -> None:
        count = len(utterance.tokens)
        original(STOP if count == length else self._made_up[count])


def _replace(owner: object, name: str, by: Callable[..., Any]) -> None:
    """A method of one object. by: gets the method before its arguments."""
    vars(owner)[name] = partial(by, getattr(owner, name))


class Driver:
    """Measures with an engine. All speech is in the voice of one recording, which has been learnt before."""

    def __init__(self, engine: TimedEngine, voice: Reference) -> None:
        self._engine, self._voice = engine, voice
        self._spent: dict[str, float] = {}  # seconds by kind of work
        self._awake = threading.Event()
        engine.wake = self._awake.set

    @classmethod
    def open(cls, family: str, files: Mapping[str, str], device: str, mode: str, voice: str, prints: Path) -> Self:
        """Raises ModelLoadError. family: of `families.FAMILIES`. files: role -> path. mode: a precision. voice: a file
        of `material.write_voice`. prints: a folder of our own."""
        info = {
            "name": family,
            "family": family,
            "languages": FAMILIES[family].languages,
            "revision": "timed",
            "has_voice": "conds" in files,
            "marks_audio": False,
            "precision": mode,
        }
        content = Path(voice).read_bytes()
        reference = Reference(hashlib.sha256(content).hexdigest(), read_voice(Path(voice)))
        return cls(TimedEngine(info, files, device, str(prints)), reference)

    @property
    def measures(self) -> Measures:
        return {
            "warm": self.warm,
            "sentence": self.sentence,
            "first": self.first,
            "long": self.long,
            "streams": self.streams,
            "convert": self.convert,
            "memory": peak_memory,
        }

    def warm(self, tasks: Sequence[str]) -> Measured:
        """Load all that tasks need, learn the voice, and do everything once. Raises ModelLoadError."""
        engine = self._engine
        engine.warm(frozenset(tasks))
        if "tts" in tasks:
            self._time_parts(engine.model.decoder, "tokens", "begin", "step")
            # What is done for the first time takes longer; a GPU records its steps then, for every length.
            text = sentence(_WARM_LETTERS) if self._on_cpu else SENTENCE
            self._say([self._speech(text), self._speech(text, live=True)])
        else:
            clip = self._voice.clip
            self._convert(Conversion(iter([clip.samples[: clip.rate]]), clip.rate, self._voice, 1, 0))
        self._time_parts(engine.model.flow, "flow", "decoding", steps=True)
        self._time_parts(engine.model.vocoder, "vocoder", "wave")
        return Measured({})

    def sentence(self) -> Measured:
        """One sentence in one go, and nothing else to do."""
        taken = self._timed(lambda: self._say([self._speech(SENTENCE)]))
        length_s = seconds([SENTENCE])
        figures = {
            "total_rtf": taken / length_s,
            "tokens_per_s": forced_length(SENTENCE) / self._spent["tokens"],
            **self._shares(length_s),
        }
        return Measured(figures, {"audio_s": length_s})

    def first(self) -> Measured:
        """The same sentence live: how long until something of it is heard, and how long it then falls silent at most,
        if it is played at once."""
        listener = Listener(time.monotonic())
        self._say([self._speech(SENTENCE, live=True)], lambda _, outcome: listener.hear(outcome, time.monotonic()))
        return Measured({"first_audio_s": listener.first_s}, {"longest_gap_s": listener.longest_gap_s})

    def long(self, sentences: int) -> Measured:
        """A text of many sentences, as many of them at once as the engine takes in."""
        texts = long_text(sentences)
        taken = self._timed(lambda: self._say([self._speech(text) for text in texts]))
        return Measured({"long_text_x": seconds(texts) / taken}, {"sentences": sentences, "audio_s": seconds(texts)})

    def streams(self, clients: int, sentences: int) -> Measured:
        """Live speech for many who all ask at the same moment, some sentences each."""
        # Who comes with a first sentence is heard before anybody's second.
        order = [(rank, client) for rank in range(sentences) for client in range(clients)]
        texts = long_text(len(order))
        speeches = [self._speech(text, live=True, rank=rank) for text, (rank, _) in zip(texts, order, strict=True)]

        if not self._on_cpu:
            self._say(speeches[:clients])  # steps are recorded for every number of texts, too
        began = time.monotonic()
        listeners = [Listener(began) for _ in range(clients)]

        def hear(number: int, outcome: Outcome) -> None:
            rank, client = order[number]
            listeners[client].hear(outcome, time.monotonic(), part=rank)

        taken = self._timed(lambda: self._say(speeches, hear))
        return told(listeners, seconds(texts) / taken)

    def convert(self, recording: str, chunk_s: float, overlap_s: float) -> Measured:
        """A recording said again in the voice. recording: a file of `material.write_voice`."""
        clip = read_voice(Path(recording))
        length_s = len(clip.samples) / clip.rate
        block = clip.rate  # a second, as a decoder gives it
        blocks = (clip.samples[start : start + block] for start in range(0, len(clip.samples), block))
        taken = self._timed(lambda: self._convert(Conversion(blocks, clip.rate, self._voice, chunk_s, overlap_s)))
        return Measured({"total_rtf": taken / length_s, **self._shares(length_s)}, {"audio_s": length_s})

    def _speech(self, text: str, *, live: bool = False, rank: int = 0) -> Speech:
        return Speech(Passage(0, text, "en", seed=1), self._voice, live=live, rank=rank)

    def _say(
        self, speeches: Iterable[Speech], hear: Callable[[int, Outcome], None] = lambda number, outcome: None
    ) -> None:
        """All of them, in this order. hear: gets what comes, and of which one, by number. Raises PlusError."""
        engine, waiting, inside = self._engine, deque(enumerate(speeches)), set[int]()
        try:
            while waiting or inside:
                while waiting and len(inside) < engine.rows:
                    number, speech = waiting.popleft()
                    engine.speak(number, speech)
                    inside.add(number)
                for number, outcome in engine.step():
                    if isinstance(outcome, PlusError):
                        raise outcome
                    hear(number, outcome)
                    if isinstance(outcome, Piece) or (isinstance(outcome, Fragment) and outcome.last):
                        inside.discard(number)
        finally:
            for number in inside:
                engine.drop(number)

    def _convert(self, conversion: Conversion) -> None:
        """Raises PlusError."""
        engine = self._engine
        engine.convert(0, conversion)
        try:
            while True:
                if engine.idle:
                    self._awake.wait()
                self._awake.clear()
                for _, outcome in engine.step():
                    if isinstance(outcome, PlusError):
                        raise outcome
                    if isinstance(outcome, Finished):
                        return
        finally:
            engine.drop(0)

    def _timed(self, work: Callable[[], None]) -> float:
        """Seconds that it takes; the parts' shares of them are in `_spent`."""
        self._spent = dict.fromkeys(("tokens", "flow", "vocoder"), 0.0)
        began = self._now()
        work()
        return self._now() - began

    def _shares(self, length_s: float) -> dict[str, float]:
        return {f"{part}_rtf": self._spent[part] / length_s for part in ("flow", "vocoder")}

    def _time_parts(self, owner: object, kind: str, *names: str, steps: bool = False) -> None:
        """From now on the time in these methods is added up. steps: they are generators, and work while they run."""
        for name in names:
            _replace(owner, name, partial(self._timed_steps if steps else self._timed_call, kind))

    def _timed_call(self, kind: str, original: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        began = self._now()
        try:
            return original(*args, **kwargs)
        finally:  # the last step of several ends by raising
            self._spent[kind] = self._spent.get(kind, 0.0) + self._now() - began

    def _timed_steps(
        self, kind: str, original: Callable[..., Generator[T, None, R]], *args: Any, **kwargs: Any
    ) -> Generator[T, None, R]:
        steps = original(*args, **kwargs)
        while True:
            try:
                yield self._timed_call(kind, next, steps)
            except StopIteration as end:
                done: R = end.value
                return done

    @property
    def _on_cpu(self) -> bool:
        return self._engine.model.device.type == "cpu"

    def _now(self) -> float:
        """Seconds, when the device has done what it was given."""
        if self._engine.model.device.type == "cuda":
            torch.cuda.synchronize(self._engine.model.device)
        return time.monotonic()

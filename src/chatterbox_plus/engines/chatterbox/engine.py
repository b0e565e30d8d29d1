"""The Chatterbox family as an engine: many passages and recordings at once, a little of each in turn.

A step is one of: a text taken in, a token more for everybody who is decoding, a step of the decoder that makes a mel,
the sound of a mel. What goes first: lower lanes; whoever waits for a first sound; then sound before tokens, because it
ends somebody's waiting, and of several the one whose listener runs dry first. Conversions take turns with tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chatterbox_plus.engines.base import TASKS, Conversion, Outcome, Passage, Reference, Speech
from chatterbox_plus.engines.chatterbox import devices
from chatterbox_plus.engines.chatterbox.converting import Converting
from chatterbox_plus.engines.chatterbox.families import REVISION, describe
from chatterbox_plus.engines.chatterbox.guard import FASTEST
from chatterbox_plus.engines.chatterbox.live import SCHEDULES, Schedule
from chatterbox_plus.engines.chatterbox.matrices import EXACT
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.prints import PrintStore, VoicePrint
from chatterbox_plus.engines.chatterbox.saying import Saying
from chatterbox_plus.engines.chatterbox.t3 import SIZES
from chatterbox_plus.engines.chatterbox.watermark import Watermarker
from chatterbox_plus.engines.chatterbox.work import Decode, Group, Outcomes, Work
from chatterbox_plus.errors import InvalidOption, PlusError

Told = list[tuple[int, Outcome]]

_POSITIONS = 1024  # of a long passage, with its voice and text
_TOGETHER = {"cpu": 1, "mps": 1, "cuda": 16}  # mels made together: a CPU is busy with one


class ChatterboxEngine:
    """One model, on one device; a `base.Crowd`.

    The same passage, voice, options and seed give the same audio on the same CPU, whoever else is there. On a GPU the
    number of rows decides how sums are rounded, which can turn a token.
    """

    fastest = FASTEST  # letters a second; random weights are held to no pace

    def __init__(self, info: Mapping[str, Any], files: Mapping[str, str], device: str, prints: str) -> None:
        """info: arguments of `families.describe`. files: role -> path. prints: the folder of all models' voice prints.

        Reads no weights yet. Raises ModelLoadError for a device that is not here or a file that is no weights.
        """
        self.info = describe(**info)
        self.wake: Callable[[], None] = lambda: None
        chosen = devices.choose(device)
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32: cuDNN's own would round to 10 bits
        paths = {role: Path(path) for role, path in files.items()}
        self.model = Model(info["family"], paths, chosen, devices.mode_for(info.get("precision", "auto"), chosen))
        self.family = self.model.family
        self.watermarker = Watermarker()
        self._aside = ThreadPoolExecutor(1, "aside")  # for what needs no device: the others go on meanwhile
        self.rows = devices.rows_for(chosen, self._row_bytes())
        self.schedule: Schedule = SCHEDULES[chosen.type]
        self._together = _TOGETHER[chosen.type]
        # A voice is heard in float32 whatever the precision of what speaks.
        self._prints = PrintStore(Path(prints), f"{REVISION}-{info['revision']}", chosen)
        self._works: dict[int, Work] = {}  # by ticket
        self._tokens_next = False  # whether it is the tokens' turn, before conversions

    def _row_bytes(self) -> int:
        """What a passage's keys and values take."""
        sizes, width = SIZES[self.family.name], 4 if self.model.mode == EXACT else 2
        lanes = 2 if sizes.backbone == "llama" else 1
        return 2 * sizes.layers * sizes.dim * _POSITIONS * lanes * width

    @torch.inference_mode()
    def warm(self, tasks: frozenset[str]) -> None:
        """Load all that the tasks need. Raises ModelLoadError, naming file and key."""
        self.model.load(tasks & frozenset(TASKS))

    def speak(self, ticket: int, speech: Speech) -> None:
        """Say one passage: mono at 24 kHz, with little silence at its ends. Word times are estimated.

        May come to InvalidAudio for a reference nothing can be learnt from, InvalidOption without any voice,
        GenerationError when the model runs away twice, or after the first part of a live passage has been given.
        """
        self._works[ticket] = Saying(self, speech, ticket)

    def convert(self, ticket: int, conversion: Conversion) -> None:
        """Say a recording again in the target's voice: mono at 24 kHz, the same length and timing, in windows of
        chunk_s and less, cut where it is quiet. May come to InvalidAudio for a target nothing can be learnt from."""
        self._works[ticket] = Converting(self, conversion, ticket)

    def drop(self, ticket: int) -> None:
        if (work := self._works.pop(ticket, None)) is not None:
            work.drop()

    @property
    def idle(self) -> bool:
        return not any(work.active for work in self._works.values())

    @torch.inference_mode()
    def step(self) -> Told:
        todo = [work for work in self._works.values() if work.active]
        if not todo:
            return []
        lane = min(work.lane for work in todo)
        todo = [work for work in todo if work.lane == lane]
        todo = [work for work in todo if isinstance(work, Saying) and work.urgent] or todo
        sayings = [work for work in todo if isinstance(work, Saying)]
        fresh = [saying for saying in sayings if not saying.begun]
        if fresh:
            first = min(fresh, key=lambda saying: saying.order)
            return self._done(first, first.begin)
        decoding = [saying for saying in sayings if saying.decoding]
        due = sorted((work for work in todo if work.due), key=lambda work: work.order)
        self._tokens_next = not self._tokens_next
        if decoding and (not due or (isinstance(due[0], Converting) and self._tokens_next)):
            return self._say(decoding)
        return self._sound(due)

    def voice_of(self, reference: Reference | None) -> VoicePrint:
        """The reference's, else the model's own. Raises InvalidOption where it has none, InvalidAudio."""
        if reference is not None:
            return self.print_of(reference)
        if self.model.default_voice is None:
            raise InvalidOption(
                f"the {self.info.title} came without a voice of its own: name a recording",
                param="reference_audio_filename",
            )
        return self.model.default_voice

    def print_of(self, reference: Reference) -> VoicePrint:
        """Raises InvalidAudio for a recording nothing can be learnt from."""
        return self._prints.get(reference.digest, lambda: self.model.listen(reference.clip))

    def aside(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Call in another thread, one call at a time and in order; the engine wakes when it is done."""
        future = self._aside.submit(call, *given)
        future.add_done_callback(lambda _: self.wake())
        return future

    def on_logits(self, passage: Passage, attempt: int) -> Callable[[int, Tensor], Tensor] | None:
        """What may put other logits in place of the model's. Ours never does; tests and benchmarks with random weights
        do, since those hardly ever stop."""
        return None

    def _say(self, sayings: Sequence[Saying]) -> Told:
        """A token more for each."""
        self.model.decoder.step([saying.utterance for saying in sayings if saying.utterance is not None])
        return [told for saying in sayings for told in self._done(saying, saying.check)]

    def _sound(self, due: Sequence[Work]) -> Told:
        """A little of the sound of the first of these, and with it of those that can be made together."""
        first = due[0]
        if not isinstance(first.asked, Decode):
            return self._done(first, first.sound)
        if first.group is None:
            others = [work for work in due[1 : self._together] if not isinstance(work.asked, Decode)]
            told = [t for work in others for t in self._done(work, work.sound)]
            steps = first.asked.steps
            alike = [w for w in due if isinstance(w.asked, Decode) and w.group is None and w.asked.steps == steps]
            Group(self.model, alike[: self._together])
            return told
        first.group.step()
        return []

    def _done(self, work: Work, call: Callable[[], Outcomes]) -> Told:
        """What comes of a call; an error ends the work."""
        try:
            outcomes = call()
        except PlusError as error:
            work.drop()
            outcomes = [error]
        if work.over:
            del self._works[work.ticket]
        return [(work.ticket, outcome) for outcome in outcomes]

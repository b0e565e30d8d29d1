"""A passage being said: text to tokens, tokens to sound, in one go or in parts that leave at once."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from chatterbox_plus.audio.clip import Clip, Samples, samples_in, silence
from chatterbox_plus.engines.base import Fragment, Outcome, Piece, Speech
from chatterbox_plus.engines.chatterbox.decoding import Utterance
from chatterbox_plus.engines.chatterbox.ends import trimmed
from chatterbox_plus.engines.chatterbox.families import RATE
from chatterbox_plus.engines.chatterbox.flow import FRAMES_PER_TOKEN, NoiseTape, draw_noise
from chatterbox_plus.engines.chatterbox.guard import ATTEMPTS, Guard, Runaway, derived_seed
from chatterbox_plus.engines.chatterbox.live import LOOK_AHEAD, Ends, Marks
from chatterbox_plus.engines.chatterbox.prints import CODES, VoicePrint
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.vocoder import WaveStream, fade_in
from chatterbox_plus.engines.chatterbox.words import estimate_words
from chatterbox_plus.engines.chatterbox.work import Decode, Job, Outcomes, Work, spoken
from chatterbox_plus.errors import GenerationError

if TYPE_CHECKING:
    from chatterbox_plus.engines.chatterbox.engine import ChatterboxEngine

SAMPLES_PER_TOKEN = 960  # at RATE: 40 ms
_NOTHING_S = 0.1  # of silence for a text in which nothing can be spoken
_FLOW_NOISE, _WAVE_NOISE = -1, -2  # "attempts" whose derived seeds draw the noise of live sound


class Saying(Work):
    """A `base.Speech`. After `begin`, the engine's decoder drives `utterance`, and `check` looks at it each time."""

    def __init__(self, engine: ChatterboxEngine, speech: Speech, ticket: int) -> None:
        super().__init__(engine, speech.lane, ticket)
        self.speech, self.passage = speech, speech.passage
        self.utterance: Utterance | None = None
        self._voice: VoicePrint | None = None
        self._attempt, self._guard = -1, Guard("")
        self._generator = torch.Generator()
        self._live: LiveSound | None = None
        self._heard_at = 0.0  # when the first sound was given (time.monotonic)
        self._given_s = 0.0  # of sound

    @property
    def begun(self) -> bool:
        return self.utterance is not None

    @property
    def active(self) -> bool:
        return self.utterance is None or self.decoding or self.due

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for its first sound."""
        return self.speech.live and self.speech.rank == 0 and not self._given_s

    @property
    def decoding(self) -> bool:
        """Whether tokens are missing."""
        return self.utterance is not None and not self.utterance.over

    @property
    def order(self) -> tuple[float, ...]:
        # A listener's next part is due when what was given has been heard.
        return (self._heard_at + self._given_s if self._given_s else math.inf, self.speech.rank, self.ticket)

    @property
    def due(self) -> bool:
        if self.utterance is None or self.waiting:
            return False
        if self._job is not None or self.utterance.over:
            return True
        return self._live is not None and self._live.ready(len(self.tokens))

    @property
    def tokens(self) -> list[int]:
        """Those said so far that have a sound; the others are marks."""
        assert self.utterance is not None
        return [token for token in self.utterance.tokens if token < CODES]

    def drop(self) -> None:
        super().drop()
        if self.utterance is not None:
            self.utterance.drop()

    def begin(self) -> Outcomes:
        """Learn the voice, take in the text. Raises PlusError."""
        voice = self._voice = self.engine.voice_of(self.speech.reference)
        if not any(c.isalnum() for c in self.passage.text):
            self.over = True
            return [self._outcome(silence(samples_in(_NOTHING_S, RATE)), last=True)]
        if self.speech.live:
            self._live = LiveSound(self.engine, self.speech, voice, self._steps)
        self._say()
        return []

    def check(self) -> Outcomes:
        """After a step of the decoder: what is no speech is said once more with another seed, if nobody has heard it.

        Raises GenerationError the second time.
        """
        utterance = self.utterance
        assert utterance is not None
        if not utterance.over:
            return []
        if utterance.error is not None:
            raise utterance.error
        ended = utterance.stopped or self._guard.runaway is not None
        problem = self._guard.problem(self.tokens) if ended else Runaway.ENDLESS
        if problem is None:
            return []
        if self._attempt + 1 == ATTEMPTS or (self._live is not None and self._live.begun):
            raise GenerationError(
                f"the {self.engine.info.title} could not say “{_shortened(self.passage.text)}”: {problem}. "
                "Another seed, another wording or a clearer recording of the voice may help."
            )
        self._say()
        return []

    def _say(self) -> None:
        engine, passage, voice = self.engine, self.passage, self._voice
        assert voice is not None
        self._attempt += 1
        options: dict[str, Any] = {**engine.family.defaults, **passage.options}
        sampling = Sampling(**{name: options[name] for name in Sampling.__dataclass_fields__ if name in options})
        text = torch.tensor(engine.model.reader.encode(passage.text, passage.language), dtype=torch.long)
        self._guard = Guard(passage.text, fastest=engine.fastest)
        self._generator = torch.Generator().manual_seed(derived_seed(passage.seed, self._attempt))
        hook = engine.on_logits(passage, self._attempt)
        try:
            self.utterance = engine.model.decoder.begin(
                voice.t3, text, sampling, self._generator, self._guard.limit, self._guard, hook
            )
        except ValueError as error:
            raise GenerationError(f"the {engine.info.title} cannot say so much at once: {error}") from error

    @property
    def _steps(self) -> int:
        """Of the sound's decoder."""
        return int(self.passage.options.get("steps", self.engine.family.defaults["steps"]))

    def _next_job(self) -> Job:
        return self._whole() if self._live is None else self._part(self._live)

    def _whole(self) -> Job:
        """Tokens (t,) to sound, drawing on from where the tokens' draws have left the generator, as upstream does."""
        engine, voice = self.engine, self._voice
        assert voice is not None
        tokens = torch.tensor([*self.tokens, *engine.family.tail], device=engine.model.device)
        noise = draw_noise(self._generator, len(tokens), len(voice.flow.tokens), engine.family.meanflow)
        mel = yield Decode((tokens, voice.flow, noise), self._steps)
        samples = spoken(engine, mel, self._generator)
        if engine.family.cut_last and len(tokens) > 1:
            samples = samples[
                :-SAMPLES_PER_TOKEN
            ]  # said just before the stop, with nothing left to say: 40 ms of noise
        if self.passage.watermark:
            samples = yield engine.aside(engine.watermarker.mark, samples, RATE)
        self.over = True
        return [self._outcome(trimmed(samples, RATE), last=True)]

    def _part(self, live: LiveSound) -> Job:
        assert self.utterance is not None
        samples, last = yield from live.part(self.tokens, self.utterance.over)
        self.over = last
        return [self._outcome(samples, last)] if last or len(samples) else []

    def _outcome(self, samples: Samples, last: bool) -> Outcome:
        self._heard_at = self._heard_at or time.monotonic()
        self._given_s += len(samples) / RATE
        words = estimate_words(self.passage.text, self._given_s) if last else ()
        if self.speech.live:
            return Fragment(self.passage.index, Clip(samples, RATE), last, words)
        return Piece(self.passage.index, Clip(samples, RATE), words)


class LiveSound:
    """The sound of a live passage, made in parts: see `live`. Which tokens a part is made of depends on nothing but
    their number, so the samples are the same however busy the machine is."""

    def __init__(self, engine: ChatterboxEngine, speech: Speech, voice: VoicePrint, steps: int) -> None:
        self._engine, self._voice, self._steps = engine, voice, steps
        self._schedule = engine.schedule.behind if speech.rank else engine.schedule
        seed, model = speech.passage.seed, engine.model
        noise = torch.Generator().manual_seed(derived_seed(seed, _FLOW_NOISE))
        self._noise = NoiseTape(noise, model.flow.encoder_proj.out_features, FRAMES_PER_TOKEN * len(voice.flow.tokens))
        self._wave = WaveStream(model.vocoder, torch.Generator().manual_seed(derived_seed(seed, _WAVE_NOISE)))
        self._ends = Ends(RATE)
        self._marks = Marks(engine.watermarker, RATE) if speech.passage.watermark else None
        self._tokens = self._frames = self._samples = 0  # whose sound has been made; of mel, of sound, so far

    @property
    def begun(self) -> bool:
        """Whether sound of it may have been heard."""
        return self._tokens > 0

    def ready(self, tokens: int) -> bool:
        """Whether so many tokens are enough for the next part, if they are not all."""
        return tokens >= self._schedule.after(self._tokens) + LOOK_AHEAD

    def part(self, said: list[int], over: bool) -> Any:
        """A job for the next part of the tokens (t,) said so far -> its samples, and whether it is the last part."""
        family, prompt = self._engine.family, self._voice.flow
        last = over and not self.ready(len(said))
        if not last:
            said = said[: self._schedule.after(self._tokens) + LOOK_AHEAD]
        tokens = torch.tensor([*said, *(family.tail if last else ())], device=self._engine.model.device)
        noise = self._noise.frames(FRAMES_PER_TOKEN * (len(prompt.tokens) + len(tokens)))
        mel = yield Decode((tokens, prompt, noise), self._steps)
        end = mel.shape[1] - (0 if last else FRAMES_PER_TOKEN * LOOK_AHEAD)
        if last and family.cut_last and len(tokens) > 1:
            end = max(self._frames, end - FRAMES_PER_TOKEN)
        wave = self._wave.push(mel[:, self._frames : end], last)
        self._tokens, self._frames = end // FRAMES_PER_TOKEN, end
        samples = self._ends.push(self._faded(wave), last)
        if self._marks is not None and len(samples):
            samples = yield self._engine.aside(self._marks.push, samples)
        return samples, last

    def _faded(self, wave: Tensor) -> Samples:
        fade = fade_in(wave.device)[self._samples :][: len(wave)]
        wave[: len(fade)] *= fade
        self._samples += len(wave)
        samples: Samples = wave.float().cpu().numpy()
        return samples


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59].rstrip() + "…"

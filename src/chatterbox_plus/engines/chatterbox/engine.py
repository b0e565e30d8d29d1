"""The Chatterbox family as an engine: a passage in a voice, a recording in another voice."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chatterbox_plus.audio.clip import Clip, Samples, samples_in, silence
from chatterbox_plus.engines.base import TASKS, Passage, Piece, Reference
from chatterbox_plus.engines.base import Cancelled as IsCancelled
from chatterbox_plus.engines.chatterbox.devices import choose
from chatterbox_plus.engines.chatterbox.ends import trimmed
from chatterbox_plus.engines.chatterbox.families import RATE, describe
from chatterbox_plus.engines.chatterbox.flow import draw_noise
from chatterbox_plus.engines.chatterbox.guard import ATTEMPTS, FASTEST, Guard, Runaway, derived_seed
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.prints import CODES, PrintStore, VoicePrint
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.vocoder import draw_source, fade_in
from chatterbox_plus.engines.chatterbox.watermark import Watermarker
from chatterbox_plus.engines.chatterbox.windows import Windows
from chatterbox_plus.engines.chatterbox.words import estimate_words
from chatterbox_plus.errors import Cancelled, GenerationError, InvalidOption

_SAMPLES_PER_TOKEN = 960  # at RATE: 40 ms
_NOTHING_S = 0.1  # of silence for a text in which nothing can be spoken


class ChatterboxEngine:
    """One model, on one device. The same passage, voice, options and seed give the same audio on the same device."""

    _fastest = FASTEST  # letters a second; random weights are held to no pace

    def __init__(self, info: Mapping[str, Any], files: Mapping[str, str], device: str, prints: str) -> None:
        """info: arguments of `families.describe`. files: role -> path. prints: the folder of all models' voice prints.

        Reads no weights yet. Raises ModelLoadError for a device that is not here or a file that is no weights.
        """
        self.info = describe(**info)
        self._device = choose(device)
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32: cuDNN's own would round to 10 bits
        self._model = Model(info["family"], {role: Path(path) for role, path in files.items()}, self._device)
        self._prints = PrintStore(Path(prints), self.info.revision, self._device)
        self._watermarker = Watermarker()

    @torch.inference_mode()
    def warm(self, tasks: frozenset[str]) -> None:
        """Load all that the tasks need. Raises ModelLoadError, naming file and key."""
        self._model.load(tasks & frozenset(TASKS))

    @torch.inference_mode()
    def speak(self, passage: Passage, reference: Reference | None, cancelled: IsCancelled) -> Piece:
        """Say one passage: mono at 24 kHz, with little silence at its ends. Word times are estimated.

        Raises InvalidAudio for a reference nothing can be learnt from, InvalidOption without any voice, GenerationError
        when the model runs away twice, Cancelled.
        """
        voice = self._voice(reference)
        if not any(c.isalnum() for c in passage.text):
            return Piece(passage.index, Clip(silence(samples_in(_NOTHING_S, RATE)), RATE))
        generator, tokens = self._tokens(passage, voice, cancelled)
        _stop_if(cancelled)
        steps = int(passage.options.get("steps", self._model.family.defaults["steps"]))
        wave = self._wave(tokens, voice, generator, steps, cancelled)
        if self._model.family.cut_last and len(tokens) > 1:
            wave = wave[:-_SAMPLES_PER_TOKEN]  # said just before the stop, with nothing left to say: 40 ms of noise
        samples = trimmed(self._watermarker.mark(wave, RATE) if passage.watermark else wave, RATE)
        return Piece(passage.index, Clip(samples, RATE), estimate_words(passage.text, len(samples) / RATE))

    def convert(
        self,
        blocks: Iterator[Samples],
        rate: int,
        target: Reference,
        chunk_s: float,
        overlap_s: float,
        cancelled: IsCancelled,
        watermark: bool = False,
    ) -> Iterator[Samples]:
        """Say a recording again in the target's voice: mono at 24 kHz, the same length and timing.

        It is worked on in windows of chunk_s and less, cut where it is quiet. The noise that the decoder starts from is
        drawn with a seed of the target: the same recording and target give the same audio.
        Raises InvalidAudio for a target nothing can be learnt from, Cancelled.
        """
        windows = Windows(rate, chunk_s, overlap_s)
        for window in windows.cut(blocks):
            _stop_if(cancelled)
            yield from windows.join(self._converted(window, target, windows.seed(target.digest), cancelled, watermark))
        yield from windows.rest()

    @torch.inference_mode()
    def _converted(
        self, window: Samples, target: Reference, seed: int, cancelled: IsCancelled, watermark: bool
    ) -> Samples:
        """A window at 16 kHz, whole tokens long -> the same at RATE."""
        voice = self._print(target)
        tokens = self._model.speech_tokens(torch.from_numpy(window))
        _stop_if(cancelled)
        generator = torch.Generator().manual_seed(seed)
        wave = self._wave(tokens, voice, generator, int(self._model.family.defaults["steps"]), cancelled)
        return self._watermarker.mark(wave, RATE) if watermark else wave

    def _voice(self, reference: Reference | None) -> VoicePrint:
        if reference is not None:
            return self._print(reference)
        if self._model.default_voice is None:
            raise InvalidOption(
                f"the {self.info.title} came without a voice of its own: name a recording",
                param="reference_audio_filename",
            )
        return self._model.default_voice

    def _print(self, reference: Reference) -> VoicePrint:
        return self._prints.get(reference.digest, lambda: self._model.listen(reference.clip))

    def _tokens(self, passage: Passage, voice: VoicePrint, cancelled: IsCancelled) -> tuple[torch.Generator, Tensor]:
        """The passage as speech tokens, and the generator as drawing them has left it: upstream draws on from there.

        What is no speech is said once more with another seed; a second time it is an error.
        """
        model = self._model
        text = torch.tensor(model.reader.encode(passage.text, passage.language), dtype=torch.long)
        options: dict[str, Any] = {**model.family.defaults, **passage.options}
        sampling = Sampling(**{name: options[name] for name in Sampling.__dataclass_fields__ if name in options})
        problem: str | None = None
        for attempt in range(ATTEMPTS):
            generator = torch.Generator().manual_seed(derived_seed(passage.seed, attempt))
            watch = Guard(passage.text, fastest=self._fastest)
            said = model.t3.generate(
                voice.t3, text, sampling, generator, watch.limit, cancelled, watch, self._on_logits(passage)
            )
            tokens = [token for token in said.tokens if token < CODES]  # the others are marks without a sound
            problem = watch.problem(tokens) if said.stopped or watch.runaway else Runaway.ENDLESS
            if problem is None:
                return generator, torch.tensor([*tokens, *model.family.tail], device=self._device)
        raise GenerationError(
            f"the {self.info.title} could not say “{_shortened(passage.text)}”: {problem}. "
            "Another seed, another wording or a clearer recording of the voice may help."
        )

    def _on_logits(self, passage: Passage) -> Callable[[int, Tensor], Tensor] | None:
        """What may put other logits in place of the model's. Ours never does; tests with random weights do, since
        those hardly ever stop."""
        return None

    def _wave(
        self, tokens: Tensor, voice: VoicePrint, generator: torch.Generator, steps: int, cancelled: IsCancelled
    ) -> Samples:
        """Speech tokens (t,) -> (960 t,) at RATE."""
        model = self._model
        noise = draw_noise(generator, len(tokens), len(voice.flow.tokens), model.family.meanflow)
        mel = model.flow.mel(tokens, voice.flow, noise, steps, lambda: _stop_if(cancelled))
        phase, source = draw_source(generator, mel.shape[1])
        wave = model.vocoder.wave(mel, phase.to(self._device), source.to(self._device))
        fade = fade_in(wave.device)
        wave[: len(fade)] *= fade[: len(wave)]
        samples: Samples = wave.float().cpu().numpy()
        return samples


def _stop_if(cancelled: IsCancelled) -> None:
    if cancelled():
        raise Cancelled("the request was called off")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59].rstrip() + "…"

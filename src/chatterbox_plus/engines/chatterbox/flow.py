"""S3Gen's flow: speech tokens (25 Hz) become a mel spectrogram (50 frames of 80 bands a second) in a given voice.

Noise is moved to speech in a few steps. The ordinary model asks its estimator twice a step, with and without
conditions, and goes further in the direction in which they differ; the meanflow model takes one look and far fewer
steps. The voice's own tokens and mel come first in everything and are cut off at the end.
"""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.conformer import FlowEncoder, frames_mask
from chatterbox_plus.engines.chatterbox.estimator import Estimator

GUIDANCE = 0.7  # how much further than the conditions alone (upstream's inference_cfg_rate)
STEPS, MEANFLOW_STEPS = 10, 2
FRAMES_PER_TOKEN = 2
_TAPE_BLOCK = 64  # frames; another number is other noise


@dataclass(frozen=True, eq=False)
class FlowPrompt:
    """The voice to speak in, as the flow knows it."""

    tokens: Tensor  # (P,) integers, whatever the weights' type
    mel: Tensor  # (2 P, 80); where the recording's last token is missing, a few frames more
    xvector: Tensor  # (192,)


Spoken = tuple[Tensor, FlowPrompt, Tensor]
"""What becomes one mel: tokens (T,), the prompt, noise (80, 2 P + 2 T)."""


class Flow(nn.Module):
    """Keys as under `flow.` of the checkpoints."""

    def __init__(
        self,
        *,
        meanflow: bool = False,
        vocabulary: int = 6561,
        xvector: int = 192,
        size: int = 512,
        mels: int = 80,
        encoder: Mapping[str, int] | None = None,
        estimator: Mapping[str, int] | None = None,
    ) -> None:
        """encoder, estimator: other sizes than the official ones, by the names their constructors have for them."""
        super().__init__()
        self.meanflow, self.mels = meanflow, mels
        self.together = True
        """Whether mels of a batch go through the layers as one. A CPU gains nothing by that, and pays for padding."""
        self.input_embedding = nn.Embedding(vocabulary, size)
        self.spk_embed_affine_layer = nn.Linear(xvector, mels)
        self.encoder = FlowEncoder(size=size, **(encoder or {}))
        self.encoder_proj = nn.Linear(size, mels)
        self.decoder = nn.ModuleDict({"estimator": Estimator(meanflow=meanflow, mels=mels, **(estimator or {}))})

    def mel(
        self,
        tokens: Tensor,
        prompt: FlowPrompt,
        noise: Tensor,
        steps: int | None = None,
        before_step: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Tokens (T,) -> mel (80, 2 T): natural logarithm, 50 frames a second.

        noise: (80, 2 P + 2 T), standard normal. steps: None for the model's own number (10; meanflow 2).
        before_step: called before each; what it raises ends the work.
        Raises ValueError for no token at all, for ids outside the vocabulary, and for noise of another shape.
        """
        return self.mel_batch([(tokens, prompt, noise)], steps, before_step)[0]

    def mel_batch(
        self, batch: Sequence[Spoken], steps: int | None = None, before_step: Callable[[], None] = lambda: None
    ) -> list[Tensor]:
        """Several at once, of any lengths; each (80, 2 T) comes out as it would alone."""
        decoding = self.decoding(batch, steps)
        while True:
            try:
                next(decoding)
            except StopIteration as done:
                mels: list[Tensor] = done.value
                return mels
            before_step()

    def decoding(self, batch: Sequence[Spoken], steps: int | None = None) -> Generator[None, None, list[Tensor]]:
        """`mel_batch` step by step: it encodes and then waits before each step; the mels are what it returns.

        So whoever drives it may do other things in between, or stop: `mels = yield from flow.decoding(batch)`. What
        `mel` raises, the first `next` does.
        """
        groups = [list(batch)] if self.together else [[spoken] for spoken in batch]
        movements = [_Movement(self, group, steps) for group in groups]
        for step in range(len(self.schedule(steps)) - 1):
            yield
            for movement in movements:
                movement.step(step)
        return [mel for movement in movements for mel in movement.mels()]

    def encode(self, tokens: Tensor, prompt: FlowPrompt) -> Tensor:
        """Prompt's and new tokens, encoded: mu (1, 80, 2 P + 2 T). Raises ValueError as `mel` does."""
        return self.encode_batch([(tokens, prompt)])[0]

    def speaker(self, prompts: Sequence[FlowPrompt]) -> Tensor:
        """(B, 80)"""
        weight = self.spk_embed_affine_layer.weight
        done: Tensor = self.spk_embed_affine_layer(F.normalize(torch.stack([p.xvector for p in prompts]).to(weight)))
        return done

    def condition(self, prompts: Sequence[FlowPrompt], mu: Tensor) -> Tensor:
        """The prompts' mels where they are known, zero after them: shaped as mu (B, 80, T)."""
        cond = torch.zeros_like(mu)
        for row, prompt in zip(cond, prompts, strict=True):
            row[:, : len(prompt.mel)] = prompt.mel.T
        return cond

    @property
    def estimator(self) -> Estimator:
        found = self.decoder["estimator"]
        assert isinstance(found, Estimator)
        return found

    def schedule(self, steps: int | None = None) -> Tensor:
        """The times between the steps, 0 ... 1 -> (steps + 1,): even for meanflow, else short steps first."""
        steps = steps or (MEANFLOW_STEPS if self.meanflow else STEPS)
        weight = self.encoder_proj.weight
        even = torch.linspace(0, 1, steps + 1, device=weight.device, dtype=weight.dtype)
        return even if self.meanflow else 1 - torch.cos(even * 0.5 * math.pi)

    def velocity(
        self, x: Tensor, mu: Tensor, t: Tensor, r: Tensor, speaker: Tensor, cond: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Which way and how fast x moves in the step from t to r, each (1,) -> (B, 80, T); guidance included."""
        if self.meanflow:
            return self.estimator(x, mu, t, r, speaker, cond, mask)  # type: ignore[no-any-return]
        mu, speaker, cond = (torch.cat([known, torch.zeros_like(known)]) for known in (mu, speaker, cond))
        masks = None if mask is None else torch.cat([mask, mask])
        told, untold = self.estimator(torch.cat([x, x]), mu, t, None, speaker, cond, masks).chunk(2)
        return (1 + GUIDANCE) * told - GUIDANCE * untold  # type: ignore[no-any-return]

    def encode_batch(self, batch: Sequence[tuple[Tensor, FlowPrompt]]) -> tuple[Tensor, Tensor | None]:
        """mu (B, 80, frames of the longest), and whose frames are its own (B, frames), None when all are."""
        device = self.input_embedding.weight.device
        rows = [torch.cat([prompt.tokens.to(device), tokens.to(device)]) for tokens, prompt in batch]
        counts = [len(row) for row in rows]
        if not all(len(tokens) for tokens, _ in batch):
            raise ValueError("no speech tokens")
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        low, high = ids.aminmax()
        if low < 0 or high >= self.input_embedding.num_embeddings:
            raise ValueError(
                f"speech tokens from {int(low)} to {int(high)}; {self.input_embedding.num_embeddings} exist"
            )
        lengths = None if min(counts) == max(counts) else torch.tensor(counts, device=device)
        features = self.encoder(self.input_embedding(ids), lengths).to(self.encoder_proj.weight)
        mu = self.encoder_proj(features).transpose(1, 2).contiguous()
        mask = None if lengths is None else frames_mask(FRAMES_PER_TOKEN * lengths, mu.shape[2])
        return mu, mask


class _Movement:
    """Some mels on their way from noise to speech."""

    def __init__(self, flow: Flow, batch: Sequence[Spoken], steps: int | None) -> None:
        self._flow, self._times = flow, flow.schedule(steps)
        self._prompts = [prompt for _, prompt, _ in batch]
        self._frames = [FRAMES_PER_TOKEN * (len(prompt.tokens) + len(tokens)) for tokens, prompt, _ in batch]
        self._mu, self._mask = flow.encode_batch([(tokens, prompt) for tokens, prompt, _ in batch])
        self._speaker, self._cond = flow.speaker(self._prompts), flow.condition(self._prompts, self._mu)
        self._x = torch.zeros_like(self._mu)
        for row, (_, _, noise), length in zip(self._x, batch, self._frames, strict=True):
            if noise.shape != (len(row), length):
                raise ValueError(f"noise of shape {tuple(noise.shape)} for {length} frames")
            row[:, :length] = noise

    def step(self, number: int) -> None:
        t, r = self._times[number : number + 1], self._times[number + 1 : number + 2]
        velocity = self._flow.velocity(self._x, self._mu, t, r, self._speaker, self._cond, self._mask)
        self._x = self._x + (r - t) * velocity

    def mels(self) -> list[Tensor]:
        """(80, 2 T) each"""
        ends = zip(self._x, self._prompts, self._frames, strict=True)
        return [row[:, len(prompt.mel) : frames] for row, prompt, frames in ends]


class NoiseTape:
    """Standard normal noise by the frame, for a mel that grows: the first frames stay what they are."""

    def __init__(self, generator: torch.Generator, mels: int, prompt_frames: int) -> None:
        """generator: a CPU one, nobody else's from now on. The prompt's frames come first."""
        self._generator, self._mels = generator, mels
        self._drawn = torch.randn(mels, prompt_frames, generator=generator)

    def frames(self, count: int) -> Tensor:
        """(mels, count), the prompt's frames counted too: the same numbers in whatever steps they are asked for."""
        missing = math.ceil((count - self._drawn.shape[1]) / _TAPE_BLOCK)
        blocks = [torch.randn(self._mels, _TAPE_BLOCK, generator=self._generator) for _ in range(missing)]
        self._drawn = torch.cat([self._drawn, *blocks], dim=1)
        return self._drawn[:, :count]


def draw_noise(generator: torch.Generator, tokens: int, prompt_tokens: int, meanflow: bool, mels: int = 80) -> Tensor:
    """Standard normal noise for `Flow.mel`, (mels, 2 P + 2 T), from a CPU generator in upstream's order of drawing.

    A meanflow model draws what belongs to the new tokens first, then the whole, of which only the prompt's part counts.
    """
    spoken, before = FRAMES_PER_TOKEN * tokens, FRAMES_PER_TOKEN * prompt_tokens
    own = torch.randn(mels, spoken, generator=generator) if meanflow else None
    noise = torch.randn(mels, before + spoken, generator=generator)
    if own is not None:
        noise[:, before:] = own
    return noise

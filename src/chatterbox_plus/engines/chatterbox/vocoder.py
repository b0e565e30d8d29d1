"""S3Gen's vocoder (HiFT): a mel spectrogram, 50 frames a second, becomes the wave at 24 kHz.

The pitch of every frame gives a source of nine harmonics and noise; a stack of convolutions shapes its short spectra by
the mel, and the inverse transform of what comes out is the wave. All of it goes on from block to block, whether the mel
comes at once or bit by bit. Time is the second axis in the stack, (B, T, C).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.continued import Chain, Convolution, Elementwise, Mean, Residual, Sum, Widening
from chatterbox_plus.engines.chatterbox.spectra import BINS, HOP, Samples, Spectra

RATE = 24_000  # Hz
HARMONICS = 9  # the pitch and eight multiples of it
_SINE, _NOISE = 0.1, 0.003  # amplitude of a harmonic; standard deviation of the noise where there is a pitch
_VOICED_HZ = 10
_DILATIONS = (1, 3, 5)

# Mels are shaped block by block: smaller ones stay in a CPU's cache, larger ones cost fewer calls. What is left at the
# end is cut smaller, so that there are few different shapes: for each, oneDNN keeps some memory.
_CPU_BLOCKS, _BLOCKS = (100, 25), (500,)  # frames
# Those of a stream, by their place: sound is wanted soon at first, and later there is more of it ahead.
_STREAM_BLOCKS = (10, 10, 10, 10, 20, 20, 20, 50)  # frames; the last one is repeated
_NOISE_BLOCK = 4800  # samples of a stream's noise that are drawn together; another number is other noise


@lru_cache(maxsize=4)
def fade_in(device: torch.device) -> Tensor:
    """(960,): 20 ms of nothing and 20 ms of rising cosine, for the start of a wave, where the reference still rings."""
    rise = (torch.cos(torch.linspace(math.pi, 0, RATE // 50)) + 1) / 2
    return torch.cat([torch.zeros(RATE // 50), rise]).to(device)


class Snake(nn.Module):
    """x + sin²(alpha x) / alpha, channels last."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """out: where the result goes, or a new tensor."""
        alpha = self.alpha.to(x.dtype)
        done = (x * alpha).sin_()
        done.mul_(done)
        return torch.addcmul(x, done, 1 / (alpha + 1e-9), out=done if out is None else out)


class ResBlock(nn.Module):
    """Three times: what two convolutions make of the input, and the input."""

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()

        def convolutions(dilations: tuple[int, ...]) -> nn.ModuleList:
            reach = (kernel - 1) // 2
            return nn.ModuleList(nn.Conv1d(size, size, kernel, padding=reach * d, dilation=d) for d in dilations)

        self.convs1, self.convs2 = convolutions(_DILATIONS), convolutions((1,) * len(_DILATIONS))
        self.activations1 = nn.ModuleList(Snake(size) for _ in _DILATIONS)
        self.activations2 = nn.ModuleList(Snake(size) for _ in _DILATIONS)


class PitchPredictor(nn.Module):
    def __init__(self, mels: int, size: int) -> None:
        super().__init__()
        layers = []
        for i in range(5):
            layers += [nn.Conv1d(size if i else mels, size, 3, padding=1), nn.ELU(inplace=True)]
        self.condnet, self.classifier = nn.Sequential(*layers), nn.Linear(size, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, F, 80) -> (B, F)"""
        return self.continued().push(mel, last=True).squeeze(-1).abs()

    def continued(self) -> Chain:
        """(B, f, 80) block by block -> (B, n, 1), whose sign means nothing."""
        layers = (Elementwise(layer) if isinstance(layer, nn.ELU) else Convolution(layer) for layer in self.condnet)
        return Chain([*layers, Elementwise(self.classifier)])


class Vocoder(nn.Module):
    """Keys as under `mel2wav.` of the checkpoints, with the weight norm multiplied out (`X.weight`)."""

    def __init__(
        self,
        *,
        mels: int = 80,
        size: int = 512,
        pitch_size: int = 512,
        rates: Sequence[int] = (8, 5, 3),
        kernels: Sequence[int] = (16, 11, 7),
        source_kernels: Sequence[int] = (7, 7, 11),
        block_kernels: Sequence[int] = (3, 7, 11),
    ) -> None:
        """rates: of each up-sampling; their product times 4 are the samples of a frame (`hop`)."""
        super().__init__()
        self.rates = tuple(rates)
        self.spectra = math.prod(rates)  # of the source, in a frame of the mel
        self.hop = self.spectra * HOP
        sizes = [size >> i for i in range(len(rates) + 1)]
        self.f0_predictor = PitchPredictor(mels, pitch_size)
        self.m_source = nn.ModuleDict({"l_linear": nn.Linear(HARMONICS, 1)})
        self.conv_pre = nn.Conv1d(mels, size, 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(sizes[i], sizes[i + 1], kernel, rate, padding=(kernel - rate) // 2)
            for i, (rate, kernel) in enumerate(zip(rates, kernels, strict=True))
        )
        downs = [math.prod(rates[i + 1 :]) for i in range(len(rates))]
        self.source_downs = nn.ModuleList(
            nn.Conv1d(2 * BINS, width, 1 if down == 1 else 2 * down, down, padding=down // 2)
            for down, width in zip(downs, sizes[1:], strict=True)
        )
        self.source_resblocks = nn.ModuleList(map(ResBlock, sizes[1:], source_kernels))
        self.resblocks = nn.ModuleList(ResBlock(width, kernel) for width in sizes[1:] for kernel in block_kernels)
        self.conv_post = nn.Conv1d(sizes[-1], 2 * BINS, 7, padding=3)

    def wave(self, mel: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """mel (80, F), phase (9,) and noise (9, 480 F) as of `draw_source` -> samples (480 F,) at 24 kHz."""
        source = self.source(self.f0(mel[None]), phase[None].to(mel), noise[None].to(mel))
        return self.decode(mel[None], source)[0]

    def wave_batch(self, batch: Sequence[tuple[Tensor, Tensor, Tensor]]) -> list[Tensor]:
        """Several of what `wave` takes, of any lengths, one after the other: each is what it is alone."""
        return [self.wave(*one) for one in batch]

    def f0(self, mel: Tensor) -> Tensor:
        """mel (B, 80, F) -> pitch in Hz of every frame (B, F); below 10 Hz there is none."""
        done: Tensor = self.f0_predictor(mel.transpose(1, 2).contiguous())
        return done

    def source(self, f0: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """Pitch (B, F) in Hz, phase (B, 9) in radians, noise (B, 9, 480 F), standard normal -> source (B, 1, 480 F)."""
        return self.source_from(f0, phase, noise, None)[0]

    def source_from(self, f0: Tensor, phase: Tensor, noise: Tensor, turned: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same for a stretch of a longer pitch, and how far each harmonic has turned at its end (B, 9).

        turned: at the end of the stretch before, None for the first. The sum of the phases is rounded to float32 in
        each sample, as upstream has it on a CPU. Adding up in float64 makes that so on other devices too; MPS has no
        such numbers, and drifts by some thousandths of a turn.
        """
        layer = self.m_source["l_linear"]
        assert isinstance(layer, nn.Linear)
        exact = torch.float32 if f0.device.type == "mps" else torch.float64
        pitch = f0.float().repeat_interleave(self.hop, dim=-1)
        voiced = (pitch > _VOICED_HZ).float()
        hiss = voiced * _NOISE + (1 - voiced) * _SINE / 3
        mixed, ends = torch.zeros_like(pitch), []
        for i in range(HARMONICS):  # one after the other: nine times less memory
            steps = (pitch * (i + 1)).div_(RATE).to(exact)
            if turned is not None:
                steps[:, 0] += turned[:, i]
            turns = steps.cumsum(-1)
            ends.append(turns[:, -1])
            wave = turns.float().remainder_(1).mul_(2 * math.pi).add_(phase[:, i : i + 1]).sin_()
            wave.mul_(_SINE).mul_(voiced).addcmul_(hiss, noise[:, i])
            mixed.add_(wave.mul_(layer.weight[0, i]))
        return mixed.add_(layer.bias).tanh_()[:, None], torch.stack(ends, dim=1)

    def decode(self, mel: Tensor, source: Tensor) -> Tensor:
        """mel (B, 80, F), source (B, 1, 480 F) -> wave (B, 480 F), within ±0.99."""
        spectra, rows = Spectra().push(source[:, 0], last=True), mel.transpose(1, 2).contiguous()
        shaping, samples, pieces = Shaping(self), Samples(), []
        start, frames = 0, rows.shape[1]
        while start < frames:
            sizes = _CPU_BLOCKS if mel.device.type == "cpu" else _BLOCKS
            stop = start + next((size for size in sizes if start + size < frames), frames - start)
            last = stop == frames
            heard = spectra[:, start * self.spectra : stop * self.spectra + last]  # one more than there are steps
            pieces.append(samples.push(shaping.push(rows[:, start:stop], heard, last), last))
            start = stop
        return torch.cat(pieces, dim=1)


def widening(layer: nn.Module) -> nn.Module:
    """A transposed convolution as an ordinary one that makes all frames that come of one at once, side by side.

    Twice as quick although half of its weights are zeros, and it goes on from block to block like any other.
    """
    if not isinstance(layer, nn.ConvTranspose1d):
        return layer  # it was made one before
    size_in, size, kernel = layer.weight.shape
    rate, cut = layer.stride[0], int(layer.padding[0])
    reach = max((rate - 1 + cut) // rate, (kernel - 1 - cut) // rate)  # frames to each side
    made = nn.Conv1d(size_in, rate * size, 2 * reach + 1, padding=reach, device="meta", bias=layer.bias is not None)
    weight = layer.weight.new_zeros(rate, size, size_in, 2 * reach + 1)
    for frame in range(rate):
        for tap in range((frame + cut) % rate, kernel, rate):
            weight[frame, :, :, reach + (frame + cut - tap) // rate] = layer.weight[:, :, tap].T
    made.weight = nn.Parameter(weight.flatten(0, 1), requires_grad=False)
    if layer.bias is not None:
        made.bias = nn.Parameter(layer.bias.repeat(rate), requires_grad=False)
    return made


class Shaping:
    """The stack of convolutions, block by block: mel and the source's spectra -> the wave's spectra."""

    def __init__(self, vocoder: Vocoder) -> None:
        count = len(vocoder.resblocks) // len(vocoder.ups)
        snakes = (module for module in vocoder.resblocks.modules() if isinstance(module, Snake))
        self._stream = next(snakes).alpha.dtype  # of what runs through plain layers
        self._before, self._after = Convolution(vocoder.conv_pre), Convolution(vocoder.conv_post)
        self._ups = [Widening(widening(up), rate) for up, rate in zip(vocoder.ups, vocoder.rates, strict=True)]
        self._sources = [
            Chain([Convolution(down), continued_block(block)])
            for down, block in zip(vocoder.source_downs, vocoder.source_resblocks, strict=True)
        ]
        self._fusions = [Sum(2) for _ in vocoder.ups]
        self._blocks = [
            Mean([continued_block(block) for block in vocoder.resblocks[i * count : (i + 1) * count]])
            for i in range(len(vocoder.ups))
        ]
        self._first: Tensor | None = None
        self._mirrored = False

    def push(self, mel: Tensor, spectra: Tensor, last: bool) -> Tensor:
        """mel (B, f, 80), spectra (B, s, 18) -> logarithms and angles (B, n, 18); see `continued`."""
        x, spectra = self._before.push(mel.to(self._stream), last), spectra.to(self._stream)
        stages = zip(self._ups, self._sources, self._fusions, self._blocks, strict=True)
        for i, (up, source, fusion, blocks) in enumerate(stages):
            x = up.push(F.leaky_relu_(x, 0.1), last)
            if i == len(self._ups) - 1:
                x = self._mirror(x)
            x = blocks.push(fusion.push([source.push(spectra, last), x]), last)
        return self._after.push(F.leaky_relu_(x).float(), last)

    def _mirror(self, x: Tensor) -> Tensor:
        """One spectrum more than the mel gives: the one before the first is the second."""
        if self._mirrored:
            return x
        x = x if self._first is None else torch.cat([self._first, x], dim=1)
        if x.shape[1] < 2:
            self._first = x
            return x[:, :0]
        self._mirrored = True
        return torch.cat([x[:, 1:2], x], dim=1)


def continued_block(block: nn.Module) -> Chain:
    assert isinstance(block, ResBlock)
    layers = zip(block.activations1, block.convs1, block.activations2, block.convs2, strict=True)
    return Chain(
        Residual(Chain([Convolution(conv1, snake1), Convolution(conv2, snake2)]))
        for snake1, conv1, snake2, conv2 in layers
    )


class WaveStream:
    """One mel, in parts that come one by one, becomes one wave; however it is cut, the wave is the same to the bit.

    Each layer goes on where it was (`continued`), so that nothing is computed twice. Blocks are cut by the place in the
    whole. A frame is heard when 20 more are there and its block is complete: at the beginning, 30 at most; see
    _STREAM_BLOCKS.
    """

    def __init__(self, vocoder: Vocoder, generator: torch.Generator) -> None:
        """generator: a CPU one, nobody else's from now on."""
        self._vocoder, self._generator = vocoder, generator
        self._pitch, self._spectra = vocoder.f0_predictor.continued(), Spectra()
        self._shaping, self._samples = Shaping(vocoder), Samples()
        self._phase = _draw_phase(generator)[None]
        self._turned: Tensor | None = None
        self._noise = torch.empty(HARMONICS, 0)
        self._mel: Tensor | None = None
        self._sizes = list(_STREAM_BLOCKS)  # of the blocks to come
        self._ended = False

    def push(self, mel: Tensor, last: bool = False) -> Tensor:
        """The mel's next frames (80, f), and whether they are the last -> the samples (n,) that can be told by then.

        f may be 0. All together they are 480 for each frame. There is no fade-in. Raises ValueError after the last.
        """
        if self._ended:
            raise ValueError("the wave has ended")
        self._ended = last
        rows = mel.T[None]
        waiting = rows if self._mel is None else torch.cat([self._mel, rows], dim=1)
        pieces = [mel.new_empty(0)]
        # What is held is never nothing: the last block is one that knows it.
        while waiting.shape[1] > self._sizes[0]:
            size = self._sizes[0] if len(self._sizes) == 1 else self._sizes.pop(0)
            pieces.append(self._block(waiting[:, :size], last=False))
            waiting = waiting[:, size:]
        if last and waiting.shape[1]:
            pieces.append(self._block(waiting, last=True))
        self._mel = waiting
        return torch.cat(pieces)

    def _block(self, mel: Tensor, last: bool) -> Tensor:
        """(1, f, 80) -> (n,)"""
        mel = mel.contiguous()
        f0 = self._pitch.push(mel, last).squeeze(-1).abs()
        noise = self._take_noise(f0.shape[1] * self._vocoder.hop).to(mel)
        source, self._turned = self._vocoder.source_from(f0, self._phase.to(mel), noise[None], self._turned)
        spectra = self._spectra.push(source[:, 0], last)
        return self._samples.push(self._shaping.push(mel, spectra, last), last)[0]

    def _take_noise(self, count: int) -> Tensor:
        while self._noise.shape[1] < count:
            block = torch.randn(HARMONICS, _NOISE_BLOCK, generator=self._generator)
            self._noise = torch.cat([self._noise, block], dim=1)
        taken, self._noise = self._noise[:, :count], self._noise[:, count:]
        return taken


def _draw_phase(generator: torch.Generator) -> Tensor:
    """(9,), uniform in ±pi but zero for the pitch itself."""
    phase = torch.rand(HARMONICS, generator=generator).mul_(2 * math.pi).sub_(math.pi)
    phase[0] = 0
    return phase


def draw_source(generator: torch.Generator, frames: int, hop: int = 480) -> tuple[Tensor, Tensor]:
    """Phase (9,), uniform in ±pi but zero for the pitch itself, and normal noise (9, 480 F), drawn in upstream's order.

    generator: a CPU one. What upstream draws and never uses is drawn too, so that the next utterance agrees as well.
    """
    phase = _draw_phase(generator)
    noise = torch.randn(HARMONICS, frames * hop, generator=generator)
    torch.randn(frames * hop, generator=generator)
    return phase, noise

"""S3Gen's vocoder (HiFT): a mel spectrogram, 50 frames a second, becomes the wave at 24 kHz.

The pitch of every frame gives a source of nine harmonics and noise; a stack of convolutions shapes its short spectra by
the mel, and the inverse transform of what comes out is the wave. Both transforms are products with small real matrices:
that works on every device, and waits for none. Time is the second axis in the stack, (B, T, C).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.conformer import conv_frames

RATE = 24_000  # Hz
HARMONICS = 9  # the pitch and eight multiples of it
LIMIT = 0.99  # no sample goes beyond
_SINE, _NOISE = 0.1, 0.003  # amplitude of a harmonic; standard deviation of the noise where there is a pitch
_VOICED_HZ = 10
_BINS, _HOP = 9, 4  # of the 16-point transform
_FFT = 2 * (_BINS - 1)
_LOUDEST = 100.0  # of a bin
_DILATIONS = (1, 3, 5)

# A frame of the mel reaches 13.2 frames far. Longer mels are shaped piece by piece, with more than that around each,
# which changes nothing but the memory it takes.
_PIECE, _CONTEXT = 500, 18  # frames


@lru_cache(maxsize=4)
def _window(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.hann_window(_FFT, dtype=torch.float64).to(device, dtype)


@lru_cache(maxsize=4)
def _analysis(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(16, 18): 16 samples times this are the real parts, then the imaginary parts of their windowed spectrum."""
    angle = torch.outer(torch.arange(_FFT), torch.arange(_BINS)).double() * (2 * math.pi / _FFT)
    window = torch.hann_window(_FFT, dtype=torch.float64)[:, None]
    return (torch.cat([angle.cos(), -angle.sin()], dim=1) * window).to(device, dtype)


@lru_cache(maxsize=4)
def _synthesis(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(18, 16): the way back, windowed again and weighed so that four overlapping frames add up to the wave."""
    twice = torch.full((_BINS, 1), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1  # bins that have no mirror image
    overlap = _window(torch.device("cpu"), torch.float64).square().sum() / _HOP
    return (_analysis(torch.device("cpu"), torch.float64).T * twice.repeat(2, 1) / (_FFT * overlap)).to(device, dtype)


@lru_cache(maxsize=4)
def _edges(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What the first and the last four samples, where one of the four frames is missing, have to be raised by."""
    weight = _window(torch.device("cpu"), torch.float64).square()
    overlap = weight.sum() / _HOP
    start, end = overlap / (overlap - weight[-_HOP:]), overlap / (overlap - weight[:_HOP])
    return start.to(device, dtype), end.to(device, dtype)


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

    def forward(self, x: Tensor) -> Tensor:
        done = (x * self.alpha).sin_()
        done.mul_(done)
        return torch.addcmul(x, done, 1 / (self.alpha + 1e-9), out=done)


class ResBlock(nn.Module):
    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()

        def convolutions(dilations: tuple[int, ...]) -> nn.ModuleList:
            reach = (kernel - 1) // 2
            return nn.ModuleList(nn.Conv1d(size, size, kernel, padding=reach * d, dilation=d) for d in dilations)

        self.convs1, self.convs2 = convolutions(_DILATIONS), convolutions((1,) * len(_DILATIONS))
        self.activations1 = nn.ModuleList(Snake(size) for _ in _DILATIONS)
        self.activations2 = nn.ModuleList(Snake(size) for _ in _DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        for snake1, conv1, snake2, conv2 in zip(
            self.activations1, self.convs1, self.activations2, self.convs2, strict=True
        ):
            x = conv_frames(conv2, snake2(conv_frames(conv1, snake1(x)))).add_(x)
        return x


class PitchPredictor(nn.Module):
    def __init__(self, mels: int, size: int) -> None:
        super().__init__()
        layers = []
        for i in range(5):
            layers += [nn.Conv1d(size if i else mels, size, 3, padding=1), nn.ELU(inplace=True)]
        self.condnet, self.classifier = nn.Sequential(*layers), nn.Linear(size, 1)

    def forward(self, mel: Tensor) -> Tensor:
        done: Tensor = self.classifier(self.condnet(mel).transpose(1, 2)).squeeze(-1).abs()
        return done


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
        self.spectra = math.prod(rates)  # of the source, in a frame of the mel
        self.hop = self.spectra * _HOP
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
            nn.Conv1d(2 * _BINS, width, 1 if down == 1 else 2 * down, down, padding=down // 2)
            for down, width in zip(downs, sizes[1:], strict=True)
        )
        self.source_resblocks = nn.ModuleList(map(ResBlock, sizes[1:], source_kernels))
        self.resblocks = nn.ModuleList(ResBlock(width, kernel) for width in sizes[1:] for kernel in block_kernels)
        self.conv_post = nn.Conv1d(sizes[-1], 2 * _BINS, 7, padding=3)

    def wave(self, mel: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """mel (80, F), phase (9,) and noise (9, 480 F) as of `draw_source` -> samples (480 F,) at 24 kHz."""
        source = self.source(self.f0(mel[None]), phase[None].to(mel), noise[None].to(mel))
        return self.decode(mel[None], source)[0]

    def f0(self, mel: Tensor) -> Tensor:
        """mel (B, 80, F) -> pitch in Hz of every frame (B, F); below 10 Hz there is none."""
        done: Tensor = self.f0_predictor(mel)
        return done

    def source(self, f0: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """Pitch (B, F) in Hz, phase (B, 9) in radians, noise (B, 9, 480 F), standard normal -> source (B, 1, 480 F).

        The sum of the phases is rounded to float32 in each sample, as upstream has it on a CPU. Adding up in float64
        makes that so on other devices too; MPS has no such numbers, and drifts by some thousandths of a turn.
        """
        layer = self.m_source["l_linear"]
        assert isinstance(layer, nn.Linear)
        exact = torch.float32 if f0.device.type == "mps" else torch.float64
        pitch = f0.float().repeat_interleave(self.hop, dim=-1)
        voiced = (pitch > _VOICED_HZ).float()
        hiss = voiced * _NOISE + (1 - voiced) * _SINE / 3
        mixed = torch.zeros_like(pitch)
        for i in range(HARMONICS):  # one after the other: nine times less memory
            turns = (pitch * (i + 1)).div_(RATE).cumsum(-1, dtype=exact).float().remainder_(1)
            wave = turns.mul_(2 * math.pi).add_(phase[:, i : i + 1]).sin_().mul_(_SINE).mul_(voiced)
            mixed.add_(wave.addcmul_(hiss, noise[:, i]).mul_(layer.weight[0, i]))
        return mixed.add_(layer.bias).tanh_()[:, None].to(f0.dtype)

    def decode(self, mel: Tensor, source: Tensor) -> Tensor:
        """mel (B, 80, F), source (B, 1, 480 F) -> wave (B, 480 F), within ±0.99."""
        frames = mel.shape[2]
        around = F.pad(source, (_FFT // 2, _FFT // 2), mode="reflect")[:, 0].unfold(1, _FFT, _HOP)
        spectra = around @ _analysis(mel.device, mel.dtype)  # (B, 120 F + 1, 18)
        if frames <= _PIECE + 2 * _CONTEXT:
            return _resynthesize(self._shape(mel, spectra))
        size = math.ceil(frames / math.ceil(frames / _PIECE))
        pieces = []
        for start in range(0, frames, size):
            stop = min(start + size, frames)
            left, right = max(0, start - _CONTEXT), min(frames, stop + _CONTEXT)
            done = self._shape(mel[..., left:right], spectra[:, left * self.spectra : right * self.spectra + 1])
            last = int(stop == frames)  # one spectrum more than there are steps between them
            pieces.append(done[:, (start - left) * self.spectra : (stop - left) * self.spectra + last])
        return _resynthesize(torch.cat(pieces, dim=1))

    def _shape(self, mel: Tensor, spectra: Tensor) -> Tensor:
        """mel (B, 80, F), the source's spectra (B, 120 F + 1, 18) -> logarithms and angles (B, 120 F + 1, 18)."""
        x = conv_frames(self.conv_pre, mel.transpose(1, 2).contiguous())
        fusions = zip(self.ups, self.source_downs, self.source_resblocks, strict=True)
        count = len(self.resblocks) // len(self.ups)
        for i, (up, down, blend) in enumerate(fusions):
            assert isinstance(up, nn.ConvTranspose1d)
            x = _widen(up, F.leaky_relu_(x, 0.1))
            fused = blend(conv_frames(down, spectra))
            if i == len(self.ups) - 1:  # one spectrum more than the mel gives: the one before the first is the second
                fused[:, 0] += x[:, 1]
                fused[:, 1:] += x
            else:
                fused += x
            del x
            first, *others = self.resblocks[i * count : (i + 1) * count]
            x = first(fused)
            for block in others:
                x += block(fused)
            x /= count
        return conv_frames(self.conv_post, F.leaky_relu_(x))


def _widen(layer: nn.ConvTranspose1d, x: Tensor) -> Tensor:
    """(B, T, C) -> (B, rate * T, C'), as `conv_frames` does it."""
    image, weight = x.transpose(1, 2).unsqueeze(2), layer.weight.unsqueeze(2)
    done = F.conv_transpose2d(image, weight, layer.bias, (1, layer.stride[0]), (0, int(layer.padding[0])))
    return done.squeeze(2).transpose(1, 2)


def _resynthesize(shaped: Tensor) -> Tensor:
    """Logarithms of magnitudes, and angles whose sine is the phase (B, T, 18) -> wave (B, 4 (T - 1))."""
    size, phase = shaped[..., :_BINS].exp().clamp_(max=_LOUDEST), shaped[..., _BINS:].sin()
    parts = torch.cat([size * phase.cos(), size * phase.sin()], dim=-1)
    batch, count, _ = parts.shape
    overlap = _FFT // _HOP
    pieces = (parts @ _synthesis(parts.device, parts.dtype)).view(batch, count, overlap, _HOP)
    wave = pieces.new_zeros(batch, count + overlap - 1, _HOP)
    for i in range(overlap):
        wave[:, i : i + count] += pieces[:, :, i]
    wave = wave[:, 2:-2]  # the transform's frames are centred: half a frame on both sides is not ours
    start, end = _edges(wave.device, wave.dtype)
    wave[:, 0] *= start
    wave[:, -1] *= end
    return wave.flatten(1).clamp_(-LIMIT, LIMIT)


def draw_source(generator: torch.Generator, frames: int, hop: int = 480) -> tuple[Tensor, Tensor]:
    """Phase (9,), uniform in ±pi but zero for the pitch itself, and normal noise (9, 480 F), drawn in upstream's order.

    generator: a CPU one. What upstream draws and never uses is drawn too, so that the next utterance agrees as well.
    """
    phase = torch.rand(HARMONICS, generator=generator).mul_(2 * math.pi).sub_(math.pi)
    phase[0] = 0
    noise = torch.randn(HARMONICS, frames * hop, generator=generator)
    torch.randn(frames * hop, generator=generator)
    return phase, noise

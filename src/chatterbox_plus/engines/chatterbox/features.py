"""What the networks hear of a recording: five spectra, and the resampler that one of them was trained behind.

Everywhere: `wave` is float32 mono (n,) in [-1, 1], `wave16` at 16 000 Hz, `wave24` at 24 000 Hz. Results are float32,
on the wave's device. Windows and filter banks have the sizes the official networks were trained with; a checkpoint's
own copies of them (`tokenizer._mel_filters`, `tokenizer.window`) are not needed.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from chatterbox_plus.errors import InvalidAudio

VOICE_RATE, PROMPT_RATE = (
    16_000,
    24_000,
)  # Hz: what the voice encoder, x-vector and tokens hear; what the prompt mel hears
_FBANK_WINDOW, _FBANK_HOP, _FBANK_FFT = 400, 160, 512  # samples at 16 kHz
_FBANK_FLOOR = torch.finfo(torch.float32).eps  # Kaldi's floor under each band's energy


def resample(wave: Tensor, source: int, target: int) -> Tensor:
    """(n,) at `source` Hz -> (ceil(n * target / source),) at `target` Hz, as torchaudio's Resample does by default.

    A plainer filter than `audio.resample`'s, and the one S3Gen was trained behind: its tokens and its x-vector come
    from the prompt at 24 kHz, brought to 16 kHz here.
    """
    if source == target:
        return wave
    divisor = math.gcd(source, target)
    source, target = source // divisor, target // divisor
    kernels, reach = _sinc_kernels(source, target, wave.device)
    padded = F.pad(wave, (reach, reach + source))
    samples = F.conv1d(padded[None, None], kernels, stride=source)  # (1, target, blocks of `source` samples)
    return samples.transpose(1, 2).reshape(-1)[: -(-wave.shape[0] * target // source)]


@lru_cache(16)
def _sinc_kernels(source: int, target: int, device: torch.device) -> tuple[Tensor, int]:
    """(target, 1, taps): a filter per sample that `source` samples become; and how far the taps reach to the left.

    torchaudio's constants: a sinc cut off at 0.99 of the lower Nyquist frequency, under a squared cosine that ends at
    the sixth zero crossing.
    """
    crossings, cutoff = 6, 0.99 * min(source, target)
    reach = math.ceil(crossings * source / cutoff)
    starts, taps = torch.arange(target, dtype=torch.float64), torch.arange(-reach, reach + source, dtype=torch.float64)
    phase = ((taps / source - starts[:, None, None] / target) * cutoff).clamp(-crossings, crossings)
    kernels = torch.sinc(phase) * torch.cos(phase * (math.pi / crossings / 2)).square() * (cutoff / source)
    return kernels.float().to(device), reach


def prompt_mel(wave24: Tensor) -> Tensor:
    """(n,) at 24 kHz -> (n // 480, 80): natural log of the mel magnitudes, 0 to 8 kHz, floor 1e-5. S3Gen's prompt.

    Raises InvalidAudio for less than one frame (20 ms).
    """
    size, hop = 1920, 480
    _require(wave24, hop)
    power = _power(_reflected(wave24, (size - hop) // 2), size, hop)
    mel = _mel_filters(PROMPT_RATE, size, 80, wave24.device) @ (power + 1e-9).sqrt()
    return mel.clamp_min(1e-5).log().T


def s3_log_mel(wave16: Tensor) -> Tensor:
    """(n,) at 16 kHz -> (128, n // 160): log10 of the mel power, at most 8 below its loudest, then (x + 4) / 4.

    What S3 tokens are made from. Raises InvalidAudio for less than one frame (10 ms).
    """
    size, hop = 400, 160
    _require(wave16, hop)
    power = _power(_reflected(wave16, size // 2), size, hop)[:, :-1]  # trained without the frame centred on the end
    log = (_mel_filters(VOICE_RATE, size, 128, wave16.device) @ power).clamp_min(1e-10).log10()
    return (log.maximum(log.max() - 8.0) + 4.0) / 4.0


def voice_mel(wave16: Tensor) -> Tensor:
    """(n,) at 16 kHz, n >= 1 -> (1 + n // 160, 40): mel power, no logarithm. For the voice encoder."""
    size, hop = 400, 160
    _require(wave16, 1)
    return (_mel_filters(VOICE_RATE, size, 40, wave16.device) @ _power(_reflected(wave16, size // 2), size, hop)).T


def kaldi_fbank(wave16: Tensor) -> Tensor:
    """(n,) at 16 kHz -> (1 + (n - 400) // 160, 80): Kaldi's log mel energies, mean not yet taken off. For the x-vector.

    Kaldi's defaults without dither: each frame without its mean, pre-emphasis 0.97, Povey's window, 20 Hz to 8 kHz.
    Raises InvalidAudio for less than one frame (25 ms).
    """
    _require(wave16, _FBANK_WINDOW)
    frames = wave16.unfold(0, _FBANK_WINDOW, _FBANK_HOP)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat((frames[:, :1], frames[:, :-1]), 1)
    spectrum = torch.fft.rfft((frames - 0.97 * before) * _povey_window(wave16.device), n=_FBANK_FFT)
    return (_square(spectrum) @ _kaldi_filters(wave16.device)).clamp_min(_FBANK_FLOOR).log()


def trim_silence(wave: Tensor, top_db: float = 20.0) -> Tensor:
    """(n,) -> (m,), a view: without what lies at the ends `top_db` or more below the loudest moment.

    Moments are 2048 samples long, 512 apart, and centred, zeros beyond the ends, as librosa.effects.trim has them.
    Silence all through is left as it is.
    """
    size, hop = 2048, 512
    power = F.pad(wave.square(), (size // 2, size // 2)).unfold(0, size, hop).mean(1).clamp_min(1e-10)
    loud = torch.nonzero(power > power.max() * 10 ** (-top_db / 10))[:, 0].tolist()
    return wave[loud[0] * hop : (loud[-1] + 1) * hop]


def _require(wave: Tensor, least: int) -> None:
    if wave.shape[0] < least:
        raise InvalidAudio(
            f"the recording of the voice is too short: {wave.shape[0]} samples, where {least} are needed"
        )


def _reflected(wave: Tensor, margin: int) -> Tensor:
    """(n,) -> (n + 2 * margin,): mirrored at both ends, back and forth where the wave is shorter than the margin."""
    length = wave.shape[0]
    if length > margin:
        return F.pad(wave[None], (margin, margin), mode="reflect")[0]
    period = max(2 * (length - 1), 1)
    place = torch.arange(-margin, length + margin, device=wave.device) % period
    return wave[place.minimum(period - place)]


def _power(wave: Tensor, size: int, hop: int) -> Tensor:
    """(n,) -> (size // 2 + 1, frames): power under a Hann window of `size` samples every `hop`; no padding."""
    window = _hann_window(size, wave.device)
    return _square(torch.stft(wave, size, hop, window=window, center=False, return_complex=True))


def _square(spectrum: Tensor) -> Tensor:
    parts: Tensor = torch.view_as_real(spectrum)
    return parts[..., 0].square() + parts[..., 1].square()


# The tables below are rounded to float32 where torch, torchaudio and librosa round them: in a clean recording's gaps,
# under the logarithm, the last bit of a window is 2e-4 of the largest value.


@lru_cache(16)
def _hann_window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size).to(device)


@lru_cache(4)
def _povey_window(device: torch.device) -> Tensor:
    """(400,): a symmetric Hann window to the power of 0.85."""
    return torch.hann_window(_FBANK_WINDOW, periodic=False).pow(0.85).to(device)


@lru_cache(16)
def _mel_filters(rate: int, size: int, bands: int, device: torch.device) -> Tensor:
    """(bands, size // 2 + 1): triangles of equal area from 0 to 8 kHz, evenly spaced on Slaney's mel scale.

    librosa's default, from Slaney's Auditory Toolbox: 3 mels in 200 Hz up to 1 kHz, then 27 for each factor of 6.4.
    """
    knee, knee_mel, octave = 1000.0, 15.0, 27 / math.log(6.4)
    mels = torch.linspace(0.0, knee_mel + octave * math.log(8000.0 / knee), bands + 2, dtype=torch.float64)
    edges = torch.where(mels < knee_mel, mels * 200 / 3, knee * torch.exp((mels - knee_mel) / octave))
    triangles = _triangles(torch.linspace(0.0, rate / 2, size // 2 + 1, dtype=torch.float64), edges)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float().to(device)


@lru_cache(4)
def _kaldi_filters(device: torch.device) -> Tensor:
    """(257, 80): triangles of height 1 from 20 Hz to 8 kHz, evenly spaced in mels of 1127 ln(1 + f / 700)."""
    low, high = (1127.0 * math.log(1.0 + hz / 700.0) for hz in (20.0, VOICE_RATE / 2))
    edges = low + torch.arange(80 + 2) * ((high - low) / (80 + 1))
    places = 1127.0 * torch.log(1.0 + torch.arange(_FBANK_FFT // 2 + 1) * (VOICE_RATE / _FBANK_FFT) / 700.0)
    return _triangles(places, edges).T.to(device)


def _triangles(places: Tensor, edges: Tensor) -> Tensor:
    """(bins,), (bands + 2,) -> (bands, bins): each rises from one edge to the next and falls to the third."""
    rise = (places - edges[:-2, None]) / edges.diff()[:-1, None]
    fall = (edges[2:, None] - places) / edges.diff()[1:, None]
    return rise.minimum(fall).clamp_min(0.0)

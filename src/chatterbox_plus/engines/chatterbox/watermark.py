"""Perth's implicit watermark (MIT, Resemble AI): a mark nobody hears and its detector finds.

The package `resemble-perth` is needed for its weights alone. Its code wants torchaudio, librosa and an old setuptools
and does not import beside a current PyTorch for CPUs; its small networks are written out here instead, equal to it.
This module imports no torch and no av, so that a server, and `--help`, can ask `installed`.

Constants, from Perth's `hparams.yaml` and `audio_processor.py`: spectra of 2048 samples every 320 at 32 kHz, a Hann
window; levels of -180 to 15 dB as 0 to 1; the mark lies in the 128 bands up to 2 kHz.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.errors import MissingExtra

if TYPE_CHECKING:
    from torch import Tensor, nn

RATE, HOP, FFT_SIZE = 32_000, 320, 2048
BANDS, HIDDEN = 128, 256
_FLOOR, _FLOOR_DB, _RANGE_DB = 1e-9, -180.0, 195.0
_SOUND = 0.05  # a frame has sound, and takes the mark, from this part of the loudest frame's summed levels
_SPEEDS = (("slow", 1.25), ("normal", 1.0), ("fast", 0.75))  # at which the detector listens; names as in the weights
_WEIGHTS = Path("perth_net", "pretrained", "implicit", "perth_net_250000.pth.tar")


def installed() -> bool:
    """Whether watermarks can be made here. Imports nothing."""
    return _weights() is not None


class Watermarker:
    """Marks what it is given and finds the mark again; on the CPU. The same samples give the same result."""

    def __init__(self) -> None:
        self._loaded: dict[str, nn.Module] = {}

    def mark(self, samples: Samples, rate: int) -> Samples:
        """(n,) at `rate` Hz -> the same with the mark added, (n,); digital silence stays as it is.

        Raises MissingExtra, ModelLoadError for damaged weights.
        """
        import torch

        from chatterbox_plus.audio.resample import resample

        encoder = self._part("encoder.layers", BANDS, BANDS)
        if not len(samples):
            return samples
        with torch.inference_mode():
            window = torch.hann_window(FFT_SIZE)
            spectrum = _spectrum(samples, rate, window)
            levels = _levels(spectrum)
            residual_db = encoder(levels[None, :BANDS])[0] * _has_sound(levels) * _RANGE_DB
            # Perth turns the whole marked spectrum into sound. Here only what it adds is: the speech itself is never
            # resampled, and nothing changes above the mark's bands.
            change = torch.zeros_like(spectrum)
            change[:BANDS] = spectrum[:BANDS] * (10 ** (residual_db / 20) - 1)
            added = torch.istft(change, FFT_SIZE, HOP, window=window).numpy()
        marked: Samples = samples + resample(added, RATE, rate)[: len(samples)]
        return marked

    def confidence(self, samples: Samples, rate: int) -> float:
        """How sure the detector is that (n,) at `rate` Hz is marked, 0..1; 0 for silence. All of it is held in memory.

        Raises as `mark` does.
        """
        import torch
        from torch.nn.functional import interpolate

        layers = [(self._part(f"decoder.{name}_layers", BANDS, 2), speed) for name, speed in _SPEEDS]
        with torch.inference_mode():
            levels = _levels(_spectrum(samples, rate, torch.hann_window(FFT_SIZE)))
            sound, bands = _has_sound(levels)[None, None], levels[None, :BANDS]
            if not sound.any():
                return 0.0
            heard = []
            for net, speed in layers:
                size = int(bands.shape[2] * speed)
                out = net(interpolate(bands, size=size, mode="linear", align_corners=True))[0]
                weight = interpolate(sound, size=size, mode="nearest")[0]
                heard.append((out * weight).sum(1) / weight.sum())
            attention, marks = torch.stack(heard, 1)
            return float((attention.softmax(0) * marks).sum().clip(0.0, 1.0))

    def _part(self, name: str, inputs: int, outputs: int) -> nn.Module:
        """One of the networks by its name in the weights, read on first use."""
        if name not in self._loaded:
            import torch

            from chatterbox_plus.engines.chatterbox.checkpoint import Weights, fill

            if (path := _weights()) is None:
                raise MissingExtra(
                    "watermarks need an extra package: pip install 'chatterbox-plus[watermark]'",
                    param="disable_watermark",
                )
            with torch.device("meta"):
                net = _convolutions(inputs, outputs)
            fill(net, Weights(path), f"model.{name}.", device=torch.device("cpu"), dtype=torch.float32)
            self._loaded[name] = net
        return self._loaded[name]


def _weights() -> Path | None:
    spec = find_spec("perth")
    folders = (spec and spec.submodule_search_locations) or ()
    return next((path for folder in folders if (path := Path(folder) / _WEIGHTS).is_file()), None)


def _convolutions(inputs: int, outputs: int) -> nn.Module:
    """(1, inputs, frames) -> (1, outputs, frames)."""
    from torch import nn

    def conv(i: int, o: int, k: int) -> nn.Sequential:
        net = nn.Sequential()
        net.add_module("conv", nn.Conv1d(i, o, k, padding=k // 2))
        return net

    hidden = [conv(inputs, HIDDEN, 1), *(conv(HIDDEN, HIDDEN, 7) for _ in range(5))]
    for net in hidden:
        net.append(nn.LeakyReLU())
    return nn.Sequential(*hidden, conv(HIDDEN, outputs, 1))


def _spectrum(samples: Samples, rate: int, window: Tensor) -> Tensor:
    """(n,) at `rate` Hz, n > 0 -> (1025, frames), zeros after the end up to whole hops and a few frames at least."""
    import torch

    from chatterbox_plus.audio.resample import resample

    sound = resample(samples, rate, RATE)
    padding = max(FFT_SIZE, len(sound) + -len(sound) % HOP) - len(sound)
    return torch.stft(
        torch.from_numpy(np.pad(sound, (0, padding))),
        FFT_SIZE,
        HOP,
        window=window,
        pad_mode="reflect",
        return_complex=True,
    )


def _levels(spectrum: Tensor) -> Tensor:
    return (20 * spectrum.abs().clip(_FLOOR).log10() - _FLOOR_DB) / _RANGE_DB


def _has_sound(levels: Tensor) -> Tensor:
    """(1025, frames) -> (frames,): 1 or 0."""
    sums = levels.sum(0)
    return (sums > _SOUND * sums.max()).float()

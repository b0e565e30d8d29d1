"""Who is speaking, for T3: a recording becomes one direction in 256 dimensions. (CorentinJ/Real-Time-Voice-Cloning)"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.features import trim_silence, voice_mel

_WINDOW, _STEP = 160, 77  # mel frames of 10 ms: how much is heard at a time, and 1.3 times a second
_COVERAGE = 0.8  # a last window counts if the recording fills this much of it
_BATCH = 32  # windows at a time: memory stays flat however long the recording


class VoiceEncoder(nn.Module):
    """Keys `lstm.*` and `proj.*`, as in the official `ve` files; `similarity_*` belongs to training."""

    def __init__(self, *, bands: int = 40, width: int = 256) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bands, width, num_layers=3, batch_first=True)
        self.proj = nn.Linear(width, width)

    def embed(self, wave16: Tensor) -> Tensor:
        """(n,) at 16 kHz -> (256,), L2 norm 1: the mean over windows of 1.6 s, silence at the ends left out.

        Silence that teaches nothing gives zeros, not NaN. Raises InvalidAudio if there are no samples.
        """
        mel = voice_mel(trim_silence(wave16.to(self.proj.weight.device, torch.float32)))
        windows = _windows(mel.to(self.proj.weight.dtype))
        each = torch.cat([self(batch) for batch in torch.split(windows, _BATCH)])
        return F.normalize(each.mean(0).float(), dim=0)

    def forward(self, windows: Tensor) -> Tensor:
        """(windows, frames, bands) of mel power -> (windows, width), each of L2 norm 1, no number negative."""
        _, (state, _) = self.lstm(windows)
        return F.normalize(F.relu(self.proj(state[-1])), dim=1)


def _windows(mel: Tensor) -> Tensor:
    """(frames, bands), frames >= 1 -> (windows, 160, bands): every 77 frames; the last may end in zeros."""
    count, left = divmod(max(mel.shape[0] - _WINDOW + _STEP, 0), _STEP)
    if count == 0 or left + _WINDOW - _STEP >= _COVERAGE * _WINDOW:
        count += 1
    length = _WINDOW + _STEP * (count - 1)
    return F.pad(mel, (0, 0, 0, length - mel.shape[0])).unfold(0, _WINDOW, _STEP).transpose(1, 2)

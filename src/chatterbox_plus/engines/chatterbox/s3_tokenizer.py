"""Speech as numbers: 25 S3 tokens a second, each one of 6561. (S3TokenizerV2 of CosyVoice 2)"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.features import s3_log_mel

TOKEN_RATE = 25  # a second
FRAMES_PER_TOKEN = 4  # mel frames of 10 ms
_LEVELS, _DIMENSIONS = 3, 8  # a token is 8 digits of base 3
_SHRINK = 0.9990000128746033  # keeps tanh's ends inside the outer levels; the number in the exported network
_WINDOW, _OVERLAP = 3000, 400  # mel frames: the network hears 30 s at a time; neighbours share 4 s
_STRIDE = _WINDOW - _OVERLAP
_BATCH = 4  # windows at a time: memory stays flat however long the recording


class S3Tokenizer(nn.Module):
    """Keys `encoder.*` and `quantizer.*`, as under `tokenizer.` in the official `s3gen` files."""

    def __init__(self, *, bands: int = 128, width: int = 1280, heads: int = 20, layers: int = 6) -> None:
        super().__init__()
        self.encoder = _Encoder(bands, width, heads, layers)
        self.quantizer = nn.ModuleDict({"_codebook": _Codebook(width)})

    def encode(self, wave16: Tensor, max_tokens: int | None = None) -> Tensor:
        """(n,) at 16 kHz -> (tokens,) int64 in [0, 6561): a token per 40 ms begun, of the first `max_tokens` if given.

        Over 30 s it is heard in windows; where two overlap, the first half is the earlier one's.
        Raises InvalidAudio below 10 ms.
        """
        weight = self.encoder.conv1.weight
        mel = s3_log_mel(wave16.to(weight.device, torch.float32)).to(weight.dtype)
        if max_tokens is not None:
            mel = mel[:, : FRAMES_PER_TOKEN * max_tokens]
        if mel.shape[1] <= _WINDOW:
            return self._one(mel)
        windows = mel.unfold(1, _WINDOW, _STRIDE).transpose(0, 1)
        pieces = [piece for batch in torch.split(windows, _BATCH) for piece in self(batch)]
        # The rest, 4 to 30 s, is one window. From 26 s on, s3tokenizer begins another inside it; joining the two, it
        # drops 2 s of each, though they share less than 4 s: up to 2 s of speech are lost. Not here.
        pieces.append(self._one(mel[:, _STRIDE * len(pieces) :]))
        half = _OVERLAP // FRAMES_PER_TOKEN // 2
        return torch.cat([pieces[0][:-half], *(piece[half:-half] for piece in pieces[1:-1]), pieces[-1][half:]])

    def _one(self, mel: Tensor) -> Tensor:
        tokens: Tensor = self(mel[None])[0]
        return tokens

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, bands, frames), all of them heard -> (batch, ceil(frames / 4)) int64."""
        tokens: Tensor = self.quantizer["_codebook"](self.encoder(mel))
        return tokens


class _Codebook(nn.Module):
    """Finite scalar quantisation: there is no book, the digits are the code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_down = nn.Linear(width, _DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        digits: Tensor = (self.project_down(x).float().tanh() * _SHRINK).round().long() + 1
        return (digits * _LEVELS ** torch.arange(_DIMENSIONS, device=x.device)).sum(-1)


class _Encoder(nn.Module):
    def __init__(self, bands: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(bands, width, 3, stride=2, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(layers))
        self.head_width = width // heads

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, bands, frames) -> (batch, ceil(frames / 4), width)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        turn = _rotations(x.shape[1], self.head_width, x.device, x.dtype)
        for block in self.blocks:
            x = block(x, turn)
        return x


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = _Attention(width, heads)
        self.attn_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self.attn(self.attn_ln(x), turn)
        out: Tensor = x + self.mlp(self.mlp_ln(x))
        return out


class _Attention(nn.Module):
    """Attention with rotary positions, and beside it a memory: a filter over the values' 31 neighbours in time."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.fsmn_block = nn.Conv1d(width, width, 31, padding=15, groups=width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        value = self.value(x)
        memory = self.fsmn_block(value.transpose(1, 2)).transpose(1, 2) + value
        query, key = (_rotated(self._split(linear(x)), turn) for linear in (self.query, self.key))
        heard = F.scaled_dot_product_attention(query, key, self._split(value))
        out: Tensor = self.out(heard.transpose(1, 2).flatten(2)) + memory
        return out

    def _split(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> (batch, heads, time, width / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _rotated(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    (left, right), (cos, sin) = x.chunk(2, -1), turn
    return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)


@lru_cache(8)
def _rotations(time: int, width: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (time, width / 2), of rotary positions with base 10 000."""
    speeds = 1.0 / 10_000 ** (torch.arange(0, width, 2, device=device).float() / width)
    angles = torch.outer(torch.arange(time, device=device).float(), speeds)
    return angles.cos().to(dtype), angles.sin().to(dtype)

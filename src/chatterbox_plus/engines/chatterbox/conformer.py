"""S3Gen's encoder: speech tokens at 25 Hz become features at the mel's 50 Hz.

Time is the second axis in here, (B, T, C): linear layers and norms want it so, and `conv_frames` convolves it in place.
All attention looks at everything, in both directions. Rows of a batch may be padded on the right: each comes out as it
would alone.
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Queries looked at together: their scores of T keys stay small however long the text is, and a short block needs few
# more relative positions than there are keys (T + 256 instead of 2 T).
_QUERIES = 256


def conv_frames(layer: nn.Module, x: Tensor, left: int = 0, right: int = 0) -> Tensor:
    """A convolution over (B, T, C), after `left` and `right` frames of silence were put around it -> (B, T', C').

    The layer's own padding, stride and dilation count too.
    """
    assert isinstance(layer, nn.Conv1d)
    if left or right:
        x = F.pad(x, (0, 0, left, right))
    # As an image one pixel high the frames already lie "channels last": no copy, and on a CPU the quicker kernel.
    image = x.transpose(1, 2).unsqueeze(2)
    padding, stride, dilation = int(layer.padding[0]), layer.stride[0], layer.dilation[0]
    done = F.conv2d(image, layer.weight.unsqueeze(2), layer.bias, (1, stride), (0, padding), (1, dilation))
    return done.squeeze(2).transpose(1, 2)


def frames_mask(lengths: Tensor, width: int) -> Tensor:
    """Lengths (B,) -> bool (B, width), True where a row has a frame of its own."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


@lru_cache(maxsize=4)
def _positions(reach: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sinusoids of the distances reach - 1 ... -(reach - 1), query minus key -> (2 * reach - 1, size)."""
    distance = torch.arange(reach - 1, -reach, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, size, 2, dtype=torch.float32) * -(math.log(10000.0) / size))
    table = torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], dim=-1)
    return table.flatten(1).to(device, dtype)


def _positions_for(x: Tensor) -> Tensor:
    """The part of the table that (B, T, C) needs -> (2 T - 1, C)."""
    frames = x.shape[1]
    reach = max(1024, 1 << (frames - 1).bit_length())  # few different tables, so that they stay in the cache
    return _positions(reach, x.shape[2], x.device, x.dtype)[reach - frames : reach + frames - 1]


class RelativeAttention(nn.Module):
    """Attention whose scores also depend on how far apart two frames are (Transformer-XL's, in ESPnet's form)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear_q, self.linear_k = nn.Linear(size, size), nn.Linear(size, size)
        self.linear_v, self.linear_out = nn.Linear(size, size), nn.Linear(size, size)
        self.linear_pos = nn.Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, size // heads))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, C), positions (2 T - 1, C), mask: bool (B, 1, 1, T), True for keys that count -> (B, T, C)."""
        batch, frames, size = x.shape
        split = (batch, frames, self.heads, -1)
        query = self.linear_q(x).view(split)
        key, value = (linear(x).view(split).transpose(1, 2) for linear in (self.linear_k, self.linear_v))
        by_content = (query + self.pos_bias_u).transpose(1, 2)
        by_place = (query + self.pos_bias_v).mul_((size // self.heads) ** -0.5).transpose(1, 2)
        place = self.linear_pos(positions).view(-1, self.heads, size // self.heads).permute(1, 2, 0)  # (H, D, 2 T - 1)

        done = torch.empty_like(query)
        for start in range(0, frames, _QUERIES):
            stop = min(start + _QUERIES, frames)
            # Row i of `scores` holds every distance that any query of this block has to a key; its own begin one
            # column earlier in each row, so a view with a shorter row stride is the matrix of queries against keys.
            scores = by_place[:, :, start:stop] @ place[..., frames - stop : 2 * frames - 1 - start]
            rows, width = scores.shape[-2:]
            strides = (*scores.stride()[:2], width - 1, 1)
            bias = scores.as_strided((batch, self.heads, rows, frames), strides, rows - 1)
            if mask is not None:
                bias = bias.masked_fill(~mask, -math.inf)
            block = F.scaled_dot_product_attention(by_content[:, :, start:stop], key, value, attn_mask=bias)
            done[:, start:stop] = block.transpose(1, 2)
        out: Tensor = self.linear_out(done.flatten(2))
        return out


class FeedForward(nn.Module):
    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(size, inner), nn.Linear(inner, size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.w_2(F.silu(self.w_1(x), inplace=True))
        return out


class EncoderLayer(nn.Module):
    def __init__(self, size: int, heads: int, inner: int) -> None:
        super().__init__()
        self.self_attn, self.feed_forward = RelativeAttention(size, heads), FeedForward(size, inner)
        self.norm_mha, self.norm_ff = nn.LayerNorm(size, eps=1e-12), nn.LayerNorm(size, eps=1e-12)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        x = self.self_attn(self.norm_mha(x), positions, mask).add_(x)
        out: Tensor = self.feed_forward(self.norm_ff(x)).add_(x)
        return out


class Embed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(size, size), nn.LayerNorm(size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(x).mul_(math.sqrt(x.shape[-1]))
        return out


class LookAhead(nn.Module):
    """Lets every token know the three that follow."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(size, size, 4), nn.Conv1d(size, size, 3)

    def forward(self, x: Tensor) -> Tensor:
        ahead = F.leaky_relu(conv_frames(self.conv1, x, right=3))
        return conv_frames(self.conv2, ahead, left=2) + x


class Upsample(nn.Module):
    """Every frame twice, then smoothed without looking ahead."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(size, size, 5)

    def forward(self, x: Tensor) -> Tensor:
        return conv_frames(self.conv, x.repeat_interleave(2, dim=1), left=4)


class FlowEncoder(nn.Module):
    """Keys as under `flow.encoder.` of the checkpoints."""

    def __init__(
        self, *, size: int = 512, heads: int = 8, inner: int = 2048, layers: int = 6, up_layers: int = 4
    ) -> None:
        super().__init__()
        self.embed, self.up_embed = Embed(size), Embed(size)
        self.pre_lookahead_layer, self.up_layer = LookAhead(size), Upsample(size)
        self.encoders = nn.ModuleList(EncoderLayer(size, heads, inner) for _ in range(layers))
        self.up_encoders = nn.ModuleList(EncoderLayer(size, heads, inner) for _ in range(up_layers))
        self.after_norm = nn.LayerNorm(size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Embedded tokens (B, T, size) -> features (B, 2 T, size).

        lengths: tokens of each row (B,); None when nothing is padded. What follows a row's end in the result is noise.
        """
        mask = None if lengths is None else frames_mask(lengths, x.shape[1])
        x = self.embed(x)
        if mask is not None:
            # Upstream leaves the bias of `embed` in the padding, where the last tokens look ahead into it.
            x = x * mask[..., None]
        x = _run(self.encoders, self.pre_lookahead_layer(x), mask)
        x = self.up_embed(self.up_layer(x))
        x = _run(self.up_encoders, x, None if mask is None else mask.repeat_interleave(2, dim=1))
        done: Tensor = self.after_norm(x)
        return done


def _run(layers: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    positions, keys = _positions_for(x), None if mask is None else mask[:, None, None]
    for layer in layers:
        x = layer(x, positions, keys)
    return x

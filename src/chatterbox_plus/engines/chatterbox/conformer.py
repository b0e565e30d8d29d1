"""S3Gen's encoder: speech tokens at 25 Hz become features at the mel's 50 Hz.

Time is the second axis in here, (B, T, C): linear layers and norms want it so, and `conv_frames` convolves it in place.
All attention looks at everything, in both directions. Rows of a batch may be padded on the right: each comes out as it
would alone.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.lowered import attend

# Queries looked at together where that is not a matter of caches: their scores of T keys stay small however long the
# text is, and a short block needs few more relative positions than there are keys (T + 256 instead of 2 T).
_QUERIES = 256


def conv_frames(layer: nn.Module, x: Tensor, left: int = 0, right: int = 0, padding: int | None = None) -> Tensor:
    """A convolution over (B, T, C), after `left` and `right` frames of silence were put around it -> (B, T', C').

    layer: nn.Conv1d or what `flow_modes` has made of one; its stride and dilation count too, and so does its padding
    unless another is given.
    """
    if left or right:
        x = F.pad(x, (0, 0, left, right))
    if not isinstance(layer, nn.Conv1d):
        done: Tensor = layer(x, padding)
        return done
    # As an image one pixel high the frames already lie "channels last": no copy, and on a CPU the quicker kernel.
    image = x.transpose(1, 2).unsqueeze(2)
    beside = int(layer.padding[0]) if padding is None else padding
    weight, stride, dilation = layer.weight.unsqueeze(2), layer.stride[0], layer.dilation[0]
    convolved = F.conv2d(image, weight, layer.bias, (1, stride), (0, beside), (1, dilation))
    return convolved.squeeze(2).transpose(1, 2)


def conv_single(layer: nn.Module, x: Tensor) -> Tensor:
    """A convolution with a kernel of 1 over (B, T, C): a linear layer."""
    if isinstance(layer, nn.Conv1d):
        return F.linear(x, layer.weight[..., 0], layer.bias)
    done: Tensor = layer(x)
    return done


def joined(layers: Sequence[nn.Module]) -> nn.Linear:
    """Linear layers of the same input as a single one, whose output is theirs one after the other."""
    found = [layer for layer in layers if isinstance(layer, nn.Linear)]
    made = nn.Linear(1, 1, bias=found[0].bias is not None, device="meta")
    made.in_features, made.out_features = found[0].in_features, sum(layer.out_features for layer in found)
    made.weight = nn.Parameter(torch.cat([layer.weight for layer in found]), requires_grad=False)
    if made.bias is not None:
        made.bias = nn.Parameter(torch.cat([layer.bias for layer in found]), requires_grad=False)
    return made


def frames_mask(lengths: Tensor, width: int) -> Tensor:
    """Lengths (B,) -> bool (B, width), True where a row has a frame of its own."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


@lru_cache(maxsize=2)
def _positions(reach: int, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sinusoids of the distances reach - 1 ... -(reach - 1), query minus key -> (2 * reach - 1, size)."""
    distance = torch.arange(reach - 1, -reach, -1, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, size, 2, dtype=torch.float32) * -(math.log(10000.0) / size))
    table = torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], dim=-1)
    return table.flatten(1).to(device, dtype)


def _reach(frames: int) -> int:
    """How far a table for so many frames goes: there are few different ones."""
    return max(1024, 1 << (frames - 1).bit_length())


class RelativeAttention(nn.Module):
    """Attention whose scores also depend on how far apart two frames are (Transformer-XL's, in ESPnet's form)."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.size, self.heads = size, heads
        self.linear_q, self.linear_k = nn.Linear(size, size), nn.Linear(size, size)
        self.linear_v, self.linear_out = nn.Linear(size, size), nn.Linear(size, size)
        self.linear_pos = nn.Linear(size, size, bias=False)
        self.pos_bias_u = nn.Parameter(torch.zeros(heads, size // heads))
        self.pos_bias_v = nn.Parameter(torch.zeros(heads, size // heads))
        self.linear_qkv: nn.Module | None = None
        self.attends_in: torch.dtype | None = None
        """The type of the scores; None for the layers' own."""
        self._places: Tensor | None = None

    def join(self) -> None:
        """One layer for queries, keys and values instead of three."""
        self.linear_qkv = joined([self.linear_q, self.linear_k, self.linear_v])
        del self.linear_q, self.linear_k, self.linear_v

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, C), mask: bool (B, 1, 1, T), True for keys that count -> (B, T, C)."""
        joint = None if self.linear_qkv is None else self.linear_qkv(x).to(self.attends_in).chunk(3, dim=-1)
        parts = joint or (self.linear_q(x), self.linear_k(x), self.linear_v(x))
        query, key, value = (part.unflatten(-1, (self.heads, -1)) for part in parts)
        scale = (self.size // self.heads) ** -0.5
        by_content = ((query + self.pos_bias_u) * scale).to(query.dtype)
        by_place = ((query + self.pos_bias_v) * scale).to(query.dtype)
        place = self._place(x, query.dtype)
        attended = _attend_on_cpu if x.device.type == "cpu" else _attend_at_once
        out: Tensor = self.linear_out(attended(by_content, by_place, key, value, place, mask))
        return out

    def _place(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """What `linear_pos` makes of the distances T - 1 ... -(T - 1), query minus key -> (H, D, 2 T - 1).

        It depends on nothing but weights and T: it is kept, for the greatest T so far.
        """
        frames = x.shape[1]
        reach = _reach(frames)
        if self._places is None or self._places.shape[2] < 2 * reach - 1 or self._places.dtype != dtype:
            table = self.linear_pos(_positions(reach, self.size, x.device, self.linear_pos.weight.dtype)).to(dtype)
            self._places = table.unflatten(1, (self.heads, -1)).permute(1, 2, 0).contiguous()
        middle = self._places.shape[2] // 2
        return self._places[..., middle - frames + 1 : middle + frames]


def _shifted(scores: Tensor, frames: int) -> Tensor:
    """Scores of a block of Q queries, (..., Q, T + Q - 1), by distance -> by key, (..., Q, T); a view.

    Row i holds every distance that any query of the block has to a key; its own begin one column earlier in each row,
    so a view with a shorter row stride is the matrix of queries against keys.
    """
    rows, width = scores.shape[-2:]
    begin = scores.storage_offset() + rows - 1
    return scores.as_strided((*scores.shape[:-1], frames), (*scores.stride()[:-2], width - 1, 1), begin)


def _attend_on_cpu(
    by_content: Tensor, by_place: Tensor, key: Tensor, value: Tensor, place: Tensor, mask: Tensor | None
) -> Tensor:
    """All but place (H, D, 2 T - 1) and mask as (B, T, H, D) -> (B, T, H * D)."""
    frames = key.shape[1]

    def bias(row: int, head: int, start: int, stop: int) -> Tensor:
        distances = place[head, :, frames - stop : 2 * frames - 1 - start]
        return _shifted(torch.mm(by_place[row, start:stop, head], distances), frames)

    return attend(by_content, key, value, mask, bias)


def _attend_at_once(
    by_content: Tensor, by_place: Tensor, key: Tensor, value: Tensor, place: Tensor, mask: Tensor | None
) -> Tensor:
    """The same in as few operations as possible."""
    frames = key.shape[1]
    by_content, by_place, key, value = (part.transpose(1, 2) for part in (by_content, by_place, key, value))
    blocks = []
    for start in range(0, frames, _QUERIES):
        stop = min(start + _QUERIES, frames)
        bias = _shifted(by_place[:, :, start:stop] @ place[..., frames - stop : 2 * frames - 1 - start], frames)
        if mask is not None:
            bias = bias.masked_fill(~mask, -math.inf)
        queries = by_content[:, :, start:stop]
        blocks.append(F.scaled_dot_product_attention(queries, key, value, attn_mask=bias, scale=1.0))
    return torch.cat(blocks, dim=2).transpose(1, 2).flatten(2)


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

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.norm_mha(x), mask)
        out: Tensor = x + self.feed_forward(self.norm_ff(x))
        return out


class Embed(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(size, size), nn.LayerNorm(size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(x).to(x.dtype).mul_(math.sqrt(x.shape[-1]))
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
        stream = self.after_norm.weight.dtype  # of what runs through the layers, each of which adds to it
        x = self.embed(x.to(stream))
        if mask is not None:
            # Upstream leaves the bias of `embed` in the padding, where the last tokens look ahead into it.
            x = x * mask[..., None]
        x = _run(self.encoders, self.pre_lookahead_layer(x), mask)
        x = self.up_embed(self.up_layer(x).to(stream))
        x = _run(self.up_encoders, x, None if mask is None else mask.repeat_interleave(2, dim=1))
        done: Tensor = self.after_norm(x)
        return done


def _run(layers: nn.ModuleList, x: Tensor, mask: Tensor | None) -> Tensor:
    keys = None if mask is None else mask[:, None, None]
    for layer in layers:
        x = layer(x, keys)
    return x

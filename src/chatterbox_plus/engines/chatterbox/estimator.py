"""S3Gen's estimator: which way a noisy mel has to move to become speech, given what is said and who says it.

A U-net without any down-sampling: 14 stages, each a causal convolution block and four transformer blocks. Convolutions
look to the left only and everything else but attention works frame by frame, so a mask of the keys is all that a batch
padded on the right needs; without padding there is none at all. Time is the second axis in here: (B, T, C).
"""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.conformer import conv_frames, conv_single, joined
from chatterbox_plus.engines.chatterbox.lowered import attend

_TIME_SCALE = 1000  # times 0 ... 1 are embedded as 0 ... 1000


@lru_cache(maxsize=4)
def _frequencies(count: int, device: torch.device) -> Tensor:
    steps = torch.arange(count, dtype=torch.float32)
    return torch.exp(steps * -(math.log(10000) / (count - 1))).to(device)


class TimeEmbedding(nn.Module):
    def __init__(self, size_in: int, size: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(size_in, size), nn.Linear(size, size)

    def forward(self, t: Tensor) -> Tensor:
        """Times in 0 ... 1 (N,) -> (N, size)."""
        weight = self.linear_1.weight
        angle = (_TIME_SCALE * t.float())[:, None] * _frequencies(weight.shape[1] // 2, t.device)
        waves = torch.cat([angle.sin(), angle.cos()], dim=-1).to(weight.dtype)
        out: Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return out


class CausalBlock(nn.Module):
    """Convolution over a frame and the two before it, norm, Mish."""

    def __init__(self, size_in: int, size: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv1d(size_in, size, 3), nn.Identity(), nn.LayerNorm(size))

    @property
    def norm_type(self) -> torch.dtype:
        norm = self.block[2]
        assert isinstance(norm, nn.LayerNorm)
        return norm.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        conv, _, norm = self.block  # upstream turns axes around in between
        return F.mish(norm(conv_frames(conv, x, left=2)), inplace=True)


class ResnetBlock(nn.Module):
    def __init__(self, size_in: int, size: int, time_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(time_size, size))
        self.block1, self.block2 = CausalBlock(size_in, size), CausalBlock(size, size)
        self.res_conv = nn.Conv1d(size_in, size, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, T, size_in), time (1 or B, time_size) -> (B, T, size)."""
        h = self.block1(x)
        h.add_(self.mlp(time)[:, None])
        out: Tensor = conv_single(self.res_conv, x).to(x.dtype) + self.block2(h)
        return out


class Attention(nn.Module):
    def __init__(self, size: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, head_size**-0.5
        self.to_q, self.to_k, self.to_v = (nn.Linear(size, heads * head_size, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(heads * head_size, size))
        self.to_qkv: nn.Module | None = None
        self.attends_in: torch.dtype | None = None
        """The type of `lowered.attend`; None for PyTorch's own attention, which gains nothing by bfloat16 on a CPU."""

    def join(self) -> None:
        """One layer for queries, keys and values instead of three."""
        self.to_qkv = joined([self.to_q, self.to_k, self.to_v])
        del self.to_q, self.to_k, self.to_v

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        joint = None if self.to_qkv is None else self.to_qkv(x).to(self.attends_in).chunk(3, dim=-1)
        parts = joint or (self.to_q(x), self.to_k(x), self.to_v(x))
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in parts)
        if self.attends_in is not None:
            attended = attend(q * self.scale, k, v, keys)
        else:
            q, k, v = (part.transpose(1, 2) for part in (q, k, v))
            attended = F.scaled_dot_product_attention(q, k, v, attn_mask=keys).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out(attended)
        return out


class Widened(nn.Module):
    """A linear layer and GELU; its name in the checkpoint is `proj`."""

    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(size, inner)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.proj(x))


class FeedForward(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(Widened(size, 4 * size), nn.Identity(), nn.Linear(4 * size, size))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return out


class TransformerBlock(nn.Module):
    def __init__(self, size: int, heads: int, head_size: int) -> None:
        super().__init__()
        self.norm1, self.attn1 = nn.LayerNorm(size), Attention(size, heads, head_size)
        self.norm3, self.ff = nn.LayerNorm(size), FeedForward(size)

    def forward(self, x: Tensor, keys: Tensor | None) -> Tensor:
        x = x + self.attn1(self.norm1(x), keys)
        out: Tensor = x + self.ff(self.norm3(x))
        return out


class Stage(nn.ModuleList):
    """A resnet block, transformer blocks and, in the outer stages, a convolution, which is not this module's to run."""

    def forward(self, x: Tensor, time: Tensor, keys: Tensor | None) -> Tensor:
        """x (B, T, C), time (1 or B, time_size), keys: bool (B, 1, 1, T) or None for all -> (B, T, size)."""
        x = self[0](x, time)
        for block in self.get_submodule("1").children():
            x = block(x, keys)
        return x


class Estimator(nn.Module):
    """Keys as under `flow.decoder.estimator.` of the checkpoints.

    meanflow: the distilled model, which knows where a step ends and not only where it begins.
    """

    def __init__(
        self,
        *,
        meanflow: bool = False,
        mels: int = 80,
        size: int = 256,
        heads: int = 8,
        head_size: int = 64,
        blocks: int = 4,
        mid_stages: int = 12,
    ) -> None:
        super().__init__()
        time_size = 4 * size

        def stage(size_in: int, *after: nn.Module) -> Stage:
            transformer = nn.ModuleList(TransformerBlock(size, heads, head_size) for _ in range(blocks))
            return Stage([ResnetBlock(size_in, size, time_size), transformer, *after])

        self.time_mlp = TimeEmbedding(4 * mels, time_size)
        self.time_embed_mixer = nn.Linear(2 * time_size, time_size, bias=False) if meanflow else None
        self.down_blocks = nn.ModuleList([stage(4 * mels, nn.Conv1d(size, size, 3))])
        self.mid_blocks = nn.ModuleList(stage(size) for _ in range(mid_stages))
        self.up_blocks = nn.ModuleList([stage(2 * size, nn.Conv1d(size, size, 3))])
        self.final_block = CausalBlock(size, size)
        self.final_proj = nn.Conv1d(size, mels, 1)

    def forward(
        self,
        x: Tensor,
        mu: Tensor,
        t: Tensor,
        r: Tensor | None,
        speaker: Tensor,
        cond: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The velocity at time t (for a meanflow model: on average from t to r) -> (B, 80, T).

        x: the noisy mel (B, 80, T); mu: what the encoder made of the tokens (B, 80, T); cond: the prompt's mel, zero
        after it (B, 80, T); speaker (B, 80); t, r: times 0 ... 1, (1,) or (B,); mask: bool (B, T), True for frames that
        are a row's own, None when nothing is padded. The result is zero in the padding.
        Raises ValueError when a meanflow model is not told r.
        """
        time = self.time_mlp(t)
        if self.time_embed_mixer is not None:
            if r is None:
                raise ValueError("a meanflow estimator needs the time at which the step ends")
            time = self.time_embed_mixer(torch.cat([time, self.time_mlp(r)], dim=1))
        keys = None if mask is None else mask[:, None, None]

        everywhere = speaker[:, None].expand(-1, x.shape[2], -1)
        stream = self.final_block.norm_type  # of what runs through the blocks, each of which adds to it
        h = torch.cat([x.transpose(1, 2), mu.transpose(1, 2), everywhere, cond.transpose(1, 2)], dim=2).to(stream)
        (down,), (up,) = self.down_blocks, self.up_blocks
        skip = down(h, time, keys)
        h = conv_frames(down.get_submodule("2"), skip, left=2).to(stream)
        for stage in self.mid_blocks:
            h = stage(h, time, keys)
        h = up(torch.cat([h, skip], dim=2), time, keys)
        h = conv_frames(up.get_submodule("2"), h, left=2)

        h = conv_single(self.final_proj, self.final_block(h)).to(x.dtype)
        return (h if mask is None else h * mask[..., None]).transpose(1, 2)

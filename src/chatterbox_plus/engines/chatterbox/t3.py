"""T3, the token model: a voice and text tokens in, speech tokens out, 25 a second.

Sizes and constants: upstream's `t3_config.py`, `tts.py`, `tts_turbo.py`. What the backbone sees, position by position:
Llama: speaker, 32 for the prompt, mood; START text STOP, with their places; BOS twice, both in the first place; speech,
with its places. GPT-2: speaker, prompt, text, BOS, speech.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.backbone import Linear, fused, split_heads
from chatterbox_plus.engines.chatterbox.gpt2 import Gpt2
from chatterbox_plus.engines.chatterbox.llama import Llama
from chatterbox_plus.engines.chatterbox.matrices import EXACT

START_TEXT, STOP_TEXT = 255, 0
BOS, STOP = 6561, 6562  # of speech
_QUERIES, _QUERY_HEADS = 32, 4


@dataclass(frozen=True)
class T3Sizes:
    """hidden, text_positions and speech_positions are Llama's only, positions is GPT-2's only."""

    backbone: Literal["llama", "gpt2"]
    text_vocab: int
    speech_vocab: int
    dim: int
    layers: int
    heads: int
    hidden: int = 4096
    text_positions: int = 2050
    speech_positions: int = 4100
    positions: int = 8196
    speaker: int = 256


ENGLISH = T3Sizes("llama", 704, 8194, dim=1024, layers=30, heads=16)
TURBO = T3Sizes("gpt2", 50276, 6563, dim=1024, layers=24, heads=16)
SIZES: Mapping[str, T3Sizes] = MappingProxyType(
    {
        "english": ENGLISH,
        "multilingual": replace(ENGLISH, text_vocab=2454),
        "turbo": TURBO,
        "nano": replace(TURBO, dim=768, layers=12, heads=12),
    }
)


@dataclass(frozen=True, eq=False)
class T3Voice:
    """What the token model hears of a voice: speaker (256,) of the voice encoder, prompt_tokens (n,), also none."""

    speaker: Tensor
    prompt_tokens: Tensor


class Places(nn.Module):
    """A learned vector for every place in a sequence."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(count, dim)

    def forward(self, start: int, count: int) -> Tensor:
        """-> (count, dim)"""
        return self.emb.weight[start : start + count]


class Attention(nn.Module):
    """One block is used twice by the perceiver; what it adds to is not normalised."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.to_q, self.to_k, self.to_v, self.proj_out = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        near, far = self.norm(x), self.norm(seen)
        parts = (self.to_q(near), self.to_k(far), self.to_v(far))
        queries, keys, values = (split_heads(part, _QUERY_HEADS) for part in parts)
        heard = F.scaled_dot_product_attention(queries, keys, values)
        return x + self.proj_out(heard.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Perceiver(nn.Module):
    """A prompt of any length (1, n, dim) -> (1, 32, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pre_attention_query = nn.Parameter(torch.empty(1, _QUERIES, dim))
        self.attn = Attention(dim)

    def forward(self, prompt: Tensor) -> Tensor:
        heard = self.attn(self.pre_attention_query, prompt)
        out: Tensor = self.attn(heard, heard)
        return out


class VoiceInput(nn.Module):
    def __init__(self, sizes: T3Sizes) -> None:
        super().__init__()
        self.spkr_enc = nn.Linear(sizes.speaker, sizes.dim)
        if sizes.backbone == "llama":
            self.emotion_adv_fc = nn.Linear(1, sizes.dim, bias=False)
            self.perceiver = Perceiver(sizes.dim)


class T3(nn.Module):
    """Either family. Callers hold `torch.inference_mode()`."""

    def __init__(self, sizes: T3Sizes = ENGLISH) -> None:
        super().__init__()
        self.sizes, self.llama, dim = sizes, sizes.backbone == "llama", sizes.dim
        self.tfmr: Llama | Gpt2
        if self.llama:
            self.tfmr = Llama(dim, sizes.layers, sizes.heads, sizes.hidden)
            self.text_pos_emb = Places(sizes.text_positions, dim)
            self.speech_pos_emb = Places(sizes.speech_positions, dim)
        else:
            self.tfmr = Gpt2(dim, sizes.layers, sizes.heads, sizes.positions)
        self.cond_enc = VoiceInput(sizes)
        self.text_emb, self.speech_emb = nn.Embedding(sizes.text_vocab, dim), nn.Embedding(sizes.speech_vocab, dim)
        self.speech_head: nn.Module = Linear(dim, sizes.speech_vocab, bias=not self.llama)

    @property
    def device(self) -> torch.device:
        return self.speech_emb.weight.device

    def settle(self, mode: str = EXACT) -> None:
        """After loading: bring the weights into the form they are used in. mode: one of `matrices.modes`."""
        self.tfmr.settle(mode)
        assert isinstance(self.speech_head, Linear)
        self.speech_head = fused(self.speech_head, mode=mode)

    def condition(self, voice: T3Voice, exaggeration: float = 0.5) -> Tensor:
        """What is said of the voice: (1, 34, dim) for Llama, (1, 1 + prompt, dim) for GPT-2 (without exaggeration)."""
        weight = self.cond_enc.spkr_enc.weight
        parts = [self.cond_enc.spkr_enc(voice.speaker.to(weight.dtype).view(1, 1, -1))]
        if voice.prompt_tokens.numel():
            prompt = self.embed_speech(voice.prompt_tokens, 0)
            parts.append(self.cond_enc.perceiver(prompt) if self.llama else prompt)
        if self.llama:
            parts.append(self.cond_enc.emotion_adv_fc(weight.new_full((1, 1, 1), exaggeration)))
        return torch.cat(parts, 1)

    def embed_text(self, text_tokens: Tensor, *, guided: bool = False) -> Tensor:
        """Ids (n,) without START and STOP -> (1, n, dim), for Llama (1, n + 2, dim).

        guided: a second row with the places but without the words. Raises ValueError for more text than places.
        """
        if not self.llama:
            out: Tensor = self.text_emb(text_tokens)[None]
            return out
        framed = F.pad(F.pad(text_tokens, (1, 0), value=START_TEXT), (0, 1), value=STOP_TEXT)
        if len(framed) > self.sizes.text_positions:
            raise ValueError(f"no places for {len(text_tokens)} text tokens, only {self.sizes.text_positions - 2}")
        places = self.text_pos_emb(0, len(framed))
        words = self.text_emb(framed) + places
        return torch.stack([words, places]) if guided else words[None]

    def embed_speech(self, tokens: Tensor, place: int) -> Tensor:
        """Ids (n,), the first in a place (GPT-2 has none) -> (1, n, dim)."""
        embedded: Tensor = self.speech_emb(tokens)
        return (embedded + self.speech_pos_emb(place, len(tokens)) if self.llama else embedded)[None]

    def inputs(self, voice: T3Voice, text_tokens: Tensor, exaggeration: float = 0.5, *, guided: bool = False) -> Tensor:
        """All that comes before the speech (rows, n, dim). guided: two rows, with the text and without; Llama only.

        voice, text_tokens (n,): on the model's device. Raises ValueError for more text than the model has places.
        """
        text = self.embed_text(text_tokens, guided=guided)
        bos = self.embed_speech(text_tokens.new_tensor([BOS]), 0)
        begin = [bos, bos] if self.llama else [bos]  # twice: so upstream speaks, so the weights expect it
        parts = [self.condition(voice, exaggeration), text, *begin]
        return torch.cat([part.expand(len(text), -1, -1) for part in parts], 1)

    def logits(self, inputs: Tensor, speech_tokens: Tensor) -> Tensor:
        """What the model would say after each of n given tokens, and before: (rows, n + 1, speech_vocab)."""
        said = self.embed_speech(speech_tokens, 1)
        rows = [self.tfmr(torch.cat([row[None], said], 1), [self.tfmr.context()]) for row in inputs]
        out: Tensor = self.speech_head(torch.cat(rows)[:, inputs.shape[1] - 1 :])
        return out

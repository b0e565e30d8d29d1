"""`sampling` for many rows at once, by tensor operations alone: nothing here waits for the device or asks the host.

Filters give every row what `sampling`'s functions give it alone. A draw is another one than torch.multinomial's: its
random numbers are a hash of the row's seed, the number of its token and the id, so they do not depend on who else is
drawing, and need no state.
"""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

BROKEN = -1
"""In place of an id: the row's logits were no numbers."""

# splitmix64 (Steele, Lea and Flood 2014), its constants as signed integers; products wrap around.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64


@dataclass(frozen=True, eq=False)
class RowOptions:
    """`sampling.Sampling` of b rows: each a tensor (b,), top_k of integers, the others float32."""

    temperature: Tensor
    top_p: Tensor
    top_k: Tensor
    min_p: Tensor
    repetition_penalty: Tensor
    cfg_weight: Tensor


def guided(logits: Tensor, weights: Tensor) -> Tensor:
    """(b, 1 or 2, v), with the text and without it; weights (b,) -> (b, v). At weight 0 the second is not looked at."""
    told = logits[:, 0]
    if logits.shape[1] == 1:
        return told
    further = told + weights[:, None] * (told - logits[:, 1])
    return torch.where(weights[:, None] > 0, further, told)


def llama_scores(logits: Tensor, said: Tensor, options: RowOptions, *, ranked: bool) -> Tensor:
    """logits (b, v), said: bool (b, v), True for ids that were said -> scores (b, v), -inf: never.

    ranked: whether any row asks for what needs the ids in order; False is quicker and the same where none does. Scores
    of rows at temperature 0 are good for their maximum only.
    """
    scores = _penalised(logits, said, options.repetition_penalty) / _heat(options)
    chances = scores.softmax(-1)
    scores = scores.masked_fill(chances < options.min_p[:, None] * chances.amax(-1, keepdim=True), -inf)
    return _nucleus(scores, *scores.sort(-1), _top_p(options)) if ranked else scores


def gpt2_scores(logits: Tensor, said: Tensor, options: RowOptions, *, ranked: bool) -> Tensor:
    """As `llama_scores`."""
    scores = logits / _heat(options)
    if ranked:
        ordered, order = scores.sort(-1)
        count, wanted = scores.shape[1], options.top_k
        last = ordered.gather(1, (count - wanted.clamp(1, count))[:, None])
        limit = last.masked_fill(((wanted <= 0) | (options.temperature == 0))[:, None], -inf)
        scores, ordered = (x.masked_fill(x < limit, -inf) for x in (scores, ordered))  # ties with the last stay
        scores = _nucleus(scores, ordered, order, _top_p(options))
    return _penalised(scores, said, options.repetition_penalty)


def draw(logits: Tensor, scores: Tensor, options: RowOptions, seeds: Tensor, steps: Tensor) -> Tensor:
    """Ids (b,) from scores (b, v): the likeliest at temperature 0; BROKEN where logits (b, v) are no finite numbers.

    seeds, steps: 64-bit integers (b,); the same two draw the same.
    """
    drawn = (scores.double() + gumbel(seeds, steps, scores.shape[1])).argmax(-1)
    ids = torch.where(options.temperature == 0, scores.argmax(-1), drawn)
    return ids.masked_fill(~logits.amax(-1).isfinite(), BROKEN)


def gumbel(seeds: Tensor, steps: Tensor, count: int) -> Tensor:
    """seeds, steps (b,) -> (b, count), float64, of the distribution whose maximum over log chances draws by them."""
    ids = torch.arange(1, count + 1, device=seeds.device)
    streams = _mixed(_mixed(seeds) + (steps + 1) * _GOLDEN)
    bits = _shifted(
        _mixed(streams[:, None] + ids * _GOLDEN), 12
    )  # 52 of them: none of the numbers is rounded to 0 or 1
    uniform = (bits.double() + 0.5) * 2.0**-52
    return -(-uniform.log()).log()


def _heat(options: RowOptions) -> Tensor:
    return options.temperature.masked_fill(options.temperature == 0, 1.0)[:, None]


def _top_p(options: RowOptions) -> Tensor:
    """The likeliest of all is not looked for among fewer."""
    return options.top_p.masked_fill(options.temperature == 0, 1.0)


def _penalised(scores: Tensor, said: Tensor, penalty: Tensor) -> Tensor:
    by = penalty[:, None]
    return torch.where(said, torch.where(scores < 0, scores * by, scores / by), scores)


def _nucleus(scores: Tensor, ordered: Tensor, order: Tensor, top_p: Tensor) -> Tensor:
    """scores (b, v), the same from the least on, and where each of those is; top_p (b,) -> (b, v)."""
    dropped = ordered.softmax(-1).cumsum(-1) <= 1 - top_p[:, None]
    dropped &= (top_p < 1)[:, None]
    dropped[:, -1].fill_(False)
    return scores.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -inf)


def _mixed(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, as if without a sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)

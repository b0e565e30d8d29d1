"""From logits to the next token: upstream's two orders of filters, with the meaning the `transformers` library gives
each of them, and a draw from the same place of the random stream.
"""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are chosen. The defaults change nothing; each family has its own.

    temperature: 0 is the likeliest token always. top_p: only the likeliest, together this probable. top_k: only so
    many; 0 is all. min_p: only those at least this probable beside the likeliest. repetition_penalty: above 1, what
    has been said is avoided. cfg_weight: how far to go from what would be said without the text; 0 is not at all.
    exaggeration: how dramatic, 0.5 being neutral.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    cfg_weight: float = 0.0
    exaggeration: float = 0.5


def guided(logits: Tensor, weight: float) -> Tensor:
    """(2, v): with the text and without it -> (v,). One row is taken as it is."""
    return logits[0] + weight * (logits[0] - logits[1]) if logits.shape[0] == 2 else logits[0]


def llama_scores(logits: Tensor, said: Tensor, options: Sampling) -> Tensor:
    """English and multilingual: penalty, temperature, min_p, top_p. logits (v,), said ids (n,) -> (v,), -inf: never."""
    scores = _penalised(logits, said, options.repetition_penalty)
    if options.temperature == 0:
        return scores
    scores = scores / options.temperature
    if options.min_p > 0:
        chances = scores.softmax(-1)
        scores = scores.masked_fill(chances < options.min_p * chances.amax(), -inf)
    return _nucleus(scores, options.top_p)


def gpt2_scores(logits: Tensor, said: Tensor, options: Sampling) -> Tensor:
    """Turbo and Nano: temperature, top_k, top_p, penalty. logits (v,), said ids (n,) -> (v,), -inf: never."""
    if options.temperature == 0:
        return _penalised(logits, said, options.repetition_penalty)
    scores = logits / options.temperature
    if 0 < options.top_k < len(scores):
        scores = scores.masked_fill(
            scores < scores.topk(int(options.top_k)).values[-1], -inf
        )  # ties with the last stay
    return _penalised(_nucleus(scores, options.top_p), said, options.repetition_penalty)


def choose(scores: Tensor, options: Sampling, generator: torch.Generator) -> int:
    """scores (v,) on the generator's device -> an id, drawn as torch.multinomial draws one."""
    if options.temperature == 0:
        return int(scores.argmax())
    return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))


def _penalised(scores: Tensor, said: Tensor, penalty: float) -> Tensor:
    if penalty == 1:
        return scores
    picked = scores[said]
    return scores.scatter(0, said, torch.where(picked < 0, picked * penalty, picked / penalty))


def _nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Without the unlikeliest that come to 1 - top_p together. Sorts only what earlier filters have left."""
    if top_p >= 1:
        return scores
    left = (scores > -inf).nonzero().squeeze(1)
    ordered, order = scores[left].sort()
    dropped = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
    dropped[-1] = False
    return scores.index_fill(0, left[order[dropped]], -inf)

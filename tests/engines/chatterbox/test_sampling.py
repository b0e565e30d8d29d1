"""The filters, each by numbers one can work out, and their order."""

from math import inf

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.sampling import Sampling, choose, gpt2_scores, guided, llama_scores

NOTHING = torch.tensor([], dtype=torch.long)
FAMILIES = pytest.mark.parametrize("scores_of", [llama_scores, gpt2_scores])


def chances(*parts: float) -> Tensor:
    return torch.tensor(parts).log()


def left(scores: Tensor) -> list[int]:
    return (scores > -inf).nonzero().flatten().tolist()


@FAMILIES
def test_the_defaults_change_nothing(scores_of) -> None:  # type: ignore[no-untyped-def]
    logits = torch.randn(50)
    assert torch.equal(scores_of(logits, torch.tensor([3, 4]), Sampling()), logits)


@FAMILIES
@pytest.mark.parametrize(("top_p", "kept"), [(1.0, [0, 1, 2, 3]), (0.9, [0, 1, 2]), (0.6, [0, 1]), (0.0, [0])])
def test_top_p_keeps_the_likeliest_and_one_at_least(scores_of, top_p: float, kept: list[int]) -> None:  # type: ignore[no-untyped-def]
    assert left(scores_of(chances(0.5, 0.3, 0.14, 0.06), NOTHING, Sampling(top_p=top_p))) == kept


@pytest.mark.parametrize(("min_p", "kept"), [(0.0, [0, 1, 2, 3]), (0.2, [0, 1, 2]), (0.5, [0, 1]), (1.0, [0])])
def test_min_p_is_a_share_of_the_likeliest(min_p: float, kept: list[int]) -> None:
    assert left(llama_scores(chances(0.5, 0.3, 0.14, 0.06), NOTHING, Sampling(min_p=min_p))) == kept


@pytest.mark.parametrize(
    ("top_k", "kept"), [(0, [0, 1, 2, 3]), (1, [0]), (2, [0, 1, 2]), (3, [0, 1, 2]), (9, [0, 1, 2, 3])]
)
def test_top_k_keeps_what_ties_with_the_last(top_k: int, kept: list[int]) -> None:
    assert left(gpt2_scores(chances(0.4, 0.25, 0.25, 0.1), NOTHING, Sampling(top_k=top_k))) == kept


def test_top_p_counts_only_what_earlier_filters_left() -> None:
    spread = chances(0.4, 0.3, 0.1, 0.1, 0.1)
    assert left(gpt2_scores(spread, NOTHING, Sampling(top_k=2, top_p=0.5))) == [0]
    assert left(gpt2_scores(spread, NOTHING, Sampling(top_p=0.5))) == [0, 1]


@FAMILIES
def test_what_was_said_is_made_unlikelier_once(scores_of) -> None:  # type: ignore[no-untyped-def]
    scores = scores_of(torch.tensor([3.0, -3.0, 1.0]), torch.tensor([0, 1, 0, 0]), Sampling(repetition_penalty=1.5))
    torch.testing.assert_close(scores, torch.tensor([2.0, -4.5, 1.0]))


def test_llama_penalises_before_it_filters_and_gpt2_after() -> None:
    logits, said = torch.tensor([4.0, 3.5, 0.0]), torch.tensor([0])
    options = Sampling(repetition_penalty=2.0, top_p=0.5)
    assert left(llama_scores(logits, said, options)) == [1]
    assert left(gpt2_scores(logits, said, options)) == [0]


@FAMILIES
def test_temperature_divides(scores_of) -> None:  # type: ignore[no-untyped-def]
    logits = torch.randn(50)
    torch.testing.assert_close(scores_of(logits, NOTHING, Sampling(temperature=0.5)), 2 * logits)


@FAMILIES
def test_temperature_zero_takes_the_likeliest_after_the_penalty(scores_of) -> None:  # type: ignore[no-untyped-def]
    options = Sampling(temperature=0, repetition_penalty=2.0, top_p=0.1, top_k=1, min_p=1)
    scores = scores_of(torch.tensor([1.5, 2.0, 1.2]), torch.tensor([1]), options)
    assert choose(scores, options, torch.Generator()) == 0


def test_draws_are_those_of_torchs_own_generator() -> None:
    scores, generator = torch.randn(200), torch.Generator().manual_seed(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = [int(torch.multinomial(scores[None].softmax(-1), 1)) for _ in range(50)]
    assert [choose(scores, Sampling(), generator) for _ in range(50)] == expected


def test_guidance_goes_away_from_what_is_said_without_the_text() -> None:
    logits = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
    assert guided(logits, 0.5).tolist() == [2.5, 0.0]
    assert guided(logits, 0.0).tolist() == guided(logits[:1], 0.5).tolist() == [2.0, 1.0]

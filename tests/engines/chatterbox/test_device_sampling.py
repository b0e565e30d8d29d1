"""Batched filters are `sampling`'s, row by row; draws have their chances, and depend on seed and step alone."""

from collections.abc import Callable, Iterator
from itertools import product
from math import inf

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import device_sampling as batched
from chatterbox_plus.engines.chatterbox import sampling
from chatterbox_plus.engines.chatterbox.device_sampling import BROKEN, RowOptions
from chatterbox_plus.engines.chatterbox.sampling import Sampling

IDS = 50
FAMILIES = pytest.mark.parametrize(
    ("many", "single"),
    [(batched.llama_scores, sampling.llama_scores), (batched.gpt2_scores, sampling.gpt2_scores)],
    ids=["llama", "gpt2"],
)
EVERY = [
    Sampling(temperature=t, top_p=p, top_k=k, min_p=m, repetition_penalty=r)
    for t, p, k, m, r in product((0, 0.7, 1.3), (0.0, 0.6, 1.0), (0, 1, 5, 99), (0.0, 0.1), (1.0, 1.5))
]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


def rows_of(options: list[Sampling]) -> RowOptions:
    return RowOptions(
        **{name: torch.tensor([getattr(o, name) for o in options]) for name in RowOptions.__annotations__}
    )


def plain(count: int) -> RowOptions:
    return rows_of([Sampling()] * count)


def numbers(count: int, start: int = 0) -> Tensor:
    return torch.arange(start, start + count)


@FAMILIES
def test_rows_are_filtered_together_as_alone(
    many: Callable[..., Tensor], single: Callable[[Tensor, Tensor, Sampling], Tensor]
) -> None:
    logits, said = 3 * torch.randn(len(EVERY), IDS), torch.rand(len(EVERY), IDS) < 0.2
    together = many(logits, said, rows_of(EVERY), ranked=True)
    for row, options in enumerate(EVERY):
        alone = single(logits[row], said[row].nonzero()[:, 0], options)
        if options.temperature == 0:
            assert together[row].argmax() == alone.argmax()
        else:
            torch.testing.assert_close(together[row], alone)


@FAMILIES
def test_ids_are_put_in_order_only_where_somebody_needs_it(many: Callable[..., Tensor], single: object) -> None:
    options = [o for o in EVERY if o.top_p == 1 and o.top_k == 0]
    logits, said = 3 * torch.randn(len(options), IDS), torch.rand(len(options), IDS) < 0.2
    ranked, unranked = (many(logits, said, rows_of(options), ranked=ranked) for ranked in (True, False))
    assert torch.equal(ranked, unranked)


@FAMILIES
def test_ties_are_treated_alike(
    many: Callable[..., Tensor], single: Callable[[Tensor, Tensor, Sampling], Tensor]
) -> None:
    logits, nothing = torch.tensor([[0.0, 2.0, 2.0, 2.0, 1.0]]), torch.zeros(1, 5, dtype=torch.bool)
    for options in (Sampling(top_k=2), Sampling(temperature=0, top_p=0.1), Sampling(min_p=1.0)):
        scores = many(logits, nothing, rows_of([options]), ranked=True)[0]
        alone = single(logits[0], torch.tensor([], dtype=torch.long), options)
        assert scores.argmax() == alone.argmax()
        if options.temperature:
            assert torch.equal(scores, alone)


def test_guidance_is_a_rows_own_and_without_it_the_second_lane_may_hold_anything() -> None:
    logits = torch.randn(3, 2, IDS)
    logits[1, 1] = torch.nan
    together = batched.guided(logits, torch.tensor([0.5, 0.0, 2.0]))
    for row, weight in enumerate((0.5, 0.0, 2.0)):
        alone = sampling.guided(logits[row] if weight else logits[row, :1], weight)
        torch.testing.assert_close(together[row], alone)
    assert torch.equal(batched.guided(logits[:, :1], torch.ones(3)), logits[:, 0])


def test_draws_have_the_chances_of_their_scores() -> None:
    """Pearson's chi-square; beyond 26.1 lies one in a thousand with 8 degrees of freedom."""
    count = 20_000
    scores = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5, -inf, -2.0, 1.5, 0.0, -0.5])
    expected = count * scores.double().softmax(0)
    for seeds, steps in ((numbers(count), torch.zeros(count).long()), (torch.full((count,), 7), numbers(count))):
        rows = scores.expand(count, -1)
        drawn = batched.draw(rows.masked_fill(rows == -inf, 0), rows, plain(count), seeds, steps)
        found = torch.bincount(drawn, minlength=len(scores)).double()
        assert found[5] == 0
        possible = expected > 0
        assert ((found - expected)[possible] ** 2 / expected[possible]).sum() < 26.1


def test_draws_of_neighbouring_seeds_and_steps_are_independent() -> None:
    """The correlation of so many pairs of independent draws is within 4 / sqrt(n), but for one in ten thousand."""
    count, ids = 4000, 16
    rows, options = torch.zeros(count, ids), plain(count)
    first, same = (batched.draw(rows, rows, options, numbers(count), torch.full((count,), step)) for step in (0, 1))
    next_seed = batched.draw(rows, rows, options, numbers(count, 1), torch.zeros(count).long())
    assert torch.equal(next_seed[:-1], first[1:])
    for one, other in ((first, same), (first[:-1], next_seed[:-1])):
        assert torch.corrcoef(torch.stack([one.double(), other.double()]))[0, 1].abs() < 4 / (count - 1) ** 0.5


def test_a_draw_depends_on_nobody_else() -> None:
    scores, options = torch.randn(6, IDS), plain(6)
    seeds, steps = torch.randint(0, 2**63 - 1, (6,)), numbers(6)
    together = batched.draw(scores, scores, options, seeds, steps)
    for row in range(6):
        alone = (x[row : row + 1] for x in (seeds, steps))
        assert together[row] == batched.draw(scores[row : row + 1], scores[row : row + 1], plain(1), *alone)[0]


def test_the_hash_is_splitmix64() -> None:
    """Its first numbers from the seed 1234567, as its authors publish them, are mixed multiples of the golden ratio."""
    golden = batched._GOLDEN * numbers(3, 1) + 1234567
    found = [number % 2**64 for number in batched._mixed(golden).tolist()]
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_no_number_is_infinite() -> None:
    assert batched.gumbel(numbers(500), numbers(500), 200).isfinite().all()


@pytest.mark.parametrize("bad", [torch.nan, inf])
def test_logits_that_are_no_numbers_are_told(bad: float) -> None:
    logits = torch.zeros(2, IDS)
    logits[1, 3] = bad
    drawn = batched.draw(logits, logits, plain(2), numbers(2), numbers(2))
    assert drawn[0] != BROKEN
    assert drawn[1] == BROKEN

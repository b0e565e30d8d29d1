"""The flow's estimator: what it looks at, and what it must not."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.estimator import Estimator

ZERO, HALF, ONE = torch.tensor([0.0]), torch.tensor([0.5]), torch.tensor([1.0])


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def tiny(*, meanflow: bool = False) -> Estimator:
    sizes = {"mels": 4, "size": 16, "heads": 2, "head_size": 4, "blocks": 1, "mid_stages": 2}
    return Estimator(meanflow=meanflow, **sizes).eval()


def asked(rows: int, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, mu, speaker, cond"""
    return (
        torch.randn(rows, 4, frames),
        torch.randn(rows, 4, frames),
        torch.randn(rows, 4),
        torch.randn(rows, 4, frames),
    )


def test_a_padded_row_is_what_it_is_alone() -> None:
    estimator, (x, mu, speaker, cond) = tiny(), asked(2, 9)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    together = estimator(x, mu, HALF, None, speaker, cond, mask)
    torch.testing.assert_close(together[:1], estimator(x[:1], mu[:1], HALF, None, speaker[:1], cond[:1]))
    alone = estimator(x[1:, :, :5], mu[1:, :, :5], HALF, None, speaker[1:], cond[1:, :, :5])
    torch.testing.assert_close(together[1:, :, :5], alone, atol=1e-5, rtol=1e-5)
    assert not together[1, :, 5:].any()


def test_padding_may_hold_anything() -> None:
    estimator, (x, mu, speaker, cond) = tiny(), asked(1, 9)
    mask = torch.arange(9)[None] < 6
    before = estimator(x, mu, HALF, None, speaker, cond, mask)
    x[..., 6:] = 1000
    torch.testing.assert_close(estimator(x, mu, HALF, None, speaker, cond, mask), before)


def test_every_row_may_be_at_a_time_of_its_own() -> None:
    estimator, (x, mu, speaker, cond) = tiny(), asked(2, 6)
    together = estimator(x, mu, torch.cat([ZERO, HALF]), None, speaker, cond)
    torch.testing.assert_close(together[1:], estimator(x[1:], mu[1:], HALF, None, speaker[1:], cond[1:]))


@pytest.mark.parametrize("part", range(4))
def test_every_part_of_the_question_counts(part: int) -> None:
    estimator, known = tiny(), list(asked(1, 6))
    x, mu, speaker, cond = known
    before = estimator(x, mu, HALF, None, speaker, cond)
    known[part] = known[part] + 1
    x, mu, speaker, cond = known
    assert (estimator(x, mu, HALF, None, speaker, cond) - before).abs().max() > 1e-3


def test_a_meanflow_model_knows_where_a_step_ends() -> None:
    estimator, (x, mu, speaker, cond) = tiny(meanflow=True), asked(1, 6)
    half, whole = (estimator(x, mu, ZERO, r, speaker, cond) for r in (HALF, ONE))
    assert (half - whole).abs().max() > 1e-3


def test_a_meanflow_model_asks_where_a_step_ends() -> None:
    x, mu, speaker, cond = asked(1, 6)
    with pytest.raises(ValueError, match="ends"):
        tiny(meanflow=True)(x, mu, ZERO, None, speaker, cond)

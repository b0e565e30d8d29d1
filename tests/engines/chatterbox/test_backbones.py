"""Both backbones: what the cache, the layout and the few rows of decoding must not change."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F

from chatterbox_plus.engines.chatterbox import llama, matrices
from chatterbox_plus.engines.chatterbox.gpt2 import Gpt2
from chatterbox_plus.engines.chatterbox.llama import Llama
from chatterbox_plus.engines.chatterbox.matrices import project

Backbone = Llama | Gpt2
AnyBackbone = TypeVar("AnyBackbone", Llama, Gpt2)
LENGTH = 300  # positions: more than the cache has room for at first


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(params=["llama", "gpt2"])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return filled(Llama(32, 2, 4, hidden=48)) if request.param == "llama" else filled(Gpt2(32, 2, 4, positions=400))


def filled(backbone: AnyBackbone) -> AnyBackbone:
    generator = torch.Generator().manual_seed(1)
    for weight in backbone.parameters():
        weight.normal_(1.0 if weight.ndim == 1 else 0.0, 0.2, generator=generator)
    return backbone


def inputs(length: int = LENGTH) -> torch.Tensor:
    return torch.randn(1, length, 32, generator=torch.Generator().manual_seed(2))


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_position_by_position_is_the_same_as_all_at_once(backbone: Backbone) -> None:
    x, context = inputs(), backbone.context()
    whole = backbone(x, [backbone.context()])
    backbone(x[:, :240], [context])
    stepped = torch.cat([backbone(x[:, i : i + 1], [context]) for i in range(240, LENGTH)], 1)
    close(stepped, whole[:, 240:])
    assert len(context) == LENGTH


def test_a_beginning_may_come_in_parts(backbone: Backbone) -> None:
    x, context = inputs(), backbone.context()
    parts = [backbone(x[:, :100], [context]), backbone(x[:, 100:299], [context]), backbone(x[:, 299:], [context])]
    close(torch.cat(parts, 1), backbone(x, [backbone.context()]))


def test_nothing_hears_what_comes_later(backbone: Backbone) -> None:
    x = inputs()
    other = x.clone()
    other[:, 200:] += 1
    before, after = (backbone(each, [backbone.context()])[:, :200] for each in (x, other))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_rows_share_beginnings_and_know_nothing_of_each_other(backbone: Backbone) -> None:
    """Four rows at different places: two that share a beginning, one with another, one with none."""
    x, beginnings = inputs(), [backbone.context(), backbone.context()]
    backbone(x[:, :50], beginnings[:1])
    backbone(x[:, 50:90], beginnings[1:])
    for beginning in beginnings:
        beginning.close()
    contexts = [backbone.context(beginning) for beginning in (beginnings[0], beginnings[0], beginnings[1], None)]
    texts = [x[:, 90 + 20 * row : 100 + 23 * row] for row in range(4)]
    for context, text in zip(contexts, texts, strict=True):
        backbone(text, [context])
    said = [x[:, 200 + step * 4 : 204 + step * 4] for step in range(5)]
    stepped = torch.cat([backbone(tokens.transpose(0, 1), contexts) for tokens in said], 1)
    starts = (x[:, :50], x[:, :50], x[:, 50:90], x[:, :0])
    for row in range(4):
        own = torch.cat([tokens[:, row : row + 1] for tokens in said], 1)
        alone = backbone(torch.cat([starts[row], texts[row], own], 1), [backbone.context()])
        close(stepped[row], alone[0, -5:])
    assert len(beginnings[0]) == 50


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("rows", range(1, 6))
def test_few_rows_are_multiplied_like_many(rows: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    x, weight, bias = torch.randn(rows, 1, 20), torch.randn(30, 20), torch.randn(30)
    for given in (None, bias):
        torch.testing.assert_close(project(x, weight, given), F.linear(x, weight, given), atol=1e-5, rtol=1e-5)
    transposed = weight.t().contiguous().t()
    torch.testing.assert_close(project(x, transposed), F.linear(x, weight), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", matrices.modes(torch.device("cpu")))
def test_settled_weights_say_the_same_as_exactly_as_they_are_meant_to(backbone: Backbone, mode: str) -> None:
    expected = backbone(inputs(), [backbone.context()])
    backbone.settle(mode)
    found = backbone(inputs(), [backbone.context()])
    limit = {"exact": 1e-6, "fast": 2e-3, "int8": 5e-2}[mode]
    assert (found - expected).norm() < limit * expected.norm()


@pytest.mark.parametrize("mode", matrices.modes(torch.device("cpu")))
def test_a_row_is_multiplied_the_same_in_any_company(mode: str) -> None:
    drawn = torch.Generator().manual_seed(5)
    weight, bias, x = (torch.randn(*shape, generator=drawn) for shape in ((40, 64), (40,), (8, 64)))
    product, x = matrices.matrix(weight, bias, mode), x * torch.logspace(-2, 2, 8)[:, None]
    alone = torch.cat([product(row[None]) for row in x])
    if mode == "exact":  # the order of a sum may depend on the number of rows
        torch.testing.assert_close(product(x), alone, atol=1e-3, rtol=1e-5)
    else:
        assert torch.equal(product(x), alone)


def test_operators_that_are_missing_or_broken_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr(matrices, "Half", missing)
    assert not matrices._works("fast")
    monkeypatch.setattr(matrices, "Half", lambda *_: lambda x: x * 0)
    assert not matrices._works("fast")


def test_quick_rotations_are_kept_and_slow_ones_slowed_eightfold() -> None:
    cos, sin = llama._rotation(1024, 64, torch.device("cpu"), torch.float32)
    turn = torch.atan2(sin[1, 32:], cos[1, 32:])  # of the pairs by one position
    plain = 500_000.0 ** (-torch.arange(0, 64, 2) / 64)
    torch.testing.assert_close(turn[:15], plain[:15])
    torch.testing.assert_close(turn[18:], plain[18:] / 8, rtol=1e-4, atol=0)
    assert (turn[15:18] < plain[15:18]).all()
    assert (turn[15:18] > plain[15:18] / 8).all()

"""Both backbones: what the cache, the layout and the few rows of decoding must not change."""

from collections.abc import Iterator
from typing import TypeVar

import pytest
import torch
import torch.nn.functional as F

from chatterbox_plus.engines.chatterbox import llama
from chatterbox_plus.engines.chatterbox.backbone import project
from chatterbox_plus.engines.chatterbox.gpt2 import Gpt2
from chatterbox_plus.engines.chatterbox.llama import Llama

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


def inputs(rows: int = 2, length: int = LENGTH) -> torch.Tensor:
    return torch.randn(rows, length, 32, generator=torch.Generator().manual_seed(2))


def test_position_by_position_is_the_same_as_all_at_once(backbone: Backbone) -> None:
    x, cache = inputs(), backbone.cache()
    whole = backbone(x, backbone.cache(), 0)
    backbone(x[:, :240], cache, 0)
    stepped = torch.cat([backbone(x[:, i : i + 1], cache, i) for i in range(240, LENGTH)], 1)
    torch.testing.assert_close(stepped, whole[:, 240:], atol=1e-4, rtol=1e-4)


def test_a_beginning_may_come_in_parts(backbone: Backbone) -> None:
    x, cache = inputs(), backbone.cache()
    parts = [backbone(x[:, :100], cache, 0), backbone(x[:, 100:299], cache, 100), backbone(x[:, 299:], cache, 299)]
    torch.testing.assert_close(torch.cat(parts, 1), backbone(x, backbone.cache(), 0), atol=1e-4, rtol=1e-4)


def test_nothing_hears_what_comes_later(backbone: Backbone) -> None:
    x = inputs()
    other = x.clone()
    other[:, 200:] += 1
    before, after = (backbone(each, backbone.cache(), 0)[:, :200] for each in (x, other))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)


def test_rows_know_nothing_of_each_other(backbone: Backbone) -> None:
    x = inputs()
    alone = backbone(x[1:], backbone.cache(), 0)
    torch.testing.assert_close(backbone(x, backbone.cache(), 0)[1:], alone, atol=1e-4, rtol=1e-4)


def test_what_was_said_after_a_position_is_forgotten_by_going_back_to_it(backbone: Backbone) -> None:
    x, cache = inputs(), backbone.cache()
    backbone(x[:, :50], cache, 0)
    backbone(x[:, 100:150], cache, 50)
    again = backbone(x[:, 50:60], cache, 50)
    torch.testing.assert_close(again, backbone(x[:, :60], backbone.cache(), 0)[:, 50:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("rows", range(1, 6))
def test_few_rows_are_multiplied_like_many(rows: int, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    x, weight, bias = torch.randn(rows, 1, 20), torch.randn(30, 20), torch.randn(30)
    for given in (None, bias):
        torch.testing.assert_close(project(x, weight, given), F.linear(x, weight, given), atol=1e-5, rtol=1e-5)
    transposed = weight.t().contiguous().t()
    torch.testing.assert_close(project(x, transposed), F.linear(x, weight), atol=1e-5, rtol=1e-5)


def test_settled_weights_are_the_same_in_another_layout() -> None:
    backbone = filled(Gpt2(32, 2, 4, positions=400))
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    expected = backbone(inputs(1), backbone.cache(), 0)
    backbone.settle()
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())
    assert not any(name.endswith("c_fc.weight") and w.is_contiguous() for name, w in backbone.state_dict().items())
    torch.testing.assert_close(backbone(inputs(1), backbone.cache(), 0), expected, atol=1e-4, rtol=1e-4)


def test_quick_rotations_are_kept_and_slow_ones_slowed_eightfold() -> None:
    cos, sin = llama._rotation(1024, 64, torch.device("cpu"), torch.float32)
    turn = torch.atan2(sin[1, 32:], cos[1, 32:])  # of the pairs by one position
    plain = 500_000.0 ** (-torch.arange(0, 64, 2) / 64)
    torch.testing.assert_close(turn[:15], plain[:15])
    torch.testing.assert_close(turn[18:], plain[18:] / 8, rtol=1e-4, atol=0)
    assert (turn[15:18] < plain[15:18]).all()
    assert (turn[15:18] > plain[15:18] / 8).all()

"""Layers that go on from block to block come to what they make of the whole."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.continued import (
    Chain,
    Continued,
    Convolution,
    Elementwise,
    Mean,
    Residual,
    Sum,
    Widening,
)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def conv(kernel: int, *, stride: int = 1, dilation: int = 1, padding: int = 0) -> nn.Conv1d:
    return nn.Conv1d(3, 3, kernel, stride, dilation=dilation, padding=padding)


def in_blocks(stream: Continued, x: Tensor, size: int) -> Tensor:
    blocks = x.split(size, dim=1)
    return torch.cat([stream.push(block, last=i == len(blocks) - 1) for i, block in enumerate(blocks)], dim=1)


def of_whole(layer: nn.Module, x: Tensor) -> Tensor:
    done: Tensor = layer(x.transpose(1, 2)).transpose(1, 2)
    return done


@pytest.mark.parametrize("size", [1, 4, 100])
@pytest.mark.parametrize(
    "layer",
    [
        conv(1),
        conv(3, padding=1),
        conv(11, dilation=5, padding=25),
        conv(30, stride=15, padding=7),
        conv(6, stride=3, padding=1),
    ],
    ids=str,
)
def test_a_convolution_goes_on(layer: nn.Conv1d, size: int) -> None:
    x = torch.randn(2, 61, 3)
    torch.testing.assert_close(in_blocks(Convolution(layer), x, size), of_whole(layer, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_what_is_done_to_the_input_is_not_done_to_the_padding(size: int) -> None:
    def one_more(x: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.add(x, 1, out=out)

    layer, x = conv(5, padding=2), torch.randn(2, 9, 3)
    torch.testing.assert_close(in_blocks(Convolution(layer, one_more), x, size), of_whole(layer, x + 1))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_streams_that_are_not_equally_far_are_added(size: int) -> None:
    one, other, x = conv(3, padding=1), conv(9, padding=4), torch.randn(1, 20, 3)
    mean = Mean([Residual(Convolution(one)), Chain([Convolution(other), Elementwise(nn.ReLU())])])
    expected = (x + of_whole(one, x) + of_whole(other, x).relu()) / 2
    torch.testing.assert_close(in_blocks(mean, x, size), expected, atol=1e-5, rtol=1e-5)


def test_a_sum_waits_for_all() -> None:
    total, x = Sum(3), torch.arange(6.0).view(1, 6, 1)
    first = total.push([x[:, :1].clone(), x[:, :4], x[:, :2]])
    second = total.push([x[:, 1:].clone(), x[:, 4:], x[:, 2:]])
    assert torch.equal(torch.cat([first, second], dim=1), 3 * x)
    assert first.shape[1] == 1


@pytest.mark.parametrize("size", [1, 4, 100])
def test_widened_frames_stand_one_after_the_other(size: int) -> None:
    layer, x = nn.Conv1d(3, 4, 3, padding=1), torch.randn(2, 9, 3)
    expected = of_whole(layer, x).reshape(2, 18, 2)
    torch.testing.assert_close(in_blocks(Widening(layer, 2), x, size), expected, atol=1e-5, rtol=1e-5)

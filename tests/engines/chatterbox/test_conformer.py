"""The flow's encoder: its shortcuts against their definitions, and padding that nobody hears."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import conformer, lowered
from chatterbox_plus.engines.chatterbox.conformer import FlowEncoder, RelativeAttention, conv_frames


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


@pytest.fixture
def encoder() -> FlowEncoder:
    made = FlowEncoder(size=16, heads=2, inner=32, layers=2, up_layers=1).eval()
    for name, weight in made.named_parameters():
        if "pos_bias" in name:  # the only ones without a start of their own
            weight.normal_()
    return made


def by_definition(attention: RelativeAttention, x: Tensor) -> Tensor:
    """One score at a time."""
    frames, size, heads = x.shape[1], x.shape[2], attention.heads
    depth = size // heads
    query, key, value = (
        linear(x[0]).view(frames, heads, depth)
        for linear in (attention.linear_q, attention.linear_k, attention.linear_v)
    )
    scores = torch.empty(heads, frames, frames)
    for i in range(frames):
        for j in range(frames):
            rate = torch.exp(torch.arange(0, size, 2) * -(math.log(10000) / size))
            place = torch.stack([torch.sin((i - j) * rate), torch.cos((i - j) * rate)], dim=1).flatten()
            seen = (query[i] + attention.pos_bias_u) * key[j]
            felt = (query[i] + attention.pos_bias_v) * attention.linear_pos(place).view(heads, depth)
            scores[:, i, j] = (seen + felt).sum(-1) / depth**0.5
    done: Tensor = attention.linear_out(torch.einsum("hij,jhd->ihd", scores.softmax(-1), value).flatten(1))
    return done[None]


@pytest.mark.parametrize("scores", [1, 640, 10**6])  # looked at together: blocks of 64 queries and more
@pytest.mark.parametrize("frames", [7, 150])
def test_attention_knows_how_far_apart_frames_are(
    encoder: FlowEncoder, scores: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowered, "_SCORES", scores)
    attention, x = encoder.get_submodule("encoders.0.self_attn"), torch.randn(1, frames, 16)
    assert isinstance(attention, RelativeAttention)
    torch.testing.assert_close(attention(x, None), by_definition(attention, x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("block", [1, 3, 256])
def test_a_gpus_attention_is_a_cpus(encoder: FlowEncoder, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, lengths = torch.randn(2, 9, 16), torch.tensor([9, 4])
    on_cpu = encoder(rows, lengths)
    monkeypatch.setattr(conformer, "_QUERIES", block)
    monkeypatch.setattr(conformer, "_attend_on_cpu", conformer._attend_at_once)
    at_once = encoder(rows, lengths)
    torch.testing.assert_close(at_once[0], on_cpu[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(at_once[1, :8], on_cpu[1, :8], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("first", [3, 1500])
def test_what_is_kept_of_one_length_is_right_for_another(encoder: FlowEncoder, first: int) -> None:
    attention, x = encoder.get_submodule("encoders.0.self_attn"), torch.randn(1, 40, 16)
    assert isinstance(attention, RelativeAttention)
    attention(torch.randn(1, first, 16), None)
    torch.testing.assert_close(attention(x, None), by_definition(attention, x), atol=1e-5, rtol=1e-4)


def test_every_token_becomes_two_frames(encoder: FlowEncoder) -> None:
    assert encoder(torch.randn(2, 5, 16)).shape == (2, 10, 16)


def test_a_padded_row_is_what_it_is_alone(encoder: FlowEncoder) -> None:
    rows = [torch.randn(n, 16) for n in (9, 4, 1)]
    together = encoder(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([9, 4, 1]))
    for row, found in zip(rows, together, strict=True):
        torch.testing.assert_close(found[: 2 * len(row)], encoder(row[None])[0], atol=1e-5, rtol=1e-5)


def test_a_convolution_of_frames_is_a_convolution() -> None:
    layer, x = torch.nn.Conv1d(3, 4, 5, stride=2, dilation=2, padding=1), torch.randn(2, 20, 3)
    expected = layer(torch.nn.functional.pad(x.transpose(1, 2), (2, 3))).transpose(1, 2)
    torch.testing.assert_close(conv_frames(layer, x, left=2, right=3), expected, atol=1e-5, rtol=1e-5)

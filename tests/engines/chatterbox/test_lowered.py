"""Packed layers against the layers they were made of, and attention against PyTorch's."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox import lowered
from chatterbox_plus.engines.chatterbox.conformer import conv_frames, conv_single, joined
from chatterbox_plus.engines.chatterbox.lowered import Int8Linear, PackedConv, PackedLinear, attend

TYPES = [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)]  # and how far from float32, relative to the largest value

packing = pytest.mark.skipif(not lowered.packs(), reason="this PyTorch packs no weights here")


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def far(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).abs().max() / expected.abs().max())


@packing
@pytest.mark.parametrize(("dtype", "limit"), TYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_linear_layer_is_the_layer(dtype: torch.dtype, limit: float, bias: bool) -> None:
    layer = nn.Linear(24, 40, bias=bias)
    packed = PackedLinear(layer, dtype)
    for rows in (1, 7, 300):
        x = torch.randn(2, rows, 24)
        found = packed(x)
        assert found.dtype == dtype
        assert far(found, layer(x)) <= limit


@packing
@pytest.mark.parametrize(("dtype", "limit"), TYPES)
def test_a_packed_convolution_is_the_layer(dtype: torch.dtype, limit: float) -> None:
    layer = nn.Conv1d(16, 24, 5, padding=4, dilation=2)
    packed = PackedConv(layer, dtype)
    for frames in (3, 50):
        x = torch.randn(2, frames, 16)
        assert far(packed(x), conv_frames(layer, x)) <= limit
        expected = conv_frames(layer, x, left=6, padding=0)
        assert far(conv_frames(packed, x, left=6, padding=0), expected) <= limit


@packing
def test_a_convolution_over_single_frames_is_a_linear_layer() -> None:
    layer, x = nn.Conv1d(16, 24, 1), torch.randn(2, 9, 16)
    expected = conv_frames(layer, x)
    assert far(conv_single(layer, x), expected) <= 1e-5
    assert far(conv_single(PackedLinear(layer, torch.float32), x), expected) <= 1e-5


@pytest.mark.skipif(not lowered.multiplies_int8(), reason="no linear layers of 8 bits here")
@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_of_8_bits_is_nearly_the_layer(bias: bool) -> None:
    before = torch.backends.quantized.engine
    layer, x = nn.Linear(64, 40, bias=bias), torch.randn(2, 30, 64)
    layer.weight[3] = 0  # nothing to scale
    layer.weight[4] *= 100  # and nobody else's scale
    found, expected = Int8Linear(layer)(x), layer(x)
    for column in range(40):
        if bias or column != 3:
            assert far(found[..., column], expected[..., column]) <= 0.05
    assert torch.backends.quantized.engine == before


def test_joined_layers_are_the_layers_side_by_side() -> None:
    layers, x = [nn.Linear(8, n) for n in (3, 4, 5)], torch.randn(2, 6, 8)
    torch.testing.assert_close(joined(layers)(x), torch.cat([layer(x) for layer in layers], dim=-1))


@pytest.mark.parametrize("scores", [1, 10**6])
@pytest.mark.parametrize(("dtype", "limit"), TYPES)
def test_attention_is_pytorchs(dtype: torch.dtype, limit: float, scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered, "_SCORES", scores)
    joint = torch.randn(2, 150, 3 * 32)
    query, key, value = (part.unflatten(-1, (4, 8)) for part in joint.chunk(3, dim=-1))
    counts = torch.tensor([150, 70])
    mask = (torch.arange(150) < counts[:, None])[:, None, None]
    parts = [part.transpose(1, 2) for part in (query, key, value)]
    expected = F.scaled_dot_product_attention(*parts, attn_mask=mask, scale=1.0).transpose(1, 2).flatten(2)
    found = attend(query.to(dtype), key.to(dtype), value.to(dtype), mask)
    assert far(found[0], expected[0]) <= limit
    assert far(found[1, :70], expected[1, :70]) <= limit
    assert not found[1, 70:].any()

"""The x-vector: its shortcuts against their definitions."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.xvector import CamPPlus, _DenseBlock, _Gate, _Norm
from chatterbox_plus.errors import InvalidAudio


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


@pytest.fixture
def tiny() -> CamPPlus:
    return CamPPlus(planes=2, growth=4, start=8, width=12).eval()


def noise(samples: int) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


def test_a_recording_becomes_one_vector(tiny: CamPPlus) -> None:
    vector = tiny.embed(noise(16_000))
    assert vector.shape == (12,)
    assert vector.isfinite().all()
    assert vector.any()


def test_loudness_is_no_part_of_a_voice(tiny: CamPPlus) -> None:
    torch.testing.assert_close(tiny.embed(4 * noise(16_000)), tiny.embed(noise(16_000)), atol=1e-4, rtol=1e-3)


def test_45_ms_are_enough_and_less_is_refused(tiny: CamPPlus) -> None:
    assert tiny.embed(noise(720)).isfinite().all()
    for samples in (719, 399):
        with pytest.raises(InvalidAudio, match="too short"):
            tiny.embed(noise(samples))


@pytest.mark.parametrize("frames", [1, 99, 100, 250])
def test_a_gate_a_segment_is_a_gate_a_frame(frames: int) -> None:
    gate, x = _Gate(8, 4, 2), torch.randn(1, 8, frames)
    segments = [x[..., start : start + 100] for start in range(0, frames, 100)]
    same_second = torch.cat([part.mean(-1, keepdim=True).expand_as(part) for part in segments], -1)
    around = x.mean(-1, keepdim=True) + same_second
    expected = gate.linear_local(x) * torch.sigmoid(gate.linear2(F.relu(gate.linear1(around))))
    torch.testing.assert_close(gate(x), expected)


def test_a_dense_block_gives_each_layer_all_before_it() -> None:
    block, x = _DenseBlock(6, 4, 3, 1), torch.randn(2, 6, 30)
    expected = x
    for layer in block.children():
        expected = torch.cat([expected, layer(expected)], 1)
    torch.testing.assert_close(block(x), expected)


def test_normalisation_is_a_trained_batch_norm() -> None:
    theirs, ours = nn.BatchNorm1d(5).eval(), _Norm(5)
    for weight in (theirs.weight, theirs.bias, theirs.running_mean, theirs.running_var):
        assert weight is not None
        weight.uniform_(0.5, 2.0)
    ours.load_state_dict({key: value for key, value in theirs.state_dict().items() if key != "num_batches_tracked"})
    x = torch.randn(3, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


def test_keys_and_shapes_are_the_official_ones() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(weight.shape) for key, weight in CamPPlus().state_dict().items()}
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 6_930_720
    assert shapes["head.layer1.0.shortcut.0.weight"] == (32, 32, 1, 1)
    assert "head.layer1.1.shortcut.0.weight" not in shapes
    assert shapes["xvector.tdnn.linear.weight"] == (128, 320, 5)
    assert shapes["xvector.block2.tdnnd24.nonlinear1.batchnorm.running_var"] == (256 + 23 * 32,)
    assert shapes["xvector.block3.tdnnd16.cam_layer.linear_local.weight"] == (32, 128, 3)
    assert shapes["xvector.transit3.linear.weight"] == (512, 1024, 1)
    assert shapes["xvector.dense.linear.weight"] == (192, 1024, 1)
    assert "xvector.dense.nonlinear.batchnorm.weight" not in shapes

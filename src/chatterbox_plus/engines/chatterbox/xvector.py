"""Whose voice it is, for S3Gen: CAM++, a recording's 192-dimensional x-vector. (3D-Speaker)"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.features import kaldi_fbank
from chatterbox_plus.errors import InvalidAudio

_SEGMENT = 100  # frames: how much shares a gate
_BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers and dilation of the three dense blocks


class CamPPlus(nn.Module):
    """Keys `head.*` and `xvector.*`, as under `speaker_encoder.` in the official `s3gen` files."""

    def __init__(
        self, *, bands: int = 80, planes: int = 32, growth: int = 32, start: int = 128, width: int = 192
    ) -> None:
        super().__init__()
        self.head = _Head(planes)
        self.xvector = nn.Sequential()
        self.xvector.add_module("tdnn", _Tdnn(planes * (bands // 8), start))
        channels = start
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            self.xvector.add_module(f"block{number}", _DenseBlock(channels, growth, layers, dilation))
            channels += layers * growth
            self.xvector.add_module(f"transit{number}", _Transit(channels))
            channels //= 2
        self.xvector.add_module("out_nonlinear", _NormRelu(channels))
        self.xvector.add_module("dense", _Dense(2 * channels, width))

    def embed(self, wave16: Tensor) -> Tensor:
        """(n,) at 16 kHz -> (192,) float32, not normalised. Raises InvalidAudio for less than 45 ms."""
        weight = self.head.conv1.weight
        features = kaldi_fbank(wave16.to(weight.device, torch.float32))
        if features.shape[0] < 3:
            raise InvalidAudio("the recording of the voice is too short: a standard deviation takes two moments")
        features = features - features.mean(0)
        vector: Tensor = self(features.to(weight.dtype)[None])[0]
        return vector.float()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames >= 3, bands), mean over time taken off -> (batch, width)."""
        vector: Tensor = self.xvector(self.head(features.transpose(1, 2)))
        return vector


class _Norm(nn.Module):
    """Batch normalisation by the statistics of training."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.running_mean = nn.Parameter(torch.zeros(channels), requires_grad=False)
        self.running_var = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class _NormRelu(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.batchnorm = _Norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.batchnorm(x))


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` halves the bands, never the time."""

    def __init__(self, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes, planes, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = _Norm(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = _Norm(planes)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.extend([nn.Conv2d(planes, planes, 1, stride=(stride, 1), bias=False), _Norm(planes)])

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu_(self.bn1(self.conv1(x)))))
        return F.relu_(y.add_(self.shortcut(x)))


class _Head(nn.Module):
    """(batch, bands, time) -> (batch, planes * bands / 8, time): the spectrogram as a picture."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, planes, 3, padding=1, bias=False)
        self.bn1 = _Norm(planes)
        self.layer1 = nn.Sequential(_Residual(planes, 2), _Residual(planes, 1))
        self.layer2 = nn.Sequential(_Residual(planes, 2), _Residual(planes, 1))
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = _Norm(planes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(F.relu_(self.bn1(self.conv1(x[:, None])))))
        return F.relu_(self.bn2(self.conv2(x))).flatten(1, 2)


class _Tdnn(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, out, 5, stride=2, padding=2, bias=False)
        self.nonlinear = _NormRelu(out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.nonlinear(self.linear(x))
        return out


class _Gate(nn.Module):
    """A convolution, its channels opened and shut by what is around: the mean of all time and of the same second."""

    def __init__(self, channels: int, out: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(channels, out, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(channels, channels // 2, 1)
        self.linear2 = nn.Conv1d(channels // 2, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        around = x.mean(-1, keepdim=True) + F.avg_pool1d(x, _SEGMENT, _SEGMENT, ceil_mode=True)
        gate = self.linear2(F.relu_(self.linear1(around))).sigmoid_()  # one a segment, then one a frame
        out: Tensor = self.linear_local(x)
        return out.mul_(gate.repeat_interleave(_SEGMENT, -1)[..., : x.shape[-1]])


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _NormRelu(channels)
        self.linear1 = nn.Conv1d(channels, 4 * growth, 1, bias=False)
        self.nonlinear2 = _NormRelu(4 * growth)
        self.cam_layer = _Gate(4 * growth, growth, dilation)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))
        return out


class _DenseBlock(nn.Module):
    """Each layer hears the input and all layers before it: they write side by side into one tensor."""

    def __init__(self, channels: int, growth: int, layers: int, dilation: int) -> None:
        super().__init__()
        self.channels, self.growth = channels, growth
        for number in range(layers):
            self.add_module(f"tdnnd{number + 1}", _DenseLayer(channels + number * growth, growth, dilation))

    def forward(self, x: Tensor) -> Tensor:
        layers = list(self.children())
        out = x.new_empty(x.shape[0], self.channels + len(layers) * self.growth, x.shape[2])
        out[:, : self.channels] = x
        for end, layer in zip(range(self.channels, out.shape[1], self.growth), layers, strict=True):
            out[:, end : end + self.growth] = layer(out[:, :end])
        return out


class _Transit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = _NormRelu(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(self.nonlinear(x))
        return out


class _Dense(nn.Module):
    """(batch, channels / 2, time) -> (batch, width): mean and standard deviation over time, projected."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(channels, width, 1, bias=False)
        self.nonlinear = nn.ModuleDict({"batchnorm": _Norm(width, affine=False)})

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.mean(-1), x.std(-1)), -1)
        vector: Tensor = self.nonlinear["batchnorm"](self.linear(pooled[..., None]))[..., 0]
        return vector

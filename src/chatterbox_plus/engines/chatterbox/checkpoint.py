"""Official weight files -> networks, checked by name and shape before anything is computed.

Weights of safetensors files, and of `.pt` files, are mapped into memory, not copied: what is never used is never read.
"""

import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from chatterbox_plus.errors import ModelLoadError

_GAIN, _DIRECTION = ".parametrizations.weight.original0", ".parametrizations.weight.original1"
_AGAIN = "fetch or copy it again"
# What torch.load has raised at thousands of files damaged at random.
_DAMAGES = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError),
    *(struct.error, zipfile.BadZipFile, pickle.UnpicklingError),
)


class Weights:
    """A file of weights: names, shapes and tensors."""

    def __init__(self, path: Path, *, copied: str | None = None) -> None:
        """path: .safetensors or .pt. copied: names that begin so are copied out of a safetensors file: for weights that
        will be laid out anew, beside which the file's pages would stay in memory.

        Raises ModelLoadError naming the file if it is missing or damaged.
        """
        self.name, self._path, self._copied = path.name, path, copied
        if not path.is_file():
            raise ModelLoadError(f"the model's file {path.name} is missing: {_AGAIN}")
        self._stored: Mapping[str, Tensor] = MappingProxyType({})
        self._file = None
        if path.suffix == ".safetensors":
            try:
                self._file = safe_open(path, framework="pt", device="cpu")
            except (SafetensorError, OSError) as error:
                raise self._damaged() from error
            self.shapes = {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118
        else:
            self._stored = _nested(self._unpickled(path))
            self.shapes = {name: tuple(tensor.shape) for name, tensor in self._stored.items()}

    def __getitem__(self, name: str) -> Tensor:
        """A tensor as it is stored. Raises ModelLoadError if it is not there."""
        if name not in self.shapes:
            raise ModelLoadError(
                f"the model's file {self.name} has no {name}: it belongs to another model, or is damaged"
            )
        if self._file is None:
            return self._stored[name]
        try:
            if self._copied is not None and name.startswith(self._copied):
                with safe_open(self._path, framework="pt", device="cpu") as file:  # closed, it takes its pages along
                    copy: Tensor = file.get_tensor(name).clone()
                return copy
            tensor: Tensor = self._file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise self._damaged() from error
        return tensor

    def _damaged(self) -> ModelLoadError:
        return ModelLoadError(f"the model's file {self.name} is damaged or no file of weights: {_AGAIN}")

    def _unpickled(self, path: Path) -> object:
        """Only tensors and plain data are ever made of it. Raises ModelLoadError."""
        try:
            with torch.inference_mode(False):  # ordinary tensors, for modules that are made outside of it
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except _DAMAGES as error:
            raise self._damaged() from error

    def contents(self) -> Mapping[str, Tensor]:
        """All tensors of a .pt file."""
        return self._stored


def _nested(data: object) -> dict[str, Tensor]:
    """Some files hold {"model": [weights]}; nested names are joined by dots."""
    if isinstance(data, dict) and isinstance(inner := data.get("model"), list) and len(inner) == 1:
        data = inner[0]
    return dict(_flat(data, ""))


def _flat(data: object, above: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(data, Tensor):
        yield above, data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from _flat(value, f"{above}.{name}" if above else str(name))


def fill(module: nn.Module, weights: Weights, prefix: str = "", *, device: torch.device, dtype: torch.dtype) -> None:
    """Give a module made on the meta device the weights below a prefix; weight norm is folded on the way.

    Raises ModelLoadError naming file and key for a weight that is missing or has another shape than the module's.
    """
    filled: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        key, shape = prefix + name, tuple(tensor.shape)
        layer = key.removesuffix(".weight")
        if key not in weights.shapes and layer + _DIRECTION in weights.shapes:
            # g * v / |v|, the norm over all axes but the first (torch.nn.utils.parametrizations.weight_norm, dim 0)
            gain = _checked(weights, layer + _GAIN, (shape[0], *(1 for _ in shape[1:])))
            found = torch._weight_norm(_checked(weights, layer + _DIRECTION, shape), gain, 0)
        else:
            found = _checked(weights, key, shape)
        filled[name] = found.to(device, dtype if found.is_floating_point() else None)
    module.load_state_dict(filled, assign=True)
    module.requires_grad_(False)
    module.eval()


def _checked(weights: Weights, key: str, shape: tuple[int, ...]) -> Tensor:
    found = weights.shapes.get(key, shape)
    if found != shape:
        raise ModelLoadError(
            f"the model's file {weights.name} is of another model: {key} is {_shape(found)}, not {_shape(shape)}"
        )
    return weights[key]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"

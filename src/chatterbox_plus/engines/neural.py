"""Hosts for the models on the shelf. Imports no PyTorch: that is their child's."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.chatterbox import watermark
from chatterbox_plus.engines.chatterbox.families import describe
from chatterbox_plus.engines.chatterbox.fingerprint import fingerprint
from chatterbox_plus.engines.chatterbox.scripts import remark
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.slots import BeforeStart
from chatterbox_plus.errors import MissingExtra, ModelLoadError
from chatterbox_plus.models.shelf import Installed

FACTORY = "chatterbox_plus.engines.chatterbox.engine:ChatterboxEngine"
_NEEDED = ("torch", "safetensors", "tokenizers")
_OVERHEAD_BYTES = 700 * 2**20  # PyTorch itself, and what a passage needs while it is made
_SHARE = 0.75  # of a device's memory, that models may have unless somebody says otherwise
_PROBE_S = 60.0  # PyTorch's first import from a slow disk


@dataclass(frozen=True)
class NeuralOptions:
    """prints: folder for voice prints, of all models and nothing else. device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
    precision: `auto`, `exact`, `fast`, `int8`. memory_bytes: for all models; 0: three quarters of the device's.
    """

    prints: Path
    device: str = "auto"
    precision: str = "auto"
    memory_bytes: int = 0
    start_timeout_s: float = 300
    idle_exit_s: float = 0


class Machine:
    """What models can run on here. Looked up once, in a process of its own, when first asked."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._lock = threading.Lock()

    @property
    def known(self) -> bool:
        """Whether it has been looked up, or needs not be."""
        return self._device == "cpu" or "_probed" in self.__dict__

    @property
    def accelerated(self) -> bool:
        """Whether models run on something faster than a CPU."""
        return self._kind != "cpu"

    @property
    def device(self) -> str:
        """What models run on: `cpu`, `cuda:0`, `mps`."""
        return self._kind

    @property
    def memory_bytes(self) -> int:
        """Of the device that models run on."""
        return self._found.get(self._kind) or psutil.virtual_memory().total

    @property
    def _kind(self) -> str:
        if self._device == "auto":
            return next((name for name in self._found if name != "cpu"), "cpu")
        return "cuda:0" if self._device == "cuda" else self._device

    @property
    def _found(self) -> dict[str, int]:
        if self._device == "cpu":
            return {"cpu": 0}
        with self._lock:
            return self._probed

    @cached_property
    def _probed(self) -> dict[str, int]:
        command = [sys.executable, "-P", "-m", "chatterbox_plus.engines.chatterbox.devices"]
        try:
            told = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=True).stdout
            return dict(json.loads(told)["devices"])
        except (OSError, subprocess.SubprocessError, ValueError, KeyError):
            return {"cpu": 0}


def check_packages() -> None:
    """Raises MissingExtra where the models' packages are not installed."""
    if not packages_installed():
        raise MissingExtra(
            "the Chatterbox models need more packages: pip install 'chatterbox-plus[neural]'", param="model"
        )


@lru_cache(1)
def packages_installed() -> bool:
    """Whether PyTorch and what else the models need is there; nothing is imported."""
    return all(find_spec(name) is not None for name in _NEEDED)


def host_of(model: Installed, options: NeuralOptions, before_start: BeforeStart) -> EngineHost:
    """A host for an installed model; starts nothing. Raises ModelLoadError if its files went this moment."""
    return EngineHost(
        info_of(model, options.precision),
        FACTORY,
        arguments={
            "info": _about(model, options.precision),
            "files": {role: str(path) for role, path in model.paths.items()},
            "device": options.device,
            "prints": str(options.prints),
        },
        workers=1,
        start_timeout_s=options.start_timeout_s,
        idle_exit_s=options.idle_exit_s,
        before_start=before_start,
    )


def info_of(model: Installed, precision: str = "auto") -> EngineInfo:
    """What an installed model can do. Raises ModelLoadError if its files went this moment."""
    return describe(**_about(model, precision))


def _about(model: Installed, precision: str = "auto") -> dict[str, Any]:
    """The arguments of `describe`, as JSON has them."""
    return {
        "name": model.name,
        "family": model.family,
        "languages": model.languages,
        "revision": _fingerprint(model),
        "has_voice": "conds" in model.paths,
        "remarks": {code: told for code in model.languages if (told := remark(code, model.folder))},
        "marks_audio": watermark.installed(),
        "precision": precision,
    }


def _fingerprint(model: Installed) -> str:
    try:
        return _known_fingerprint(tuple((role, path, path.stat().st_mtime_ns) for role, path in model.paths.items()))
    except OSError as error:
        raise ModelLoadError(f"the files of the model {model.name} cannot be read") from error


@lru_cache(64)
def _known_fingerprint(files: tuple[tuple[str, Path, int], ...]) -> str:
    return fingerprint({role: path for role, path, _ in files})


_LOOK_S = 0.1  # how often whoever waits for room looks


class Room:
    """Keeps loaded models within a budget of memory: the one unused for longest goes first. Thread-safe."""

    def __init__(self, limit_bytes: Callable[[], int]) -> None:
        """limit_bytes: of all models together; asked when one is to be loaded."""
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[EngineHost, int]] = {}
        self._closed = threading.Event()

    def make(self, name: str, host: EngineHost, size: int, wanted: Callable[[], bool] = lambda: True) -> None:
        """Wait until there is room for a model of so many bytes, or it is not wanted any more. One that is too large
        alone is let in alone."""
        need = size + _OVERHEAD_BYTES
        while wanted() and not self._closed.is_set():
            with self._lock:
                # One that was let in and has no process yet is somebody's work, and not idle.
                self._loaded = {n: (h, b) for n, (h, b) in self._loaded.items() if h.occupied or not h.idle}
                others = {n: loaded for n, loaded in self._loaded.items() if n != name}
                if not others or sum(b for _, b in others.values()) + need <= self._limit_bytes():
                    self._loaded[name] = host, need
                    return
                resting = sorted((h for h, _ in others.values() if h.idle), key=lambda h: h.used_at)
            if not (resting and resting[0].unload()):
                self._closed.wait(_LOOK_S)

    def close(self) -> None:
        """Nobody waits any more."""
        self._closed.set()


def budget(machine: Machine, options: NeuralOptions) -> int:
    """Bytes that models may have together."""
    return options.memory_bytes or round(_SHARE * machine.memory_bytes)

"""Engines by name. A name says what a request asks for; whether its model is here is found out when it is asked for."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Self

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.builtin import voices
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.neural import (
    Machine,
    NeuralOptions,
    Room,
    budget,
    check_packages,
    host_of,
    info_of,
    packages_installed,
)
from chatterbox_plus.errors import InvalidOption, ModelLoadError, ModelNotInstalled, NotFound
from chatterbox_plus.models.catalog import CATALOG
from chatterbox_plus.models.shelf import Installed, Shelf

AUTO, BUILTIN = "auto", "builtin"
MODELS = (AUTO, BUILTIN, *CATALOG)
_BUILTIN_WORDS = "Preview voice that needs no download: espeak-ng, moved towards a reference voice."
# espeak-ng loses a dictionary (170 KB) at every passage with a foreign word in it; at work it needs up to 200 MB.
_BUILTIN_RENEW_BYTES = 256 * 2**20
# What `auto` takes, the best first. On a CPU only the small ones are near real time; a model for one language is better
# at it than one for many.
_ON_GPU = ("turbo", "english", "multilingual-v3", "multilingual", "nano")
_ON_CPU = ("nano", "turbo", "english", "multilingual-v3", "multilingual")
_LOOK_AGAIN_S = 5.0  # `auto` notices a model that another process has pulled or removed after so long


@dataclass(frozen=True)
class ModelInfo:
    """A model that a request can name."""

    name: str
    installed: bool
    description: str
    preview: bool  # a stand-in voice, not a neural model


class Engines:
    """Name -> host; a host is made when it is first asked for. Thread-safe."""

    def __init__(
        self,
        default_model: str = AUTO,
        *,
        workers: int = 2,
        start_timeout_s: float = 60,
        idle_exit_s: float = 0,
        engines: Mapping[str, EngineHost] = MappingProxyType({}),
        shelf: Shelf | None = None,
        neural: NeuralOptions | None = None,
    ) -> None:
        """default_model: what `auto` means; "auto" itself: the best one that is installed and speaks the language.

        workers, start_timeout_s, idle_exit_s: of the built-in engine.
        engines: further ones by name, closed along with ours. One named as a known model takes its place.
        shelf: where models are found, run as `neural` says; without both, there are none.
        """
        self._default = default_model
        self._workers = workers
        self._start_timeout_s = start_timeout_s
        self._idle_exit_s = idle_exit_s
        self._lock = threading.RLock()
        self._hosts = dict(engines)
        self._shelf = shelf if neural else None
        self._neural = neural
        self.machine = Machine("cpu" if neural is None else neural.device)
        self._room = Room(lambda: budget(self.machine, neural) if neural else 0)
        self._seen: tuple[float, tuple[Installed, ...]] = (0.0, ())

    def get(self, model: str = AUTO, language: str = "en") -> EngineHost:
        """language: what is to be spoken; `auto` goes by it.

        Raises ModelNotInstalled for a known model without its files, InvalidModel for one whose files cannot be it,
        MissingExtra where the packages to run it are missing, InvalidOption for an unknown name.
        """
        name = self._meaning(model, language)
        with self._lock:
            if (host := self._hosts.get(name)) is None:
                self._hosts[name] = host = self._builtin() if name == BUILTIN else self._from_shelf(name)
            return host

    @property
    def settled(self) -> bool:
        """Whether what `auto` goes by is known, so that `get` answers at once: a GPU may have to be looked for."""
        return self._default != AUTO or self.machine.known or not self._installed()

    @property
    def why(self) -> str:
        """Why `auto` means for English what it means, in words. May look for a GPU."""
        if self._default != AUTO:
            return f"The settings name it: models.model is {self._default}"
        if not self._installed():
            return "No Chatterbox model is here yet, so the built-in preview voice speaks"
        if not packages_installed():
            return "The packages that models need are missing: pip install 'chatterbox-plus[neural]'"
        if self._best("en") == BUILTIN:
            return "No model that is here speaks English, so the built-in preview voice does"
        return f"The best of the models here for English on a {'GPU' if self.machine.accelerated else 'CPU'}"

    def get_or_auto(self, model: str, language: str = "en") -> EngineHost:
        """As `get`, but a name nobody knows (such as OpenAI's own "tts-1") means `auto`."""
        known = model in MODELS or model in self.running() or any(m.name == model for m in self._installed())
        return self.get(model if known else AUTO, language)

    def info(self, model: str = AUTO, language: str = "en") -> EngineInfo:
        """What the model that is meant can do. Raises as `get`."""
        return self.get(model, language).info

    def catalog(self) -> tuple[ModelInfo, ...]:
        """Every model that can be named, but for `auto`."""
        hosts = self.running()
        here = {model.name: model for model in self._installed()}
        known = (
            ModelInfo(BUILTIN, True, _BUILTIN_WORDS, preview=True),
            *(
                ModelInfo(name, name in here or name in hosts, f"{spec.title}.", preview=False)
                for name, spec in CATALOG.items()
            ),
            *(ModelInfo(name, True, f"{m.title}.", preview=False) for name, m in here.items() if name not in CATALOG),
        )
        names = {model.name for model in known}
        added = (
            ModelInfo(name, True, f"An added engine: {host.info.name}.", host.info.preview)
            for name, host in hosts.items()
            if name not in names
        )
        return (*known, *added)

    def installed(self) -> tuple[ModelInfo, ...]:
        """Those of the catalog that can be used now."""
        return tuple(model for model in self.catalog() if model.installed)

    def running(self) -> Mapping[str, EngineHost]:
        """The hosts made so far, by model name."""
        with self._lock:
            return dict(self._hosts)

    def changed(self, name: str) -> None:
        """A model has come, or is about to go: whoever asks for it from now on gets what is there then."""
        with self._lock:
            self._seen = (0.0, ())
            host = self._hosts.pop(name, None) if name in CATALOG or self._is_added(name) else None
        if host is not None:
            host.close()

    def close(self) -> None:
        """End all children. May be called again."""
        self._room.close()
        for host in self.running().values():
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _meaning(self, model: str, language: str) -> str:
        if model != AUTO:
            return model
        return self._best(language) if self._default == AUTO else self._default

    def _best(self, language: str) -> str:
        """The best installed model that speaks a language; else the built-in engine, which speaks nearly all."""
        here = {model.name: model for model in self._installed()}
        if not here or not packages_installed():
            return BUILTIN
        for name in _ON_GPU if self.machine.accelerated else _ON_CPU:
            with suppress(ModelLoadError):  # its files went this moment
                if name in here and info_of(here[name]).find_language(language) is not None:
                    return name
        return BUILTIN

    def _installed(self) -> Iterable[Installed]:
        if self._shelf is None:
            return ()
        with self._lock:
            seen_at, found = self._seen
            if time.monotonic() - seen_at > _LOOK_AGAIN_S or not seen_at:
                found = tuple(self._shelf.installed())
                self._seen = (time.monotonic(), found)
            return found

    def _is_added(self, name: str) -> bool:
        host = self._hosts.get(name)
        return host is not None and not host.info.preview and self._shelf is not None

    def _from_shelf(self, name: str) -> EngineHost:
        """Raises as `get`."""
        try:
            if self._shelf is None or self._neural is None:
                raise NotFound(name)
            model = self._shelf.find(name)
        except NotFound:
            if name in CATALOG:
                raise ModelNotInstalled(
                    f"the model {name} is not installed: `chatterbox-plus models pull {name}` fetches it", param="model"
                ) from None
            there = dict.fromkeys((*MODELS, *self._hosts, *(model.name for model in self._installed())))
            raise InvalidOption(
                f"there is no model of that name; there are {', '.join(there)}", param="model"
            ) from None
        check_packages()
        return host_of(model, self._neural, partial(self._make_room, model))

    def _make_room(self, model: Installed, wanted: Callable[[], bool]) -> None:
        with self._lock:
            host = self._hosts.get(model.name)
        if host is not None:
            self._room.make(model.name, host, model.size, wanted)

    def _builtin(self) -> EngineHost:
        return EngineHost(
            voices.describe(),
            "chatterbox_plus.engines.builtin.engine:BuiltinEngine",
            workers=self._workers,
            start_timeout_s=self._start_timeout_s,
            idle_exit_s=self._idle_exit_s,
            renew_bytes=_BUILTIN_RENEW_BYTES,
        )

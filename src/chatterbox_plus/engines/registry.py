"""Engines by name. A name says what a request asks for; whether its model is here is found out when it is asked for."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from chatterbox_plus.engines.builtin import voices
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.errors import InvalidOption, ModelNotInstalled

AUTO, BUILTIN = "auto", "builtin"
_DESCRIPTIONS = {
    BUILTIN: "Preview voice that needs no download: espeak-ng, moved towards a reference voice.",
    "english": "Chatterbox, English.",
    "multilingual": "Chatterbox Multilingual.",
    "multilingual-v3": "Chatterbox Multilingual, version 3.",
    "turbo": "Chatterbox Turbo, English: faster.",
    "nano": "Chatterbox Nano, English: small enough for a CPU.",
}
# espeak-ng loses a dictionary (170 KB) at every passage with a foreign word in it; at work it needs up to 200 MB.
_BUILTIN_RENEW_BYTES = 256 * 2**20
MODELS = (AUTO, *_DESCRIPTIONS)


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
    ) -> None:
        """default_model: what `auto` means; "auto" itself: the best one that is installed.

        engines: further ones by name, closed along with ours. One named as a known model takes its place.
        """
        self._default = default_model
        self._workers = workers
        self._start_timeout_s = start_timeout_s
        self._idle_exit_s = idle_exit_s
        self._lock = threading.Lock()
        self._hosts = dict(engines)

    def get(self, model: str = AUTO) -> EngineHost:
        """Raises ModelNotInstalled for a known model without its files, InvalidOption for an unknown name."""
        name = self._meaning(model)
        with self._lock:
            if (host := self._hosts.get(name)) is not None:
                return host
            if name == BUILTIN:
                self._hosts[name] = host = self._builtin()
                return host
        if name in _DESCRIPTIONS:
            raise ModelNotInstalled(
                f"the model {name} is not installed: `chatterbox-plus models pull {name}` fetches it", param="model"
            )
        raise InvalidOption(
            f"there is no model of that name; there are {', '.join(dict.fromkeys((*MODELS, *self._hosts)))}",
            param="model",
        )

    def get_or_auto(self, model: str) -> EngineHost:
        """As `get`, but a name nobody knows (such as OpenAI's own "tts-1") means `auto`."""
        return self.get(model if model in _DESCRIPTIONS or model in self._hosts else AUTO)

    def catalog(self) -> tuple[ModelInfo, ...]:
        """Every model that can be named, but for `auto`."""
        hosts = self.running()
        known = (
            ModelInfo(name, name == BUILTIN or name in hosts, description, preview=name == BUILTIN)
            for name, description in _DESCRIPTIONS.items()
        )
        added = (
            ModelInfo(name, True, f"An added engine: {host.info.name}.", host.info.preview)
            for name, host in hosts.items()
            if name not in _DESCRIPTIONS
        )
        return (*known, *added)

    def installed(self) -> tuple[ModelInfo, ...]:
        """Those of the catalog that can be used now."""
        return tuple(model for model in self.catalog() if model.installed)

    def running(self) -> Mapping[str, EngineHost]:
        """The hosts made so far, by model name."""
        with self._lock:
            return dict(self._hosts)

    def close(self) -> None:
        """End all children. May be called again."""
        for host in self.running().values():
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _meaning(self, model: str) -> str:
        if model != AUTO:
            return model
        return BUILTIN if self._default == AUTO else self._default

    def _builtin(self) -> EngineHost:
        return EngineHost(
            voices.describe(),
            "chatterbox_plus.engines.builtin.engine:BuiltinEngine",
            workers=self._workers,
            start_timeout_s=self._start_timeout_s,
            idle_exit_s=self._idle_exit_s,
            renew_bytes=_BUILTIN_RENEW_BYTES,
        )

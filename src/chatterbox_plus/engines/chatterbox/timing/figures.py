"""Figures of a bench, as lines of JSON for programs and as rows of a table for people."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chatterbox_plus import __version__

_PACKAGE = Path(__file__).resolve().parents[3]
_CPUINFO = Path("/proc/cpuinfo")
_DIGITS = 4  # that mean something
_ROW = "{:<15} {:<6} {:<14} {:>8} {:<8} {:>8} {:>6}"


@dataclass(frozen=True)
class Kind:
    """A figure's unit, and whether more of it is better."""

    unit: str
    more: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "first_audio_s": Kind("s"),
        "tokens_per_s": Kind("1/s", more=True),
        "flow_rtf": Kind("s/s"),
        "vocoder_rtf": Kind("s/s"),
        "total_rtf": Kind("s/s"),
        "peak_memory_mb": Kind("MB"),
        "streams": Kind("streams", more=True),
        "long_text_x": Kind("x", more=True),
    }
)
"""RTF: seconds of work for a second of speech. x: seconds of speech in a second. The order is that of the table."""


@dataclass(frozen=True)
class Figure:
    """upstream: what it needs for the same; None where it was not measured or cannot do it."""

    name: str
    variant: str
    mode: str
    value: float
    upstream: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return KINDS[self.name].unit

    @property
    def ratio(self) -> float | None:
        """How many times better than upstream: above 1 is better."""
        if self.upstream is None or not self.value or not self.upstream:
            return None
        return self.value / self.upstream if KINDS[self.name].more else self.upstream / self.value

    def line(self) -> str:
        told = {
            "figure": self.name,
            "variant": self.variant,
            "mode": self.mode,
            "value": _rounded(self.value),
            "unit": self.unit,
            "upstream": _rounded(self.upstream),
            "ratio": _rounded(self.ratio),
        }
        return json.dumps(told | ({"details": _rounded(self.details)} if self.details else {}))

    def row(self) -> str:
        """Below `head`. Details that have details stand in rows of their own."""
        values = (self.variant, self.mode, self.name, self.value, self.unit, self.upstream, self.ratio)
        more = [f"  {name}: {_words(value)}" for name, value in self.details.items() if isinstance(value, Mapping)]
        row = f"{_ROW.format(*map(_cell, values))}  {_words(self.details)}".rstrip()
        return "\n".join([row, *more])


def head() -> str:
    """Of the table."""
    return _ROW.format("variant", "mode", "figure", "value", "unit", "upstream", "ratio")


@dataclass(frozen=True)
class Measurement:
    """What figures were measured on, and what of. commit: of the checkout that this is, if it is one."""

    machine: str
    torch: str
    commit: str | None
    version: str = __version__

    def line(self) -> str:
        told = {"machine": self.machine, "torch": self.torch, "commit": self.commit, "version": self.version}
        return json.dumps(told)

    def row(self) -> str:
        commit = f" ({self.commit})" if self.commit else ""
        return f"{self.machine}; PyTorch {self.torch}; Chatterbox Plus {self.version}{commit}"


def measurement(torch: str, device: str = "") -> Measurement:
    """device: what models run on, if that is not the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = ", ".join(filter(None, [device, _cpu(), f"{cores} cores", platform.system()]))
    return Measurement(machine, torch, _commit())


def medians(values: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """By name, of all that have it."""
    found: dict[str, list[float]] = {}
    for one in values:
        for name, value in one.items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(several) for name, several in found.items()}


def _cpu() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """None outside of a checkout, and where there is no git."""
    command = ["git", "-C", str(_PACKAGE), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        return None
    # A package that was installed may lie in somebody else's.
    return told[1] if Path(told[0]) / "src" / _PACKAGE.name == _PACKAGE else None


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _words(details: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_cell(value)}" for name, value in details.items() if not isinstance(value, Mapping))

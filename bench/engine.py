"""The Chatterbox models stage by stage, ours beside upstream's: `python -m bench.engine`, or `python -m bench engine`.

Each side is a process of its own with the same PyTorch, weights and inputs. They take turns, stage by stage, so that
both meet the same machine; a figure is the median. Without upstream's environment (`parity.environment`) ours is alone.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.measure import Bench, Figure, Setting, machine
from chatterbox_plus.errors import MissingExtra
from parity.__main__ import CACHE, VARIANTS
from parity.environment import ROOT, NoEnvironment, interpreter, surroundings

SIDES = ("ours", "upstream")
ROUNDS = 3


@dataclass(frozen=True)
class Measured:
    """One stage of a variant. ours, upstream: seconds (for "memory", MB); None: upstream is not here."""

    variant: str
    stage: str
    unit: str
    ours: float
    upstream: float | None

    def figure(self) -> Figure:
        theirs = {} if self.upstream is None else {"upstream": round(self.upstream, 3), "ratio": round(self.ratio, 3)}
        return Figure(f"engine_{self.variant}_{self.stage}", self.ours, self.unit, theirs)

    @property
    def ratio(self) -> float:
        """Ours in parts of upstream's: below 1 is better."""
        return self.ours / self.upstream if self.upstream else float("nan")

    def row(self) -> str:
        theirs = f"{self.upstream:10.2f} {self.ratio:7.2f}" if self.upstream is not None else f"{'-':>10} {'-':>7}"
        return f"{self.variant:13} {self.stage:8} {self.ours:10.2f} {theirs}  {self.unit}"


class Side:
    """A process of `parity.timing`."""

    def __init__(self, python: Path, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(python), "-m", "parity.timing", *words],
            cwd=ROOT,
            env=surroundings(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, stage: str) -> float:
        """Have it done. Seconds; for "memory" MB. Raises RuntimeError if the process broke."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(stage + "\n")
        self._process.stdin.flush()
        if not (reply := self._process.stdout.readline()):
            raise RuntimeError(f"{' '.join(map(str, self._process.args))} broke at {stage}")  # type: ignore[arg-type]
        return float(json.loads(reply)["value"])

    def close(self) -> None:
        self._process.communicate()


def measure(variant: str, rounds: int = ROUNDS) -> Iterator[Measured]:
    """All stages of a variant. Writes its checkpoint into the cache first. Raises MissingExtra without PyTorch."""
    if find_spec("torch") is None:
        raise MissingExtra("the Chatterbox models need PyTorch: pip install 'chatterbox-plus[neural]'")
    from parity import checkpoints, sounds, timing

    folder = checkpoints.write(variant, CACHE / variant, share=CACHE / "shared")
    try:
        pythons = [interpreter(build=False)] * 2  # the same PyTorch for both
    except NoEnvironment:
        pythons = [Path(sys.executable)]
    with tempfile.TemporaryDirectory() as made:
        recording = sounds.write(Path(made) / "voice.wav", timing.VOICE_S)
        sides = [
            Side(python, (side, variant, str(folder), str(recording)))
            for python, side in zip(pythons, SIDES, strict=False)
        ]
        try:
            yield _measured(variant, "load", "s", [[side.ask("load")] for side in sides])
            for stage in timing.STAGES:
                if stage == "tokens" and variant == "vc":
                    continue
                for side in sides:
                    side.ask(stage)  # once for what is only done once
                times: list[list[float]] = [[] for _ in sides]
                for _ in range(rounds):
                    for side, kept in zip(sides, times, strict=True):
                        kept.append(side.ask(stage))
                yield _measured(variant, stage, "s", times)
            yield _measured(variant, "memory", "MB", [[side.ask("memory")] for side in sides])
        finally:
            for side in sides:
                side.close()


def _measured(variant: str, stage: str, unit: str, values: list[list[float]]) -> Measured:
    medians = [statistics.median(kept) for kept in values]
    return Measured(variant, stage, unit, medians[0], medians[1] if len(medians) > 1 else None)


def engine(setting: Setting) -> Iterator[Figure]:
    """Each stage of the Chatterbox models, and the memory of each side's process. Minutes, and 2 to 9 GB of disk."""
    for variant in VARIANTS if setting.full else ("nano",):
        for measured in measure(variant):
            yield measured.figure()


BENCHES: dict[str, Bench] = {"engine": engine}


def main() -> int:
    parser = argparse.ArgumentParser("bench.engine", description=__doc__)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each stage after the first")
    parser.add_argument("--json", action="store_true", help="lines of JSON, not a table")
    args = parser.parse_args()
    if args.json:
        sys.stdout.write(machine().line() + "\n")
    else:
        sys.stdout.write(f"{'variant':13} {'stage':8} {'ours':>10} {'upstream':>10} {'ratio':>7}\n")
    for variant in args.variant or VARIANTS:
        for measured in measure(variant, args.rounds):
            sys.stdout.write((measured.figure().line() if args.json else measured.row()) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

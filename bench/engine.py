"""The Chatterbox models, ours and if wished beside upstream's: `python -m bench.engine`, or `python -m bench engine`.

What is measured is what `chatterbox-plus bench` measures, of checkpoints of full shape with random weights, which are
written into build/parity once (8 GB for all variants). Each side is a process of its own with the same PyTorch, weights
and inputs. They take turns, so that all meet the same machine; a figure is the median of some rounds.

Without --full, for two cores and half an hour: `fast` of a single stream of Nano, Turbo and the English model, of
a long text of 8 sentences of Nano's, and of 12 s of conversion. Upstream's long text is its single stream, for it says
one sentence after the other. With --full: every variant and every mode, long texts of 20 sentences (upstream's: 4),
voices of 10 s and of 4 s, 60 s of conversion, and how many clients can listen at once: hours.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench import measure
from chatterbox_plus.engines.chatterbox.timing import plan
from chatterbox_plus.engines.chatterbox.timing.figures import Figure, Measurement, head, measurement
from chatterbox_plus.engines.chatterbox.timing.material import write_voice
from chatterbox_plus.engines.chatterbox.timing.protocol import Side
from chatterbox_plus.errors import MissingExtra
from parity.__main__ import CACHE, VARIANTS
from parity.environment import NoEnvironment, interpreter, surroundings

CONVERSION = "vc"
_OURS, _UPSTREAMS = "chatterbox_plus.engines.chatterbox.timing", "parity.timing"
_CHUNK_S, _OVERLAP_S = 60.0, 0.1  # of conversion, as requests have them by default


@dataclass(frozen=True)
class Extent:
    """How much is measured. sentences: of a long text, by variant; "": of all others."""

    variants: tuple[str, ...]
    modes: tuple[str, ...]
    prompts_s: tuple[float, ...]
    sentences: dict[str, int]
    upstream_sentences: int
    converted_s: float
    streams: bool


QUICK = Extent(
    variants=("nano", "turbo", "english", CONVERSION),
    modes=("fast",),
    prompts_s=(plan.PROMPT_S,),
    sentences={"nano": 8, "": 0},
    upstream_sentences=1,
    converted_s=12.0,
    streams=False,
)
FULL = Extent(
    variants=VARIANTS,
    modes=("exact", "fast", "int8"),
    prompts_s=(plan.PROMPT_S, 4.0),
    sentences={"": 20},
    upstream_sentences=4,
    converted_s=60.0,
    streams=True,
)


@dataclass(frozen=True)
class Place:
    """Where sides run. python: of both, so that both have the same PyTorch. sizes: of checkpoints, "full" or "tiny"."""

    python: Path
    upstream: bool
    cache: Path = CACHE
    sizes: str = "full"

    def about(self) -> dict[str, Any]:
        """What PyTorch is there, and which modes it has on the CPU: see `timing.__main__.about`."""
        command = [str(self.python), "-m", _OURS, "cpu"]
        done = subprocess.run(command, env=surroundings(), stdout=subprocess.PIPE, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def checkpoint(self, variant: str) -> Path:
        from parity import checkpoints

        share = self.cache / "shared" if self.sizes == "full" else None
        return checkpoints.write(variant, self.cache / variant, sizes=self.sizes, share=share)

    def side(self, module: str, setup: dict[str, Any]) -> Side:
        return Side([str(self.python), "-m", module], setup, surroundings())


def find_place(*, upstream: bool) -> Place:
    """upstream: whether it is to be measured; its environment is made where there is none, in two minutes.

    Raises MissingExtra without PyTorch, NoEnvironment.
    """
    if find_spec("torch") is None:
        raise MissingExtra("the Chatterbox models need PyTorch: pip install 'chatterbox-plus[neural]'")
    return Place(interpreter(build=True) if upstream else Path(sys.executable), upstream)


def measured(place: Place, extent: Extent, rounds: int = plan.ROUNDS) -> Iterator[Figure]:
    """Raises GenerationError, ModelLoadError."""
    modes = [mode for mode in extent.modes if mode in place.about()["modes"]]
    for variant in extent.variants:
        for prompt_s in extent.prompts_s:
            for figure in _measured(place, variant, prompt_s, modes, extent, rounds):
                prompt = {} if prompt_s == plan.PROMPT_S else {"prompt_s": prompt_s}
                yield replace(figure, details={**prompt, **figure.details})


def _measured(
    place: Place, variant: str, prompt_s: float, modes: Sequence[str], extent: Extent, rounds: int
) -> Iterator[Figure]:
    converts = variant == CONVERSION
    tasks = ["vc" if converts else "tts"]
    with tempfile.TemporaryDirectory(prefix="chatterbox-bench-") as folder:
        voice = write_voice(Path(folder) / "voice.wav", prompt_s)
        if converts:
            recording = write_voice(Path(folder) / "recording.wav", extent.converted_s)
            planned = plan.converting(str(recording), _CHUNK_S, _OVERLAP_S)
        else:
            sentences = extent.sentences.get(variant, extent.sentences[""])
            planned = plan.speaking(sentences, extent.upstream_sentences)
        setup = _setup(place, variant, voice)
        with ExitStack() as stack:

            def opened(module: str, setup: dict[str, Any]) -> Side:
                side = stack.enter_context(place.side(module, setup))
                side.ask("warm", tasks=tasks)
                return side

            sides = {mode: opened(_OURS, {**setup, "mode": mode}) for mode in modes}
            theirs = None
            if place.upstream:
                given = {"variant": variant, "folder": str(place.checkpoint(variant)), "voice": str(voice)}
                theirs = opened(_UPSTREAMS, given)
            yield from plan.measure(variant, sides, theirs, planned, rounds)
        if extent.streams and not converts:
            for mode in modes:
                with place.side(_OURS, {**setup, "mode": mode}) as side:
                    side.ask("warm", tasks=tasks)
                    yield from plan.streams(variant, mode, side)


def _setup(place: Place, variant: str, voice: Path) -> dict[str, Any]:
    """Of our side, without the mode."""
    from parity.ours import files

    # Upstream's conversion has a folder of the English model's decoder alone.
    family = "english" if variant == CONVERSION else variant
    found = files(family, place.checkpoint(family))
    return {
        "family": family,
        "files": {role: str(path) for role, path in found.items()},
        "device": "cpu",
        "voice": str(voice),
    }


def engine(setting: measure.Setting) -> Iterator[measure.Figure]:
    """A single stream and a long text of the Chatterbox models. Minutes, and 2 to 9 GB of disk."""
    extent = FULL if setting.full else replace(QUICK, variants=("nano",), modes=("fast",))
    for figure in measured(find_place(upstream=False), extent):
        told = {"variant": figure.variant, "mode": figure.mode, **figure.details}
        yield measure.Figure(figure.name, figure.value, figure.unit, told)


BENCHES: dict[str, measure.Bench] = {"engine": engine}


def main() -> int:
    parser = argparse.ArgumentParser(
        "bench.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="may be repeated")
    parser.add_argument("--mode", action="append", choices=FULL.modes, help="may be repeated")
    parser.add_argument("--prompt-s", action="append", type=float, metavar="S", help="of the voice; may be repeated")
    parser.add_argument("--rounds", type=int, default=plan.ROUNDS, help="a figure is the median of so many")
    parser.add_argument("--full", action="store_true", help="everything: hours")
    parser.add_argument("--streams", action="store_true", help="also how many clients can listen at once")
    parser.add_argument("--json", action="store_true", help="lines of JSON, not a table")
    parser.add_argument("--vs-upstream", action="store_true", help="beside upstream; its environment is made if needed")
    args = parser.parse_args()
    extent = FULL if args.full else QUICK
    extent = replace(
        extent,
        variants=tuple(args.variant or extent.variants),
        modes=tuple(args.mode or extent.modes),
        prompts_s=tuple(args.prompt_s or extent.prompts_s),
        streams=args.streams or extent.streams,
    )
    try:
        place = find_place(upstream=args.vs_upstream)
    except MissingExtra as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except NoEnvironment as error:
        sys.stderr.write(f"{error}; our side is measured alone\n")
        place = find_place(upstream=False)
    about = measurement(place.about()["torch"])
    _write(about, as_json=args.json)
    for figure in measured(place, extent, args.rounds):
        _write(figure, as_json=args.json)
    return 0


def _write(told: Figure | Measurement, *, as_json: bool) -> None:
    after = f"\n\n{head()}" if isinstance(told, Measurement) else ""
    sys.stdout.write((told.line() if as_json else told.row() + after) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

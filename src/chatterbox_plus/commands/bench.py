"""`bench`: how fast the installed models are here, and in how much memory."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common
from chatterbox_plus.commands.flags import add_setting_flags
from chatterbox_plus.errors import BadRequest, MissingExtra, ModelLoadError, ModelNotInstalled
from chatterbox_plus.settings import Settings

if TYPE_CHECKING:
    from chatterbox_plus.engines.chatterbox.timing.figures import Figure
    from chatterbox_plus.models.shelf import Installed, Shelf

CONVERSION = "vc"
"""Among the names of models: voice conversion, by the model that does it where nobody names one."""
MODES = ("exact", "fast", "int8")
_PROCESS = [sys.executable, "-P", "-m", "chatterbox_plus.engines.chatterbox.timing"]
_SENTENCES = 20  # of a long text
_CONVERTED_S, _FULL_CONVERTED_S = 20.0, 60.0
_EPILOG = """\
examples:
  chatterbox-plus bench
  chatterbox-plus bench nano --mode fast --mode int8
  chatterbox-plus bench nano vc --full --json > figures.jsonl

first_audio_s: from asking until something is heard, live, in a known voice. tokens_per_s, flow_rtf, vocoder_rtf,
total_rtf: one sentence of 6 s in one go; RTF is seconds of work for a second of speech, and below 1 is faster than
speech. long_text_x: seconds of speech in a second, of a text of 20 sentences. peak_memory_mb: of the process. vc: 20 s
of a recording in another voice. With --full also streams, the most clients of 1, 4, 8, 16 and 32 whose live speech
comes in time, and 60 s of conversion.

What is said is forced to an ordinary length, whatever the model would say. Each mode of a model has a process of its
own; all of them go on beside a running server, whose work then counts against them, and theirs against it.
Beside the original, in the same run: `make bench-engine` in a checkout of Chatterbox Plus.
"""


@dataclass(frozen=True)
class Subject:
    """variant: as figures name it. converts: whether conversion is measured, else speech."""

    variant: str
    model: "Installed"
    converts: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="an installed model, or vc; default: all installed ones, and vc"
    )
    parser.add_argument(
        "--mode", action="append", choices=MODES, help="precision, may be repeated; default: all there are here"
    )
    parser.add_argument("--full", action="store_true", help="many clients at once, and longer recordings too")
    parser.add_argument("--rounds", type=_rounds, default=3, metavar="N", help="a figure is the median of so many (3)")
    parser.add_argument(
        "--prompt-s", type=_prompt, default=10.0, metavar="S", help="seconds of the voice's recording, 1 to 30 (10)"
    )
    parser.add_argument("--vs-upstream", action="store_true", help="only in a checkout: see below")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each figure, after one of the machine")
    parser.add_argument("--quiet", action="store_true", help="no remarks on stderr")
    add_setting_flags(parser, ("DEVICE",))


def run(args: argparse.Namespace) -> int:
    from chatterbox_plus.engines.chatterbox.timing import figures

    if args.vs_upstream:
        raise BadRequest(
            "the original is measured in a checkout of Chatterbox Plus only, where its environment can be made: "
            "`make bench-engine`, or `python -m bench.engine --vs-upstream`"
        )
    settings = common.settings_of(args)
    subjects = _subjects(settings, args.models)
    told = _about(settings.models.device)
    if unknown := [mode for mode in args.mode or () if mode not in told["modes"]]:
        raise BadRequest(f"there is no mode {unknown[0]} on this device; there are {', '.join(told['modes'])}")
    measurement = figures.measurement(told["torch"], told["device"])
    if args.json:
        common.print_lines([measurement.line()])
    else:
        common.print_lines([measurement.row(), "", figures.head()])
    for subject in subjects:
        for mode in dict.fromkeys(args.mode or told["modes"]):
            for figure in _figures(subject, mode, settings.models.device, args):
                common.print_lines([figure.line() if args.json else figure.row()])
                sys.stdout.flush()
    return 0


def _figures(subject: Subject, mode: str, device: str, args: argparse.Namespace) -> Iterator["Figure"]:
    """Raises ModelLoadError, GenerationError."""
    from chatterbox_plus.engines.chatterbox.timing import plan
    from chatterbox_plus.engines.chatterbox.timing.material import write_voice
    from chatterbox_plus.engines.chatterbox.timing.protocol import Side
    from chatterbox_plus.synthesis.options import ConversionOptions

    with tempfile.TemporaryDirectory(prefix="chatterbox-bench-") as folder:
        setup = {
            "family": subject.model.family,
            "files": {role: str(path) for role, path in subject.model.paths.items()},
            "device": device,
            "mode": mode,
            "voice": str(write_voice(Path(folder) / "voice.wav", args.prompt_s)),
        }
        if subject.converts:
            length_s = _FULL_CONVERTED_S if args.full else _CONVERTED_S
            recording = str(write_voice(Path(folder) / "recording.wav", length_s))
            defaults = ConversionOptions.model_fields
            tasks = plan.converting(recording, defaults["chunk_sec"].default, defaults["overlap_sec"].default)
        else:
            tasks = plan.speaking(_SENTENCES)
        with Side(_PROCESS, setup) as side:
            side.ask("warm", tasks=["vc" if subject.converts else "tts"])
            yield from plan.measure(subject.variant, {mode: side}, None, tasks, args.rounds)
        if args.full and not subject.converts:
            with Side(_PROCESS, setup) as side:  # another: what a long text needed is not its memory
                side.ask("warm", tasks=["tts"])
                yield from plan.streams(subject.variant, mode, side)


def _subjects(settings: Settings, names: list[str]) -> list[Subject]:
    """What is measured. Raises ModelNotInstalled, also where there is no model at all, NotFound, InvalidModel."""
    from chatterbox_plus.house_models import open_shelf

    shelf = open_shelf(settings)
    installed = shelf.installed()
    if not installed:
        raise ModelNotInstalled(
            "there is no model here to measure: `chatterbox-plus models pull nano` fetches the smallest", param="model"
        )
    converting = _converting(settings, shelf)
    if not names:
        names = [model.name for model in installed] + ([CONVERSION] if converting else [])
    found = []
    for name in dict.fromkeys(names):
        if name != CONVERSION:
            found.append(Subject(name, shelf.find(name)))
        elif converting is not None:
            found.append(Subject(name, converting, converts=True))
        else:
            raise ModelNotInstalled("voice conversion is the built-in engine's here: no installed model is for English")
    return found


def _converting(settings: Settings, shelf: "Shelf") -> "Installed | None":
    """The model that converts where nobody names one. None: it is the built-in engine."""
    from chatterbox_plus.engines.neural import NeuralOptions
    from chatterbox_plus.engines.registry import BUILTIN, Engines

    neural = NeuralOptions(settings.paths.data_dir / "voiceprints", settings.models.device, settings.models.precision)
    with Engines(settings.models.model, shelf=shelf, neural=neural) as engines:
        name = engines.info().name
    return None if name == BUILTIN else shelf.find(name)


def _about(device: str) -> dict[str, Any]:
    """What PyTorch is here, and what it runs on. Raises MissingExtra, ModelLoadError."""
    from chatterbox_plus.engines.neural import check_packages

    check_packages()
    done = subprocess.run([*_PROCESS, device], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingExtra(f"PyTorch cannot be used here: {done.stderr.strip().splitlines()[-1]}")
    told: dict[str, Any] = json.loads(done.stdout)
    if "error" in told:
        raise ModelLoadError(told["error"])
    return told


def _rounds(text: str) -> int:
    if not 1 <= (count := int(text)) <= 100:
        raise argparse.ArgumentTypeError("1 to 100")
    return count


def _prompt(text: str) -> float:
    if not 1 <= (length_s := float(text)) <= 30:
        raise argparse.ArgumentTypeError("1 to 30 seconds")
    return length_s

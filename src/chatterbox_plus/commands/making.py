"""Making audio on the command line: the part that `say`, `convert` and `join` share."""

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common, output
from chatterbox_plus.settings import flag

if TYPE_CHECKING:
    from chatterbox_plus.commands.sinks import Opener
    from chatterbox_plus.synthesis.progress import Progress
    from chatterbox_plus.synthesis.results import LiveAudio, Result
    from chatterbox_plus.synthesis.studio import Studio


@dataclass(frozen=True)
class Work:
    """One operation, ready to run either way. keep: into the data folder. live: as a wav while it is made."""

    keep: "Callable[[Progress], Result]"
    live: "Callable[[Progress], LiveAudio]"


def add_making_flags(parser: argparse.ArgumentParser) -> None:
    output.add_output_flags(parser)
    parser.add_argument("--play", action="store_true", help="play it, while it is made where the player can")
    common.add_common_flags(parser)


def make(
    args: argparse.Namespace,
    what: str,
    unit: str,
    prepare: "Callable[[Studio, Event], Work]",
    sent: Collection[str],
    extra: "Callable[[Result], dict[str, Any]]" = lambda result: {},
) -> int:
    """Do the work and say what came of it: paths, or one JSON object, on stdout.

    what, unit: for the progress bar. sent: names of the options that were given. extra: more for the JSON object.
    """
    targets, to_stdout = output.checked_targets(args, args.parser)
    elsewhere = bool(targets) or to_stdout or args.play
    for name in ("export_formats", "project") if elsewhere else ():
        if name in sent:
            args.parser.error(f"{flag(name)} is for results in the data folder: leave out -o and --play")
    settings = common.settings_of(args)

    from chatterbox_plus.commands.player import find_player
    from chatterbox_plus.commands.sinks import openers

    player = find_player() if args.play else None

    def work(cancel: Event) -> dict[str, Any]:
        sinks = openers(targets, args.format if to_stdout else None, player, cancel)
        with common.studio_of(settings) as studio, common.progress_bar(args, what, unit) as progress:
            prepared = prepare(studio, cancel)
            if not elsewhere:
                return _kept(studio, prepared.keep(progress), extra)
            return _delivered(prepared.live(progress), sinks, targets)

    report = common.interruptible(work)
    common.show_notes(args, tuple(report["notes"]))
    if args.json:
        common.print_json(report)
    elif not to_stdout:
        common.print_lines(file["path"] for file in report["files"])
    return 0


def _kept(studio: "Studio", result: "Result", extra: "Callable[[Result], dict[str, Any]]") -> dict[str, Any]:
    root = studio.library.outputs.root
    files = [
        {"format": file.format, "path": common.shown_path(root / file.path), "size_bytes": file.size_bytes}
        for file in result.files
    ]
    report = _report(files, result.duration_s, result.processing_s, result.model, getattr(result, "seed", None))
    return {**report, **extra(result), "notes": list(result.notes)}


def _delivered(live: "LiveAudio", sinks: "list[Opener]", targets: list[output.Target]) -> dict[str, Any]:
    from chatterbox_plus.commands.sinks import deliver

    began = perf_counter()
    duration_s = deliver(live, sinks)
    files = [target.report() for target in targets]
    report = _report(files, duration_s, perf_counter() - began, live.model, live.seed)
    return {**report, "notes": list(live.notes)}


def _report(
    files: list[dict[str, Any]], duration_s: float, processing_s: float, model: str, seed: int | None
) -> dict[str, Any]:
    report = {
        "success": True,
        "files": files,
        "duration_s": round(duration_s, 3),
        "processing_s": round(processing_s, 3),
    }
    return report | ({"model": model} if model else {}) | ({"seed": seed} if seed is not None else {})

"""`batch`: a table in, a file for every row out. Begun again, it goes on."""

import argparse
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.audio.formats import NATIVE_FORMATS
from chatterbox_plus.commands import common, flags
from chatterbox_plus.errors import BadRequest, NotFound
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.options import SpeechOptions

if TYPE_CHECKING:
    from chatterbox_plus.commands.batch_making import Outcome

_EPILOG = """\
examples:
  chatterbox-plus batch lines.csv
  chatterbox-plus batch lines.jsonl -o voices --format wav --format mp3 --voice narrator --speed 1.1
  chatterbox-plus batch lines.csv --json

The first line of a CSV file names its columns: text, and if you like voice, name and any option below with _ for -
(speed_factor, language). JSON lines have them as fields. A row's own value goes before that of an option given here.
A voice is an audio file, a stored voice, a stock voice, or a URL.

Row 7 becomes NAME.wav, or 0007.wav where it has no name. Stopped by Ctrl-C or by anything else, the same command goes
on: rows that are made are passed over, those that were edited, failed or lost are made again. So that passages once
spoken are not spoken again, --reuse-takes is on here.
"""
_ELSEWHERE = (
    "text", "folder", "project", "webhook_url", "export_formats", "timestamps", "keep_original_wav_ae",
    "streaming",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] TABLE"
    parser.add_argument("table", metavar="TABLE", help="a .csv or .jsonl file; - reads stdin")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="where the files go; made when missing (default: the table's name)"
    )
    parser.add_argument(
        "--format",
        action="append",
        choices=NATIVE_FORMATS,
        help="format of the files; may be repeated (default: wav)",
    )
    parser.add_argument(
        "--workers-at-once",
        type=_count,
        metavar="N",
        help="rows at once, each with an engine (default: models.workers)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that were not made here")
    flags.add_option_flags(
        parser,
        SpeechOptions,
        skip=_ELSEWHERE,
        synonyms={"reference_audio_filename": ("-v", "--voice"), "speed_factor": ("-s", "--speed")},
    )
    common.add_common_flags(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Raises InvalidRows before anything is made, and what `Making.run` raises."""
    from chatterbox_plus.commands.batch_making import Making, complaints, report
    from chatterbox_plus.commands.batch_manifest import Manifest
    from chatterbox_plus.commands.batch_rows import pieces_of
    from chatterbox_plus.jobs.batch_input import read_rows

    given = flags.options_from(args, args.parser, SpeechOptions, text="-")
    settings = _with_workers(common.settings_of(args), args.workers_at_once)
    data, filename, folder = _table(args)
    shared = {
        "export_formats": list(dict.fromkeys(args.format or ["wav"])),
        "reuse_takes": True,
        **given.model_dump(mode="json", exclude_unset=True, exclude={"text"}),
    }
    rows = read_rows(data, filename, common=shared)
    manifest = Manifest(folder)
    outcomes: list[Outcome] = []

    def work(cancel: Event) -> None:
        with common.studio_of(settings) as studio, common.progress_bar(args, "Speaking", " rows") as progress:
            pieces = pieces_of(rows, folder, studio)
            making = Making(studio, manifest, args.force, settings.models.workers, outcomes)
            making.run(pieces, cancel, progress)

    try:
        common.interruptible(work)
    except KeyboardInterrupt:
        done = sum(outcome.error is None for outcome in outcomes)
        common.talk(args, f"Stopped: {done} of {len(rows)} rows are done. The same command goes on from here.")
        raise
    outcomes.sort(key=lambda outcome: outcome.piece.line)
    told = report(outcomes, folder)
    common.show_notes(args, tuple(told["notes"]))
    for complaint in complaints(outcomes):
        sys.stderr.write(f"chatterbox-plus: {complaint}\n")
    if args.json:
        common.print_json(told)
    else:
        common.print_lines(file["path"] for row in told["rows"] for file in row["files"])
    return 0 if told["success"] else 1


def _table(args: argparse.Namespace) -> tuple[bytes, str, Path]:
    """The table, the name that tells what it is, and the folder for what is made of it. Raises NotFound, BadRequest."""
    if args.table == "-":
        data, filename, folder = sys.stdin.buffer.read(), "", Path("batch")
    else:
        path = Path(args.table)
        data, filename, folder = common.read_file(path), path.name, Path(path.stem)
    if args.output is not None:
        folder = Path(args.output).expanduser()
    if not folder.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {folder.parent.name or folder.parent}")
    if folder.exists() and not folder.is_dir():
        raise BadRequest(f"{folder.name} is a file: -o names a folder")
    return data, filename, folder


def _with_workers(settings: Settings, workers: int | None) -> Settings:
    if workers is None:
        return settings
    return settings.model_copy(update={"models": settings.models.model_copy(update={"workers": workers})})


def _count(text: str) -> int:
    """Raises ValueError, as argparse likes it."""
    if not text.isdecimal() or not 1 <= int(text[:4]) <= 64:
        raise argparse.ArgumentTypeError("must be a number from 1 to 64")
    return int(text)

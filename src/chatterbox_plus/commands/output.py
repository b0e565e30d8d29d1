"""Where a command's audio is to go: checked before the work begins, so that nothing is made for nothing."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.commands.common import shown_path
from chatterbox_plus.errors import FileExists, NotFound

STDOUT = "-"
_SUFFIXES = {format.suffix: name for name, format in FORMATS.items()} | {".ogg": "opus"}


@dataclass(frozen=True)
class Target:
    """A file to be made. replace: whether it may take the place of one that is there."""

    path: Path
    format: str
    replace: bool

    def taken(self) -> FileExists:
        return FileExists(f"{self.path.name} exists already; --force overwrites it")

    def report(self) -> dict[str, Any]:
        return {"format": self.format, "path": shown_path(self.path.absolute()), "size_bytes": self.path.stat().st_size}


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", action="append", default=[], metavar="FILE",
        help=f"file to write, of a format by its suffix ({', '.join(_SUFFIXES)}), or - for stdout; may be repeated "
        "(default: kept in the data folder, like the server's)",
    )  # fmt: skip
    parser.add_argument("--format", choices=tuple(FORMATS), default="wav", help="format on stdout (default: wav)")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def checked_targets(args: argparse.Namespace, parser: argparse.ArgumentParser) -> tuple[list[Target], bool]:
    """The files to write, and whether stdout is written to as well. Wrong usage ends the program.

    Raises FileExists, or NotFound for a folder that is not there.
    """
    names = list(dict.fromkeys(args.output))
    to_stdout = STDOUT in names
    if to_stdout and args.json:
        parser.error("-o - and --json both want stdout")
    if to_stdout and sys.stdout.isatty():
        parser.error("refusing to write audio to a terminal: send stdout into a file or a pipe")
    targets = [_target(Path(name).expanduser(), args.force, parser) for name in names if name != STDOUT]
    for target in targets:
        if not target.path.parent.is_dir():
            raise NotFound(f"there is no folder {target.path.parent.name or target.path.parent}")
        if target.path.is_dir() or (target.path.exists() and not target.replace):
            raise target.taken()
    return targets, to_stdout


def _target(path: Path, replace: bool, parser: argparse.ArgumentParser) -> Target:
    if path.suffix.lower() not in _SUFFIXES:
        parser.error(f"{path.name}: name one of the formats as suffix: {', '.join(_SUFFIXES)}")
    return Target(path, _SUFFIXES[path.suffix.lower()], replace)

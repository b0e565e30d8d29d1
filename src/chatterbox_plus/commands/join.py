"""`join`: recordings and silences in, one recording out."""

import argparse
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.commands import common, flags
from chatterbox_plus.commands.making import Work, add_making_flags, make
from chatterbox_plus.synthesis.options import (
    SILENCE_TOKEN,
    FileSegment,
    JoinOptions,
    Segment,
    SilenceSegment,
    UploadSegment,
)

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio

_EPILOG = """\
examples:
  chatterbox-plus join intro.wav "(1s)" main.mp3 "(500ms)" outro.wav -o show.mp3
  chatterbox-plus join part*.wav --crossfade-ms 100 --no-normalize-levels -o all.flac
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] FILE [FILE ...]"
    parser.add_argument(
        "file", nargs="+", metavar="FILE", help='an audio file, the name of one in outputs/, or a silence like "(1s)"'
    )
    flags.add_option_flags(
        parser, JoinOptions, skip=("segments", "folder"), synonyms={"export_formats": ("--formats",)}
    )
    add_making_flags(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    uploads: list[tuple[str, Path]] = []
    segments = [_segment(args, item, uploads) for item in args.file]
    options = flags.options_from(args, args.parser, JoinOptions, segments=segments)

    def work(studio: "Studio", cancel: Event) -> Work:
        return Work(
            keep=lambda progress: studio.join(options, cancel=cancel, uploads=uploads, progress=progress),
            live=lambda progress: studio.join_live(
                options, cancel=cancel, uploads=uploads, format="wav", keep=False, progress=progress
            ),
        )

    return make(args, "Joining", " files", work, options.model_fields_set)


def _segment(args: argparse.Namespace, item: str, uploads: list[tuple[str, Path]]) -> Segment:
    if token := SILENCE_TOKEN.match(item):
        duration_ms = round(float(token[1]) * (1000 if token[2] == "s" else 1))
        return flags.validated(args.parser, item, SilenceSegment, duration_ms=duration_ms, notation=item)
    if path := common.local_audio(item):
        uploads.append((path.name, path))
        return UploadSegment(index=len(uploads) - 1)
    if item.startswith("(") and item.endswith(")"):
        args.parser.error(f"{item} is not a silence: write (500ms) or (1.5s)")
    return FileSegment(filename=item)

"""`say`: a text in, speech out."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from chatterbox_plus.commands import common, flags
from chatterbox_plus.commands.making import Work, add_making_flags, make
from chatterbox_plus.commands.output import STDOUT
from chatterbox_plus.errors import BadRequest, NotFound
from chatterbox_plus.synthesis.options import SpeechOptions

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.results import Result
    from chatterbox_plus.synthesis.studio import Studio

_EPILOG = """\
examples:
  chatterbox-plus say "Hello there." -o hello.wav
  chatterbox-plus say --file chapter.txt --voice narrator --speed 1.1 -o chapter.mp3
  echo "Dinner is ready" | chatterbox-plus say --voice ./me.flac --play
  chatterbox-plus say "To a pipe" -o - --format pcm | aplay -f S16_LE -r 24000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] [TEXT ...]"
    parser.add_argument("text", nargs="*", metavar="TEXT", help="what to say; - (or nothing, in a pipe) reads stdin")
    parser.add_argument("-f", "--file", metavar="FILE", help="read the text from a UTF-8 file")
    flags.add_option_flags(
        parser,
        SpeechOptions,
        skip=("text", "folder", "webhook_url"),
        synonyms={
            "reference_audio_filename": ("-v", "--voice"),
            "speed_factor": ("-s", "--speed"),
            "export_formats": ("--formats",),
        },
    )
    add_making_flags(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    options = flags.options_from(args, args.parser, SpeechOptions, text=_text(args))
    reference = common.local_audio(options.reference_audio_filename or "")
    live = options
    if not (args.play or STDOUT in args.output or "streaming" in options.model_fields_set):
        live = options.model_copy(update={"streaming": "exact"})  # nobody listens yet

    def work(studio: "Studio", cancel: Event) -> Work:
        return Work(
            keep=lambda progress: studio.speak(options, cancel=cancel, reference=reference, progress=progress),
            live=lambda progress: studio.speak_live(
                live, cancel=cancel, format="wav", keep=False, reference=reference, progress=progress
            ),
        )

    return make(args, "Speaking", " passages", work, options.model_fields_set, _extra)


def _text(args: argparse.Namespace) -> str:
    words: Sequence[str] = args.text
    if args.file is not None:
        if words:
            args.parser.error("give TEXT or --file, not both")
        return _decoded(_read(Path(args.file).expanduser()) if args.file != "-" else sys.stdin.buffer.read())
    if list(words) == ["-"] or (not words and not sys.stdin.isatty()):
        return _decoded(sys.stdin.buffer.read())
    if not words:
        args.parser.error("give a TEXT to say, --file, or - to read stdin")
    return " ".join(words)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path.name}") from None
    except OSError as error:
        raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("the text is not UTF-8") from None


def _extra(result: "Result") -> dict[str, Any]:
    from chatterbox_plus.synthesis.results import SpeechResult

    if not isinstance(result, SpeechResult) or not result.words:
        return {}
    return {"words": [asdict(word) for word in result.words], "words_estimated": result.words_estimated}

"""`convert`: a recording in, the same words in another voice out."""

import argparse
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.commands import common, flags
from chatterbox_plus.commands.making import Work, add_making_flags, make
from chatterbox_plus.synthesis.options import ConversionOptions

if TYPE_CHECKING:
    from chatterbox_plus.synthesis.studio import Studio

_EPILOG = """\
examples:
  chatterbox-plus convert interview.mp3 --to speaker2 -o interview-2.mp3
  chatterbox-plus convert ./me.wav --to ./friend.flac --chunk-sec 30 --play
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options] INPUT --to VOICE"
    parser.add_argument("input", metavar="INPUT", help="an audio file, the name of one in vc_inputs/, or a URL")
    parser.add_argument(
        "--to", required=True, metavar="VOICE", help="an audio file, a voice in reference_audio/, or a URL"
    )
    flags.add_option_flags(
        parser,
        ConversionOptions,
        skip=("input_audio_source", "target_voice_source", "folder"),
        synonyms={"export_formats": ("--formats",)},
    )
    add_making_flags(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    options = flags.options_from(
        args, args.parser, ConversionOptions, input_audio_source=args.input, target_voice_source=args.to
    )
    source, target = common.local_audio(args.input), common.local_audio(args.to)

    def work(studio: "Studio", cancel: Event) -> Work:
        return Work(
            keep=lambda progress: studio.convert(
                options, cancel=cancel, source=source, target=target, progress=progress
            ),
            live=lambda progress: studio.convert_live(
                options, cancel=cancel, source=source, target=target, format="wav", keep=False, progress=progress
            ),
        )

    return make(args, "Converting", " s", work, options.model_fields_set)

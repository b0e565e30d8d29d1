"""`voices`: whom one can ask to speak."""

import argparse
import sys
from dataclasses import asdict

from chatterbox_plus.commands import common

_EPILOG = """\
examples:
  chatterbox-plus voices --language de
  chatterbox-plus voices --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [options]"
    parser.add_argument(
        "--language", metavar="XX", help="only the engine's voices of this language, such as en or pt-br"
    )
    common.add_common_flags(parser)


def run(args: argparse.Namespace) -> int:
    with common.studio_of(common.settings_of(args)) as studio:
        voices = studio.voice_list(studio.engines.info().resolve_language(args.language) if args.language else None)
    if args.language:
        voices = [voice for voice in voices if voice.kind == "stock"]
    if args.json:
        common.print_json({"success": True, "voices": [asdict(voice) for voice in voices]})
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table("voice", "what it is", "language", "gender")
        for voice in voices:
            table.add_row(voice.id, _WHAT[voice.kind], voice.language or "", voice.gender or "")
        Console().print(table)
    else:
        common.print_lines("\t".join((v.id, v.kind, v.language or "", v.gender or "")) for v in voices)
    return 0


_WHAT = {"file": "a recording of yours", "alias": "a name OpenAI's clients know", "stock": "the engine's own"}

"""`chatterbox-plus`: every operation in one command. Data goes to stdout, talk to stderr.

Exit status: 0 done, 1 failed, 2 wrong usage or settings, 130 stopped by Ctrl-C (128 + the signal), 141 nobody reads
stdout any more. A command's own imports happen only when it runs: `--help` is quick.
"""

import argparse
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from chatterbox_plus import __version__
from chatterbox_plus.errors import PlusError, SettingsError

PROGRAM = "chatterbox-plus"
COMMANDS = {
    "say": "say a text, into a file, to stdout or aloud",
    "convert": "say a recording again in another voice",
    "join": "join recordings and silences into one",
    "batch": "say every row of a table, each into a file of its own",
    "book": "make an audiobook, or show how a book would be read",
    "voices": "list the voices there are",
    "models": "list, pull, add and remove models",
    "bench": "measure how fast the models are here",
    "serve": "start the HTTP server",
    "doctor": "try a running server as the programs that use it would",
    "mcp": "give an assistant tools to speak with (MCP)",
    "jobs": "list, watch and change the tasks of a running server",
    "keys": "add, list and revoke API keys",
}
"""Name -> summary. Each is a module of `commands` with `add_arguments(parser)` and `run(args) -> exit status`."""

FAILED, USAGE, BROKEN_PIPE = 1, 2, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. argv: the words after the program's name; None: this process's own."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser(words).parse_args(words)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at exit; nobody is there to read it, nor to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt as stop:
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except PlusError as error:
        return _explain(error, as_json=getattr(args, "json", False))
    return status


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the commands that are among the words get their arguments."""
    top = argparse.ArgumentParser(
        PROGRAM,
        description="Speech on your own machine: say, convert, join; batches, books, and a server.",
        epilog=f'example: {PROGRAM} say "Hello there." -o hello.wav',
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in words:
            module = importlib.import_module(f"chatterbox_plus.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return top


def _explain(error: PlusError, *, as_json: bool) -> int:
    for line in [message for _, message in error.details] or [error.message]:
        sys.stderr.write(f"{PROGRAM}: {line}\n")
    if as_json:
        reply: dict[str, Any] = {"success": False, "error": error.message, "error_code": error.code}
        if error.details:
            reply["details"] = [{"place": place, "message": message} for place, message in error.details]
        sys.stdout.write(json.dumps(reply, ensure_ascii=False) + "\n")
    return USAGE if isinstance(error, SettingsError) else FAILED

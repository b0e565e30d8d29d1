"""`python -m bench`: all figures, as JSON lines. `python -m bench NAME…`: some. `--list`: what there is."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import audio, books, crowd, engine, jobs, joining, library, reads, serving, speech
from bench.measure import Bench, Setting, machine
from chatterbox_plus.errors import PlusError

BENCHES: dict[str, Bench] = {
    **speech.BENCHES,
    **serving.BENCHES,
    **reads.BENCHES,
    **audio.BENCHES,
    **joining.BENCHES,
    **library.BENCHES,
    **books.BENCHES,
    **jobs.BENCHES,
}
SLOW = serving.SLOW_BENCHES | crowd.BENCHES | engine.BENCHES
"""Not among "all": only when named, or with --full."""


def main() -> int:
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("name", nargs="*", help="benches to run (default: all but the slow)")
    parser.add_argument("--list", action="store_true", help="name the benches and stop")
    parser.add_argument(
        "--full", action="store_true", help="an hour of audio where ten minutes would do, and the slow benches"
    )
    args = parser.parse_args()
    known = BENCHES | SLOW
    if unknown := set(args.name) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if args.list:
        for name, bench in known.items():
            sys.stdout.write(f"{name:12} {(bench.__doc__ or '').splitlines()[0]}\n")
        return 0
    sys.stdout.write(machine().line() + "\n")
    status = 0
    for name in args.name or (known if args.full else BENCHES):
        with tempfile.TemporaryDirectory(prefix="chatterbox-bench-", ignore_cleanup_errors=True) as folder:
            try:
                for figure in known[name](Setting(Path(folder), args.full)):
                    sys.stdout.write(figure.line() + "\n")
                    sys.stdout.flush()
            except PlusError as error:  # the other figures are still worth having
                sys.stderr.write(f"{name}: {error.message}\n")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

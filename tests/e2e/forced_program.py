"""The program as it is, but for an engine that knows when to stop: `python -m tests.e2e.forced_program serve`."""

import sys

from chatterbox_plus import cli
from chatterbox_plus.engines import neural

neural.FACTORY = "tests.engines.chatterbox.forced:ForcedEngine"

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))

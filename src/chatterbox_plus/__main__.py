"""`python -m chatterbox_plus` is `chatterbox-plus`."""

import sys

from chatterbox_plus.cli import main

if __name__ == "__main__":  # spawned children import this module under another name
    sys.exit(main())

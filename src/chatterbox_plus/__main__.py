"""`python -m chatterbox_plus`, the same as `chatterbox-plus`."""

import sys

from chatterbox_plus.cli import main

sys.exit(main())

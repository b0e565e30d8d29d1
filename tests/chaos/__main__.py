"""`python -m tests.chaos`: storms on SQLite and on PostgreSQL, many submits under kills, and outages of half a minute.

A line of JSON for each storm; says 1 if a promise was broken. Takes twenty minutes.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.storm import Storm, storm
from tests.jobs.postgres import binaries, postgres

FULL = Storm(kills=100, jobs=500, passages=8, delay_s=0.03)
SUBMITS = Storm(kills=30, jobs=1000, passages=1)
OUTAGES = {"TESTS_AWAY_S": "30"}


def main() -> int:
    if not binaries():
        sys.stderr.write("there is no PostgreSQL here: `apt-get install postgresql`\n")
        return 2
    broken = False
    with postgres() as server:
        for plan in (FULL, SUBMITS):
            for url in ("", server.database()):
                with tempfile.TemporaryDirectory(prefix="chatterbox-storm-", ignore_cleanup_errors=True) as folder:
                    outcome = storm(plan, Path(folder), url)
                sys.stdout.write(f"{'postgresql' if url else 'sqlite'} {outcome.line()}\n")
                sys.stdout.flush()
                broken = broken or bool(outcome.problems)
    tests = ["tests/jobs/test_outages.py", "tests/jobs/test_servers.py"]
    done = subprocess.run([sys.executable, "-m", "pytest", *tests], env={**os.environ, **OUTAGES})
    return 1 if broken or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())

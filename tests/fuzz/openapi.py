"""Schemathesis over the whole OpenAPI document of a real server: no 5xx, no status or content that is not written down.

`python -m tests.fuzz.openapi` runs all of it; the test beside this file runs a little.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.live import live_server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@dataclass(frozen=True)
class Outcome:
    """cases: requests made. passed: whether no check failed. report: what schemathesis said."""

    cases: int
    passed: bool
    report: str


def run(folder: Path, *, phases: str, examples: int, seed: int | None = None) -> Outcome:
    """One run against a server of its own, with the data folder inside `folder`. examples: most per operation."""
    # nothing leaves this machine: a hub that nobody answers for
    env = {"CHATTERBOX_LOG_LEVEL": "error", "HF_ENDPOINT": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    with live_server(folder, env=env) as server:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json",
            "--checks", CHECKS, "--phases", phases, "--max-examples", str(examples),
            "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
            "--exclude-path", "/api/v1/tasks/events",  # a stream that lasts as long as it is asked to
            "--request-timeout", "60", "--workers", "2", "--no-color", *(["--seed", str(seed)] if seed else []),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=3000)
        server_log = server.log.read_text("utf-8", "replace")
    report = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace") + server_log[-5000:]
    counted = re.search(r"([\d,]+) generated", report)
    return Outcome(int(counted[1].replace(",", "")) if counted else 0, done.returncode == 0, report)


def main() -> int:
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=60, help="most for each operation and phase (default 60)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chatterbox-fuzz-") as folder:
        outcome = run(Path(folder), phases="examples,coverage,fuzzing,stateful", examples=args.examples)
    lines = [line[:400] for line in outcome.report.splitlines()]
    sys.stdout.write("\n".join(lines[-200:]) + f"\nOpenAPI: {outcome.cases} requests\n")
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())

"""Figures are lines of JSON, and nothing else is on stdout."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *words], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_every_line_is_a_figure_and_the_first_is_the_machine() -> None:
    done = bench("speed")
    assert (done.returncode, done.stderr) == (0, "")
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert [figure["figure"] for figure in figures] == ["machine", "speed_change_x_realtime"]
    for figure in figures:
        assert {"figure", "value", "unit"} <= figure.keys()
    assert figures[1]["value"] > 0
    assert figures[1]["unit"] == "x"


def test_an_unknown_bench_is_refused_before_anything_runs() -> None:
    done = bench("speed", "nonesuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nonesuch" in done.stderr

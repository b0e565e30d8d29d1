"""Figures are lines of JSON, and nothing else is on stdout."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench import engine
from chatterbox_plus.engines.chatterbox.timing.figures import KINDS

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


def test_engine_figures_are_those_of_the_models_beside_upstream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream's side is another of ours here: its environment takes minutes to make."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(engine, "_UPSTREAMS", "tests.engines.chatterbox.stand_in")
    place = engine.Place(Path(sys.executable), upstream=True, cache=tmp_path, sizes="tiny")
    extent = replace(engine.QUICK, variants=("nano", "vc"), sentences={"": 2}, converted_s=1.0, prompts_s=(2.0,))
    figures = list(engine.measured(place, replace(extent, modes=("exact",)), rounds=1))
    assert [figure.name for figure in figures if figure.variant == "nano"] == [
        "total_rtf", "tokens_per_s", "flow_rtf", "vocoder_rtf", "first_audio_s", "long_text_x", "peak_memory_mb",
    ]  # fmt: skip
    assert [figure.name for figure in figures if figure.variant == "vc"] == [
        "total_rtf", "flow_rtf", "vocoder_rtf", "peak_memory_mb",
    ]  # fmt: skip
    for figure in figures:
        assert figure.upstream == 2.0
        assert figure.ratio == pytest.approx(figure.value / 2 if KINDS[figure.name].more else 2 / figure.value)
        assert figure.details["prompt_s"] == 2.0

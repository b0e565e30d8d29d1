"""How models are measured: lengths are forced, medians are medians, sides take turns. Never how fast anything is."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chatterbox_plus.audio.clip import Clip, silence
from chatterbox_plus.engines.base import Fragment
from chatterbox_plus.engines.chatterbox.prints import CODES
from chatterbox_plus.engines.chatterbox.t3 import STOP
from chatterbox_plus.engines.chatterbox.timing import material, plan
from chatterbox_plus.engines.chatterbox.timing.driving import Driver
from chatterbox_plus.engines.chatterbox.timing.figures import KINDS, Figure, head, measurement, medians
from chatterbox_plus.engines.chatterbox.timing.listening import START_S, Listener, told
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured, Side, peak_memory
from chatterbox_plus.errors import GenerationError, ModelLoadError
from parity import timing as upstreams
from parity.ours import files
from tests.engines.chatterbox import checkpoints

RATE = 24_000
PROCESS = """
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured, answer
from chatterbox_plus.errors import GenerationError, ModelLoadError

def broken():
    raise GenerationError("out of breath")

def ended():
    raise SystemExit("the end of it")

def open_model(setup):
    print("upstream prints")
    if setup["name"] == "nobody":
        raise ModelLoadError("nobody is not here")
    return {"twice": lambda x: Measured({"value": 2.0 * x}, {"of": x}), "broken": broken, "ended": ended}

answer(open_model)
"""
COMMAND = [sys.executable, "-c", PROCESS]


class FakeSide:
    """Says what it is told to, in order; keeps what it was asked for in a list that sides share."""

    def __init__(self, name: str, asked: list[str], values: list[float], figure: str = "total_rtf") -> None:
        self.name, self.asked, self.values, self.figure = name, asked, values, figure

    def ask(self, measure: str, **arguments: Any) -> Measured:
        self.asked.append(f"{self.name} {measure}")
        return Measured({self.figure: self.values.pop(0)}, arguments)


@pytest.fixture
def drivers(tmp_path: Path) -> Iterator[Any]:
    def open_driver(variant: str, tasks: list[str]) -> Driver:
        voice = material.write_voice(tmp_path / "voice.wav", 2.0)
        found = {role: str(path) for role, path in files(variant, checkpoints.tiny(variant)).items()}
        driver = Driver.open(variant, found, "cpu", "exact", str(voice), tmp_path / "prints")
        driver.warm(tasks)
        return driver

    return open_driver


def test_a_text_is_as_long_as_asked_for_and_its_speech_as_long_as_the_text() -> None:
    assert len(material.SENTENCE) == 90
    assert material.forced_length(material.SENTENCE) == 150
    assert material.seconds([material.SENTENCE, material.SENTENCE]) == 12
    texts = material.long_text(20)
    lengths = list(map(len, texts))
    assert (min(lengths), max(lengths), sum(lengths) / 20, sum(lengths[:8]) / 8) == (40, 120, 80, 80)
    assert len(set(texts)) == 20


def test_the_made_up_voice_comes_back_from_its_file(tmp_path: Path) -> None:
    clip = material.read_voice(material.write_voice(tmp_path / "a.wav", 1.5))
    assert (len(clip.samples), clip.rate) == (36_000, RATE)
    np.testing.assert_allclose(clip.samples, material.made_up_voice(1.5), atol=1e-4)


def test_medians_are_medians_of_those_that_have_the_figure() -> None:
    assert medians([{"a": 3.0, "b": 1.0}, {"a": 1.0}, {"a": 2.0}]) == {"a": 2.0, "b": 1.0}


@pytest.mark.parametrize(
    ("name", "ours", "upstream", "ratio"),
    [("total_rtf", 0.5, 2.0, 4.0), ("tokens_per_s", 90.0, 30.0, 3.0), ("first_audio_s", 1.0, None, None)],
)
def test_a_line_has_the_same_keys_always_and_a_ratio_above_one_is_better(
    name: str, ours: float, upstream: float | None, ratio: float | None
) -> None:
    line = json.loads(Figure(name, "nano", "fast", ours, upstream).line())
    assert list(line) == ["figure", "variant", "mode", "value", "unit", "upstream", "ratio"]
    assert line == {
        "figure": name,
        "variant": "nano",
        "mode": "fast",
        "value": ours,
        "unit": KINDS[name].unit,
        "upstream": upstream,
        "ratio": ratio,
    }


def test_rows_stand_below_the_head_of_the_table() -> None:
    row = Figure("total_rtf", "nano", "fast", 0.5, 2.0, {"audio_s": 6.0, "8 clients": {"in_time": 1.0}}).row()
    first, second = row.splitlines()
    for column, cell in (("figure", "total_rtf"), ("unit", "s/s")):
        assert head().index(column) == first.index(cell)
    assert (first.endswith("audio_s 6.00"), second.strip()) == (True, "8 clients: in_time 1.00")


def test_the_first_line_tells_machine_torch_commit_and_version() -> None:
    told = measurement("2.0", "a GPU")
    assert list(json.loads(told.line())) == ["machine", "torch", "commit", "version"]
    assert told.machine.startswith("a GPU, ")


def test_sides_take_turns_and_a_figure_is_the_median_of_the_rounds() -> None:
    asked: list[str] = []
    modes = {
        "exact": FakeSide("exact", asked, [4.0, 1.0, 2.0, 9.0]),
        "fast": FakeSide("fast", asked, [1.0, 3.0, 1.0, 9.0]),
    }
    upstream = FakeSide("upstream", asked, [6.0, 9.0, 8.0])
    tasks = [plan.Task("sentence", {"x": 1}, {}, {"upstream_y": 2}), plan.Task("memory", repeated=False)]
    figures = list(plan.measure("nano", modes, upstream, tasks))  # type: ignore[arg-type]
    assert asked == ["exact sentence", "fast sentence", "upstream sentence"] * 3 + ["exact memory", "fast memory"]
    assert [(figure.mode, figure.value, figure.upstream) for figure in figures[:2]] == [("exact", 2, 8), ("fast", 1, 8)]
    assert figures[0].ratio == 4
    assert figures[0].details == {"x": 1, "upstream_y": 2}


@pytest.mark.parametrize(
    ("in_time", "held", "tried"),
    [
        ([1.0, 1.0, 0.99, 1.0, 1.0], 32, 5),
        ([1.0, 1.0, 1.0, 0.98, 1.0], 8, 4),
        ([1.0, 0.9, 1.0], 1, 3),  # eight are served all the same, for what memory that takes
        ([0.5, 0.5, 0.5], 0, 3),
    ],
)
def test_the_most_clients_that_are_served_in_time_are_found(in_time: list[float], held: int, tried: int) -> None:
    asked: list[str] = []

    class Streaming(FakeSide):
        def ask(self, measure: str, **arguments: Any) -> Measured:
            if measure == "memory":
                return Measured({"peak_memory_mb": 1.0})
            return super().ask(measure, **arguments)

    side = Streaming("ours", asked, in_time, "in_time")
    (figure,) = plan.streams("nano", "fast", side)  # type: ignore[arg-type]
    assert (figure.name, figure.value, len(asked)) == ("streams", held, tried)
    assert list(figure.details) == [f"{count} clients" for count in plan.CLIENTS[:tried]]


def fragment(seconds: float, *, last: bool = False) -> Fragment:
    return Fragment(0, Clip(silence(round(seconds * RATE)), RATE), last)


def test_a_listener_hears_silence_when_the_next_part_comes_after_the_last_has_ended() -> None:
    listener = Listener(asked_at=10.0)
    listener.hear(fragment(0), 10.5)  # nothing to be heard
    listener.hear(fragment(1.0), 11.0)
    listener.hear(fragment(1.0), 11.5)
    listener.hear(fragment(1.0, last=True), 13.25)
    assert (listener.first_s, listener.longest_gap_s, listener.parts) == (1.0, 0.25, 3)
    assert listener.late == 0, "whoever waits two seconds first hears no silence"


def test_sound_of_a_later_passage_waits_for_the_one_before() -> None:
    listener = Listener(asked_at=0.0)
    listener.hear(fragment(1.0, last=True), 1.0, part=1)
    assert listener.parts == 0
    listener.hear(fragment(1.0, last=True), 1.5, part=0)
    assert (listener.parts, listener.first_s) == (2, 1.5)


def test_a_part_is_late_once_and_what_follows_is_heard_so_much_later() -> None:
    listener = Listener(asked_at=0.0)
    for at in (START_S + 1, START_S + 1.5, START_S + 4.5):
        listener.hear(fragment(1.0), at)
    assert listener.late == 2, "the first, and the third, half a second after the second had ended"
    other = Listener(asked_at=0.0)
    other.hear(fragment(1.0), START_S)
    measured = told([listener, other], 3.0)
    assert measured.figures == {"in_time": 0.5, "throughput_x": 3.0}
    assert measured.details["slowest_first_audio_s"] == START_S + 1


def test_a_process_answers_and_a_question_that_fails_is_not_its_end() -> None:
    with Side(COMMAND, {"name": "somebody"}) as side:
        with pytest.raises(GenerationError, match="out of breath"):
            side.ask("broken")
        assert side.ask("twice", x=2) == Measured({"value": 4.0}, {"of": 2})
        with pytest.raises(GenerationError, match="the end of it"):
            side.ask("ended")


def test_a_model_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(ModelLoadError, match="nobody is not here"):
        Side(COMMAND, {"name": "nobody"})
    with pytest.raises(ModelLoadError, match="KeyError"):
        Side(COMMAND, {})


def test_every_mode_says_the_same_tokens_of_the_forced_length(drivers: Any) -> None:
    driver = drivers("nano", ["tts"])
    said: list[Any] = []
    decoder = driver._engine.model.decoder
    begin = decoder.begin

    def kept(*args: Any) -> Any:
        said.append(begin(*args))
        return said[-1]

    decoder.begin = kept
    figures = driver.sentence().figures
    driver.long(3)
    lengths = [len(utterance.tokens) for utterance in said]
    assert lengths == [150, *map(material.forced_length, material.long_text(3))]
    assert all(utterance.stopped for utterance in said)
    assert max(max(utterance.tokens) for utterance in said) < CODES
    assert list(figures) == ["total_rtf", "tokens_per_s", "flow_rtf", "vocoder_rtf"]
    assert figures["flow_rtf"] + figures["vocoder_rtf"] + 25 / figures["tokens_per_s"] <= figures["total_rtf"]


def test_live_speech_is_measured_for_one_and_for_many(drivers: Any) -> None:
    driver = drivers("nano", ["tts"])
    assert driver.first().figures["first_audio_s"] > 0
    found = driver.streams(clients=2, sentences=2)
    assert 0 <= found.figures["in_time"] <= 1
    assert found.details["first_audio_s"] <= found.details["slowest_first_audio_s"]


def test_conversion_is_measured_without_the_token_model(drivers: Any, tmp_path: Path) -> None:
    driver = drivers("english", ["vc"])
    recording = material.write_voice(tmp_path / "recording.wav", 1.5)
    found = driver.convert(str(recording), 1.0, 0.1)
    assert list(found.figures) == ["total_rtf", "flow_rtf", "vocoder_rtf"]
    assert min(found.figures.values()) > 0
    assert found.details == {"audio_s": 1.5}
    assert "t3" not in vars(driver._engine.model)


def test_memory_is_this_process_s() -> None:
    assert 20 < peak_memory().figures["peak_memory_mb"] < 100_000


def test_upstream_s_stop_is_forced_at_the_same_length_by_its_logits() -> None:
    head = torch.nn.Linear(4, 8194)
    with torch.inference_mode(), upstreams.forced(head, 2):
        drawn = [int(head(torch.ones(2, 3, 4))[0, -1].argmax()) for _ in range(3)]
    assert max(drawn[:2]) < CODES
    assert drawn[2] == STOP
    assert torch.isfinite(head(torch.ones(1, 4))).all()

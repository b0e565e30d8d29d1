"""What is recorded, kept and run again; CUDA itself is played by a stand-in."""

import logging
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from chatterbox_plus.engines.chatterbox.graphs import Graphs, Sent, Step
from tests.engines.chatterbox.recording import Device, recorded

CPU = torch.device("cpu")


def test_a_step_is_recorded_once_a_key_and_then_that_one_is_run() -> None:
    graphs, ran = Graphs(CPU), list[str]()
    for name, key in (("a", 1), ("b", 1), ("c", 2), ("d", 1)):
        graphs.run(key, lambda name=name: ran.append(name))  # type: ignore[misc]
    assert ran == ["a", "a", "c", "a"]


def test_those_used_last_are_kept() -> None:
    graphs, recorded = Graphs(CPU, kept=2, capture=lambda step: recorded.append(1) or step), list[int]()  # type: ignore[func-returns-value]
    for key in (1, 2, 1, 3, 1, 2):
        graphs.run(key, lambda: None)
    assert len(graphs) == 2
    assert len(recorded) == 4  # 2 was let go for 3


def test_after_tensors_have_moved_everything_is_recorded_anew() -> None:
    graphs, ran = Graphs(CPU), list[str]()
    graphs.run(1, lambda: ran.append("old"))
    graphs.clear()
    graphs.run(1, lambda: ran.append("new"))
    assert ran == ["old", "new"]


def test_rehearsals_are_not_the_step() -> None:
    said: list[str] = []

    @contextmanager
    def rehearsing() -> Any:
        said.append("still")
        yield
        said.append("go")

    def capture(step: Step) -> Step:
        step()
        return step

    graphs = Graphs(CPU, capture=capture)
    for _ in range(2):
        graphs.run(1, lambda: said.append("step"), rehearsing())
    assert said == ["still", "step", "go", "step", "step"]


def test_what_is_sent_is_what_it_was_then() -> None:
    tensor = torch.tensor([1, 2, 3])
    sent = Sent(tensor)
    tensor.add_(1)
    assert sent.get() == [1, 2, 3]


def test_of_a_recorded_step_nothing_is_left_but_its_operations() -> None:
    """So that the tests with `recording` would find a step that takes something from Python."""
    number, total, ran = [1], torch.zeros(3), list[int]()

    def step() -> None:
        ran.append(1)
        total.add_(torch.ones(3) * number[0])

    graphs = Graphs(CPU, capture=recorded)
    graphs.run(1, step)
    assert total.tolist() == [3, 3, 3]  # rehearsed, recorded, replayed
    number[0] = 100
    graphs.run(1, step)
    assert total.tolist() == [4, 4, 4]
    assert len(ran) == 2
    with pytest.raises(AssertionError, match="scalar"), Device():
        float(total[0])


class Cuda:
    """Stands in for torch.cuda. able: whether it can record."""

    def __init__(self, able: bool) -> None:
        self.able, self.running = able, "current"
        self.recorded = self.pools = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        stream = SimpleNamespace(wait_stream=lambda other: None)
        given: dict[str, Any] = {
            "device": lambda device: nullcontext(),
            "synchronize": lambda device: None,
            "current_stream": lambda: "current",
            "set_stream": lambda stream: setattr(self, "running", stream),
            "Stream": lambda: stream,
            "stream": lambda stream: nullcontext(),
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: None),
            "graph_pool_handle": self.pool,
            "graph": self.graph,
        }
        for name, value in given.items():
            patch.setattr(torch.cuda, name, value)
        patch.setattr(torch.cuda, "current_stream", lambda: stream)
        self.stream = stream

    def pool(self) -> int:
        self.pools += 1
        return self.pools

    @contextmanager
    def graph(self, graph: object, **given: object) -> Any:
        self.recorded += 1
        self.running = "recording"
        yield
        if not self.able:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.running = self.stream


def test_on_cuda_a_step_is_rehearsed_recorded_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, ran = Cuda(able=True), list[int]()
    cuda.install(monkeypatch)
    graphs = Graphs(torch.device("cuda:0"))
    for _ in range(3):
        graphs.run(1, lambda: ran.append(1))
    assert (len(ran), cuda.recorded) == (3, 1)  # twice before, once while recording; a replay runs no Python
    graphs.clear()
    graphs.run(1, lambda: ran.append(1))
    assert (cuda.recorded, cuda.pools) == (2, 2)


def test_where_steps_cannot_be_recorded_they_run_as_they_are_and_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cuda, ran = Cuda(able=False), list[int]()
    cuda.install(monkeypatch)
    graphs = Graphs(torch.device("cuda:0"))
    with caplog.at_level(logging.WARNING):
        for key in (1, 1, 2):
            before = len(ran)
            graphs.run(key, lambda: ran.append(1))
            assert len(ran) > before
    assert cuda.recorded == 1
    assert not graphs.able
    assert cuda.running is cuda.stream  # the one that was current before
    assert len(caplog.records) == 1
    assert "cannot be recorded" in caplog.text

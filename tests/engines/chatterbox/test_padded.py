"""The estimator at fixed shapes: what is a row's own is what it was without padding."""

from collections.abc import Iterator

import pytest
import torch

from chatterbox_plus.engines.chatterbox.flow import Flow, FlowPrompt
from chatterbox_plus.engines.chatterbox.graphs import Graphs, Step
from chatterbox_plus.engines.chatterbox.padded import Padded, pad, rows_for
from tests.engines.chatterbox.recording import Device, recorded
from tests.engines.chatterbox.test_estimator import HALF, ONE, ZERO, asked, tiny

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def recorder() -> tuple[Graphs, list[Step]]:
    steps: list[Step] = []

    def record(step: Step) -> Step:
        steps.append(step)
        return recorded(step)

    return Graphs(CPU, capture=record), steps


@pytest.mark.parametrize("meanflow", [False, True])
@pytest.mark.parametrize(("rows", "frames"), [(1, 9), (1, 64), (2, 100), (5, 65), (7, 64)])
def test_padding_changes_nothing(meanflow: bool, rows: int, frames: int) -> None:
    estimator, (x, mu, speaker, cond) = tiny(meanflow=meanflow), asked(rows, frames)
    ends = ONE if meanflow else None
    padded = Padded(estimator.forward, recorder()[0])
    found = padded(x, mu, HALF, ends, speaker, cond)
    torch.testing.assert_close(found, estimator(x, mu, HALF, ends, speaker, cond), atol=1e-4, rtol=1e-4)


def test_rows_of_mixed_lengths_at_times_of_their_own_are_what_they_were() -> None:
    estimator, (x, mu, speaker, cond) = tiny(), asked(3, 70)
    mask = torch.arange(70) < torch.tensor([[70], [5], [66]])
    times = torch.cat([ZERO, HALF, ONE])
    padded = Padded(estimator.forward, recorder()[0])
    found = padded(x, mu, times, None, speaker, cond, mask)
    torch.testing.assert_close(found, estimator(x, mu, times, None, speaker, cond, mask), atol=1e-4, rtol=1e-4)


def test_nothing_is_left_of_what_was_asked_before() -> None:
    estimator = tiny()
    graphs, steps = recorder()
    padded = Padded(estimator.forward, graphs)
    x, mu, speaker, cond = asked(2, 120)
    padded(x, mu, HALF, None, speaker, cond)
    padded(x * torch.nan, mu, HALF, None, speaker, cond)
    x, mu, speaker, cond = asked(1, 70)
    first = padded(x, mu, ONE, None, speaker, cond)
    kept = first.clone()
    torch.testing.assert_close(first, estimator(x, mu, ONE, None, speaker, cond), atol=1e-4, rtol=1e-4)
    count = len(steps)
    x, mu, speaker, cond = asked(1, 65)
    again = padded(x, mu, ZERO, None, speaker, cond)
    torch.testing.assert_close(again, estimator(x, mu, ZERO, None, speaker, cond), atol=1e-4, rtol=1e-4)
    assert len(steps) == count  # the same shape: the same step
    assert torch.equal(first, kept)  # what was given is the caller's


def test_larger_inputs_make_all_steps_new() -> None:
    graphs, _ = recorder()
    padded = Padded(tiny().forward, graphs)
    for frames in (60, 100, 60):
        x, mu, speaker, cond = asked(1, frames)
        padded(x, mu, HALF, None, speaker, cond)
    assert len(graphs) == 2  # the first was forgotten and came again


def test_a_whole_mel_is_the_same() -> None:
    flow = Flow(
        vocabulary=20, size=16, mels=4, xvector=8,
        encoder={"heads": 2, "inner": 16, "layers": 1, "up_layers": 1},
        estimator={"size": 16, "heads": 2, "head_size": 4, "blocks": 1, "mid_stages": 2},
    ).eval()  # fmt: skip
    prompt = FlowPrompt(torch.tensor([1, 2, 3]), torch.randn(6, 4), torch.randn(8))
    batch = [(torch.arange(n), prompt, torch.randn(4, 6 + 2 * n)) for n in (4, 7)]
    expected = flow.mel_batch(batch, 3)
    pad(flow.estimator, recorder()[0])
    for found, mel in zip(flow.mel_batch(batch, 3), expected, strict=True):
        torch.testing.assert_close(found, mel, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stream", [torch.float32, torch.bfloat16])
def test_an_estimator_asks_the_host_for_nothing_once_it_has_run(stream: torch.dtype) -> None:
    estimator, (x, mu, speaker, cond) = tiny(meanflow=True), asked(2, 64)
    estimator.to(stream)
    mask = torch.ones(2, 64, dtype=torch.bool)
    estimator(x, mu, HALF, ONE, speaker, cond, mask)
    with Device():
        estimator(x, mu, HALF, ONE, speaker, cond, mask)


def test_few_sizes_of_batches_are_enough() -> None:
    sizes = [rows_for(count) for count in range(1, 33)]
    assert sorted(set(sizes)) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]
    assert all(count <= size < 1.5 * count for count, size in enumerate(sizes, 1))

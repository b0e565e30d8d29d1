"""A full house says so at once; a tape plays what was recorded."""

import numpy as np
import pytest

from chatterbox_plus.errors import Overloaded
from chatterbox_plus.synthesis import tape
from chatterbox_plus.synthesis.gate import Gate
from chatterbox_plus.synthesis.tape import Tape


def test_the_gate_refuses_one_more_than_fit_and_says_when_to_come_back():
    gate = Gate(2)
    with gate.pass_through(), gate.pass_through():
        with pytest.raises(Overloaded) as caught, gate.pass_through():
            pytest.fail("there was no room")
        assert caught.value.retry_after_s
        assert gate.inside == 2
    assert gate.inside == 0


def test_work_that_fails_leaves_the_gate():
    gate = Gate(1)
    with pytest.raises(ZeroDivisionError), gate.pass_through():
        _ = 1 / 0
    assert gate.inside == 0


@pytest.mark.parametrize("in_memory", [10, 10**9])
def test_a_tape_plays_the_same_every_time_from_memory_or_disk(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr(tape, "_IN_MEMORY", in_memory)
    sound = np.random.default_rng(1).standard_normal(60_001).astype(np.float32)
    with Tape(tmp_path) as recorder:
        recorder.record([sound[:7], sound[7:7], sound[7:]])
        assert len(recorder) == len(sound)
        for _ in range(2):
            np.testing.assert_array_equal(np.concatenate(list(recorder.play())), sound)
    assert not list(tmp_path.iterdir())

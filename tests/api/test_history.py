"""Ten minutes in slices of ten seconds: true, in order, and never more than that."""

import time

from chatterbox_plus.api.history import SLICE_S, SLICES, History
from tests.api.live_server import LiveServer


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_slice_counts_what_happened_in_it() -> None:
    clock = Clock()
    history = History(clock)
    for status in (200, 404, 500, 200):
        history.asked(status)
    history.made(2.0, 0.5)
    clock.now += 2 * SLICE_S
    history.asked(200)
    history.seen(inside=3, queued=2, running=1, memory=2**20, cpu_percent=12.5)
    first, second, third = history.as_json()
    assert (first["requests"], first["refused"], first["errors"]) == (4, 1, 1)
    assert (first["audio_seconds"], first["real_time_factor"], first["memory_mb"]) == (2.0, 0.25, None)
    assert (second["requests"], second["real_time_factor"]) == (0, None)
    assert (third["requests"], third["requests_inside"], third["tasks_queued"], third["memory_mb"]) == (1, 3, 2, 1.0)
    assert first["at"] < second["at"] < third["at"]


def test_ten_minutes_are_all_that_is_kept() -> None:
    clock = Clock()
    history = History(clock)
    for _ in range(5 * SLICES):
        history.asked(200)
        clock.now += SLICE_S
    told = history.as_json()
    assert len(told) == SLICES
    assert [slice["requests"] for slice in told] == [1] * (SLICES - 1) + [0]
    clock.now += 100 * SLICES * SLICE_S
    assert sum(slice["requests"] for slice in history.as_json()) == 0


def test_a_running_server_tells_its_own(server: LiveServer) -> None:
    server.get("/nothing")
    deadline = time.monotonic() + 20
    told = server.get("/api/v1/metrics").json()["history"]
    while not any(slice["memory_mb"] for slice in told["slices"]):
        assert time.monotonic() < deadline, told  # the machine is looked at beside the first requests
        time.sleep(0.02)
        told = server.get("/api/v1/metrics").json()["history"]
    assert told["slice_seconds"] == SLICE_S
    assert 1 <= len(told["slices"]) <= SLICES
    assert sum(slice["refused"] for slice in told["slices"]) >= 1

"""Figures stay bounded and true, whatever is asked and however long the server runs."""

from chatterbox_plus.api.metrics import WINDOW_MINUTES, Metrics, Window


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_forgets_what_is_older_than_it() -> None:
    clock = Clock()
    window = Window(60, 3, clock)
    for minute in range(10):
        clock.now = minute * 60
        window.add(float(minute), error=minute == 8)
    times = window.last(3)
    assert (times.count, times.errors, times.shortest_s, times.longest_s, times.total_s) == (3, 1, 7.0, 9.0, 24.0)
    assert window.last(1).count == 1
    clock.now += 3600
    assert window.last(3).count == 0


def test_a_week_of_requests_takes_the_room_of_one_hour() -> None:
    clock = Clock()
    metrics = Metrics(clock=clock)
    for n in range(10_000):
        clock.now = n * 60.0
        metrics.count("GET", "/here", 200, 0.001, None)
    assert metrics.performance()["sample_count"]["response_times"] == WINDOW_MINUTES
    assert metrics.traffic() == {
        "total_requests": 10_000,
        "requests_per_minute": 1.0,
        "average_response_time_ms": 1.0,
        "error_rate_percent": 0.0,
    }


def test_strange_methods_share_one_name() -> None:
    metrics = Metrics()
    for n in range(100):
        metrics.count(f"METHOD{n}", "(none)", 404, 0.001, "RESOURCE_NOT_FOUND")
    assert list(metrics.routes()) == [("(other)", "(none)")]


def test_durations_fall_into_the_bucket_that_ends_at_or_above_them() -> None:
    metrics = Metrics()
    for took_s in (0.005, 0.0051, 400.0):
        metrics.count("GET", "/", 200, took_s, None)
    buckets = metrics.routes()[("GET", "/")].buckets
    assert (buckets[0], buckets[1], buckets[-1], sum(buckets)) == (1, 1, 1, 3)

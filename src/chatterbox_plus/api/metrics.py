"""What the server has done so far and in the last hour: counts, times, and the last errors. Bounded, however long it
runs and whatever is asked: as many keys as there are routes and error codes. Thread-safe."""

import math
import threading
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from chatterbox_plus.api.failures import Failures
from chatterbox_plus.api.history import History
from chatterbox_plus.synthesis.results import ConversionResult, JoinResult, Result, SpeechResult

Kind = Literal["tts", "vc", "concat"]
KINDS: dict[Kind, type[Result]] = {"tts": SpeechResult, "vc": ConversionResult, "concat": JoinResult}
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histograms of durations."""
MINUTE_S, HOUR_S = 60.0, 3600.0
WINDOW_MINUTES = 60
WINDOW_HOURS = 168
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass
class Times:
    """Durations of things that happened, in seconds."""

    count: int = 0
    errors: int = 0
    total_s: float = 0.0
    shortest_s: float = math.inf
    longest_s: float = 0.0

    def add(self, took_s: float, *, error: bool = False) -> None:
        self.count += 1
        self.errors += error
        self.total_s += took_s
        self.shortest_s, self.longest_s = min(self.shortest_s, took_s), max(self.longest_s, took_s)

    def merge(self, other: "Times") -> None:
        self.count += other.count
        self.errors += other.errors
        self.total_s += other.total_s
        self.shortest_s, self.longest_s = min(self.shortest_s, other.shortest_s), max(self.longest_s, other.longest_s)

    def as_json(self) -> dict[str, Any]:
        return {
            "min_ms": round(self.shortest_s * 1000, 1) if self.count else 0.0,
            "max_ms": round(self.longest_s * 1000, 1),
            "avg_ms": round(self.total_s / self.count * 1000, 1) if self.count else 0.0,
            "count": self.count,
        }


class Window:
    """Durations of the last slices of time, however many there were."""

    def __init__(self, slice_s: float, slices: int, clock: Callable[[], float]) -> None:
        self._slice_s, self._clock = slice_s, clock
        self._slices: deque[tuple[int, Times]] = deque(maxlen=slices)

    def add(self, took_s: float, *, error: bool = False) -> None:
        number = int(self._clock() // self._slice_s)
        if not self._slices or self._slices[-1][0] != number:
            self._slices.append((number, Times()))
        self._slices[-1][1].add(took_s, error=error)

    def last(self, slices: int) -> Times:
        """All of the last so many slices, the one that is under way included."""
        oldest, total = int(self._clock() // self._slice_s) - slices, Times()
        for number, times in self._slices:
            if number > oldest:
                total.merge(times)
        return total


@dataclass
class Route:
    """What one route was asked. classes: by the first digit of the status. buckets: as BUCKETS_S, and above."""

    times: Times = field(default_factory=Times)
    classes: Counter[int] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))


@dataclass
class Generations:
    """What one operation made. audio_s: seconds of sound."""

    times: Times = field(default_factory=Times)
    audio_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """real_time_factor: seconds of work for a second of sound."""
        return {
            "count": self.times.count,
            "audio_seconds": round(self.audio_s, 3),
            "processing_seconds": round(self.times.total_s, 3),
            "real_time_factor": round(self.times.total_s / self.audio_s, 4) if self.audio_s else None,
        }


class Metrics:
    """What the server has done so far."""

    def __init__(self, errors_kept: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        """errors_kept: of each level."""
        self.failures = Failures(errors_kept)
        self.history = History(clock)
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, str], Route] = {}
        self._all = Times()
        self._errors: Counter[str] = Counter()
        self._generations: dict[Kind, Generations] = {kind: Generations() for kind in KINDS}
        self._work = Window(MINUTE_S, WINDOW_MINUTES, clock)
        self._minutes = Window(MINUTE_S, WINDOW_MINUTES, clock)
        self._hours = Window(HOUR_S, WINDOW_HOURS, clock)

    @property
    def uptime_s(self) -> float:
        return self._clock() - self._began

    def count(self, method: str, route: str, status: int, took_s: float, code: str | None) -> None:
        """route: its template, never an address. code: of the error, if there was one; 4xx are the clients' own."""
        key = (method if method in _METHODS else "(other)", route)
        bucket = bisect_left(BUCKETS_S, took_s)
        self.history.asked(status)
        with self._lock:
            found = self._routes.get(key)
            if found is None:
                found = self._routes[key] = Route()
            failed = status >= 400
            found.times.add(took_s, error=failed)
            found.classes[status // 100] += 1
            found.buckets[bucket] += 1
            self._all.add(took_s, error=failed)
            self._minutes.add(took_s, error=status >= 500)
            self._hours.add(took_s, error=status >= 500)
            if failed or code:
                self._errors[code or str(status)] += 1

    def made(self, result: Result) -> None:
        """Something was generated."""
        kind = next(kind for kind, kept in KINDS.items() if isinstance(result, kept))
        self.history.made(result.duration_s, result.processing_s)
        with self._lock:
            self._generations[kind].times.add(result.processing_s)
            self._generations[kind].audio_s += result.duration_s
            self._work.add(result.processing_s)

    def summary(self) -> dict[str, Any]:
        """As health shows it: since the start."""
        with self._lock:
            total, failed = self._all.count, self._all.errors
            return {
                "requests_total": total,
                "requests_success": total - failed,
                "requests_error": failed,
                "tts_generations": self._generations["tts"].times.count,
                "vc_generations": self._generations["vc"].times.count,
                "concat_generations": self._generations["concat"].times.count,
                "total_processing_time": round(self._all.total_s, 3),
                "average_processing_time": round(self._all.total_s / total, 4) if total else 0.0,
                "processing_times": self._all.as_json(),
                "errors_by_type": dict(self._errors),
                "requests_by_endpoint": {" ".join(key): route.times.count for key, route in self._routes.items()},
                "success_rate": round((total - failed) / total, 4) if total else 1.0,
                "error_rate": round(failed / total, 4) if total else 0.0,
            }

    def performance(self) -> dict[str, Any]:
        """Of the last hour."""
        with self._lock:
            work, responses = self._work.last(WINDOW_MINUTES), self._minutes.last(WINDOW_MINUTES)
        return {
            "time_window_minutes": WINDOW_MINUTES,
            "processing_times": work.as_json(),
            "response_times": responses.as_json(),
            "sample_count": {"processing_times": work.count, "response_times": responses.count},
        }

    def traffic(self) -> dict[str, Any]:
        """Requests since the start; rates over the last hour, or since the start where that is less."""
        with self._lock:
            recent, total = self._minutes.last(WINDOW_MINUTES), self._all.count
        minutes = min(max(self.uptime_s / MINUTE_S, 1.0), WINDOW_MINUTES)
        return {
            "total_requests": total,
            "requests_per_minute": round(recent.count / minutes, 2),
            "average_response_time_ms": recent.as_json()["avg_ms"],
            "error_rate_percent": _percent(recent),
        }

    def error_rate_percent(self, hours: int) -> float:
        """Requests of the last hours (at most WINDOW_HOURS) that failed through the server's fault."""
        with self._lock:
            return _percent(self._hours.last(hours))

    def generations(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {str(kind): made.as_json() for kind, made in self._generations.items()}

    def routes(self) -> dict[tuple[str, str], Route]:
        """(method, template) -> a copy of its counts."""
        with self._lock:
            return {
                key: Route(Times(**vars(route.times)), route.classes.copy(), route.buckets.copy())
                for key, route in self._routes.items()
            }

    def errors(self) -> dict[str, int]:
        """Code -> how often."""
        with self._lock:
            return dict(self._errors)


def _percent(times: Times) -> float:
    return round(100 * times.errors / times.count, 2) if times.count else 0.0

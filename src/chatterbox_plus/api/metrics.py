"""Counts since the start, kept on the event loop; as many keys as there are routes and error codes."""

import math
import time
from collections import Counter
from typing import Any

SPEECH = frozenset({"POST /api/v1/tts", "POST /v1/audio/speech", "POST /audio/speech"})
CONVERSION = frozenset({"POST /api/v1/vc"})


class Metrics:
    """What the server has done so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._requests: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._processing_s = 0.0
        self._shortest_s, self._longest_s = math.inf, 0.0

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._began

    def count(self, endpoint: str, status: int, took_s: float, error_code: str | None) -> None:
        """endpoint: method and route template."""
        self._requests[endpoint] += 1
        self._processing_s += took_s
        self._shortest_s, self._longest_s = min(self._shortest_s, took_s), max(self._longest_s, took_s)
        if status < 400:
            self._done[endpoint] += 1
        else:
            self._errors[error_code or str(status)] += 1

    def summary(self) -> dict[str, Any]:
        total, done = self._requests.total(), self._done.total()
        return {
            "requests_total": total,
            "requests_success": done,
            "requests_error": total - done,
            "tts_generations": sum(self._done[name] for name in SPEECH),
            "vc_generations": sum(self._done[name] for name in CONVERSION),
            "total_processing_time": round(self._processing_s, 3),
            "average_processing_time": round(self._processing_s / total, 4) if total else 0.0,
            "processing_times": {
                "min_ms": round(self._shortest_s * 1000, 1) if total else 0.0,
                "max_ms": round(self._longest_s * 1000, 1),
                "avg_ms": round(self._processing_s / total * 1000, 1) if total else 0.0,
                "count": total,
            },
            "errors_by_type": dict(self._errors),
            "requests_by_endpoint": dict(self._requests),
            "success_rate": round(done / total, 4) if total else 1.0,
            "error_rate": round((total - done) / total, 4) if total else 0.0,
        }

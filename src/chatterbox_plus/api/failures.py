"""The last errors, for whoever runs the server: what kind, where, under which request id. Nothing a client sent."""

import asyncio
import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import getdoc
from typing import Any, Literal, get_args

from chatterbox_plus import errors
from chatterbox_plus.errors import PlusError

Level = Literal["error", "warning"]
Category = Literal["transient", "permanent", "resource", "configuration"]
Severity = Literal["low", "medium", "high", "critical"]
GroupBy = Literal["type", "endpoint", "category", "severity", "level", "hour"]
OFTEN = 3  # times an error must happen to be among the most frequent
_RECENT = 5
_HOUR_S = 3600
_log = logging.getLogger(__name__)
_CATEGORIES: dict[str, Category] = {
    **dict.fromkeys(("SERVICE_OVERLOADED", "FILE_TOO_LARGE", "STORAGE_FULL", "STORAGE_ERROR"), "resource"),
    **dict.fromkeys(
        ("SERVICE_STOPPING", "GENERATION_TIMEOUT", "DOWNLOAD_FAILED", "RATE_LIMITED", "CANCELLED"), "transient"
    ),
    **dict.fromkeys(
        ("MODEL_NOT_INSTALLED", "MISSING_EXTRA", "CONFIGURATION_ERROR", "MODEL_LOAD_ERROR"), "configuration"
    ),
}
_CRITICAL = frozenset({"INTERNAL_ERROR", "STORAGE_FULL", "STORAGE_ERROR"})


@dataclass(frozen=True)
class Failure:
    """One request that failed, or whose audio broke off. endpoint: method and route template. status: as of HTTP."""

    when: datetime  # UTC
    endpoint: str
    code: str
    status: int
    request_id: str

    @property
    def level(self) -> Level:
        """4xx are the clients' own."""
        return "error" if self.status >= 500 else "warning"

    @property
    def category(self) -> Category:
        return _CATEGORIES.get(self.code, "permanent")

    @property
    def severity(self) -> Severity:
        if self.level == "warning":
            return "low"
        if self.code in _CRITICAL:
            return "critical"
        return "medium" if self.category in ("transient", "resource") else "high"

    @property
    def hour(self) -> str:
        return self.when.strftime("%Y-%m-%dT%H:00:00Z")

    def group(self, by: GroupBy) -> str:
        return self.code if by == "type" else str(getattr(self, by))

    def as_json(self) -> dict[str, Any]:
        """Both documented shapes in one. The message says what the code means: the very words are in the log."""
        message = MEANINGS.get((self.code, self.status)) or _OTHERS.get(self.code, "An error of that status.")
        return {
            "timestamp": self.when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": self.level,
            "endpoint": self.endpoint,
            "operation": self.endpoint,
            "error_code": self.code,
            "error_type": self.code,
            "message": message,
            "error_message": message,
            "status": self.status,
            "category": self.category,
            "severity": self.severity,
            "request_id": self.request_id,
            "context": {"status": self.status, "request_id": self.request_id},
            "retry_count": 0,
            "resolved": False,
            "resolution_timestamp": None,
        }


class Failures:
    """The last so many errors, and as many warnings: a flood of the one never washes away the other. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Level, deque[Failure]] = {level: deque(maxlen=most) for level in get_args(Level)}

    def record(self, endpoint: str, code: str, status: int, request_id: str) -> None:
        failure = Failure(datetime.now(UTC), endpoint, code, status, request_id)
        with self._lock:
            self._kept[failure.level].append(failure)

    def all(self, level: Level | None = None) -> list[Failure]:
        """Newest first."""
        with self._lock:
            found = [f for kept, failures in self._kept.items() if level in (None, kept) for f in failures]
        return sorted(found, key=lambda failure: failure.when, reverse=True)

    def summary(self, hours: int, by: GroupBy) -> dict[str, Any]:
        """Of the last hours, as far as they are kept; warnings are counted apart."""
        now = datetime.now(UTC)
        found = [failure for failure in self.all() if failure.when > now - timedelta(hours=hours)]
        failed = [failure for failure in found if failure.level == "error"]
        operations = Counter(f"{failure.endpoint}:{failure.code}" for failure in failed)
        by_hour = Counter(failure.hour for failure in failed)
        half = now - timedelta(hours=hours / 2)
        later = sum(failure.when > half for failure in failed)
        return {
            "period_hours": hours,
            "total_errors": len(failed),
            "total_warnings": len(found) - len(failed),
            "by_category": _counted(failed, "category"),
            "by_severity": _counted(failed, "severity"),
            "by_operation": _counted(failed, "endpoint"),
            "by_type": _counted(failed, "type"),
            "by_endpoint": _counted(failed, "endpoint"),
            "group_by": by,
            "groups": _counted(found if by == "level" else failed, by),
            "most_frequent": {name: count for name, count in operations.most_common() if count >= OFTEN},
            "unresolved_count": len(failed),
            "trends": {
                "increasing": later > len(failed) - later,
                "peak_hour": by_hour.most_common(1)[0][0] if by_hour else None,
            },
            "recent_errors": [failure.as_json() for failure in failed[:_RECENT]],
        }


async def tell_every_hour(failures: Failures) -> None:
    """A line in the log for every hour in which something failed."""
    while True:
        await asyncio.sleep(_HOUR_S)
        told = failures.summary(1, "type")
        if told["total_errors"]:
            _log.warning("%d errors in the last hour: %s", told["total_errors"], told["by_operation"])


def _counted(failures: list[Failure], by: GroupBy) -> dict[str, int]:
    return dict(Counter(failure.group(by) for failure in failures).most_common())


def _family(kind: type[PlusError]) -> Iterator[type[PlusError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


MEANINGS = {
    (kind.code, kind.status): (getdoc(kind) or "").partition("\n")[0]
    for kind in reversed([kind for kind in _family(PlusError) if kind.__module__ == errors.__name__])
}
"""Code and status -> what they mean: the words on the error's own door, which hold nothing of a request."""
_OTHERS = {
    "INTERNAL_ERROR": "Something unexpected in the server; its log has more under the request's id.",
    "METHOD_NOT_ALLOWED": "A route that does not take this method.",
    "RANGE_NOT_SATISFIABLE": "A range that lies outside the file.",
}

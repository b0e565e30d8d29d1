"""Retention by the clock and on demand: one cleaning at a time, and what came of the last ones."""

import logging
import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from chatterbox_plus.api.errors import now
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.retention import Policy, PolicyName, Removed, Retention, Target
from chatterbox_plus.library.survey import tally
from chatterbox_plus.settings import Settings

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)
REMEMBERED = 5  # cleanings
LISTED = 1000  # names of files for each policy in a reply
_LISTED_LATER = 50  # and in the history
_GB, _DAY_S, _HOUR_S = 2**30, 86_400, 3600
_STOP_S = 2.0
_OUTPUTS_LIMIT = "resource_management.cleanup.output_dir_max_size_gb"
_log = logging.getLogger(__name__)


def policy(settings: Settings) -> Policy:
    """What the settings want removed."""
    cleanup, temp = settings.resource_management.cleanup, settings.api.cleanup_temp_files
    return Policy(
        outputs_max_bytes=round(cleanup.output_dir_max_size_gb * _GB),
        inputs_max_bytes=round(cleanup.vc_inputs_max_size_gb * _GB),
        temp_max_files=cleanup.temp_dir_max_files if temp else 0,
        temp_max_age_s=cleanup.temp_dir_max_age_days * _DAY_S if temp else 0.0,
    )


class Cleaner:
    """Runs retention. Thread-safe; `start` and `stop` once each."""

    def __init__(self, library: Library, settings: Settings) -> None:
        cleanup = settings.resource_management.cleanup
        self._library, self._policy = library, policy(settings)
        self._threshold_percent = cleanup.warning_threshold_percent
        self._retention = Retention(library, self._policy)
        self._at_start, self._interval_h = cleanup.cleanup_on_startup, cleanup.cleanup_interval_hours
        self._one_at_a_time = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._keep_time, name="cleaner", daemon=True)
        self._history: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._count = 0
        self._next: datetime | None = None

    def start(self) -> None:
        if self._at_start or self._interval_h:
            self._thread.start()

    def stop(self) -> None:
        """Ends the cleaning that is under way, between two files."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def run(
        self,
        target: Target = "all",
        *,
        max_age_s: float | None = None,
        dry_run: bool = False,
        forced: bool = True,
        stop: threading.Event | None = None,
    ) -> dict[str, Any]:
        """One cleaning, after the one that is under way, and its report; a dry run is not remembered."""
        with self._one_at_a_time:
            start, began = now(), time.perf_counter()
            done = self._retention.run(target, max_age_s=max_age_s, dry_run=dry_run, stop=stop or self._stopped)
            took_s = time.perf_counter() - began
            head = {"timestamp": start, "status": "completed", "target": target, "dry_run": dry_run, "forced": forced}
            tail = {"start_time": start, "end_time": now(), "duration_seconds": round(took_s, 3)}
            if not dry_run:
                self._count += 1
                self._history.append({**head, **_report(done, _LISTED_LATER), **tail})
            return {**head, **_report(done, LISTED), **tail}

    def status(self) -> dict[str, Any]:
        """The timetable, and what came of the last cleanings, newest first."""
        history = list(self._history)[::-1]
        return {
            "timestamp": now(),
            "scheduler": {
                "running": self._thread.is_alive(),
                "cleanup_on_startup": self._at_start,
                "cleanup_interval_hours": self._interval_h,
                "last_cleanup_time": history[0]["end_time"] if history else None,
                "cleanup_count": self._count,
                "next_cleanup_time": self._next and self._next.isoformat(timespec="seconds").replace("+00:00", "Z"),
            },
            "history": history,
            "recent_cleanups": history,
        }

    def _keep_time(self) -> None:
        if self._at_start:
            self._clean()
        while self._interval_h:
            self._next = datetime.now(UTC) + timedelta(hours=self._interval_h)
            if self._stopped.wait(min(self._interval_h * _HOUR_S, threading.TIMEOUT_MAX)):
                return
            self._clean()

    def _clean(self) -> None:
        try:
            report = self.run(forced=False)
        except OSError as error:  # the next one may go better
            _log.warning("the cleaning broke off: %s", error.strerror)
            return
        if report["total_files_removed"]:
            _log.info("cleaned: %d files, %d bytes", report["total_files_removed"], report["total_bytes_freed"])
        most = self._policy.outputs_max_bytes
        used = tally(self._library.outputs.root).size_bytes if most else 0
        if most and 100 * used >= self._threshold_percent * most:
            _log.warning("outputs are at %.0f %% of %s: beyond it the oldest go", 100 * used / most, _OUTPUTS_LIMIT)


def _report(done: dict[PolicyName, Removed], listed: int) -> dict[str, Any]:
    files = sum(len(removed.files) for removed in done.values())
    freed = sum(removed.bytes_freed for removed in done.values())
    return {
        "actions": {name: _action(done.get(name, Removed()), listed) for name in POLICIES},
        "total_files_removed": files,
        "total_bytes_freed": freed,
        "files_removed": files,
        "bytes_freed": freed,
        "errors": [error for removed in done.values() for error in removed.errors][:listed],
    }


def _action(removed: Removed, listed: int) -> dict[str, Any]:
    return {
        "files_removed": len(removed.files),
        "bytes_freed": removed.bytes_freed,
        "directories_cleaned": removed.folders,
        "details": removed.files[:listed],
    }

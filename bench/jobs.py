"""Durable tasks, with an engine that costs nothing: what is left is what they cost themselves."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event

from bench.measure import Bench, Figure, Setting, timed
from chatterbox_plus.jobs.queue import Jobs
from chatterbox_plus.jobs.records import parsed
from chatterbox_plus.jobs.states import EventType, Status
from chatterbox_plus.synthesis.options import SpeechOptions
from tests.jobs.engines import SPOKEN_DELAY_S, SPOKEN_LOG
from tests.jobs.server import house, speech

SMALL = 200  # tasks
ONE_BY_ONE = 30
PASSAGES, PASSAGE_S = 40, 0.05
LOOK_S = 0.005


def overhead(setting: Setting) -> Iterator[Figure]:
    """What a small task takes longer than the same request without one, nothing else going on."""
    with _working(setting) as jobs:
        direct = [timed(lambda n=n: _directly(jobs, n)) for n in range(10_000, 10_000 + ONE_BY_ONE)]  # type: ignore[misc]
        durable = [timed(lambda n=n: _durably(jobs, n)) for n in range(1, 1 + ONE_BY_ONE)]  # type: ignore[misc]
    extra = {"p95": round(1000 * statistics.quantiles(durable, n=20)[-1]), "direct_ms": _ms(direct)}
    yield Figure("job_overhead_ms", _ms(durable) - _ms(direct), "ms", extra)


def throughput(setting: Setting) -> Iterator[Figure]:
    """Small tasks a second, from the first that is sent to the last that is done."""
    with _working(setting) as jobs:
        began = time.perf_counter()
        ids = [jobs.submit(speech(n, 1))[0].id for n in range(1, 1 + SMALL)]
        submitted_s = time.perf_counter() - began
        while jobs.ledger.counts().get(Status.SUCCEEDED, 0) < 1 + SMALL:
            time.sleep(LOOK_S)
        took_s = time.perf_counter() - began
        assert all(jobs.store.get(id).status is Status.SUCCEEDED for id in ids)
    yield Figure("jobs_per_s", SMALL / took_s, "1/s", {"jobs": SMALL, "submits_per_s": round(SMALL / submitted_s)})


def lateness(setting: Setting) -> Iterator[Figure]:
    """From a passage that is done to when another process could read so in the database."""
    with _working(setting, PASSAGE_S) as jobs:
        task, _ = jobs.submit(speech(1, PASSAGES))
        late: list[float] = []
        seen = 0
        while not jobs.store.get(task.id).status.is_final:
            for event in jobs.store.events_after(task.id, seen):
                seen = event.seq
                if event.type is EventType.PASSAGE:
                    late.append((datetime.now(UTC) - parsed(event.at)).total_seconds())
            time.sleep(LOOK_S)
    yield Figure("progress_late_ms", _ms(late), "ms", {"worst_ms": round(1000 * max(late)), "events": len(late)})


@contextmanager
def _working(setting: Setting, passage_s: float = 0.0) -> Iterator[Jobs]:
    """A warm house of tasks."""
    data = setting.folder / "data"
    before = dict(os.environ)
    os.environ |= {SPOKEN_LOG: str(setting.folder / "spoken.log"), SPOKEN_DELAY_S: str(passage_s)}
    try:
        with house(data) as jobs:
            _durably(jobs, 0)
            yield jobs
    finally:
        os.environ.clear()
        os.environ.update(before)


def _durably(jobs: Jobs, number: int) -> None:
    task, _ = jobs.submit(speech(number, 1))
    while not jobs.store.get(task.id).status.is_final:
        time.sleep(LOOK_S)


def _directly(jobs: Jobs, number: int) -> None:
    options = SpeechOptions.model_validate(speech(number, 1).spec["options"])
    jobs._bench._studio.speak(options, cancel=Event())


def _ms(seconds: list[float]) -> float:
    return 1000 * statistics.median(seconds)


BENCHES: dict[str, Bench] = {"job_overhead": overhead, "jobs_rate": throughput, "job_progress": lateness}

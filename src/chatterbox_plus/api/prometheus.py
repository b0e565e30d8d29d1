"""The same figures as Prometheus collects them: a registry for each app, made anew from `Metrics` at every scrape."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from chatterbox_plus import __version__
from chatterbox_plus.api.metrics import BUCKETS_S, Metrics
from chatterbox_plus.api.watch import Folders, Machine, Tasks
from chatterbox_plus.engines.host import Health
from chatterbox_plus.library.survey import Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Exposition:
    """What one scrape gets. engines: model -> its host's health; inside: requests in the house, waiting ones too."""

    def __init__(
        self,
        metrics: Metrics,
        machine: Machine | None,
        folders: Folders | None,
        tasks: Tasks | None,
        engines: dict[str, Health],
        inside: int,
        started: float,
    ) -> None:
        """started: seconds since the epoch."""
        self._metrics, self._machine, self._folders, self._tasks = metrics, machine, folders, tasks
        self._engines, self._inside, self._started = engines, inside, started

    def text(self) -> bytes:
        """Prometheus' text format, 0.0.4."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        yield _gauge("chatterbox_info", "Which version this is.", {__version__: 1}, "version")
        yield from self._requests()
        yield from self._work()
        if self._tasks is not None and self._tasks.counts is not None:
            yield _gauge("chatterbox_tasks", "Tasks that are known, by how they stand.", self._tasks.counts, "status")
        if self._tasks is not None and self._tasks.working is not None:
            yield _gauge("chatterbox_tasks_working", "Whether this server works on them: 1 or 0.", self._tasks.working)
        yield from self._process()
        if self._folders is not None:
            found: dict[str, Tally] = vars(self._folders)
            sizes, files = ({k: t.size_bytes for k, t in found.items()}, {k: t.files for k, t in found.items()})
            yield _gauge("chatterbox_folder_size_bytes", "Size of a part of the data folder.", sizes, "folder")
            yield _gauge("chatterbox_folder_files", "Audio files in it; in temp, all.", files, "folder")

    def _requests(self) -> Iterator[Metric]:
        labels = ("method", "route")
        requests = CounterMetricFamily(
            "chatterbox_http_requests", "Requests, by class of status.", labels=(*labels, "status")
        )
        times = HistogramMetricFamily("chatterbox_http_request_duration_seconds", "How long they took.", labels=labels)
        for key, route in sorted(self._metrics.routes().items()):
            for first, count in sorted(route.classes.items()):
                requests.add_metric((*key, f"{first}xx"), count)
            running, buckets = 0, []
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), route.buckets, strict=True):
                running += count
                buckets.append((bound, running))
            times.add_metric(key, buckets, route.times.total_s)
        yield requests
        yield times
        errors = self._metrics.errors()
        yield _counter("chatterbox_errors", "Error replies and broken streams.", errors, "code")
        yield _counter("chatterbox_rate_limited", "Requests refused by a rate limit.", errors.get("RATE_LIMITED", 0))

    def _work(self) -> Iterator[Metric]:
        made = self._metrics.generations()
        for name, field, help in (
            ("chatterbox_generations", "count", "What was generated."),
            ("chatterbox_generated_audio_seconds", "audio_seconds", "Seconds of sound in it."),
            ("chatterbox_generation_seconds", "processing_seconds", "Seconds that took."),
        ):
            yield _counter(name, help, {kind: figures[field] for kind, figures in made.items()}, "kind")
        factors = {kind: f["real_time_factor"] for kind, f in made.items() if f["real_time_factor"] is not None}
        yield _gauge("chatterbox_real_time_factor", "Seconds of work for a second of sound.", factors, "kind")
        yield _gauge("chatterbox_requests_inside", "Generations under way or waiting.", self._inside)
        for name, field, help in (
            ("chatterbox_engine_children", "running", "Child processes with a loaded engine."),
            ("chatterbox_engine_children_wanted", "workers", "As many as there may be."),
            ("chatterbox_engine_busy", "busy", "Children at work."),
            ("chatterbox_engine_queue", "callers", "Calls under way, waiting ones included."),
            ("chatterbox_engine_rows", "rows", "Passages and recordings that running children take in at once."),
            ("chatterbox_engine_works", "works", "Passages and recordings that are in children now."),
        ):
            yield _gauge(
                name, help, {model: getattr(health, field) for model, health in self._engines.items()}, "model"
            )
        restarts = {model: health.restarts for model, health in self._engines.items()}
        yield _counter("chatterbox_engine_restarts", "Children that died in their work.", restarts, "model")

    def _process(self) -> Iterator[Metric]:
        yield _gauge("process_start_time_seconds", "Since the epoch.", self._started)
        machine = self._machine
        if machine is None:
            return
        yield _counter("process_cpu_seconds", "CPU time of the server itself.", machine.cpu_s)
        yield _gauge("process_resident_memory_bytes", "Of the server itself.", machine.resident)
        yield _gauge("process_virtual_memory_bytes", "Of the server itself.", machine.virtual)
        children = machine.children_resident
        yield _gauge("chatterbox_children_resident_memory_bytes", "Of engines and decoders.", children)
        if machine.disk is not None:
            yield _gauge("chatterbox_disk_free_bytes", "Where outputs lie.", machine.disk.free)
            yield _gauge("chatterbox_disk_size_bytes", "Where outputs lie.", machine.disk.total)


def _gauge(name: str, help: str, values: float | Mapping[str, float], label: str = "") -> Metric:
    """values: one, or one for each value of the label."""
    return _filled(GaugeMetricFamily(name, help, labels=[label] if label else []), values)


def _counter(name: str, help: str, values: float | Mapping[str, float], label: str = "") -> Metric:
    return _filled(CounterMetricFamily(name, help, labels=[label] if label else []), values)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: float | Mapping[str, float]
) -> GaugeMetricFamily | CounterMetricFamily:
    if isinstance(values, Mapping):
        for key, value in values.items():
            family.add_metric([key], value)
    else:
        family.add_metric([], values)
    return family

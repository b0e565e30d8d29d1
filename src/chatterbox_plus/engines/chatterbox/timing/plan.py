"""What is measured of a model, in which order, and what becomes of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chatterbox_plus.engines.chatterbox.timing.figures import Figure, medians
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured, Side

ROUNDS = 3
PROMPT_S = 10.0  # of a voice's recording: as much as the decoder hears
CLIENTS = (1, 4, 8, 16, 32)
_AT_LEAST = 8  # clients that are served, in time or not, for what memory that takes
_IN_TIME = 0.99  # the share of parts that have to be
_STREAMED = 3  # sentences of each client


@dataclass(frozen=True)
class Task:
    """One thing that sides are asked to measure, some times.

    upstream: what it is asked for then; None: nothing, for it has answered before. remarks: details of its figures.
    """

    measure: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    upstream: Mapping[str, Any] | None = None
    remarks: Mapping[str, Any] = field(default_factory=dict)
    repeated: bool = True


def speaking(sentences: int, upstream_sentences: int = 1) -> list[Task]:
    """A single stream and a long text of so many sentences, none if they are 0. Upstream, which says one after the
    other whatever their number, is asked for fewer: one is the single stream's."""
    theirs = {"sentences": upstream_sentences} if upstream_sentences > 1 else None
    remarks = {"upstream_sentences": upstream_sentences}
    long = [Task("long", {"sentences": sentences}, theirs, remarks)] if sentences else []
    return [
        Task("sentence", upstream={}),
        Task("first"),  # upstream's is its whole sentence
        *long,
        Task("memory", upstream={}, repeated=False),
    ]


def converting(recording: str, chunk_s: float, overlap_s: float) -> list[Task]:
    """recording: a file of `material.write_voice`. chunk_s, overlap_s: see `engines.base.Conversion`."""
    arguments = {"recording": recording, "chunk_s": chunk_s, "overlap_s": overlap_s}
    return [Task("convert", arguments, {"recording": recording}), Task("memory", upstream={}, repeated=False)]


def measure(
    variant: str, modes: Mapping[str, Side], upstream: Side | None, tasks: Sequence[Task], rounds: int = ROUNDS
) -> Iterator[Figure]:
    """The figures of a variant: each is the median of some rounds, in which all sides take turns.

    modes: mode -> its process. Raises GenerationError.
    """
    theirs: dict[str, float] = {}
    for task in tasks:
        answers: dict[str, list[Measured]] = {mode: [] for mode in modes}
        others: list[Measured] = []
        for _ in range(rounds if task.repeated else 1):
            for mode, side in modes.items():
                answers[mode].append(side.ask(task.measure, **task.arguments))
            if upstream is not None and task.upstream is not None:
                others.append(upstream.ask(task.measure, **task.upstream))
        theirs |= medians(other.figures for other in others)
        for mode, found in answers.items():
            details = {**found[0].details, **(task.remarks if upstream is not None else {})}
            for name, value in medians(one.figures for one in found).items():
                yield Figure(name, variant, mode, value, theirs.get(name), details)


def streams(variant: str, mode: str, side: Side, clients: Sequence[int] = CLIENTS) -> Iterator[Figure]:
    """How many may listen at once. Each number is tried once; beyond the first that is too many only what memory
    eight take. Raises GenerationError."""
    held, enough = 0, False
    details: dict[str, dict[str, float]] = {}
    for count in clients:
        if enough and count > _AT_LEAST:
            break
        found = side.ask("streams", clients=count, sentences=_STREAMED)
        memory = side.ask("memory")
        details[f"{count} clients"] = {**found.figures, **found.details, **memory.figures}
        enough = enough or found.figures["in_time"] < _IN_TIME
        if not enough:
            held = count
    yield Figure("streams", variant, mode, held, details=details)

"""What an operation is to the studio: blocks of sound, and what to write down about them."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event
from typing import Any, Protocol, TypeVar

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.errors import Cancelled, PlusError
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.export import Export, MadeFile, Sound
from chatterbox_plus.synthesis.options import Options
from chatterbox_plus.synthesis.results import Result


@dataclass(frozen=True)
class Made:
    """What came of a job, once its audio is whole."""

    files: tuple[MadeFile, ...]  # none where nothing is kept
    duration_s: float
    processing_s: float


@dataclass(frozen=True)
class Destination:
    """Where a job's files go: below outputs/, with one stem for all formats. uncut: a second, uncut wav beside them."""

    subfolder: str
    stem: str
    formats: tuple[str, ...]
    uncut: bool = False


class Clock:
    """When a job began, for its name and its report."""

    def __init__(self, when: datetime | None = None) -> None:
        """when: for the name, where the work may have begun before; None: now."""
        self.when = when or datetime.now().astimezone()
        self._began = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began


AnyResult = TypeVar("AnyResult", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)
_log = logging.getLogger(__name__)


class Job(Protocol[R_co]):
    """One request, checked and ready to run. Everything a client can get wrong has been raised before this exists."""

    @property
    def destination(self) -> Destination:
        """Where the files go and how they are named."""

    @property
    def sound(self) -> Sound: ...

    @property
    def model(self) -> str:
        """Who speaks; "" for a join."""

    @property
    def seed(self) -> int | None: ...

    @property
    def cancel(self) -> Event: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Complete once the blocks have ended."""

    def blocks(self, reservation: Reservation | None) -> Iterator[Samples]:
        """The finished sound, (n,) or (channels, n); once. reservation: for extra files; None when nothing is kept."""

    def sidecar(self, names: dict[str, str], made: Made) -> dict[str, Any]:
        """What is stored beside the audio. names: format -> file name."""

    def result(self, made: Made) -> R_co: ...

    def note_use(self) -> None:
        """Called once, when all is made and in its place: counts the use of a stored voice. Raises StorageFull."""


def parameters(options: Options, **actual: Any) -> dict[str, Any]:
    """The options as a sidecar stores them: known fields only, with what was decided in place of what was asked."""
    return {**options.model_dump(mode="json", include=set(type(options).model_fields)), **actual}


def commit(job: Job[AnyResult], export: Export, clock: Clock) -> AnyResult:
    """Puts the finished files in their place. Raises Cancelled if nobody wants them any more."""
    still_wanted(job)
    made = Made((), export.duration_s, clock.elapsed_s)
    files = export.commit(job.sidecar(export.names, made))
    note_use(job)
    return job.result(replace(made, files=files))


def note_use(job: Job[Result]) -> None:
    """Counts the use of a voice, if it can be counted."""
    try:
        job.note_use()
    except PlusError as error:  # the audio itself is whole
        _log.warning("the use of a voice could not be counted: %s", error.message)


def still_wanted(job: Job[Result]) -> None:
    """Raises Cancelled."""
    if job.cancel.is_set():
        raise Cancelled("the request was called off")

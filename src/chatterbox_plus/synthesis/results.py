"""What an operation gives back, whether it wrote files or was listened to live."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from threading import Event
from types import TracebackType
from typing import Any, Self

from chatterbox_plus.audio.formats import OutputFormat
from chatterbox_plus.synthesis.export import MadeFile
from chatterbox_plus.synthesis.pipeline import TimedWord


@dataclass(frozen=True, kw_only=True)
class Result:
    """Common to all three. processing_s: wall-clock seconds it took. model: who spoke ("" for a join)."""

    files: tuple[MadeFile, ...]  # in the order of export_formats
    duration_s: float
    processing_s: float
    model: str = ""
    notes: tuple[str, ...] = ()  # fields that were sent and had no effect, limits that were met


@dataclass(frozen=True, kw_only=True)
class SpeechResult(Result):
    seed: int
    passages: int
    uncut: MadeFile | None = None  # as it was before its silences were cut, if that was to be kept
    words: tuple[TimedWord, ...] = ()
    words_estimated: bool = False
    places: tuple[tuple[float, float], ...] = ()  # of each passage: where it begins and ends, in seconds


@dataclass(frozen=True, kw_only=True)
class ConversionResult(Result):
    pass


@dataclass(frozen=True, kw_only=True)
class JoinResult(Result):
    metadata: dict[str, Any] = field(default_factory=dict)


class LiveAudio:
    """Encoded audio while it is being made. Iterate it once, in one thread; it ends by itself, raises, or is closed.

    result: set once the last byte has been given; without files where none are kept.
    duration_s: seconds of sound given so far.
    """

    def __init__(
        self,
        make: Callable[["LiveAudio"], Generator[bytes]],
        *,
        format: OutputFormat,
        filename: str,
        model: str,
        notes: tuple[str, ...],
        cancel: Event,
        release: Callable[[], None],
        seed: int | None = None,
    ) -> None:
        """make: the generator of bytes; it may set `result`. release: called once, when all is over."""
        self.format, self.filename, self.model, self.notes, self.seed = format, filename, model, notes, seed
        self.result: Result | None = None
        self.duration_s = 0.0
        self._bytes = make(self)
        self._cancel, self._release = cancel, release
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._bytes
        finally:
            self._end()

    def close(self) -> None:
        """Stops the work if it is still going on; what was written so far is removed. May be called twice."""
        self._cancel.set()
        self._bytes.close()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._release()

"""Making the rows of a batch, some at a time: each whole or not at all, and none in the way of another."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.commands.batch_manifest import Entry, Manifest, file_digest
from chatterbox_plus.commands.batch_rows import Piece
from chatterbox_plus.commands.common import shown_path
from chatterbox_plus.commands.leftovers import sweep
from chatterbox_plus.commands.output import Target
from chatterbox_plus.commands.sinks import FileSink, Opener, Sink, deliver
from chatterbox_plus.errors import BadRequest, Cancelled, PlusError, StorageFull, StorageUnwritable
from chatterbox_plus.library.writing import sync
from chatterbox_plus.synthesis.cancelling import PartEvent
from chatterbox_plus.synthesis.progress import Progress
from chatterbox_plus.synthesis.studio import Studio

_HOPELESS = (StorageFull, StorageUnwritable)  # what no other row would get past


@dataclass(frozen=True)
class Outcome:
    """What came of a row: `made` now, `kept` as it was, or `failed`. duration_s: of what was made now."""

    piece: Piece
    state: str
    duration_s: float | None = None
    error: PlusError | None = None
    notes: tuple[str, ...] = ()

    def report(self) -> dict[str, Any]:
        """As JSON has it."""
        told: dict[str, Any] = {"line": self.piece.line, "name": self.piece.name, "state": self.state, "files": []}
        if self.error is not None:
            return {**told, "error": self.error.message, "error_code": self.error.code}
        told["files"] = [Target(path, format, replace=False).report() for format, path in self.piece.paths]
        return told if self.duration_s is None else {**told, "duration_s": round(self.duration_s, 3)}


@dataclass
class Making:
    """A batch under way. at_once: rows. outcomes: in the order in which rows ended; complete when `run` is over."""

    studio: Studio
    manifest: Manifest
    force: bool
    at_once: int
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, pieces: Sequence[Piece], cancel: Event, progress: Progress) -> None:
        """Makes what is not there. A row that fails is an outcome; raises Cancelled, StorageFull, StorageUnwritable."""
        paths = [path for piece in pieces for _, path in piece.paths]
        names = {"", *(path.name for path in paths)}
        for folder in {path.parent for path in paths}:
            sweep(folder, names)
        self.outcomes += [Outcome(piece, "kept") for piece in pieces if piece.is_made(self.manifest)]
        kept = {outcome.piece.name for outcome in self.outcomes}
        progress(len(self.outcomes), len(pieces))
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="row") as pool:
            futures = [pool.submit(self._do, piece, cancel) for piece in pieces if piece.name not in kept]
            try:
                for future in as_completed(futures):
                    future.result()
                    progress(len(self.outcomes), len(pieces))
            except BaseException:
                cancel.set()
                for future in futures:
                    future.cancel()
                raise

    def _do(self, piece: Piece, cancel: Event) -> None:
        try:
            if cancel.is_set():
                raise Cancelled("the batch was called off")
            outcome = self._made(piece, cancel)
        except PlusError as error:
            if cancel.is_set() or isinstance(error, _HOPELESS):
                raise
            outcome = Outcome(piece, "failed", error=error)
        self.outcomes.append(outcome)

    def _made(self, piece: Piece, cancel: Event) -> Outcome:
        targets = piece.targets(self.manifest, force=self.force)
        _make_folder((piece.folder / piece.name).parent)
        before = self.manifest.get(piece.name)
        entering = _Entering(lambda files: self.manifest.enter(piece.name, Entry(piece.digest, files)))
        own = PartEvent(cancel)
        options = piece.options.model_copy(update={"streaming": "exact"})  # nobody listens yet
        live = self.studio.speak_live(options, cancel=own, format="wav", keep=False, reference=piece.reference)
        try:
            duration_s = deliver(live, list(entering.openers(targets)))
        except PlusError:
            if entering.entered:
                self.manifest.restore(piece.name, before)
            raise
        return Outcome(piece, "made", duration_s, notes=(*live.notes, *piece.notes))


class _RowFile(FileSink):
    """A file whose bytes are safely on the disk before it gets its name."""

    def sealed(self) -> str:
        """The digest of all of it, once it is finished."""
        try:
            sync(self._part)
        except OSError as error:
            raise BadRequest(f"cannot write {self._target.path.name}: {error.strerror}") from None
        return file_digest(self._part)


class _Entering:
    """The first of a row's sinks: when all are finished and none has its name, it tells the manifest of them."""

    def __init__(self, enter: Callable[[Mapping[str, str]], None]) -> None:
        """enter: given name -> digest."""
        self._enter, self.entered = enter, False
        self._files: list[tuple[str, _RowFile]] = []

    def openers(self, targets: Sequence[Target]) -> Iterator[Opener]:
        yield lambda rate, channels: self
        for target in targets:
            yield partial(self._open, target)

    def _open(self, target: Target, rate: int, channels: int) -> Sink:
        file = _RowFile(target, rate, channels)
        self._files.append((target.path.name, file))
        return file

    def push(self, samples: Samples) -> None: ...

    def finish(self) -> None: ...

    def place(self) -> None:
        sealed = {name: file.sealed() for name, file in self._files}
        self.entered = True
        self._enter(sealed)

    def abandon(self) -> None: ...


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"cannot make the folder {folder.name}: {error.strerror}") from None


def report(outcomes: Sequence[Outcome], folder: Path) -> dict[str, Any]:
    """All of a batch as one JSON object."""
    states = [outcome.state for outcome in outcomes]
    return {
        "success": "failed" not in states,
        "folder": shown_path(folder.absolute()),
        **{state: states.count(state) for state in ("made", "kept", "failed")},
        "rows": [outcome.report() for outcome in outcomes],
        "notes": list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes)),
    }


def complaints(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for every row that failed."""
    return [
        f"line {outcome.piece.line}, {outcome.piece.name}: {outcome.error.message}"
        for outcome in outcomes
        if outcome.error is not None
    ]

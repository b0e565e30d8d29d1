"""What may be removed without being asked for by name: leftovers, temporary files, old trash, the oldest beyond a size.

Never removed: voices; what is in use (`holds`) or younger than an hour; files in outputs/ that no generation made, such
as those put there by hand. A generation goes as a whole: all its formats and its sidecar.
"""

import logging
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

from chatterbox_plus.audio.formats import ATTACHED_SUFFIXES
from chatterbox_plus.library import holds
from chatterbox_plus.library.library import ABANDONED_S, REQUEST_FOLDERS, Library
from chatterbox_plus.library.store import Store
from chatterbox_plus.library.survey import Found, files_below

Target = Literal["all", "outputs", "temp", "old_files"]
PolicyName = Literal[
    "corrupted_files_cleanup",
    "temp_age_cleanup",
    "temp_count_cleanup",
    "output_size_cleanup",
    "output_age_cleanup",
    "vc_inputs_size_cleanup",
    "trash_cleanup",
]
YOUNGEST_S = 3600.0  # nothing younger is ever removed: another process may be at work with it
SOMEBODYS: frozenset[PolicyName] = frozenset({"output_size_cleanup", "output_age_cleanup", "vc_inputs_size_cleanup"})
"""Policies that remove what somebody made or sent: whoever runs the server should see that in the log."""
_GENERATED = re.compile(r"(tts|vc|concat|mixed)_\d{4}-\d{2}-\d{2}_")
_UNCUT = "_uncut"  # the second file beside a generation, under its stem with this added
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How much may lie around. 0 = as much as there is room for."""

    outputs_max_bytes: int = 0
    inputs_max_bytes: int = 0
    temp_max_files: int = 0
    temp_max_age_s: float = 0.0


@dataclass
class Removed:
    """What one policy removed, or would remove. files: names for people, below the data folder's parts."""

    files: list[str] = field(default_factory=list)
    bytes_freed: int = 0
    folders: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass
class _Unit:
    """What goes together or stays. files: in the order in which they go."""

    name: str
    files: list[Found]
    folder: Path | None = None  # goes with them
    youngest_s: float = YOUNGEST_S
    last: list[Found] = field(default_factory=list)  # sidecars: without them the rest would be nobody's

    @property
    def all(self) -> list[Found]:
        return [*self.files, *self.last]

    @property
    def size_bytes(self) -> int:
        return sum(found.size_bytes for found in self.all)

    @property
    def modified(self) -> float:
        """Of the newest, in seconds since the epoch."""
        own = [] if self.folder is None else [_modified(self.folder)]
        return max(*own, *(found.modified for found in self.all), 0.0)


class Retention:
    """Applies a policy to a library. One run at a time."""

    def __init__(self, library: Library, policy: Policy) -> None:
        self._library, self._policy = library, policy

    def run(
        self,
        target: Target = "all",
        *,
        max_age_s: float | None = None,
        dry_run: bool = False,
        stop: Event | None = None,
    ) -> dict[PolicyName, Removed]:
        """Policy name -> what it removed; dry_run: would remove, and nothing is touched.

        target: "outputs" and "temp" are the policies of that folder, "all" is every policy; "old_files" removes
        generations and temporary files older than max_age_s, whatever their size. max_age_s: also replaces the
        policy's age of temporary files. stop: ends it early.
        """
        run = _Run(self._library, dry_run, stop or Event())
        policy, library = self._policy, self._library
        age_s = policy.temp_max_age_s if max_age_s is None else max_age_s
        if target == "all":
            run.drop("corrupted_files_cleanup", _leftovers(library))
            run.drop("trash_cleanup", _expired(library))
        if target != "outputs" and (age_s or max_age_s is not None):
            run.drop("temp_age_cleanup", (unit for unit in _temporary(library) if run.age_s(unit) > age_s))
        if target in ("all", "temp") and policy.temp_max_files:
            run.drop_oldest(
                "temp_count_cleanup", _temporary(library), policy.temp_max_files, lambda unit: len(unit.all)
            )
        if target in ("all", "outputs") and policy.outputs_max_bytes:
            generations, others_bytes = _generations(library.outputs)
            most = policy.outputs_max_bytes - others_bytes
            run.drop_oldest("output_size_cleanup", generations, most, lambda unit: unit.size_bytes)
        if target == "old_files":
            old, _ = _generations(library.outputs)
            run.drop("output_age_cleanup", (unit for unit in old if run.age_s(unit) > age_s))
        if target == "all" and policy.inputs_max_bytes:
            run.drop_oldest(
                "vc_inputs_size_cleanup", _inputs(library.inputs), policy.inputs_max_bytes, lambda unit: unit.size_bytes
            )
        return run.report


class _Run:
    def __init__(self, library: Library, dry_run: bool, stop: Event) -> None:
        self._library = library
        self.report: dict[PolicyName, Removed] = {}
        self._dry_run, self._stop = dry_run, stop
        self._now = time.time()
        self._gone: set[str] = set()  # by name: a dry run must not count anything twice

    def age_s(self, unit: _Unit) -> float:
        return self._now - unit.modified

    def drop(self, policy: PolicyName, units: Iterable[_Unit]) -> None:
        removed = self.report.setdefault(policy, Removed())
        for unit in units:
            if self._stop.is_set():
                return
            self._remove(unit, policy, removed)

    def drop_oldest(
        self, policy: PolicyName, units: Iterable[_Unit], most: int, weight: Callable[[_Unit], int]
    ) -> None:
        """Until what is left weighs no more than `most`."""
        removed = self.report.setdefault(policy, Removed())
        left = sorted((unit for unit in units if unit.name not in self._gone), key=lambda unit: unit.modified)
        total = sum(map(weight, left))
        for unit in left:
            if total <= most or self._stop.is_set():
                return
            if self._remove(unit, policy, removed):
                total -= weight(unit)

    def _remove(self, unit: _Unit, policy: PolicyName, removed: Removed) -> bool:
        if unit.name in self._gone or self.age_s(unit) < unit.youngest_s:
            return False
        paths = [found.path for found in unit.all]
        try:
            if self._dry_run:
                done = not holds.held(*paths, *filter(None, (unit.folder,)))
            else:
                with self._library.removing(paths):
                    done = _remove(paths, unit.folder)
        except OSError as error:
            removed.errors.append(f"{unit.name}: {error.strerror}")
            _log.warning("%s: cannot remove %s: %s", policy, unit.name, error.strerror)
            return False
        if done:
            self._gone.add(unit.name)
            removed.files += [_beside(unit.name, found.path.name) for found in unit.all]
            removed.bytes_freed += unit.size_bytes
            removed.folders += unit.folder is not None
            if not self._dry_run:
                level = logging.WARNING if policy in SOMEBODYS else logging.INFO
                _log.log(level, "%s: removed %s (%d files, %d bytes)", policy, unit.name, len(paths), unit.size_bytes)
        return done


def _remove(paths: Sequence[Path], folder: Path | None) -> bool:
    if folder is None:
        return holds.remove(paths)
    if holds.held(folder):
        return False
    shutil.rmtree(folder)
    return True


def _beside(name: str, file: str) -> str:
    return f"{name.rpartition('/')[0]}/{file}"


def _beside_it(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _leftovers(library: Library) -> Iterator[_Unit]:
    """What crashed writers left in the stores."""
    for folder, store in (
        ("reference_audio", library.voices),
        ("vc_inputs", library.inputs),
        ("outputs", library.outputs),
    ):
        for found in store.leftovers():
            yield _Unit(f"{folder}/{found.path.name}", [found])
    for path in library.trash.leftovers():
        yield _Unit(f"trash/{path.name}/", [], path)


def _expired(library: Library) -> Iterator[_Unit]:
    """Deleted voices that nobody can have back any more."""
    for entry, folder in library.trash.expired():
        yield _Unit(f"trash/{entry.path}/", list(files_below(folder)), folder, 0.0)


def _temporary(library: Library) -> Iterator[_Unit]:
    """A request's folder as a whole, everything else file by file, if the folder is ours alone."""
    requests: dict[Path, _Unit] = {}
    for path in library.temp.glob(REQUEST_FOLDERS):
        if path.is_dir() and not path.is_symlink():
            requests[path] = _Unit(f"temp/{path.name}/", [], path, ABANDONED_S)
    for found in files_below(library.temp, hidden=True):
        top = library.temp / found.path.relative_to(library.temp).parts[0]
        if top in requests:
            requests[top].files.append(found)
        elif library.owns_temp and not found.path.name.startswith("."):
            yield _Unit(f"temp/{found.path.relative_to(library.temp).as_posix()}", [found])
    yield from requests.values()


def _inputs(store: Store) -> Iterator[_Unit]:
    """A recording with its sidecar."""
    known = {found.path: found for found in files_below(store.root)}
    for path, found in known.items():
        if path.suffix.lower() in store.suffixes:
            sidecar = known.get(store.sidecar(path))
            yield _Unit(f"vc_inputs/{store.relative(path)}", [found], last=[sidecar] if sidecar else [])


def _generations(store: Store) -> tuple[list[_Unit], int]:
    """All generations, and the bytes of everything else in the store."""
    known = {found.path: found for found in files_below(store.root)}
    stems: dict[Path, list[Found]] = {}
    for path, found in known.items():
        if path.suffix.lower() in store.suffixes:
            stem = path.with_suffix("")
            whole = stem.with_name(stem.name.removesuffix(_UNCUT))
            stems.setdefault(whole if _beside_it(whole, ".json") in known else stem, []).append(found)
    units, in_units = [], 0
    for stem, audio in stems.items():
        places = {_beside_it(path, ".json") for path in (stem, *(found.path for found in audio))}
        sidecars = [known[place] for place in sorted(places) if place in known]
        if not sidecars and (strayed := known.get(store.root / f"{stem.name}.json")):
            sidecars = [strayed]  # where the original put those of all folders
        sidecars += [known[place] for suffix in ATTACHED_SUFFIXES if (place := _beside_it(stem, suffix)) in known]
        if sidecars or _GENERATED.match(stem.name):
            name = f"outputs/{store.relative(stem)}"
            unit = _Unit(name, sorted(audio, key=lambda found: found.path), last=sidecars)
            units.append(unit)
            in_units += unit.size_bytes
    return units, sum(found.size_bytes for found in known.values()) - in_units

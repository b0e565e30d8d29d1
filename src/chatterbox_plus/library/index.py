"""What lies in a store, remembered: a list costs a look at each folder's time, not at each file.

Files and folders that come, go or change their names change the time of their folder, which is looked at whenever
somebody asks. What that cannot show, a file or a sidecar written over in place, is found by a pass over everything,
made when somebody asks and the last one is a second old. In a folder of thousands the same is true of a file that was
removed and made anew between two looks: names and inodes are compared there, not every file's size and time.
"""

import logging
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from chatterbox_plus.library.entries import Entry, Stat
from chatterbox_plus.library.survey import is_own_folder

PASS_S = 1.0  # how old a change in place may be before it shows
_PASS_SHARE = 10  # a pass is made at most so much more rarely than it takes, on slow disks and in huge stores
_TICK_NS = 100_000_000  # a folder changed so shortly before it was read may change again within the same tick
_COARSE_TICK_NS = 2_000_000_000  # ... where times have no fractions of a second: FAT, some network shares
_MAX_KEPT = 64
_EXACT_FILES = 1000  # in a folder: so many are looked at one by one whenever the folder has changed
T = TypeVar("T")
_log = logging.getLogger(__name__)

_Sidecars = tuple[tuple[str, Stat], ...]


class Snapshot:
    """What a store held at one moment; it never changes. What is worked out of it is kept with it."""

    def __init__(self, entries: tuple[Entry, ...], folders: tuple[str, ...]) -> None:
        """entries: in no particular order. folders: all but the root, empty ones too, sorted."""
        self.entries, self.folders = entries, folders
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._guard = threading.Lock()

    def kept(self, key: Hashable, make: Callable[[], T], *, if_worth: Callable[[T], bool] = lambda _: True) -> T:
        """What `make` returns, made once; only the last few are kept, and only what is worth it.

        key: begins with a name of its own.
        """
        with self._guard:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key]
                return found
        made = make()  # two threads may make the same: neither waits
        if if_worth(made):
            with self._guard:
                self._kept[key] = made
                while len(self._kept) > _MAX_KEPT:
                    self._kept.popitem(last=False)
        return made

    def unmeasured(self) -> tuple[Entry, ...]:
        """The files whose duration nobody knows yet."""
        return self.kept("unmeasured", lambda: tuple(entry for entry in self.entries if not entry.measured))


class _Folder:
    """One folder as it was read, and the entries made of it."""

    __slots__ = ("entries", "key", "settled", "stale", "stats", "subfolders")

    def __init__(self, key: Stat, settled: bool, stats: dict[str, Stat], subfolders: tuple[str, ...]) -> None:
        self.key, self.settled, self.stats, self.subfolders = key, settled, stats, subfolders
        self.entries: dict[str, tuple[Stat, _Sidecars, Entry]] = {}  # by file name
        self.stale: set[str] | None = None  # names whose files or sidecars are not those of the entries; None: all

    def follow(self, known: "_Folder") -> None:
        """Takes over the entries of the folder as it was."""
        self.entries = known.entries
        if known.stale is not None:
            changed = _changed(self, known)
            self.stale = known.stale | changed
            self.doubt(changed)

    def doubt(self, changed: set[str]) -> None:
        """Marks the files that sidecars among these names may be about."""
        about = {name[: -len(".json")] for name in changed if name.endswith(".json")}
        if about and self.stale is not None:
            self.stale |= {name for name in self.stats if name in about or name[: name.rfind(".")] in about}

    def holds_the_same(self, other: "_Folder") -> bool:
        return self.stats == other.stats and self.subfolders == other.subfolders


class Index:
    """The memory of one store. Thread-safe; it never opens audio."""

    def __init__(
        self,
        root: Path,
        suffixes: tuple[str, ...],
        *,
        places: Callable[[str], Iterable[str]],
        read: Callable[[Path], dict[str, Any] | None],
        root_has_sidecars: bool,
    ) -> None:
        """places: relative path of a file → where its sidecar may be, the first that can be read counts.

        read: the JSON object in a sidecar, None if there is none. root_has_sidecars: also those of files in folders.
        """
        self._root, self._suffixes, self._places, self._read = root, frozenset(suffixes), places, read
        self._root_has_sidecars = root_has_sidecars
        self._lock = threading.Lock()
        self._folders: dict[str, _Folder] = {}
        self._closed: set[str] = set()  # folders that may not be read: said once in the log
        self._snapshot: Snapshot | None = None  # None: to be made
        self._paths: tuple[str, ...] | None = None
        self._began: float | None = None
        self._passed = 0.0
        self._pass_every_s = PASS_S

    def snapshot(self) -> Snapshot:
        """What is there now. Who waits for another's look shares what it found, if it began after he asked."""
        asked = time.monotonic()
        with self._lock:
            self._look_again(asked)
            if self._snapshot is None:
                self._snapshot = self._made()
            return self._snapshot

    def paths(self) -> tuple[str, ...]:
        """The path of every audio file there is now, shallowest first, then sorted; no sidecar is read for it."""
        asked = time.monotonic()
        with self._lock:
            self._look_again(asked)
            if self._paths is None:
                found = [
                    f"{relative}/{name}" if relative else name
                    for relative, folder in self._folders.items()
                    for name in folder.stats
                    if not name.endswith(".json")
                ]
                self._paths = tuple(sorted(found, key=lambda path: (path.count("/"), path)))
            return self._paths

    def learn(self, found: Iterable[tuple[Entry, float | None, int | None]]) -> None:
        """Durations (seconds) and rates (Hz) of files as they were then; None where there is nothing to know."""
        with self._lock:
            for entry, duration_s, rate in found:
                folder = self._folders.get(entry.folder)
                known = folder.entries.get(entry.filename) if folder else None
                if folder and known and known[0] == entry.stat:
                    told = replace(known[2], duration_s=duration_s, rate=rate, measured=True)
                    folder.entries[entry.filename] = (known[0], known[1], told)
            self._snapshot = self._made()

    # Looking

    def _look_again(self, asked: float) -> None:
        """Brings all up to date, unless somebody began to after `asked`."""
        if self._began is not None and self._began >= asked:
            return
        first, self._began = self._began is None, time.monotonic()
        thorough = first or self._began - self._passed >= self._pass_every_s
        if self._look(thorough):
            self._snapshot = self._paths = None
        if thorough:
            self._passed = time.monotonic()
            self._pass_every_s = max(PASS_S, _PASS_SHARE * (self._passed - self._began))

    def _look(self, thorough: bool) -> bool:
        """Brings the folders up to date; whether anything has changed."""
        found: dict[str, _Folder] = {}
        waiting, changed = [""], False
        while waiting:
            relative = waiting.pop()
            known = self._folders.get(relative)
            folder = self._folder(relative, known, thorough)
            if folder is None:
                continue
            changed = changed or folder is not known
            found[relative] = folder
            waiting += [f"{relative}/{name}" if relative else name for name in folder.subfolders]
        changed = changed or found.keys() != self._folders.keys()
        root, before = found.get(""), self._folders.get("")
        if self._root_has_sidecars and root is not before:
            doubtful = _changed(root, before)
            for folder in found.values():
                folder.doubt(doubtful)
        self._folders = found
        return changed

    def _folder(self, relative: str, known: _Folder | None, thorough: bool) -> _Folder | None:
        """The folder as it is: `known` itself if nothing in it has changed, None if it cannot be read."""
        path = self._root / relative
        try:
            key, now_ns = _stat_of(path.stat()), time.time_ns()
            if known is not None and known.settled and known.key == key and not thorough:
                return known
            folder = self._read_folder(path, key, now_ns, {} if thorough or known is None else known.stats)
        except FileNotFoundError:
            return None
        except OSError as error:
            if relative not in self._closed:
                self._closed.add(relative)
                _log.warning("cannot look into the folder %s: %s", relative or self._root.name, error.strerror)
            return None
        self._closed.discard(relative)
        if known is None:
            return folder
        if known.holds_the_same(folder):
            known.key, known.settled = folder.key, folder.settled
            return known
        folder.follow(known)
        return folder

    def _read_folder(self, path: Path, key: Stat, now_ns: int, known: dict[str, Stat]) -> _Folder:
        """known: what the folder held before, where a file of the same inode may be taken for the same."""
        stats: dict[str, Stat] = {}
        if len(known) <= _EXACT_FILES or os.name == "nt":  # where scandir knows no inodes, but sizes and times
            known = {}
        subfolders = []
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith("."):
                    continue
                if is_own_folder(entry):
                    subfolders.append(name)
                elif name.endswith(".json") or name[name.rfind(".") :].lower() in self._suffixes:
                    if name in known and known[name].inode == entry.inode():
                        stats[name] = known[name]
                        continue
                    if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(self._root):
                        continue
                    try:
                        status = entry.stat()
                    except OSError:
                        continue  # gone this moment, or a link to nothing
                    if stat.S_ISREG(status.st_mode):
                        stats[name] = _stat_of(status)
        tick_ns = _TICK_NS if key.mtime_ns % 1_000_000_000 else _COARSE_TICK_NS
        return _Folder(key, abs(now_ns - key.mtime_ns) > tick_ns, stats, tuple(subfolders))

    # Making entries

    def _made(self) -> Snapshot:
        entries: list[Entry] = []
        for relative, folder in self._folders.items():
            if folder.stale is None or folder.stale:
                self._refresh(relative, folder)
            entries += [entry for _, _, entry in folder.entries.values()]
        return Snapshot(tuple(entries), tuple(sorted(filter(None, self._folders))))

    def _refresh(self, relative: str, folder: _Folder) -> None:
        """Makes the entries again that may be out of date."""
        for name in folder.stale if folder.stale is not None else folder.stats.keys() | folder.entries.keys():
            status = folder.stats.get(name)
            if status is None:
                folder.entries.pop(name, None)
                continue
            if name.endswith(".json"):
                continue
            path = f"{relative}/{name}" if relative else name
            sidecars = tuple(self._present(path, relative, folder))
            known = folder.entries.get(name)
            if known is not None and known[:2] == (status, sidecars):
                continue
            entry = self._entry(path, status, sidecars)
            if known is not None and known[0] == status and known[2].measured and not entry.measured:
                entry = replace(entry, duration_s=known[2].duration_s, rate=known[2].rate, measured=True)
            folder.entries[name] = (status, sidecars, entry)
        folder.stale = set()

    def _present(self, path: str, relative: str, folder: _Folder) -> Iterator[tuple[str, Stat]]:
        """The sidecars that are there, the first one first."""
        for place in self._places(path):
            above, _, name = place.rpartition("/")
            holder = folder if above == relative else self._folders.get(above)
            if holder is not None and name in holder.stats:
                yield place, holder.stats[name]

    def _entry(self, path: str, status: Stat, sidecars: _Sidecars) -> Entry:
        for place, written in sidecars:
            told = self._read(self._root / place)
            if told is not None:
                return Entry.of(path, status, told, written.mtime_ns)
        return Entry.of(path, status, {})


def _stat_of(status: os.stat_result) -> Stat:
    return Stat(status.st_mtime_ns, status.st_size, status.st_ino)


def _changed(now: _Folder | None, before: _Folder | None) -> set[str]:
    """The names whose files are not the same in both."""
    left, right = (set() if folder is None else folder.stats.items() for folder in (now, before))
    return {name for name, _ in left ^ right}

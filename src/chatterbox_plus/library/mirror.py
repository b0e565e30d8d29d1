"""Keeps a server's folders and one object store equal, so that several servers have their audio in common.

What this server makes, changes or deletes is in the store before anybody is told that it is done. What others did is
learnt every few seconds from a list, and at once where somebody asks for a file that is not here. The store counts: the
folders are what everything works on, and could be filled anew from it. A file has the time that the store gave it, so
that all servers tell the same validators for it.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from zlib import crc32

from chatterbox_plus.errors import PlusError, StorageAway
from chatterbox_plus.library.mirror_area import Area, here_of
from chatterbox_plus.library.mirror_pass import learn
from chatterbox_plus.library.mirror_record import Known, Record
from chatterbox_plus.library.objects import MARK, Objects, Seen
from chatterbox_plus.library.writing import discard, publish, sync, writing

EVERY_S = 3.0  # between two looks at what others did
_SHARE = 20  # a look comes at most so much more rarely than it takes, in huge stores
_SLOWEST_S = 300.0
LOOK_S = 1.0  # a name that means no path is looked for there so often at most
_STRIPES = 64
_log = logging.getLogger(__name__)


class Mirror:
    """One server's side of the store. Thread-safe.

    Whatever asks the store raises StorageAway while it does not answer; what writes here, StorageFull and
    StorageUnwritable.
    """

    def __init__(self, objects: Objects, record: Path, *, every_s: float = EVERY_S) -> None:
        """record: a file of this server's, for what it knows of the store; made when missing. Asks nothing yet."""
        self.objects = objects
        self.record = Record(record)
        self._every_s = every_s
        self._areas: dict[str, Area] = {}
        self._stripes = [threading.RLock() for _ in range(_STRIPES)]
        self._meeting = threading.Lock()
        self._mark = b""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._closers: list[Callable[[], None]] = []

    def area(self, name: str, root: Path, *, suffixes: tuple[str, ...] = (), eager: bool = True) -> Area:
        """One folder in common, under a name that all servers give it.

        suffixes: of the files that are; () for all. eager: fetched as soon as known, not only when asked for.
        """
        area = self._areas[name] = Area(name, Path(os.path.realpath(root)), suffixes, eager=eager)
        return area

    # Its life

    def meet(self) -> None:
        """Learns which store this is, and marks one that is new. Another one than before is compared from scratch."""
        with self._meeting:
            if self._mark:
                return
            mark = self.objects.read(MARK)
            if mark is None:
                try:
                    mark = secrets.token_hex(16).encode()
                    self.objects.put(MARK, mark, new=True)
                except FileExistsError:  # another server was first
                    mark = self.objects.read(MARK) or b""
            if self.record.store != mark.decode("ascii", "replace"):
                self.record.begin(mark.decode("ascii", "replace"))
            self.objects.know()
            self._mark = mark

    def is_empty(self) -> bool:
        """Whether the store has nothing in any of the folders in common."""
        return not any(next(self.objects.list(area.name), None) for area in self._areas.values() if area.eager)

    def follow(self) -> None:
        """From now on what others do is learnt every few seconds. Once; `close` ends it."""
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)
        self._thread.start()

    def at_close(self, close: Callable[[], None]) -> None:
        """Something that ends with this."""
        self._closers.append(close)

    def close(self, patience_s: float = 5.0) -> None:
        self._stopping.set()
        for close in self._closers:
            close()
        if self._thread is not None:
            self._thread.join(patience_s)
        if self._thread is None or not self._thread.is_alive():
            self.record.close()

    def learn(self, *names: str) -> None:
        """One look at what others did, and at what changed here unseen: in these areas, or in all."""
        self.meet()
        if self.objects.read(MARK) != self._mark:
            raise StorageAway("The store of the audio is not the one that it was")
        for area in [self._areas[name] for name in names or tuple(self._areas)]:
            with area.lock:
                area.began = time.monotonic()
                learn(self, area, self._stopping)
                area.took_s = time.monotonic() - area.began

    def look(self, area: Area) -> bool:
        """`learn`, unless that was done a moment ago; whether it was done since this was asked.

        A store that is away has nothing new.
        """
        asked = time.monotonic()
        with area.lock:
            if area.began > asked:  # by somebody else, while we waited
                return True
            if area.began + max(LOOK_S, _SHARE * area.took_s) > asked:
                return False
            try:
                self.learn(area.name)
            except PlusError as error:
                area.began = time.monotonic()
                _log.info("nothing new is known: %s", error.message)
                return False
            return True

    # Single files

    def fetch(self, area: Area, path: Path, *, keep_other: bool = False) -> bool:
        """Brings the file here as the store has it now; whether there is one.

        keep_other: a file here that differs gets another name first.
        """
        key = area.key(path)
        if key is None or not area.is_inside(path):
            return False
        self.meet()
        with self.hold(key), writing():
            try:
                temporary = _claimed(path)
            except (FileExistsError, NotADirectoryError):
                return False  # a file is here where others have a folder
            try:
                seen = self.objects.fetch(key, temporary)
                if seen is None:
                    return False
                _dated(temporary, seen)
                sync(temporary)
                if keep_other and here_of(path) is not None and path.read_bytes() != temporary.read_bytes():
                    other = area.free_name(path)
                    publish(path, other)
                    _log.warning("two servers had another %s: the one here is now %s", path.name, other.name)
                try:
                    temporary.replace(path)
                except PermissionError:
                    return path.exists()  # Windows: somebody is reading the old one, and the next look comes soon
                self._know(key, seen, path)
            finally:
                discard(temporary)
            return True

    def put(self, area: Area, path: Path, source: Path, *, new: bool = False) -> None:
        """See `Shelf.put`."""
        key = area.key(path)
        if key is None:
            return
        self.meet()
        with self.hold(key):
            seen = self.objects.put(key, source, new=new)
            _dated(source, seen)
            self._know(key, seen, source)

    @contextmanager
    def removing(self, area: Area, path: Path) -> Iterator[None]:
        """See `Shelf.removing`."""
        key = area.key(path)
        if key is None:
            yield
            return
        self.meet()
        with self.hold(key):
            self.objects.delete(key)
            yield
            if not os.path.lexists(path):
                self.record.forget(key)

    @contextmanager
    def removing_first_here(self, paths: Sequence[Path]) -> Iterator[None]:
        """Lets the block remove files here, and removes for others those that are gone then.

        Where that fails they come back: who removes them for their age or size will be here again.
        """
        keys = {key: path for path in paths if (key := self._key(path)) is not None}
        with self.hold(*keys):
            yield
            try:
                for key, path in keys.items():
                    if not os.path.lexists(path):
                        self.meet()
                        self.objects.delete(key)
                        self.record.forget(key)
            except StorageAway as away:
                _log.warning("what was removed comes back: %s", away.message)

    @contextmanager
    def moving(self, area: Area, path: Path, target: Path, *also: Path) -> Iterator[None]:
        """See `Shelf.moving`."""
        key, there = area.key(path), area.key(target)
        if key is None or there is None:
            yield
            return
        self.meet()
        with self.hold(key, there, *filter(None, map(area.key, also))):  # all at once, or two could wait for each other
            seen = self.objects.put(there, path, new=True)  # not every store can copy without writing over something
            try:
                yield
                _dated(target, seen)
                self._know(there, seen, target)
            except BaseException:
                self.take_back([there])
                raise
            self.take_back([key])

    def take_back(self, keys: Iterable[str]) -> None:
        """Removes objects that should not be there; if that fails, they stay."""
        try:
            for key in keys:
                self.objects.delete(key)
                self.record.forget(key)
        except StorageAway:
            _log.warning("a file that should be gone stays in the store of the audio")

    @contextmanager
    def hold(self, *keys: str) -> Iterator[None]:
        """Keeps other threads from the same objects, and from their files."""
        with ExitStack() as held:
            for index in sorted({crc32(key.encode()) % _STRIPES for key in keys}):
                held.enter_context(self._stripes[index])
            yield

    # Within

    def _key(self, path: Path) -> str | None:
        return next((key for area in self._areas.values() if (key := area.key(path)) is not None), None)

    def _know(self, key: str, seen: Seen, path: Path) -> None:
        here = here_of(path)
        if here is not None:
            self.record.put(key, Known(seen.tag, here))

    def _follow(self) -> None:
        said = False
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            began = time.monotonic()
            try:
                self.learn()
                said = False
            except PlusError as error:
                _log.log(logging.DEBUG if said else logging.WARNING, "other servers' audio waits: %s", error.message)
                said = True
            except Exception:  # noqa: BLE001 - the border: without this thread nothing of the others is learnt
                _log.exception("unexpected error while looking what other servers did")
            wait_s = max(self._every_s, min(_SLOWEST_S, _SHARE * (time.monotonic() - began)))


def _claimed(path: Path) -> Path:
    """An empty hidden file beside it, its folder made when missing."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    with suppress(FileNotFoundError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()
        return temporary
    path.parent.mkdir(parents=True, exist_ok=True)  # it was removed in that moment, as empty folders are
    temporary.open("xb").close()
    return temporary


def _dated(path: Path, seen: Seen) -> None:
    os.utime(path, ns=(seen.mtime_ns, seen.mtime_ns))

"""One look at a folder in common: what is there, what is here, what was equal before, and what follows."""

import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.errors import StorageAway, StorageFull, StorageUnwritable
from chatterbox_plus.library import holds
from chatterbox_plus.library.mirror_area import Area, here_of
from chatterbox_plus.library.mirror_record import Here, Known
from chatterbox_plus.library.objects import Seen

if TYPE_CHECKING:
    from chatterbox_plus.library.mirror import Mirror

AT_ONCE = 4  # files under way
SETTLED_S = 2.0  # a file put here by hand is whole when nothing was written to it for so long
_TOLD_APART = (".json", ".srt", ".vtt")  # of two of these the store's simply counts
_SAME_NS = 2_000_000_000  # file systems know times to 2 s at worst
_log = logging.getLogger(__name__)


def learn(mirror: "Mirror", area: Area, stop: Event) -> None:
    """Brings both sides of an area together. Raises as the mirror does; what is done by then stays done."""
    there = {seen.key: seen for seen in mirror.objects.list(area.name)}
    here = area.files()  # after the list: what is here and not in the list is new, or gone there
    known = mirror.record.below(area.name)  # after both: it is written before a file takes its place
    area.folders = frozenset(key.split("/")[1] for key in there)
    waiting = [
        key
        for key in there.keys() | here.keys() | known.keys()
        if not _is_settled(area, there.get(key), here.get(key), known.get(key))
    ]
    sidecars = [key for key in waiting if key.endswith(".json")]  # first: no audio is seen without its own
    audio = [key for key in waiting if not key.endswith(".json")]

    def settle(key: str) -> None:
        if stop.is_set():
            return
        try:
            _settle(mirror, area, key, there.get(key), here.get(key), known.get(key))
        except (StorageAway, StorageFull):
            raise
        except StorageUnwritable as error:  # this one alone, and maybe for ever: a folder that is only to be read
            _log.log(logging.DEBUG if key in area.refused else logging.WARNING, "%s is elsewhere: %s", key, error)
            area.refused.add(key)

    for keys in (sidecars, audio):
        if len(keys) > 1:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mirror") as pool:
                list(pool.map(settle, keys))
        elif keys:
            settle(keys[0])


def _is_settled(area: Area, seen: Seen | None, here: Here | None, known: Known | None) -> bool:
    if seen is None or known is None or known.tag != seen.tag:
        return False
    return here == known.here or (here is None and not area.eager)


def _settle(mirror: "Mirror", area: Area, key: str, seen: Seen | None, here: Here | None, known: Known | None) -> None:
    path = area.path(key)
    if path is None:
        return
    if seen is None:
        if known is None or (here is not None and here != known.here):
            _push(mirror, area, path, known, new=True)  # made here, or changed here and deleted there
        elif here is None:
            mirror.record.forget(key)
        else:
            _remove(mirror, area, key, path, known)
    elif here is None:
        if area.eager:
            mirror.fetch(area, path)
    elif known is None and _alike(seen, here):
        mirror.record.put(key, Known(seen.tag, here))
    elif known is not None and known.tag == seen.tag:
        _push(mirror, area, path, known, new=False)  # changed here
    elif known is not None and known.here == here:
        mirror.fetch(area, path)  # changed there
    else:
        mirror.fetch(area, path, keep_other=not key.endswith(_TOLD_APART))


def _alike(seen: Seen, here: Here) -> bool:
    """Whether a file must be the object's: it has its size, and the time that only the store can have given it."""
    return here.size == seen.size and abs(here.mtime_ns - seen.mtime_ns) <= _SAME_NS


def _push(mirror: "Mirror", area: Area, path: Path, known: Known | None, *, new: bool) -> None:
    """Gives others a file that came here, or changed here, by another way than ours."""
    key = area.key(path)
    if key is None or not area.eager or not area.is_inside(path):
        return
    with mirror.hold(key):
        here = here_of(path)
        if here is None or mirror.record.get(key) != known or time.time_ns() - here.mtime_ns < SETTLED_S * 1e9:
            return
        try:
            seen = mirror.objects.put(key, path, new=new)
        except FileExistsError:
            return  # another server was first: the next look sees both
        except OSError as error:
            _log.warning("%s cannot be read, and is here alone: %s", path.name, error.strerror)
            return
        if here_of(path) == here:  # else it was changed meanwhile, and the next look sees it
            with suppress(PermissionError):  # somebody else's: it keeps its time
                os.utime(path, ns=(seen.mtime_ns, seen.mtime_ns))
            here = here_of(path) or here
        mirror.record.put(key, Known(seen.tag, here))


def _remove(mirror: "Mirror", area: Area, key: str, path: Path, known: Known) -> None:
    """Removes here what others have removed, unless it is in use: then the next look does."""
    with mirror.hold(key):
        if mirror.objects.head(key) is not None or here_of(path) != known.here or not area.is_inside(path):
            return  # the list was older than the file
        try:
            if not holds.remove([path]):
                return
        except OSError as error:
            _log.info("%s was deleted elsewhere and cannot be here yet: %s", path.name, error.strerror)
            return
        mirror.record.forget(key)
    folder = path.parent
    if folder != area.root:
        area.prune([folder.relative_to(area.root).as_posix()])

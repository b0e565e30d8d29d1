"""How long stored files are where no sidecar tells: found out off to the side, and remembered."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chatterbox_plus.audio.decode import AudioInfo
from chatterbox_plus.errors import FileTooLarge, InvalidAudio, NotFound, PlusError
from chatterbox_plus.library.entries import Entry
from chatterbox_plus.library.index import Index, Snapshot

AT_ONCE = 100  # files that a list waits for; of more it says null until they are known
PATIENCE_S = 2.0  # and it waits no longer than this
_BATCH_S = 0.5  # how often what was found is handed over
_log = logging.getLogger(__name__)

Probe = Callable[[Path], AudioInfo]
"""What a file is, as `Decoder.probe` tells it."""


class Measuring:
    """Fills in an index, with one thread that is there while there is something to measure."""

    def __init__(self, root: Path, index: Index) -> None:
        self._root, self._index = root, index
        self._guard = threading.Lock()
        self._over: threading.Event | None = None  # of the round that is under way

    def snapshot(self, probe: Probe) -> Snapshot:
        """What is there now, measured if that does not take long. Files that are no audio have no duration."""
        snapshot = self._index.snapshot()
        unknown = snapshot.unmeasured()
        if not unknown:
            return snapshot
        with self._guard:
            if self._over is None:
                self._over = threading.Event()
                threading.Thread(target=self._round, args=(probe, self._over), name="measuring", daemon=True).start()
            over = self._over
        if len(unknown) <= AT_ONCE and over.wait(PATIENCE_S):
            return self._index.snapshot()
        return snapshot

    def _round(self, probe: Probe, over: threading.Event) -> None:
        try:
            while unknown := self._unknown():
                self._index.learn(self._found(unknown, probe))
        except PlusError as error:  # the decoder has been closed, or cannot be started: the next list tries again
            _log.warning("stopped measuring the files of %s: %s", self._root.name, error.message)
        finally:
            with self._guard:
                self._over = None
            over.set()

    def _unknown(self) -> tuple[Entry, ...]:
        return self._index.snapshot().unmeasured()

    def _found(self, entries: tuple[Entry, ...], probe: Probe) -> list[tuple[Entry, float | None, int | None]]:
        """Of the first of them, as many as half a second allows."""
        began = time.monotonic()
        found: list[tuple[Entry, float | None, int | None]] = []
        for entry in entries:
            try:
                info = probe(self._root / entry.path)
                found.append((entry, info.duration_s, info.rate))
            except (InvalidAudio, FileTooLarge, NotFound):  # the last: gone this moment, or nobody may read it
                found.append((entry, None, None))
            if time.monotonic() - began > _BATCH_S:
                break
        return found

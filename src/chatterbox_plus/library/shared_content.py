"""Takes that several servers have in common: what one has spoken, another need not speak.

What is not here is asked for there; what is kept here is given to the others behind the work, which never waits for it.
"""

import threading
import time
from collections import deque
from pathlib import Path

from chatterbox_plus.errors import StorageAway
from chatterbox_plus.library.content import FULL_TO, ContentStore
from chatterbox_plus.library.objects import Objects

AREA = "takes"
MAX_WAITING_BYTES = 64 * 2**20  # what cannot be given away so quickly stays here alone
SULK_S = 30.0  # a store that did not answer is not asked for so long: speaking anew is quicker
TRIM_S = 3600.0


class SharedContent(ContentStore):
    """Thread-safe. A store that is away is only not asked; nothing here raises for it."""

    def __init__(self, folder: Path, max_bytes: int, objects: Objects) -> None:
        """max_bytes: here, and in the store too: whoever writes to it removes the oldest now and then."""
        super().__init__(folder, max_bytes)
        self._objects = objects
        self._there_max_bytes = max_bytes
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._away_until = 0.0

    def read(self, key: str) -> bytes | None:
        found = super().read(key)
        if found is not None or not self._there_max_bytes or time.monotonic() < self._away_until:
            return found
        try:
            found = self._objects.read(_key(key))
        except StorageAway:
            self._sulk()
            return None
        if found is not None:
            super().write(key, found)
        return found

    def write(self, key: str, content: bytes) -> None:
        super().write(key, content)
        with self._changed:
            if self._closed or not self._there_max_bytes or self._waiting_bytes + len(content) > MAX_WAITING_BYTES:
                return
            self._waiting.append((key, content))
            self._waiting_bytes += len(content)
            if self._thread is None:
                self._thread = threading.Thread(target=self._give, name="takes", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, patience_s: float = 5.0) -> None:
        """Gives away what waits, as far as that is quick."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(patience_s)

    def trim(self) -> None:
        """Removes the oldest takes from the store, if there are more than there may be. Raises StorageAway."""
        found = sorted(self._objects.list(AREA), key=lambda seen: seen.mtime_ns)
        size = sum(seen.size for seen in found)
        if size <= self._there_max_bytes:
            return
        for seen in found:
            if size <= self._there_max_bytes * FULL_TO:
                return
            self._objects.delete(seen.key)
            size -= seen.size

    def _give(self) -> None:
        trimmed = time.monotonic()
        while (waiting := self._next()) is not None:
            key, content = waiting
            if time.monotonic() < self._away_until:
                continue
            try:
                self._objects.put(_key(key), content)
                if time.monotonic() - trimmed > TRIM_S:
                    trimmed = time.monotonic()
                    self.trim()
            except StorageAway:
                self._sulk()

    def _next(self) -> tuple[str, bytes] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            key, content = self._waiting.popleft()
            self._waiting_bytes -= len(content)
            return key, content

    def _sulk(self) -> None:
        self._away_until = time.monotonic() + SULK_S


def _key(key: str) -> str:
    return f"{AREA}/{key[:2]}/{key[2:]}"

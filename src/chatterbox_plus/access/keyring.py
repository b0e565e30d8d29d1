"""The keys as a running server holds them: in memory, never more than a second behind the database.

Where the database is on another machine and does not answer, the keys that were known go on working for a minute: it
may only be being restarted, and while nobody reaches it nobody can revoke a key in it either.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING

from chatterbox_plus.access.key import Key, taken_apart
from chatterbox_plus.access.signing import Signer
from chatterbox_plus.errors import DatabaseAway

if TYPE_CHECKING:
    from chatterbox_plus.access.keys import KeyStore  # and with it the database, which no server without keys needs

FRESH_S = 1.0  # a revoked key is refused, and a new one known, after at most so long
GRACE_S = 60.0  # without a word from a database on another machine
NOTED_S = 60.0  # how exactly the last use of a key is remembered
_LOST = "The keys cannot be read at the moment: ask again in a little while"
_log = logging.getLogger(__name__)


class Keyring:
    """Thread-safe. `refresh` reads the database and belongs in a thread; everything else is memory."""

    def __init__(self, store: "KeyStore", *, grace_s: float = 0.0) -> None:
        """Reads the keys. grace_s: how long they are good after they could last be read. Raises DatabaseAway."""
        self._store, self._grace_s = store, grace_s
        self._lock = threading.Lock()
        self._used: dict[str, None] = {}  # changed from several threads, one whole step at a time
        self._noted = 0.0
        self._keys: dict[str, Key] = {}
        self._read = self._tried = -1e9  # of the monotonic clock
        self.signer = Signer(store.signing_secret())
        self.refresh()

    @property
    def store(self) -> "KeyStore":
        """The keys at rest: to make and revoke some, in a thread."""
        return self._store

    @property
    def stale(self) -> bool:
        """Whether it is time for a `refresh`."""
        return time.monotonic() - self._tried > FRESH_S or (self._away and not self._good)

    def refresh(self) -> None:
        """Reads the keys again, unless another thread has just done so, and notes down which were used.

        Raises DatabaseAway when they cannot be read, and the grace is over: who knows whose key has been revoked.
        """
        if not self._lock.acquire(blocking=not (self._away and self._good)):
            return  # somebody else waits for a database that is away: with good keys, one is enough
        try:
            if not self.stale:
                return
            if self._grace_s and time.monotonic() - self._tried <= FRESH_S:  # else each request would wait in turn
                raise DatabaseAway(_LOST)
            began = time.monotonic()
            try:
                self._keys = {key.id: key for key in self._store.listed()}
            except DatabaseAway as away:
                self._tried = time.monotonic()
                if not self._good:
                    raise DatabaseAway(_LOST) from away
                _log.warning("the known keys count for now: %s", away.message)
                return
            self._read = self._tried = began
            if began - self._noted > NOTED_S:
                self._noted = began
                self._note_use()
        finally:
            self._lock.release()

    @property
    def _away(self) -> bool:
        """Whether the last try to read the keys failed."""
        return self._tried > self._read

    @property
    def _good(self) -> bool:
        """Whether the keys as they were last read still count."""
        return time.monotonic() - self._read <= self._grace_s

    def find(self, text: str) -> Key | None:
        """The key whose text this is, None if there is none, or no longer."""
        found = taken_apart(text)
        key = self._keys.get(found[0]) if found else None
        if key is None or found is None or not key.opens(found[1]):
            return None
        self._used[key.id] = None
        return key

    def opens(self, path: str, expires: str, key: str, signature: str) -> bool:
        """Whether a signed link to that output is good, and the key that vouched for it too."""
        return key in self._keys and self.signer.link_is_valid(path, expires, key, signature)

    def of_session(self, cookie: str) -> Key | None:
        """The key a page's cookie stands for, while both are good."""
        key = self._keys.get(self.signer.session_key(cookie) or "")
        if key is not None:
            self._used[key.id] = None
        return key

    def __len__(self) -> int:
        return len(self._keys)

    def close(self) -> None:
        """Notes down the last uses and lets go of the database."""
        with self._lock:
            self._note_use()
            self._store.close()

    def _note_use(self) -> None:
        used = list(self._used)
        if not used:
            return
        try:
            self._store.note_use(used)
        except DatabaseAway as error:  # a full or read-only disk keeps nobody out
            _log.warning("cannot note which keys were used: %s", error.message)
            return
        for key in used:
            self._used.pop(key, None)

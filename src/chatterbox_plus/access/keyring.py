"""The keys as a running server holds them: in memory, never more than a second behind the database."""

import logging
import threading
import time
from typing import TYPE_CHECKING

from chatterbox_plus.access.key import Key, taken_apart
from chatterbox_plus.access.signing import Signer
from chatterbox_plus.errors import SettingsError

if TYPE_CHECKING:
    from chatterbox_plus.access.keys import KeyStore  # and with it the database, which no server without keys needs

FRESH_S = 1.0  # a revoked key is refused, and a new one known, after at most so long
NOTED_S = 60.0  # how exactly the last use of a key is remembered
_log = logging.getLogger(__name__)


class Keyring:
    """Thread-safe. `refresh` reads the database and belongs in a thread; everything else is memory."""

    def __init__(self, store: "KeyStore") -> None:
        """Reads the keys. Raises SettingsError when the database cannot be read."""
        self._store = store
        self._lock = threading.Lock()
        self._used: dict[str, None] = {}  # changed from several threads, one whole step at a time
        self._noted = 0.0
        self._keys: dict[str, Key] = {}
        self._read = 0.0
        self.signer = Signer(store.signing_secret())
        self.refresh()

    @property
    def stale(self) -> bool:
        """Whether it is time for a `refresh`."""
        return time.monotonic() - self._read > FRESH_S

    def refresh(self) -> None:
        """Reads the keys again, unless another thread has just done so, and notes down which were used.

        Raises SettingsError when they cannot be read: who knows whose key has been revoked meanwhile.
        """
        with self._lock:
            if not self.stale:
                return
            began = time.monotonic()
            self._keys = {key.id: key for key in self._store.listed()}
            self._read = began
            if began - self._noted > NOTED_S:
                self._noted = began
                self._note_use()

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
        except SettingsError as error:  # a full or read-only disk keeps nobody out
            _log.warning("cannot note which keys were used: %s", error.message)
            return
        for key in used:
            self._used.pop(key, None)

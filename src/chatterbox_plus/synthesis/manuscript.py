"""A text on its way from who writes it to who says it, piece by piece."""

import queue
from collections import deque
from contextlib import suppress
from enum import Enum
from threading import Event

from chatterbox_plus.errors import Cancelled, TextTooLong

_SLICE_CHARS = 200  # of a long piece are read at a time: what is complete in them need not wait for the rest
_POLL_S = 0.05  # how often a reader without text looks at its cancellation


class Sign(Enum):
    """What a writer says beside the text."""

    FLUSH = "what is there is to be said, complete or not"
    END = "there is no more"


class Manuscript:
    """Written in one thread, which never waits; read in another."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._written = 0  # characters
        self._mail: queue.SimpleQueue[str | Sign] = queue.SimpleQueue()
        self._last: str | Sign | None = None
        self._unread: deque[str] = deque()
        self.waiting = False  # whether the reader has read everything and waits for more

    def write(self, text: str) -> None:
        """Raises TextTooLong; then nothing of this piece is read."""
        if self._written + len(text) > self._max_chars:
            raise TextTooLong(
                f"the text has more than {self._max_chars} characters, the most that this server takes", param="text"
            )
        self._written += len(text)
        if text:
            self._put(text)

    def flush(self) -> None:
        """What is there is to be said, whether it is complete or not."""
        if self._last is not Sign.FLUSH:
            self._put(Sign.FLUSH)

    def end(self) -> None:
        """There is no more."""
        self._put(Sign.END)

    def read(self, cancel: Event, *, wait: bool) -> str | Sign | None:
        """The next piece of the text, or what was said beside it. wait: until there is something; else None where there
        is nothing. Raises Cancelled."""
        if not self._unread:
            message = self._received(cancel, wait=wait)
            if not isinstance(message, str):
                return message
            self._unread += (message[at : at + _SLICE_CHARS] for at in range(0, len(message), _SLICE_CHARS))
        return self._unread.popleft()

    def _put(self, message: str | Sign) -> None:
        self._last = message
        self._mail.put(message)

    def _received(self, cancel: Event, *, wait: bool) -> str | Sign | None:
        while not cancel.is_set():
            with suppress(queue.Empty):
                return self._mail.get_nowait()
            if not wait:
                return None
            self.waiting = True
            with suppress(queue.Empty):
                message = self._mail.get(timeout=_POLL_S)
                self.waiting = False
                return message
        raise Cancelled("the dictation was called off")

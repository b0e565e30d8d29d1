"""How many requests may be in the house at once; the next one is told to come back, at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from chatterbox_plus.errors import Overloaded

FULL = "the server is busy: too many requests are waiting already"


class Gate:
    """Counts the work inside. Thread-safe; never waits."""

    def __init__(self, capacity: int) -> None:
        """capacity: requests being worked on plus requests waiting, >= 1."""
        self._capacity = capacity
        self._inside = 0
        self._lock = threading.Lock()

    @property
    def inside(self) -> int:
        return self._inside

    @property
    def full(self) -> bool:
        """Whether the next one would be refused now."""
        return self._inside >= self._capacity

    def enter(self) -> None:
        """Raises Overloaded when the house is full. Every `enter` that returns needs one `leave`."""
        with self._lock:
            if self._inside >= self._capacity:
                raise Overloaded(FULL)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1

    @contextmanager
    def pass_through(self) -> Iterator[None]:
        self.enter()
        try:
            yield
        finally:
            self.leave()

"""Recordings that a request names by URL."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from chatterbox_plus.library.library import Temporary

if TYPE_CHECKING:
    from chatterbox_plus.net.client import GuardedClient

_URL = re.compile(r"\s*(https?:|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)


def is_url(name: str) -> bool:
    """Whether a URL is meant, be it one that cannot be fetched, and not a file in a library."""
    return _URL.match(name) is not None


@dataclass(frozen=True)
class Fetched:
    """A recording that was fetched. name: the URL without its query, which may hold keys."""

    path: Path
    name: str


class Sources:
    """Fetches recordings into the files of a request. Thread-safe."""

    def __init__(self, connect: "Callable[[], GuardedClient]", *, max_bytes: int, deadline_s: float) -> None:
        """connect: makes the client when the first URL comes. max_bytes, deadline_s: for one URL."""
        self._connect, self._max_bytes, self._deadline_s = connect, max_bytes, deadline_s

    @cached_property
    def _client(self) -> "GuardedClient":
        return self._connect()

    def fetch(self, url: str, files: Temporary, cancel: Event, *, param: str) -> Fetched:
        """param: the field the URL stands in. Raises what `GuardedClient.download` raises."""
        path = files.path()
        done = self._client.download(
            url, path, max_bytes=self._max_bytes, deadline_s=self._deadline_s, cancel=cancel, param=param
        )
        return Fetched(path, done.url)

"""One guarded client for everything that is fetched from other machines.

Synchronous, for worker threads, and thread-safe: nothing is kept from one request to the next, neither connections nor
cookies. Proxies of the environment are not used: through one, nobody could tell where a request ends.
"""

import itertools
import random
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import BinaryIO

import httpcore2
import httpx2

from chatterbox_plus import __version__
from chatterbox_plus.errors import DownloadFailed, FileTooLarge, InvalidOption, PermissionDenied
from chatterbox_plus.net.exchange import Trouble, exchange, header, system_trust
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.net.sockets import Forbidden, Network, OutOfTime, Watch
from chatterbox_plus.net.urls import WebUrl, parse

MAX_REDIRECTS = 5
CONNECT_S = 10.0  # to reach a server, its certificate included
SILENCE_S = 15.0  # without a byte from it, or to it
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {
    "Accept": "audio/*, */*;q=0.5",
    "Accept-Encoding": "identity",  # a compressed body has no size until it is unpacked
    "User-Agent": f"chatterbox-plus/{__version__}",
    "Connection": "close",
}


@dataclass(frozen=True)
class Retries:
    """How often and after how long (seconds) something is tried again that may work the next time."""

    max_retries: int
    base_delay_s: float
    max_delay_s: float
    factor: float
    jitter: bool

    def delays(self) -> Iterator[float]:
        """One a retry. With jitter between a half and all of it, so that many do not come back at once."""
        for attempt in range(self.max_retries):
            delay = min(self.base_delay_s * self.factor**attempt, self.max_delay_s)
            yield delay * random.uniform(0.5, 1.0) if self.jitter else delay


@dataclass(frozen=True)
class Download:
    """What was fetched. url: scheme, host, port and path of what was asked for, fit to be stored. name: the last part
    of that path, for messages. size: bytes. content_type: as declared, "" if it was not; nobody has checked it."""

    url: str
    name: str
    size: int
    content_type: str


class GuardedClient:
    """Reaches only what its guard permits."""

    def __init__(
        self, guard: Guard, *, retries: Retries | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        """retries: None tries once. ssl_context: None trusts whom the system trusts."""
        self._guard, self._retries = guard, retries
        self._trust = ssl_context or system_trust()

    def download(
        self, url: str, path: Path, *, max_bytes: int, deadline_s: float, cancel: Event, param: str | None = None
    ) -> Download:
        """The body of `url` into the new file `path`, which is gone again if anything is raised.

        deadline_s: for everything, tries and redirects included. param: the field the URL came from, for errors.
        Raises InvalidOption for a bad URL, PermissionDenied for a host the guard does not permit, FileTooLarge,
        DownloadFailed for whatever else goes wrong out there, and Cancelled within 0.2 s of the event. OSError if
        `path` cannot be written.
        """
        target = parse(url, param=param)
        watch = Watch(deadline_s, cancel)
        with _new_file(path) as file:
            for delay in itertools.chain(self._retries.delays() if self._retries else (), (None,)):
                try:
                    return self._follow(target, file, max_bytes, watch)
                except Forbidden:
                    message = (
                        f"this server may not fetch audio from {target.shown}, or from where that leads: "
                        "api.allowed_hosts names what is allowed besides public hosts"
                    )
                    raise PermissionDenied(message, param=param) from None
                except FileTooLarge as error:
                    raise FileTooLarge(error.message, param=param) from None
                except OutOfTime:
                    reason = f"it took longer than {deadline_s:g} s"
                except Trouble as trouble:
                    reason = trouble.reason
                    if trouble.passing and delay is not None and _waited(watch, delay):
                        continue
                break
            raise DownloadFailed(f"{target.name} could not be fetched from {target.shown}: {reason}", param=param)

    def _follow(self, url: WebUrl, file: BinaryIO, max_bytes: int, watch: Watch) -> Download:
        asked = url
        for _ in range(MAX_REDIRECTS + 1):
            network = Network(self._guard, watch, self._trust)
            with exchange(network, "GET", url, _HEADERS, connect_s=CONNECT_S, silence_s=SILENCE_S) as answer:
                location = header(answer, b"location")
                if answer.status in _REDIRECTS and location:
                    url = _next(url, location)
                    continue
                size = _save(answer, file, max_bytes, asked.name)
                return Download(asked.safe, asked.name, size, header(answer, b"content-type"))
        raise Trouble(f"it redirects more than {MAX_REDIRECTS} times")


def _waited(watch: Watch, delay: float) -> bool:
    """False at once when there is no time for it."""
    try:
        watch.sleep(delay)
    except OutOfTime:
        return False
    return True


def _next(url: WebUrl, location: str) -> WebUrl:
    try:
        target = parse(str(url.url.join(location)))
    except (InvalidOption, httpx2.InvalidURL, ValueError):
        raise Trouble("it redirects to what is no http or https URL") from None
    if (url.url.scheme, target.url.scheme) == ("https", "http"):
        raise Trouble("it redirects from https to http")
    return target


def _save(answer: httpcore2.Response, file: BinaryIO, max_bytes: int, name: str) -> int:
    """The body into the emptied file; bytes. Raises FileTooLarge before more than `max_bytes` are written."""
    if answer.status != 200:
        passing = answer.status == 429 or answer.status >= 500
        raise Trouble(f"it answered with status {answer.status}", passing=passing)
    if header(answer, b"content-encoding").lower() not in ("", "identity"):
        raise Trouble("its answer is compressed, which was not asked for")
    too_large = FileTooLarge(f"{name} is larger than the {max_bytes:,} bytes this server takes")
    announced = header(answer, b"content-length")
    if announced.isdigit() and int(announced[:20]) > max_bytes:
        raise too_large
    file.seek(0)
    file.truncate()
    size = 0
    for chunk in answer.iter_stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        file.write(chunk)
    return size


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    with path.open("xb") as file:
        try:
            yield file
        except BaseException:
            file.close()  # Windows keeps what is open
            path.unlink(missing_ok=True)
            raise

"""The Hugging Face hub: what a repository has, and its files, which are taken up where they broke off.

huggingface_hub knows where the hub is (HF_ENDPOINT) and who asks (HF_TOKEN, or the token of `hf auth login`). The bytes
we fetch ourselves: its own download keeps nothing of a file that was not finished, calls itself off at nobody's word,
and compares no checksum.
"""

import hashlib
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import httpx2

from chatterbox_plus.errors import Cancelled, DownloadFailed, MissingExtra
from chatterbox_plus.library.writing import writing
from chatterbox_plus.net.client import Retries
from chatterbox_plus.net.exchange import system_trust

if TYPE_CHECKING:
    from hashlib import _Hash

INSTALL = "pip install 'chatterbox-plus[neural]'"
REVISION = "main"
CONNECT_S, SILENCE_S = 10.0, 15.0
_READ = 2**20  # bytes at a time, from a disk
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
T = TypeVar("T")
Got = Callable[[int], None]
"""Told how many bytes of a file are there."""


@dataclass(frozen=True)
class RemoteFile:
    """digest: its SHA-256 where the hub knows it (large files), else Git's own name of the content."""

    name: str
    size: int
    digest: str

    def hasher(self) -> "_Hash":
        if len(self.digest) == 64:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True)
class Remote:
    """A repository as it is now. revision: the commit."""

    repo: str
    revision: str
    files: dict[str, RemoteFile]


class _Trouble(Exception):
    """Something out there went wrong; passing: it may go well the next time."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.passing = reason, passing


class Hub:
    """One hub. Thread-safe: nothing is kept from one call to the next.

    Calls raise MissingExtra, Cancelled soon after the event, and DownloadFailed for all that goes wrong out there.
    """

    def __init__(self, retries: Retries, *, deadline_s: float = 0, endpoint: str | None = None) -> None:
        """deadline_s: for one whole file, 0 = none. endpoint: None is that of the environment."""
        self._retries, self._deadline_s, self._endpoint = retries, deadline_s, endpoint

    @property
    def endpoint(self) -> str:
        return (self._endpoint or str(_library().constants.ENDPOINT)).rstrip("/")

    def check(self) -> None:
        """Raises MissingExtra if nothing can be fetched here."""
        _library()

    def look(self, repo: str, cancel: Event) -> Remote:
        """What `main` of a repository has now."""
        url = f"{self.endpoint}/api/models/{repo}/revision/{REVISION}?blobs=true"

        def ask() -> Remote:
            with self._client() as client, _explained():
                return _remote(repo, _accepted(client.get(url)).content)

        return self._tried(repo, ask, cancel)

    def fetch(self, remote: Remote, file: RemoteFile, part: Path, got: Got, cancel: Event) -> None:
        """All of a file, checked, into `part`; goes on where an earlier call stopped.

        A file that is not what the hub says it is, is fetched anew once, if some of it is old; then it is removed and
        DownloadFailed raised. Also raises StorageFull and StorageUnwritable. Whatever else is raised, `part` stays.
        """
        begun = part.exists()
        if self._fetched(remote, file, part, got, cancel) or (begun and self._fetched(remote, file, part, got, cancel)):
            return
        raise DownloadFailed(
            f"{file.name} is not what the hub says it is (its checksum differs) and was removed: pull again, and look "
            "at the proxy or mirror between here and there if it stays so"
        )

    def _fetched(self, remote: Remote, file: RemoteFile, part: Path, got: Got, cancel: Event) -> bool:
        """Whether `part` is the file then; one that is another is removed."""
        url = f"{self.endpoint}/{remote.repo}/resolve/{remote.revision}/{quote(file.name)}"
        stop = time.monotonic() + self._deadline_s if self._deadline_s else None
        with writing(), part.open("ab") as opened:
            body = _Body(file, opened, part, got, cancel)

            def ask() -> None:
                with self._client() as client:
                    body.go_on(client, url, stop)

            self._tried(file.name, ask, cancel, progress=lambda: body.done)
            opened.flush()
            os.fsync(opened.fileno())  # what is taken for whole later must be so after a power cut, too
        if body.hasher.hexdigest() == file.digest:
            return True
        part.unlink()
        return False

    @property
    def _host(self) -> str:
        with suppress(ValueError):
            return urlsplit(self.endpoint).hostname or "the hub"
        return "the hub"

    def _client(self) -> httpx2.Client:
        headers = dict(_library().utils.build_hf_headers(library_name="chatterbox-plus"))
        headers["Accept-Encoding"] = "identity"  # what is compressed has no size, and no second half
        timeout = httpx2.Timeout(SILENCE_S, connect=CONNECT_S)
        return httpx2.Client(headers=headers, timeout=timeout, follow_redirects=True, verify=_trust())

    def _tried(self, what: str, ask: Callable[[], T], cancel: Event, progress: Callable[[], int] = lambda: 0) -> T:
        """progress: as long as something comes between two failures, there is no end of trying."""
        if _library().constants.HF_HUB_OFFLINE:
            raise DownloadFailed(f"{what} was not asked for: HF_HUB_OFFLINE is set")
        delays, before = self._retries.delays(), progress()
        while True:
            if cancel.is_set():
                raise Cancelled("the pull was called off")
            try:
                return ask()
            except _Trouble as trouble:
                if (now := progress()) > before:
                    delays, before = self._retries.delays(), now
                delay = next(delays, None) if trouble.passing else None
                if delay is None:
                    raise DownloadFailed(f"{what} could not be fetched from {self._host}: {trouble.reason}") from None
            cancel.wait(delay)


class _Body:
    """The bytes of one file, from however many answers they come."""

    def __init__(self, file: RemoteFile, opened: BinaryIO, part: Path, got: Got, cancel: Event) -> None:
        self._file, self._opened, self._got, self._cancel = file, opened, got, cancel
        self.hasher, self.done = file.hasher(), 0
        if part.stat().st_size > file.size:
            self._begin()
        for block in blocks(part, cancel):
            self.hasher.update(block)
            self.done += len(block)

    def go_on(self, client: httpx2.Client, url: str, stop: float | None) -> None:
        """What is still to come. stop: a moment of the monotonic clock."""
        if self.done == self._file.size:
            self._got(self.done)
            return
        headers = {"Range": f"bytes={self.done}-"} if self.done else {}
        with _explained(), client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 416:
                self._begin()
                raise _Trouble("it has nothing after what is here", passing=True)
            _accepted(answer)
            if self.done and answer.status_code != 206:
                self._begin()
            for chunk in answer.iter_bytes():
                if self._cancel.is_set():
                    raise Cancelled("the pull was called off")
                if stop is not None and time.monotonic() > stop:
                    raise _Trouble("it took too long (error_handling.model_loading.download_timeout_seconds)")
                self._take(chunk)
        if self.done < self._file.size:
            raise _Trouble("the connection broke off", passing=True)

    def _take(self, chunk: bytes) -> None:
        self._opened.write(chunk)
        self.hasher.update(chunk)
        self.done += len(chunk)
        if self.done > self._file.size:
            raise _Trouble("it sends more than it said")
        self._got(self.done)

    def _begin(self) -> None:
        self._opened.truncate(0)
        self.hasher, self.done = self._file.hasher(), 0


def blocks(path: Path, cancel: Event) -> Iterator[bytes]:
    """A file, block by block. Raises Cancelled."""
    with path.open("rb") as file:
        while block := file.read(_READ):
            if cancel.is_set():
                raise Cancelled("the pull was called off")
            yield block


def holds(path: Path, file: RemoteFile, cancel: Event) -> bool:
    """Whether that very file lies there. Raises Cancelled."""
    with suppress(OSError):
        if path.stat().st_size == file.size:
            hasher = file.hasher()
            for block in blocks(path, cancel):
                hasher.update(block)
            return hasher.hexdigest() == file.digest
    return False


@lru_cache(1)
def _trust() -> ssl.SSLContext:
    """Reading all certificates takes longer than a small file."""
    return system_trust()


def _library() -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.utils
    except ImportError:
        raise MissingExtra(f"pulling models needs more packages: {INSTALL}") from None
    return huggingface_hub


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except httpx2.TimeoutException:
        raise _Trouble("it does not answer in time", passing=True) from None
    except httpx2.ConnectError:
        raise _Trouble("it cannot be reached", passing=True) from None
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        raise _Trouble("HF_ENDPOINT is no http or https URL") from None
    except httpx2.TooManyRedirects:
        raise _Trouble("it redirects without end") from None
    except httpx2.HTTPError:
        raise _Trouble("the connection broke off", passing=True) from None


def _accepted(answer: httpx2.Response) -> httpx2.Response:
    status = answer.status_code
    if status in (200, 206):
        return answer
    if status in (401, 403):
        raise _Trouble(f"it answered with status {status}: set HF_TOKEN to a token that may read it")
    if status == 404:
        raise _Trouble("it is not there")
    raise _Trouble(f"it answered with status {status}", passing=status in _PASSING)


def _remote(repo: str, answer: bytes) -> Remote:
    """Of https://huggingface.co/docs/hub/api: siblings with size, blobId, and lfs.sha256 for large files."""
    try:
        told: Any = json.loads(answer)
        files = {}
        for item in told["siblings"]:
            lfs = item.get("lfs") or {}
            digest, size = str(lfs.get("sha256") or item["blobId"]), int(lfs.get("size") or item["size"])
            if not _DIGEST.fullmatch(digest) or size < 0:  # it becomes a part of a file's name
                raise ValueError(digest)
            files[str(item["rfilename"])] = RemoteFile(str(item["rfilename"]), size, digest)
        return Remote(repo, quote(str(told["sha"]), safe=""), files)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _Trouble("what it says of its files is not what a hub says") from None

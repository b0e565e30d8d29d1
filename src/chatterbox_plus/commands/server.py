"""A running server as a client of it sees it: its replies, its errors, and the events of a task as they come."""

import json
import queue
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx2

from chatterbox_plus import __version__
from chatterbox_plus.errors import BadRequest, PlusError
from chatterbox_plus.settings import is_loopback

TASKS = "/api/v1/tasks"
CONNECT_S, ANSWER_S = 5.0, 30.0  # to reach it; without a byte from it
SILENCE_S = 60.0  # of a stream of events: the server says every 15 s that it is still there
AGAIN_S, TRIES = 1.0, 30  # a server that has gone, such as one that is started again, is waited for
_POLL_S = 0.2  # how soon Ctrl-C is heard on every system


class NoServer(PlusError):
    """Nobody answers there, or somebody else does."""

    status, code = 502, "NO_SERVER"


class Refused(PlusError):
    """The server's own error, with its code."""

    def __init__(self, message: str, code: str = "", status: int = 500) -> None:
        super().__init__(message)
        self.code, self.status = code or PlusError.code, status

    def __reduce__(self) -> tuple[object, ...]:
        return Refused, (self.message, self.code, self.status)


@dataclass(frozen=True)
class TaskEvent:
    """Something that happened to a task. id: to go on after; kind: "passage"."""

    id: str
    kind: str
    data: Mapping[str, Any]


class Server:
    """One server. Use it in a `with`. Every call raises NoServer, and Refused for what the server says is wrong."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """url: such as http://127.0.0.1:7860; without a scheme it is http. Raises BadRequest for what is none, and for
        a key that cannot be one."""
        self.url, self._key = checked_url(url), key
        self._client = self._connected(ANSWER_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def tasks(self, limit: int, **filters: str | None) -> tuple[list[dict[str, Any]], int]:
        """The newest tasks, at most `limit`, and how many there are. filters: status, kind."""
        found: list[dict[str, Any]] = []
        params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
        for page in range(1, 2 + limit // 100):
            told = self._told("GET", TASKS, params={**params, "page": page, "page_size": min(100, limit)})
            found += told["tasks"]
            if len(found) >= min(limit, told["total"]) or not told["tasks"]:
                break
        return found[:limit], told["total"]

    def task(self, id: str) -> dict[str, Any]:
        return self._told("GET", _path(id))

    def change(self, id: str, action: str) -> dict[str, Any]:
        """action: cancel, pause, resume or retry. The task as it stands then."""
        if action == "cancel":
            return self._told("DELETE", _path(id))
        return self._told("POST", f"{_path(id)}/{action}")

    def watch(self, id: str) -> Iterator[TaskEvent]:
        """What has happened to a task and what happens, until it has ended. A lost connection is taken up where it was
        lost, for half a minute. Ctrl-C is heard while it waits."""
        seen, failures = "", 0
        while True:
            try:
                for event in _apart(self._events(id, seen)):
                    seen, failures = event.id or seen, 0
                    yield event
                if self.task(id)["finished_at"]:
                    return
            except (NoServer, Refused) as error:
                if error.status < 500 or failures >= TRIES:
                    raise
            failures += 1
            time.sleep(AGAIN_S)

    def _connected(self, silence_s: float) -> httpx2.Client:
        return connected(self.url, self._key, silence_s)

    def _told(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        with troubles(self.url):
            reply = self._client.request(method, self.url + path, **more)
            return self._object(reply)

    def _events(self, id: str, seen: str) -> Generator[TaskEvent]:
        """Through a connection of its own, which the thread that reads may keep when everybody else has gone."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen} if seen else {})
        url = f"{self.url}{_path(id)}/events"
        with (
            troubles(self.url),
            self._connected(SILENCE_S) as client,
            client.stream("GET", url, headers=headers) as reply,
        ):
            if reply.status_code != 200:
                reply.read()
                self._object(reply)
            yield from parse_events(reply.iter_bytes())

    def _object(self, reply: httpx2.Response) -> dict[str, Any]:
        try:
            told = reply.json()
        except ValueError:
            told = None
        if not isinstance(told, dict) or "timestamp" not in told:
            raise NoServer(f"what answers at {self.url} is no Chatterbox Plus server")
        if reply.status_code >= 400:
            raise Refused(str(told.get("error")), str(told.get("error_code")), reply.status_code)
        return told


def connected(url: str, key: str | None, silence_s: float) -> httpx2.Client:
    """A client for the server at that address. silence_s: how long it may say nothing. Raises BadRequest for a key that
    cannot be one."""
    headers = {"User-Agent": f"chatterbox-plus/{__version__}"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    timeout = httpx2.Timeout(silence_s, connect=CONNECT_S)
    proxied = not is_loopback(httpx2.URL(url).host)  # none leads to this very machine
    try:
        return httpx2.Client(headers=headers, timeout=timeout, trust_env=proxied)
    except UnicodeEncodeError:
        raise BadRequest("the key has characters in it that no key has") from None


@contextmanager
def troubles(url: str, flag: str = "--server") -> Iterator[None]:
    """Turns what goes wrong on the way to the server into NoServer. flag: which names another one."""
    try:
        yield
    except httpx2.ConnectError:
        hint = f"is it running? `chatterbox-plus serve` starts one, {flag} names another"
        raise NoServer(f"no server answers at {url}: {hint}") from None
    except httpx2.TimeoutException:
        raise NoServer(f"the server at {url} does not answer in time") from None
    except httpx2.HTTPError:
        raise NoServer(f"the connection to {url} broke off") from None


def parse_events(chunks: Iterator[bytes]) -> Generator[TaskEvent]:
    """Server-Sent Events from bytes, however they are cut; what is not JSON inside is passed over."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            data = _json(fields.get("data", ""))
            if data is not None:
                yield TaskEvent(fields.get("id", ""), fields["event"], data)
            fields = {}


def _lines(chunks: Iterator[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")  # no splitlines: U+2028 may stand inside a JSON string
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "replace")


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _apart(events: Generator[TaskEvent]) -> Iterator[TaskEvent]:
    """The same, read in a thread that nobody waits for: on Windows a wait for a socket does not hear Ctrl-C."""
    inbox: queue.Queue[TaskEvent | PlusError | None] = queue.Queue()

    def read() -> None:
        try:
            for event in events:
                inbox.put(event)
        except PlusError as error:
            inbox.put(error)
        else:
            inbox.put(None)

    threading.Thread(target=read, name="events", daemon=True).start()
    while True:
        try:
            got = inbox.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if got is None:
            return
        if isinstance(got, PlusError):
            raise got
        yield got


def _path(id: str) -> str:
    return f"{TASKS}/{quote(id, safe='')}"


def checked_url(url: str) -> str:
    """A server's address, with its scheme and without a slash at its end. Raises BadRequest for what is none."""
    whole = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parsed = httpx2.URL(whole)
    except (httpx2.InvalidURL, ValueError):
        raise BadRequest(f"{url} is no URL of a server") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadRequest(f"{url} is no URL of a server")
    return whole.rstrip("/")

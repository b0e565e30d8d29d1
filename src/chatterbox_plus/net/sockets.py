"""Connections that go where the guard allows, end at a deadline, and let go when they are called off.

Every httpcore2.NetworkError raised here has the error behind it as its argument: the connection pool drops its cause.
"""

import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, TypeVar

import httpcore2

from chatterbox_plus.errors import Cancelled
from chatterbox_plus.net.guard import Guard

TICK_S = 0.1  # how often a waiting connection looks whether it is still wanted
_LOOKUPS = threading.BoundedSemaphore(64)
"""Name lookups at once, those included that nobody waits for any more: the system's resolver cannot be interrupted."""

T = TypeVar("T")
SocketAddress = tuple[Any, ...]


class Forbidden(Exception):
    """The guard does not permit this host."""


class NameNotFound(Exception):
    """The host name means no address."""


class OutOfTime(Exception):
    """The deadline has passed."""


class Watch:
    """How long there is, and whether anybody still waits."""

    def __init__(self, seconds: float, cancel: Event) -> None:
        self._end = time.monotonic() + seconds
        self._cancel = cancel

    def left_s(self) -> float:
        """Seconds until the deadline, > 0. Raises Cancelled, OutOfTime."""
        if self._cancel.is_set():
            raise Cancelled("the request was called off")
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left

    def sleep(self, seconds: float) -> None:
        """Raises Cancelled at once; OutOfTime without waiting when the deadline comes first."""
        if seconds >= self.left_s():
            raise OutOfTime
        self._cancel.wait(seconds)
        self.left_s()


class Network(httpcore2.NetworkBackend):
    """Looks a name up once, asks the guard about every address it means, and connects to exactly these."""

    def __init__(self, guard: Guard, watch: Watch, trust: ssl.SSLContext) -> None:
        """trust: whose certificates count; shared by threads and changed by none."""
        self._guard, self._watch, self._trust = guard, watch, trust

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """timeout: seconds for all addresses together. Raises Forbidden before any connection if one of the addresses
        is not permitted: a name that means a public and a private host is one to stay away from."""
        found = _look_up(host, port, self._watch)
        for _, address in found:
            self._check(host, port, address)
        trouble: Exception = httpcore2.ConnectError("no address")
        end = time.monotonic() + (self._watch.left_s() if timeout is None else timeout)
        for tried, (family, address) in enumerate(found):
            share = max(end - time.monotonic(), TICK_S) / (len(found) - tried)
            try:
                return self._connect(family, address, host, port, share)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = error
        raise trouble

    def _connect(
        self, family: int, address: SocketAddress, host: str, port: int, timeout: float
    ) -> httpcore2.NetworkStream:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 here
            raise httpcore2.ConnectError(error) from error
        try:
            sock.setblocking(False)
            try:
                sock.connect(address)
            except BlockingIOError:
                self._await_connection(sock, timeout)
            if failed := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(failed, "connect")
            self._check(host, port, sock.getpeername())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            raise httpcore2.ConnectError(error) from error
        except BaseException:
            sock.close()
            raise
        return _Stream(sock, self._watch, self._trust)

    def _await_connection(self, sock: socket.socket, timeout: float) -> None:
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            while not selector.select(min(TICK_S, self._watch.left_s())):
                if time.monotonic() >= end:
                    raise httpcore2.ConnectTimeout

    def _check(self, host: str, port: int, address: SocketAddress) -> None:
        if not self._guard.permits(host, port, address[0]):
            raise Forbidden


class _Stream(httpcore2.NetworkStream):
    """A connected socket that waits in short steps."""

    def __init__(self, sock: socket.socket, watch: Watch, trust: ssl.SSLContext) -> None:
        self._sock, self._watch, self._trust = sock, watch, trust

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._patiently(lambda: self._sock.recv(max_bytes), timeout, httpcore2.ReadTimeout, httpcore2.ReadError)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            sent = self._patiently(
                lambda data=rest: self._sock.send(data),  # type: ignore[misc]
                timeout,
                httpcore2.WriteTimeout,
                httpcore2.WriteError,
            )
            rest = rest[sent:]

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """ssl_context: not used. httpcore2 sets options of the one it passes, which no two threads may share then."""
        try:
            # a name with a dot at its end is looked up as it is, and certified without
            name = server_hostname.removesuffix(".") if server_hostname else None
            secure = self._trust.wrap_socket(self._sock, server_hostname=name, do_handshake_on_connect=False)
        except (OSError, ValueError) as error:  # ValueError: a host name that no certificate can have
            self.close()
            raise httpcore2.ConnectError(error) from error
        stream = _Stream(secure, self._watch, self._trust)
        try:
            stream._patiently(secure.do_handshake, timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError)
        except BaseException:
            stream.close()
            raise
        return stream

    def close(self) -> None:
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:
        """Nothing is told: connections are not kept, so nobody asks whether one is still good."""

    def _patiently(
        self, work: Callable[[], T], timeout: float | None, late: type[Exception], broken: type[Exception]
    ) -> T:
        end = time.monotonic() + (self._watch.left_s() if timeout is None else timeout)
        while True:
            self._sock.settimeout(min(TICK_S, self._watch.left_s()))
            try:
                return work()
            except TimeoutError:  # OpenSSL takes the same call again after it
                if time.monotonic() >= end:
                    raise late from None
            except OSError as error:
                raise broken(error) from error


def _look_up(host: str, port: int, watch: Watch) -> list[tuple[int, SocketAddress]]:
    """(family, socket address) of all the name means, in the system's order of preference. Raises NameNotFound."""
    while not _LOOKUPS.acquire(timeout=min(TICK_S, watch.left_s())):
        pass
    answer: queue.SimpleQueue[list[tuple[int, SocketAddress]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys((family, address) for family, _, _, _, address in rows)))
        except (OSError, UnicodeError) as error:  # UnicodeError: a part of the name is empty or too long
            answer.put(error)
        finally:
            _LOOKUPS.release()

    threading.Thread(target=ask, name="name-lookup", daemon=True).start()
    while True:
        try:
            found = answer.get(timeout=min(TICK_S, watch.left_s()))
        except queue.Empty:
            continue
        if isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN:
            raise httpcore2.ConnectError(found)
        if isinstance(found, Exception) or not found:
            raise NameNotFound
        return found

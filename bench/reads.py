"""Small answers, as many a second as the server can give, over connections that stay open."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from bench.measure import Bench, Figure, Setting, serving

CONNECTIONS = 16
WARM_UP_S, MEASURED_S = 1.0, 4.0
_ROUTES = {
    "health": "/api/v1/health",
    "ready": "/api/v1/ready",
    "openai_voices": "/v1/audio/voices",
    "voices": "/api/v1/voices",
    "outputs": "/api/v1/outputs",
    "config": "/api/v1/config",
}


def reads(setting: Setting) -> Iterator[Figure]:
    """Requests a second for health and lists; client and server share the machine, and every request is logged."""
    with serving(setting, log_level="info") as (url, _):
        (process,) = psutil.Process().children()
        for name, path in _ROUTES.items():
            asyncio.run(_ask(url, path, WARM_UP_S))
            before = _cpu_s(process)
            times = asyncio.run(_ask(url, path, MEASURED_S))
            extra = {
                "connections": CONNECTIONS,
                "p50_ms": round(statistics.median(times) * 1000, 2),
                "p99_ms": round(sorted(times)[int(len(times) * 0.99)] * 1000, 2),
                "server_cpu_us": round((_cpu_s(process) - before) / len(times) * 1e6),
            }
            yield Figure(f"{name}_requests_per_s", len(times) / MEASURED_S, "1/s", extra)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _ask(url: str, path: str, seconds: float) -> list[float]:
    """Seconds of every request that was answered in that time."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(
            lambda: _Client(request, time.perf_counter() + seconds), parts.hostname or "", parts.port or 80
        )
        clients.append(client)
    await asyncio.gather(*(client.over for client in clients))
    return [took_s for client in clients for took_s in client.times]


class _Client(asyncio.Protocol):
    """Asks again as soon as it is answered. As little work as can be: the server needs the machine."""

    def __init__(self, request: bytes, until: float) -> None:
        self.times: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._until = request, until
        self._read, self._expected = b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._expected:
            head, end, _ = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._end(RuntimeError(head.partition(b"\r\n")[0].decode("latin-1")))
                return
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._expected = len(head) + len(end) + int(length)
        if len(self._read) < self._expected:
            return
        now = time.perf_counter()
        self.times.append(now - self._sent)
        if now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or RuntimeError("the server closed the connection"))

    def _send(self) -> None:
        self._read, self._expected = b"", 0
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def _end(self, error: Exception | None) -> None:
        if self.over.done():
            return
        if error is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(error)
        self._transport.close()


BENCHES: dict[str, Bench] = {"reads": reads}

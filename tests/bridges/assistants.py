"""Clients of Wyoming and of the Model Context Protocol, as tests need them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wyoming.client import AsyncTcpClient
from wyoming.event import Event, Eventable
from wyoming.tts import Synthesize, SynthesizeVoice

from tests.api.live_server import LiveServer

T = TypeVar("T")
TIMEOUT_S = 60  # a program is started in it, on a machine that may be busy
END = ("audio-stop", "error")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The work in an event loop of its own, while the server's runs in its thread."""

    async def in_time() -> T:
        async with asyncio.timeout(TIMEOUT_S):
            return await work

    return asyncio.run(in_time())


@asynccontextmanager
async def connected(server: LiveServer) -> AsyncIterator[AsyncTcpClient]:
    async with AsyncTcpClient("127.0.0.1", server.app.state.wyoming.port) as client:
        yield client


async def send(client: AsyncTcpClient, *events: Eventable) -> None:
    for event in events:
        await client.write_event(event.event())


@dataclass
class Heard:
    """What came. order: types of events; the last is None where the connection ended."""

    order: list[str | None] = field(default_factory=list)
    audio: bytes = b""
    last: Event | None = None

    @property
    def error(self) -> dict[str, Any]:
        assert self.order[-1] == "error", self.order
        assert self.last is not None
        return self.last.data


async def hear(client: AsyncTcpClient, *until: str, heard: Heard | None = None) -> Heard:
    """What comes, to the next event of these types, by default the end of a text; or to the connection's end."""
    heard = heard or Heard()
    while True:
        heard.last = await client.read_event()
        heard.order.append(heard.last.type if heard.last else None)
        if heard.last is None or heard.last.type in (until or END):
            return heard
        if heard.last.type == "audio-chunk":
            heard.audio += heard.last.payload or b""


def said(text: str, name: str | None = None, **voice: Any) -> Synthesize:
    return Synthesize(text, voice=SynthesizeVoice(name=name, **voice) if name or voice else None)


async def spoken(server: LiveServer, text: str, name: str | None = None, **voice: Any) -> Heard:
    async with connected(server) as client:
        await send(client, said(text, name, **voice))
        return await hear(client)

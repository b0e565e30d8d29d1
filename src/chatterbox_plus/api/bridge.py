"""Between the event loop and work that blocks: threads of its own, and word to the work when the client has left."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from typing import Any, Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from chatterbox_plus.errors import Cancelled, PlusError, Stopping
from chatterbox_plus.synthesis.results import LiveAudio, Result

Cancel = threading.Event
Item_co = TypeVar("Item_co", covariant=True)


class Source(Protocol[Item_co]):
    """Something that is made while somebody waits for its parts. result: set once the last part has been given."""

    @property
    def result(self) -> Result | None: ...

    def __iter__(self) -> Iterator[Item_co]: ...

    def close(self) -> None: ...


AnySource = TypeVar("AnySource", bound=Source[Any])
MakeLive = Callable[[Cancel, ExitStack], LiveAudio]
"""Starts live audio: gets the event that says the client has left, and a stack for what must live as long."""
Made = Callable[[Result], None]
READ_AHEAD = 2  # chunks made before the client has taken the ones before them
T = TypeVar("T")
Item = TypeVar("Item")
_log = logging.getLogger(__name__)


class Stalled(Cancelled):
    """The listener is still there and has taken nothing for too long."""

    def __init__(self) -> None:
        super().__init__("the listener stopped reading")


class Bridge:
    """Runs the studio's blocking calls in threads that nothing else uses."""

    def __init__(self, threads: int, patience_s: float, made: Made = lambda _: None) -> None:
        """threads: more than the studio lets in, so that a full house is refused at once instead of waiting here.

        patience_s: how long a listener may take nothing before the stream is broken off. made: told of every result, in
        any thread.
        """
        self._patience_s, self._made = patience_s, made
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="studio")
        self._under_way: set[Callable[[], None]] = set()  # what calls each piece of work off
        self._stopping = False

    async def run(self, request: Request, work: Callable[[Cancel], T]) -> T:
        """The result of `work`, which is told through its event when the client leaves. Raises what it raises."""
        cancel = Cancel()
        with self._counted(cancel):
            async with watching(request.receive, cancel.set):
                result = await self.call(work, cancel)
        if isinstance(result, Result):
            self._made(result)
        return result

    async def open(self, request: Request, make: MakeLive) -> "Stream[LiveAudio, bytes]":
        """Start live audio and wait for its first bytes: whatever fails before them is still an error reply."""
        stream: Stream[LiveAudio, bytes] = self.start(make)
        with self.explained():
            async with watching(request.receive, stream.stop):
                await stream.begin()
        return stream

    def start(self, make: Callable[[Cancel, ExitStack], AnySource]) -> "Stream[AnySource, Any]":
        """Let a thread work on it; it is called off when the server stops. make: see `MakeLive`."""
        stream: Stream[AnySource, Any] = Stream(self._patience_s)
        work = self._pool.submit(copy_context().run, stream.pump, make, self._made)
        self._under_way.add(stream.stop)
        work.add_done_callback(lambda _: self._under_way.discard(stream.stop))
        work.add_done_callback(stream.over)
        return stream

    async def call(self, work: Callable[..., T], *arguments: object) -> T:
        """`work` in one of the threads; if the caller is cancelled, an event among the arguments is set."""
        try:
            return await asyncio.wrap_future(self._pool.submit(copy_context().run, work, *arguments))
        except asyncio.CancelledError:
            for argument in arguments:
                if isinstance(argument, Cancel):
                    argument.set()
            raise

    @property
    def stopping(self) -> bool:
        return self._stopping

    def stop(self) -> None:
        """Calls off all that is under way: replies say so, streams break off."""
        self._stopping = True
        for call_off in tuple(self._under_way):
            call_off()

    @contextmanager
    def _counted(self, cancel: Cancel) -> Iterator[None]:
        self._under_way.add(cancel.set)
        try:
            with self.explained():
                yield
        finally:
            self._under_way.discard(cancel.set)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Work that is called off within because the server stops raises Stopping."""
        try:
            yield
        except Cancelled:
            if self._stopping:
                raise Stopping("the server is being stopped: ask again in a moment") from None
            raise

    def close(self) -> None:
        """Calls everything off and waits for nothing: what does not listen must not keep the server from stopping."""
        self.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)


class Stream(Generic[AnySource, Item]):
    """One piece of live audio on its way to one client: a thread makes it, the event loop sends it."""

    def __init__(self, patience_s: float) -> None:
        self.cancel = Cancel()
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(READ_AHEAD)
        self._arrivals: asyncio.Queue[Item | BaseException | None] = asyncio.Queue()
        self._first: Item | BaseException | None = None
        self._live: AnySource | None = None
        self.ended = asyncio.Event()  # the thread has done with it

    @property
    def live(self) -> AnySource:
        """The audio; there once `begin` has returned."""
        assert self._live is not None
        return self._live

    def pump(self, make: Callable[[Cancel, ExitStack], AnySource], made: Made) -> None:
        """All of the work, in one thread. Raises what breaks it off."""
        with ExitStack() as holds:
            self._live = live = make(self.cancel, holds)
            holds.callback(live.close)
            for chunk in filter(None, live):
                if not self._room.acquire(timeout=self._patience_s):
                    raise Stalled
                if self.cancel.is_set():
                    raise Cancelled("the client left")
                self._put(chunk)
            if live.result is not None:
                made(live.result)

    def over(self, work: Future[None]) -> None:
        """After the last chunk comes how it ended: None or an error, never silence."""
        error = Cancelled("the server stops") if work.cancelled() else work.exception()
        self._put(error)
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self.ended.set)

    async def begin(self) -> None:
        """Waits for the first bytes. Raises what fails before them."""
        try:
            self._first = await self._arrivals.get()
        except asyncio.CancelledError:
            self.stop()
            raise
        if isinstance(self._first, BaseException):
            raise self._first

    async def chunks(self) -> AsyncIterator[Item]:
        """The audio, never an empty chunk. Raises what breaks it off."""
        item = self._first
        while item is not None:
            if isinstance(item, BaseException):
                raise item
            self._room.release()
            yield item
            item = await self._arrivals.get()

    async def give(self, send: Awaitable[None]) -> None:
        """Waits until the client has room for what is sent. Raises Stalled."""
        try:
            async with asyncio.timeout(self._patience_s):
                await send
        except TimeoutError:
            raise Stalled from None

    def stop(self) -> None:
        """Nobody listens any more, or everything has been said."""
        self.cancel.set()
        self._room.release()

    def _put(self, item: Item | BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._arrivals.put_nowait, item)


class LiveResponse(StreamingResponse):
    """Sends audio while it is made. If the audio breaks off, so does the connection: half a file never looks whole."""

    def __init__(
        self,
        stream: Stream[LiveAudio, bytes],
        *,
        media_type: str,
        headers: dict[str, str],
        frame: Callable[[bytes], bytes] = lambda chunk: chunk,
        last: Callable[[], bytes] = lambda: b"",
    ) -> None:
        """frame: how a chunk is written down. last: what follows the last one."""
        super().__init__(iter(()), media_type=media_type, headers=headers)
        self._stream, self._frame, self._last = stream, frame, last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with watching(receive, self._stream.stop):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for chunk in self._stream.chunks():
                    message = {"type": "http.response.body", "body": self._frame(chunk), "more_body": True}
                    await self._stream.give(send(message))
                end = {"type": "http.response.body", "body": self._last(), "more_body": False}
                await self._stream.give(send(end))
        except Stalled as error:
            _log.warning("%s", error.message)
        except Cancelled:
            _log.info("ended early: the listener left, or the server is being stopped")
        except PlusError as error:
            blame(scope, error.status, error.code)
            # Returning without the last message makes the server close the connection without ending the body.
            _log.error("the stream broke off: %s", error.message)
        finally:
            self._stream.stop()


def request_id(scope: Scope) -> str:
    """The id of the request, as in its X-Request-ID."""
    return str(scope.get("state", {}).get("request_id", "-"))


def blame(scope: Scope, status: int, code: str) -> None:
    """Remembers what went wrong with the request, for the counts and the list of errors."""
    scope.setdefault("state", {})["blame"] = (status, code)


def blame_of(scope: Scope) -> tuple[int, str] | None:
    """Status and code of what went wrong: also where a 200 had been sent already."""
    found: tuple[int, str] | None = scope["state"].get("blame")
    return found


@asynccontextmanager
async def watching(receive: Receive, left: Callable[[], None]) -> AsyncIterator[None]:
    """Within the block, `left` is called as soon as the client is gone. Nobody else may receive meanwhile.

    Raises what receiving raises, which ends the work too: nothing more would be heard from the client.
    """

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    watcher = asyncio.create_task(wait())
    watcher.add_done_callback(lambda _: None if watcher.cancelled() else left())
    try:
        yield
    finally:
        watcher.cancel()
        (end,) = await asyncio.gather(watcher, return_exceptions=True)
        if isinstance(end, Exception):
            raise end

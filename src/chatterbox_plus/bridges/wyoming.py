"""Home Assistant's Wyoming protocol beside HTTP: the same voices, for a voice assistant.

Events over TCP: a line of JSON, then what it announces (github.com/OHF-Voice/wyoming). One connection may ask for one
text after the other; they are said in turn.
"""

import asyncio
import json
import logging
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_read_event, async_write_event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped

from chatterbox_plus.api.bridge import Cancel, Stalled, Stream
from chatterbox_plus.api.middleware import max_json_bytes, new_request_id
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.bridges.wyoming_voices import PROGRAM, Asked, asked, describe, resolved
from chatterbox_plus.errors import (
    BadRequest,
    FileTooLarge,
    GenerationTimeout,
    InvalidOption,
    Overloaded,
    PlusError,
    Stopping,
)
from chatterbox_plus.logs import REQUEST
from chatterbox_plus.synthesis.dictation import FRAME_BYTES, Dictation, Sound
from chatterbox_plus.synthesis.manuscript import Manuscript
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.results import LiveAudio

if TYPE_CHECKING:
    from chatterbox_plus.bridges.announcing import Announcement

_PCM = {"rate": SPEECH_RATE, "width": 2, "channels": 1}  # what the format "pcm" is: 16 bit, mono
_MOST_WAITING = 8  # texts of one connection that wait for the one before them
_GOODBYE_S = 2  # for the last words to a client who may not be reading
_log = logging.getLogger(__name__)


class WyomingServer:
    """Listens, in the event loop of the server, until it is stopped."""

    def __init__(self, state: ApiState, languages: Sequence[str] = ()) -> None:
        """languages: that stored voices are offered in; none: all that can be spoken."""
        self._state, self._languages = state, languages
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], _Talk] = {}
        self._announcement: Announcement | None = None
        self._announcing: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self, host: str, port: int, listener: socket.socket | None = None, *, announce: bool) -> None:
        """listener: a socket that listens there already. announce: to the network. Raises OSError."""
        loop = asyncio.get_running_loop()
        where: dict[str, Any] = {"sock": listener} if listener else {"host": host, "port": port}
        self._server = await loop.create_server(self._protocol, **where)
        self.port = self._server.sockets[0].getsockname()[1]
        if announce:
            from chatterbox_plus.bridges.announcing import Announcement  # only then need its package be there

            self._announcement = Announcement(PROGRAM, host, self.port)
            self._announcing = loop.create_task(self._announcement.begin())  # a second, which nobody waits for

    async def stop(self) -> None:
        """Nobody is let in any more; who is being spoken to is told that the server stops."""
        if self._server is not None:
            self._server.close()
        for task, talk in tuple(self._talks.items()):
            talk.stopping = True
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        if self._announcement is not None and self._announcing is not None:
            self._announcing.cancel()
            await asyncio.gather(self._announcing, return_exceptions=True)
            await self._announcement.end()

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        most = max_json_bytes(self._state.settings.api.max_text_length)
        return asyncio.StreamReaderProtocol(_Reader(most), self._meet)

    def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = _Talk(self._state, self._languages, reader, writer)
        task = asyncio.get_running_loop().create_task(talk.run())
        self._talks[task] = talk
        task.add_done_callback(self._parted)

    def _parted(self, task: asyncio.Task[None]) -> None:
        del self._talks[task]
        if not task.cancelled() and (error := task.exception()):
            _log.error("a Wyoming connection broke off", exc_info=error)


class _Reader(asyncio.StreamReader):
    """Reads no more at once than any text needs: an event says itself how long it is."""

    def __init__(self, most: int) -> None:
        super().__init__(limit=most)
        self._most = most

    async def readexactly(self, n: int) -> bytes:
        """Raises FileTooLarge."""
        if not 0 <= n <= self._most:
            raise FileTooLarge(f"the event is larger than {self._most} bytes, the most that is taken")
        return await super().readexactly(n)


class _Utterance:
    """A text to say. streamed: it comes in pieces, until its `synthesize-stop`."""

    def __init__(self, voice: Asked, max_chars: int, text: str | None = None) -> None:
        """text: all of it, where it is there already."""
        self.voice, self.text = voice, text
        self.manuscript = Manuscript(max_chars)
        self.stream: Stream[LiveAudio, Any] | Stream[Dictation, Any] | None = None

    @property
    def streamed(self) -> bool:
        return self.text is None

    def waits(self) -> bool:
        """Whether it is the client's turn: all that was written has been said."""
        return self.streamed and self.manuscript.waiting


class _Talk:
    """One connection, until its client leaves, says nothing for too long, or asks for what cannot be."""

    def __init__(
        self,
        state: ApiState,
        languages: Sequence[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._state, self._languages = state, languages
        self._reader, self._writer = reader, writer
        self._patience_s = state.settings.api.request_timeout_seconds
        self._clock = asyncio.get_running_loop().time
        self._lively_at = self._clock()  # when something was last said by either side
        self._waiting: deque[_Utterance] = deque()
        self._written: _Utterance | None = None  # whose text is still coming
        self._said: _Utterance | None = None  # being spoken
        self._speaking: asyncio.Task[None] | None = None
        self.stopping = False

    async def run(self) -> None:
        try:
            await self._converse()
        except (OSError, asyncio.IncompleteReadError, Stalled):
            pass  # the client left, or stopped reading
        except PlusError as error:
            await self._break_off(error)
        except asyncio.CancelledError:
            if not self.stopping:
                raise
            if self._said or self._waiting or self._written:
                await self._break_off(Stopping("the server is being stopped: ask again in a moment"))
        finally:
            self._writer.close()

    async def _converse(self) -> None:
        receiving = asyncio.create_task(self._received())
        try:
            while True:
                if self._speaking is None and self._waiting:
                    self._said = self._waiting.popleft()
                    self._speaking = asyncio.create_task(self._speak(self._said))
                waiting = {receiving, self._speaking} if self._speaking else {receiving}
                left_s = self._lively_at + self._patience_s - self._clock()
                done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if self._speaking in done:
                    speaking, self._speaking, self._said = self._speaking, None, None
                    speaking.result()
                if receiving in done:
                    self._lively_at = self._clock()
                    event = receiving.result()
                    if event is None:
                        return
                    await self._handle(event)
                    receiving = asyncio.create_task(self._received())
                elif not done and self._idle():
                    if self._written:
                        raise GenerationTimeout(f"nothing more of the text came for {self._patience_s:g} seconds")
                    return
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await self._silence()

    async def _received(self) -> Event | None:
        """None when the client has left. Raises BadRequest for what is no event."""
        try:
            event = await async_read_event(self._reader)
            if event is not None:
                json.dumps(event.data, ensure_ascii=False).encode()
        except (AttributeError, KeyError, TypeError, RecursionError):  # JSON, but of another form
            raise BadRequest("this is not a Wyoming event") from None
        except UnicodeEncodeError:  # a lone surrogate: it cannot be said, nor sent back
            raise BadRequest("the event is not Unicode") from None
        if event is None and not self._reader.at_eof():
            raise BadRequest("this is not a Wyoming event: a line of JSON, of a sane length")
        if event is not None and not (isinstance(event.type, str) and isinstance(event.data, dict)):
            raise BadRequest("this is not a Wyoming event")
        return event

    def _idle(self) -> bool:
        """Whether nobody said anything for too long: who waits for an engine is not idle."""
        if self._said and not self._said.waits():
            self._lively_at = self._clock()
        return self._clock() >= self._lively_at + self._patience_s

    async def _handle(self, event: Event) -> None:
        """Raises BadRequest; events of other services, and of times to come, are nothing to us."""
        kind, data = event.type, event.data
        if Describe.is_type(kind):
            await self._send(await self._state.bridge.call(describe, self._state.studio, self._languages))
        elif Ping.is_type(kind):
            await self._send(Pong(data.get("text")))
        elif SynthesizeStart.is_type(kind):
            if self._written:
                raise BadRequest("a text is still coming: end it with synthesize-stop before the next one")
            self._written = self._take_on(data, None)
        elif SynthesizeChunk.is_type(kind):
            self._open(kind).manuscript.write(_text(data))
        elif SynthesizeStop.is_type(kind):
            self._open(kind).manuscript.end()
            self._written = None
        elif Synthesize.is_type(kind) and not self._written:
            # While a text comes in pieces, its whole comes as well, for servers that know no pieces.
            self._take_on(data, _text(data))

    def _open(self, kind: str) -> _Utterance:
        if self._written is None:
            raise BadRequest(f"{kind} without synthesize-start")
        return self._written

    def _take_on(self, data: dict[str, Any], text: str | None) -> _Utterance:
        if data.get("text_format") not in (None, "text"):
            raise BadRequest("only plain text is spoken here: text_format must be text", param="text_format")
        if len(self._waiting) >= _MOST_WAITING:
            raise Overloaded(f"more than {_MOST_WAITING} texts of this connection are waiting")
        new = _Utterance(asked(data), self._state.settings.api.max_text_length, text)
        self._waiting.append(new)
        return new

    async def _speak(self, said: _Utterance) -> None:
        """Sends all of it. Raises what breaks it off; then it has no end, and cannot be taken for a whole one."""
        name = new_request_id()
        REQUEST.set(name)
        began, sent = time.perf_counter(), 0
        bridge = self._state.bridge
        make = partial(self._dictate, said) if said.streamed else partial(self._recite, said)
        stream: Stream[Any, Any] = bridge.start(make)
        said.stream = stream
        try:
            with bridge.explained():
                await stream.begin()
                async for part in stream.chunks():
                    data = part if isinstance(part, bytes) else part.data if isinstance(part, Sound) else b""
                    for at in range(0, len(data), FRAME_BYTES):
                        if not sent:
                            await self._send(AudioStart(**_PCM))
                        piece = data[at : at + FRAME_BYTES]
                        await self._send(AudioChunk(audio=piece, **_PCM))
                        sent += len(piece)
            if not sent:
                raise BadRequest("nothing in the text can be spoken", param="text")
        except PlusError as error:
            self._state.metrics.failures.record("wyoming synthesize", error.code, error.status, name)
            raise
        finally:
            stream.stop()
        await self._send(AudioStop())
        if said.streamed:
            await self._send(SynthesizeStopped())
        await stream.ended.wait()  # it is in the house until then, and the next one would be one more
        seconds = sent / _PCM["width"] / SPEECH_RATE
        _log.info("wyoming: %.1f s of speech in %.0f ms", seconds, (time.perf_counter() - began) * 1000)

    def _dictate(self, said: _Utterance, cancel: Cancel, _: ExitStack) -> Dictation:
        studio = self._state.studio
        options = _options("-", resolved(studio, said.voice))
        return studio.dictate(options, said.manuscript, cancel=cancel, format="pcm")

    def _recite(self, said: _Utterance, cancel: Cancel, _: ExitStack) -> LiveAudio:
        studio = self._state.studio
        options = _options(said.text or "", resolved(studio, said.voice))
        return studio.speak_live(options, cancel=cancel, format="pcm", keep=False)

    async def _silence(self) -> None:
        """Nothing more is sent, nor made."""
        if self._said and self._said.stream:
            self._said.stream.stop()
        speaking, self._speaking = self._speaking, None
        if speaking:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _break_off(self, error: PlusError) -> None:
        """The last words: clients that know no errors see the connection end before the audio has."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await async_write_event(Error(error.message, error.code).event(), self._writer)
                self._writer.write_eof()
                # Closed over something unread, a connection takes back what was sent: what still comes is let in.
                while await self._reader.read(FRAME_BYTES):
                    pass

    async def _send(self, said: Eventable) -> None:
        """Raises Stalled for who does not read, ConnectionError for who has left."""
        try:
            async with asyncio.timeout(self._patience_s):
                await async_write_event(said.event(), self._writer)
        except TimeoutError:
            raise Stalled from None
        self._lively_at = self._clock()


def _options(text: str, others: dict[str, str]) -> SpeechOptions:
    """Raises InvalidOption."""
    try:
        return SpeechOptions.model_validate({"text": text, **others})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidOption(first["msg"].removeprefix("Value error, "), param=str(first["loc"][0])) from None


def _text(data: dict[str, Any]) -> str:
    """Raises BadRequest for what is no text."""
    text = data.get("text")
    if not isinstance(text, str):
        raise BadRequest("the event needs a text", param="text")
    return text

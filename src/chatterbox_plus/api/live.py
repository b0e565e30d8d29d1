"""A WebSocket that speaks while it is written to: text in as it comes, audio out a clause at a time."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, field_validator
from pydantic_core import from_json
from starlette.websockets import WebSocketDisconnect

from chatterbox_plus.api.bridge import Stalled, Stream
from chatterbox_plus.api.errors import checked
from chatterbox_plus.api.openai import OpenAIFormat, SpeechFields
from chatterbox_plus.api.sockets import close_code, error_message, message, subprotocol
from chatterbox_plus.api.state import ApiState, state_of
from chatterbox_plus.errors import BadRequest, PlusError
from chatterbox_plus.synthesis.dictation import Begun, Dictation, Happening, Said, Sound, Started
from chatterbox_plus.synthesis.heard import Heard
from chatterbox_plus.synthesis.manuscript import Manuscript

router = APIRouter()
GOODBYE_S = 10  # for the last words to a client who may not be reading


class Start(SpeechFields):
    """A stream begins: what `POST /v1/audio/speech` takes, but for the text."""

    type: Literal["start"]
    response_format: OpenAIFormat = "pcm"


class Text(BaseModel):
    """More of the text."""

    type: Literal["text"]
    text: str

    @field_validator("text")
    @classmethod
    def _unicode(cls, text: str) -> str:
        text.encode("utf-8")  # a lone surrogate is a ValueError here, not a crash later
        return text


class Flush(BaseModel):
    """What there is of the text is to be said, although its clause is not complete."""

    type: Literal["flush"]


class Cancel(BaseModel):
    """Somebody interrupts. played_s: how much of the audio was heard; None: as much as there was time for."""

    type: Literal["cancel"]
    played_s: float | None = Field(None, ge=0, allow_inf_nan=False)


class End(BaseModel):
    """There is no more text."""

    type: Literal["end"]


KINDS: dict[str, type[BaseModel]] = {"start": Start, "text": Text, "flush": Flush, "cancel": Cancel, "end": End}


@router.websocket("/v1/audio/speech/stream")
@router.websocket("/audio/speech/stream")
async def stream_speech(socket: WebSocket) -> None:
    """See docs/endpoints/openai.md."""
    await socket.accept(subprotocol=subprotocol(socket.scope))
    try:
        await _Talk(socket, await state_of(socket)).run()
    except WebSocketDisconnect:
        pass  # the client left, or stopped reading
    except (PlusError, RequestValidationError) as error:
        with suppress(WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await socket.send_text(error_message(socket.scope, error))
                await socket.close(close_code(error))


def read_message(event: Any) -> BaseModel:
    """What a client says. Raises BadRequest, and a 422 as for a field of a request."""
    text = event.get("text")
    if text is None:
        raise BadRequest("messages are JSON, as text")
    try:
        values = from_json(text)
    except ValueError:
        raise BadRequest("the message is not valid JSON") from None
    named = values.get("type") if isinstance(values, dict) else None
    kind = KINDS.get(named) if isinstance(named, str) else None
    if kind is None:
        raise BadRequest(f"a message needs a type: {', '.join(KINDS)}", param="type")
    return checked(kind, values)


class _Utterance:
    """One stream of audio, from `start` to `done`."""

    def __init__(self, fields: Start, max_chars: int) -> None:
        self.fields = fields
        self.manuscript = Manuscript(max_chars)
        self.heard = Heard()
        self.ended = False  # whether all of the text is there
        self.words_estimated = False
        self.stream: Stream[Dictation, Happening] | None = None

    def done(self, cancel: Cancel | None = None) -> str:
        """The last message about it. cancel: who interrupts."""
        heard, result = self.heard, self.stream.live.result if self.stream and cancel is None else None
        told: dict[str, Any] = {
            "spoken_text": heard.text,
            "words_spoken": heard.words,
            "words_estimated": self.words_estimated,
            "duration_s": round(heard.sent_s, 3),
            "cancelled": cancel is not None,
            "notes": list(result.notes) if result else [],
        }
        if cancel is not None:
            account = heard.by(cancel.played_s)
            told |= {"spoken_text": account.text, "words_spoken": account.words}
            told |= {"played_s": round(account.played_s, 3)}
            told["words_estimated"] |= account.estimated
        return message("done", **told)


class _Talk:
    """All that is said on one socket: one utterance after the other."""

    def __init__(self, socket: WebSocket, state: ApiState) -> None:
        self._socket, self._state = socket, state
        self._patience_s = state.settings.api.request_timeout_seconds
        self._clock = asyncio.get_running_loop().time
        self._lively_at = self._clock()  # when something was last said by either side
        self._last: _Utterance | None = None
        self._speaking: asyncio.Task[None] | None = None  # what sends the last one, until its `done`

    async def run(self) -> None:
        """Until the client leaves, or does nothing for too long. Raises what breaks it off."""
        receiving: asyncio.Task[Any] = asyncio.create_task(self._received())
        try:
            while True:
                waiting = {receiving, self._speaking} if self._speaking else {receiving}
                left_s = self._lively_at + self._patience_s - self._clock()
                done, _ = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if self._speaking in done:
                    speaking, self._speaking = self._speaking, None
                    speaking.result()
                if receiving in done:
                    self._lively_at = self._clock()
                    await self._handle(receiving.result())
                    receiving = asyncio.create_task(self._received())
                elif not done and self._idle():
                    await self._socket.close(1000, f"nothing was sent for {self._patience_s:g} seconds")
                    return
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await self._silence()

    async def _received(self) -> BaseModel:
        event = await self._socket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        return read_message(event)

    def _idle(self) -> bool:
        """Whether nobody said anything for too long: who waits for an engine is not idle."""
        if self._speaking and self._last and not self._last.manuscript.waiting:
            self._lively_at = self._clock()
        return self._clock() >= self._lively_at + self._patience_s

    async def _handle(self, said: BaseModel) -> None:
        if isinstance(said, Start):
            if self._speaking:
                raise BadRequest("a stream is under way: cancel it, or wait until it is done", param="type")
            await self._socket.scope["state"]["ask"]()
            before, self._last = self._last, _Utterance(said, self._state.settings.api.max_text_length)
            self._speaking = asyncio.create_task(self._speak(self._last, before))
            return
        last = self._last
        if last is None or (not self._speaking and not isinstance(said, Cancel)):
            raise BadRequest("no stream is under way: begin with start", param="type")
        if isinstance(said, Cancel):
            await self._silence()
            await self._send(last.done(said))
            return
        if last.ended:
            raise BadRequest("there is no more text after end", param="type")
        match said:
            case Text():
                last.manuscript.write(said.text)
                last.heard.write(said.text)
            case Flush():
                last.manuscript.flush()
            case End():
                last.manuscript.end()
                last.ended = True

    async def _silence(self) -> None:
        """Nothing more is sent, nor made."""
        if self._last and self._last.stream:
            self._last.stream.stop()
        speaking, self._speaking = self._speaking, None
        if speaking:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(self, now: _Utterance, before: _Utterance | None) -> None:
        """Sends all of it, the `done` too. Raises what breaks it off."""
        if before and before.stream:
            await before.stream.ended.wait()  # it may still be in the house
        fields, state = now.fields, self._state
        options = fields.options("-")
        stream = now.stream = state.bridge.start(
            lambda cancel, _: state.studio.dictate(
                options,
                now.manuscript,
                cancel=cancel,
                format=fields.response_format,
                speed=fields.asked_speed,
                any_model=True,
            )
        )
        with state.bridge.explained():
            await stream.begin()
            async for happening in stream.chunks():
                await self._tell(now, happening)
            await self._send(now.done())

    async def _tell(self, now: _Utterance, happening: Happening) -> None:
        match happening:
            case Started():
                now.words_estimated = happening.words_estimated
                told = asdict(happening)
                told["notes"] = [*happening.notes, *now.fields.notes]
                await self._send(message("started", sample_rate=told.pop("rate"), **told))
            case Sound(data, until_s):
                await self._give(self._socket.send_bytes(data))
                now.heard.send(until_s)
            case Begun(start, end, start_s):
                now.heard.begin(start, end, start_s)
            case Said(_, start, end, start_s, end_s, words):
                now.heard.finish(words, start, end, start_s, end_s)
                await self._send(message("words", **asdict(happening)))

    async def _send(self, text: str) -> None:
        await self._give(self._socket.send_text(text))

    async def _give(self, sending: Any) -> None:
        """Raises WebSocketDisconnect for who does not read."""
        try:
            async with asyncio.timeout(self._patience_s):
                await sending
        except TimeoutError:
            raise WebSocketDisconnect(1006, Stalled().message) from None
        self._lively_at = self._clock()

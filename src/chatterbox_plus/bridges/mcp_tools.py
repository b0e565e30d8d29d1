"""What an assistant can do over the Model Context Protocol: speak, convert, list voices.

The tools ask the HTTP API, whoever serves them: so an assistant is a client like any other, with its key, its project,
its limits and its errors, and none of that is written twice.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import AudioContent, CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from chatterbox_plus import __version__
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.bridges.mcp_house import House
from chatterbox_plus.errors import PlusError
from chatterbox_plus.synthesis.options import ConversionOptions, NativeFormat, SpeechOptions

NAME = "chatterbox-plus"
_INSTRUCTIONS = (
    "Speech from this person's own server. speak says a text and gives the audio and a link to the file; list_voices "
    "tells whose voices there are; convert says a recording again in another voice."
)
AUDIO_BYTES = 700_000  # of audio that is sent along: in base64 it stays below 1 MiB, the most that clients take
_MOST_LISTED = 100  # voices
_TELL_S = 5.0  # how often a client who waits hears that it is still being worked on
AnyContext = Context[Any, Any]
Open = Callable[[AnyContext], AbstractAsyncContextManager[House]]
"""The house as whoever called the tool may use it."""
T = TypeVar("T")


class Made(BaseModel):
    """Audio that was made and kept."""

    url: str
    filename: str
    format: str
    duration_s: float
    model: str
    seed: int | None = Field(None, description="With it, the same request gives the same audio.")
    path: str | None = Field(None, description="Where it was saved on the machine of this client.")
    notes: list[str] = Field(description="What had no effect, and what a listener should know.")


class Voice(BaseModel):
    voice: str = Field(description="What to call it in speak.")
    kind: Literal["file", "alias", "stock"] = Field(description="A recording; a well-known name; a model's own voice.")
    language: str | None
    gender: str | None


class Voices(BaseModel):
    voices: list[Voice]
    total: int = Field(description="How many there are that fit; more than are listed: search.")


def _from(fields: dict[str, Any], name: str, description: str | None = None) -> Any:
    """An argument that is a field of a request, as that describes it; whether its value will do is the API's to say."""
    schema = fields[name]
    bounds = {key: schema[key] for key in ("minimum", "maximum") if key in schema}
    return Field(description=description or schema["description"], json_schema_extra=bounds)


_SPEECH = SpeechOptions.model_json_schema()["properties"]
_CONVERSION = ConversionOptions.model_json_schema()["properties"]
_Format = Annotated[NativeFormat, Field(description="Of the file.")]


def build(open_house: Open, *, find_local: Callable[[str], Path | None] = lambda _: None) -> MCPServer:
    """The server, to be run over any transport.

    find_local: the file on this machine that a recording's name means, if it may mean one; may raise BadRequest.
    """
    for chatty in ("mcp", "httpx2"):  # the one repeats what people had said, the other every request of a tool
        logging.getLogger(chatty).setLevel(logging.WARNING)
    server = MCPServer(NAME, title="Chatterbox Plus", version=__version__, instructions=_INSTRUCTIONS)
    makes = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)

    @server.tool(annotations=makes)
    async def speak(
        ctx: AnyContext,
        text: Annotated[str, _from(_SPEECH, "text", "What to say.")],
        voice: Annotated[str | None, _from(_SPEECH, "reference_audio_filename", "One of list_voices.")] = None,
        language: Annotated[str | None, _from(_SPEECH, "language")] = None,
        model: Annotated[str | None, _from(_SPEECH, "model")] = None,
        format: _Format = "mp3",
        speed: Annotated[float | None, _from(_SPEECH, "speed_factor")] = None,
        seed: Annotated[int | None, _from(_SPEECH, "seed")] = None,
    ) -> Annotated[CallToolResult, Made]:
        """Say a text in any voice. Gives the audio and a link to the file, which is kept."""
        asked = {
            "text": text,
            "reference_audio_filename": voice,
            "language": language,
            "model": model,
            "export_formats": [format],
            "speed_factor": speed,
            "seed": seed,
        }
        return await _made(ctx, lambda house: house.speak(_sent(asked)))

    @server.tool(annotations=makes)
    async def convert(
        ctx: AnyContext,
        input: Annotated[
            str, _from(_CONVERSION, "input_audio_source", "The recording: a stored one, what speak made, or a URL.")
        ],
        target_voice: Annotated[str, _from(_CONVERSION, "target_voice_source", "The stored recording of a voice.")],
        format: _Format = "mp3",
    ) -> Annotated[CallToolResult, Made]:
        """Say a recording again in another voice: the same words and timing."""

        async def work(house: House) -> dict[str, Any]:
            source = None if house.made(input) else find_local(input)
            return await house.convert(input, target_voice, format, source, find_local(target_voice))

        return await _made(ctx, work)

    @server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    async def list_voices(
        ctx: AnyContext,
        language: Annotated[
            str | None, Field(description="Such as de or pt-br: only a model's own voices of it.")
        ] = None,
        search: Annotated[str | None, Field(description="Only voices with this in their name.")] = None,
    ) -> Voices:
        """List whom speak can be asked for."""
        async with open_house(ctx) as house:
            found = await _explained(house.voices(language))
        if search:
            found = [voice for voice in found if search.casefold() in f"{voice['id']} {voice['name']}".casefold()]
        listed = [Voice(voice=each["id"], **_parts(each)) for each in found[:_MOST_LISTED]]
        return Voices(voices=listed, total=len(found))

    async def _made(ctx: AnyContext, work: Callable[[House], Awaitable[dict[str, Any]]]) -> CallToolResult:
        async with open_house(ctx) as house:
            reply = await _while_telling(ctx, _explained(work(house)))
            file = reply["output_files"][0]
            path = await _explained(house.save(file)) if house.folder else None
            data = None
            if file["file_size_bytes"] <= AUDIO_BYTES:
                data = path.read_bytes() if path else await _explained(house.audio(file))
            made = Made(
                url=house.whole(file["url"]),
                filename=file["filename"],
                format=file["format"],
                duration_s=reply["total_duration_seconds"],
                model=reply["model"],
                seed=reply.get("generation_seed_used"),
                path=str(path) if path else None,
                notes=reply["notes"],
            )
        return _result(made, data)

    return server


def _result(made: Made, audio: bytes | None) -> CallToolResult:
    words = [f"{made.duration_s:.1f} s of audio by {made.model}: {made.path or made.url}"]
    if audio is None:
        words.append("It is too long to be sent along: fetch it there.")
    words += [f"Note: {note}" for note in made.notes]
    content: list[Any] = [TextContent(type="text", text="\n".join(words))]
    if audio is not None:
        kind = FORMATS[made.format].media_type
        content.append(AudioContent(type="audio", data=base64.b64encode(audio).decode(), mime_type=kind))
    return CallToolResult(content=content, structured_content=made.model_dump(mode="json"))


async def _explained(work: Awaitable[T]) -> T:
    """Raises ToolError, for the assistant to read, for whatever is raised on purpose."""
    try:
        return await work
    except PlusError as error:
        raise ToolError(error.message) from None


async def _while_telling(ctx: AnyContext, work: Awaitable[T]) -> T:
    """Clients give up on who says nothing for a minute; a long text takes longer."""
    task = asyncio.ensure_future(work)
    seconds = 0.0
    try:
        while not (await asyncio.wait({task}, timeout=_TELL_S))[0]:
            seconds += _TELL_S
            await ctx.report_progress(seconds, message="still at work")
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _sent(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _parts(voice: dict[str, Any]) -> dict[str, Any]:
    return {name: voice.get(name) for name in ("kind", "language", "gender")}

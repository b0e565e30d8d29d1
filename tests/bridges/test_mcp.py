"""The Model Context Protocol, by the package's own client: at /mcp of a real server, and over stdin and stdout."""

import asyncio
import base64
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.bridges import mcp_tools
from chatterbox_plus.settings import Api, Bridges, Paths, Server, Settings
from tests.api.live_server import LiveServer, serve
from tests.api.talking import comes_true, empties
from tests.bridges.assistants import run
from tests.cli.helpers import COMMAND, environment, tone
from tests.hearing import container_format

Open = Callable[[LiveServer], AbstractAsyncContextManager[Client]]
SPEAK = {"text": "Hello there.", "seed": 4}
HANDSHAKE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def with_tools(data: Path, **api: Any) -> Settings:
    return Settings(bridges=Bridges(mcp=True), api=Api(**api), paths=Paths(data_dir=data))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serve(with_tools(tmp_path_factory.mktemp("house"))) as running:
        yield running


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, str]]:
    """A server that asks for keys, and a user's key."""
    data = tmp_path_factory.mktemp("locked")
    _, key = KeyStore.at(data).add("ana", project="ana")
    with serve(with_tools(data, api_key_required=True)) as running:
        yield running, key


def over_http(server: LiveServer) -> AbstractAsyncContextManager[Client]:
    return Client(server.url + "/mcp")


def as_before(server: LiveServer) -> AbstractAsyncContextManager[Client]:
    """The protocol as it was until 2025."""
    return Client(server.url + "/mcp", mode="legacy")


def over_stdio(server: LiveServer, *words: str, **variables: str) -> AbstractAsyncContextManager[Client]:
    more = ["mcp", "--server", server.url, "--quiet", *words]
    return Client(
        StdioServerParameters(command=sys.executable, args=[*COMMAND[1:], *more], env=environment(**variables))
    )


@asynccontextmanager
async def with_key(server: LiveServer, key: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http,
        Client(streamable_http_client(server.url + "/mcp", http_client=http)) as client,
    ):
        yield client


def called(opened: AbstractAsyncContextManager[Client], tool: str, **arguments: Any) -> CallToolResult:
    async def call() -> CallToolResult:
        async with opened as client:
            return await client.call_tool(tool, arguments)

    return run(call())


def made(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


def audio(result: CallToolResult) -> bytes | None:
    found = [base64.b64decode(part.data) for part in result.content if part.type == "audio"]
    return found[0] if found else None


def words(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if part.type == "text")


@pytest.mark.parametrize("open_client", [over_http, as_before, over_stdio])
def test_a_text_is_spoken_and_kept(server: LiveServer, open_client: Open) -> None:
    result = called(open_client(server), "speak", **SPEAK, voice="nova", format="wav", speed=1.5)
    told, sound = made(result), audio(result)
    assert sound is not None
    assert container_format(sound) == "wav"
    assert server.get(told["url"].removeprefix(server.url)).content == sound
    assert (told["model"], told["seed"], told["format"]) == ("builtin", 4, "wav")
    assert told["url"] in words(result)
    assert told["duration_s"] == pytest.approx((len(sound) - 44) / 2 / 24_000, abs=0.01)


@pytest.mark.parametrize("open_client", [over_http, over_stdio])
def test_the_tools_say_what_they_take(server: LiveServer, open_client: Open) -> None:
    async def listed() -> dict[str, Any]:
        async with open_client(server) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = run(listed())
    assert set(tools) == {"speak", "convert", "list_voices"}
    fields = tools["speak"].input_schema["properties"]
    assert (fields["speed"]["minimum"], fields["speed"]["maximum"]) == (0.5, 2.0)
    assert tools["speak"].input_schema["required"] == ["text"]
    assert all(field["description"] for tool in tools.values() for field in tool.input_schema["properties"].values())
    assert all(tool.output_schema for tool in tools.values())


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("speak", {"text": "Hello.", "voice": "nobody"}, "voice not found: nobody"),
    ("speak", {"text": "Hello.", "speed": 9}, "speed_factor: Input should be less than or equal to 2"),
    ("speak", {"text": " "}, "blank"),
    ("speak", {"text": "Hello.", "language": "xx"}, "language 'xx'"),
    ("speak", {"text": "Hello.", "format": "ogg"}, "'wav', 'mp3' or 'flac'"),
    ("speak", {"text": "Hello.", "model": "turbo"}, "models pull turbo"),
    ("convert", {"input": "nothing.wav", "target_voice": "narrator"}, "nothing.wav"),
    ("convert", {"input": "/outputs/nothing.wav", "target_voice": "narrator"}, "404"),
]


@pytest.mark.parametrize("open_client", [over_http, over_stdio])
def test_what_cannot_be_is_told_the_assistant(server: LiveServer, open_client: Open) -> None:
    async def mistaken() -> list[CallToolResult]:
        async with open_client(server) as client:
            return [await client.call_tool(tool, arguments) for tool, arguments, _ in MISTAKES]

    for result, (_, arguments, message) in zip(run(mistaken()), MISTAKES, strict=True):
        assert result.is_error, arguments
        assert message in words(result)


def test_voices_are_listed_and_searched(server: LiveServer) -> None:
    everybody = made(called(over_http(server), "list_voices"))
    assert everybody["total"] > len(everybody["voices"]) == 100
    assert everybody["voices"][0] == {"voice": "narrator.wav", "kind": "file", "language": None, "gender": None}
    found = made(called(over_http(server), "list_voices", search="NARR"))
    assert [voice["voice"] for voice in found["voices"]] == ["narrator.wav"]
    german = made(called(over_http(server), "list_voices", language="de"))
    assert {voice["language"] for voice in german["voices"]} == {"de"}


def test_what_was_spoken_can_be_converted(server: LiveServer) -> None:
    async def one_after_the_other() -> tuple[CallToolResult, CallToolResult]:
        async with over_http(server) as client:
            spoken = await client.call_tool("speak", SPEAK)
            source = made(spoken)["url"]
            return spoken, await client.call_tool("convert", {"input": source, "target_voice": "narrator"})

    spoken, converted = run(one_after_the_other())
    assert made(converted)["duration_s"] == pytest.approx(made(spoken)["duration_s"], abs=0.1)
    assert made(converted)["seed"] is None
    assert audio(converted) != audio(spoken)


def test_long_audio_is_linked_and_not_sent_along(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tools, "AUDIO_BYTES", 1000)
    result = called(over_http(server), "speak", **SPEAK)
    assert audio(result) is None
    assert "too long" in words(result)
    assert server.get(made(result)["url"].removeprefix(server.url)).status_code == 200


def test_a_client_who_waits_hears_that_work_goes_on(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tools, "_TELL_S", 0.02)
    told: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async def wait() -> None:
        async with over_http(server) as client:
            await client.call_tool("speak", {"text": "Hello there. " * 40}, progress_callback=hear)

    run(wait())
    assert told
    assert told == sorted(told)


def test_who_leaves_frees_their_place(server: LiveServer) -> None:
    studio = server.app.state.api.studio

    async def leave() -> None:
        async with over_http(server) as client:
            arguments = {"text": "This takes a while. " * 400, "voice": "narrator"}
            speaking = asyncio.create_task(client.call_tool("speak", arguments))
            assert await asyncio.to_thread(comes_true, lambda: studio.busy == 1)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    run(leave())
    assert empties(server)


def test_without_a_key_nobody_comes_in(locked: tuple[LiveServer, str]) -> None:
    server, _ = locked
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        reply = server.post("/mcp", HANDSHAKE, headers={**ACCEPT, **headers})
        assert (reply.status_code, reply.json()["error_code"]) == (401, "INVALID_API_KEY")


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_with_a_key_what_is_made_lies_in_its_project(locked: tuple[LiveServer, str], transport: str) -> None:
    server, key = locked
    opened = with_key(server, key) if transport == "http" else over_stdio(server, CHATTERBOX_API_KEY=key)
    result = called(opened, "speak", **SPEAK)
    assert "/outputs/ana/" in made(result)["url"]
    assert audio(result)


def test_a_wrong_key_is_told_by_the_tool(locked: tuple[LiveServer, str]) -> None:
    result = called(over_stdio(locked[0], CHATTERBOX_API_KEY="wrong"), "speak", **SPEAK)
    assert result.is_error
    assert "key" in words(result)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_strangers_are_refused_as_everywhere(server: LiveServer, headers: dict[str, str]) -> None:
    reply = server.post("/mcp", HANDSHAKE, headers={**ACCEPT, **headers})
    assert (reply.status_code, reply.json()["error_code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_no_session_to_listen_to_or_to_end(server: LiveServer, method: str) -> None:
    reply = server.ask(method, "/mcp", headers=ACCEPT)
    assert (reply.status_code, reply.json()["error_code"]) == (405, "METHOD_NOT_ALLOWED")


def test_links_begin_where_clients_reach_the_server(tmp_path: Path) -> None:
    """Below a path of a proxy, too, which the tools themselves do not pass."""
    public = "https://speech.example/tts"
    settings = with_tools(tmp_path).model_copy(update={"server": Server(public_url=public)})
    with serve(settings) as running:
        told = made(called(over_http(running), "speak", **SPEAK))
        assert told["url"].startswith(f"{public}/outputs/")
        made(called(over_http(running), "convert", input=told["url"], target_voice="narrator"))


def test_without_the_setting_there_is_no_such_route(tmp_path: Path) -> None:
    with serve(Settings(paths=Paths(data_dir=tmp_path))) as server:
        assert server.post("/mcp", HANDSHAKE, headers=ACCEPT).status_code == 404


def test_a_program_saves_what_is_made_and_takes_files_of_its_machine(server: LiveServer, tmp_path: Path) -> None:
    recording = tone(tmp_path / "mine.wav", 1.0, hz=150)
    folder = tmp_path / "speech"

    async def use() -> tuple[CallToolResult, CallToolResult, CallToolResult]:
        async with over_stdio(server, "--folder", str(folder)) as client:
            asked = {"target_voice": str(recording), "format": "wav"}
            return (
                await client.call_tool("speak", SPEAK),
                await client.call_tool("convert", {"input": str(recording), **asked}),
                await client.call_tool("convert", {"input": str(tmp_path / "none.wav"), **asked}),
            )

    spoken, converted, missing = run(use())
    assert made(converted)["duration_s"] == pytest.approx(1.0, abs=0.01)
    for result in (spoken, converted):
        path = Path(made(result)["path"])
        assert path.parent == folder
        assert path.read_bytes() == audio(result)
        assert str(path) in words(result)
    assert "there is no file" in words(missing)


def test_a_route_takes_no_files_of_the_server(server: LiveServer, tmp_path: Path) -> None:
    recording = tone(tmp_path / "secret.wav", 1.0)
    result = called(over_http(server), "convert", input=str(recording), target_voice="narrator")
    assert result.is_error


def test_a_server_that_is_not_there_is_told_with_how_to_start_it() -> None:
    nowhere = Client(
        StdioServerParameters(command=sys.executable, args=[*COMMAND[1:], "mcp", "--server", "localhost:9"])
    )
    result = called(nowhere, "speak", **SPEAK)
    assert result.is_error
    assert "chatterbox-plus serve" in words(result)


def test_stdout_has_nothing_but_the_protocol(server: LiveServer) -> None:
    done = subprocess.run(
        [*COMMAND, "mcp", "--server", server.url],
        input=b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n', env=environment(), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert all(line.startswith(b'{"jsonrpc":"2.0"') for line in done.stdout.splitlines())
    assert server.url.encode() in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="stopping is by POSIX signals here")
def test_ctrl_c_ends_it_while_it_waits_for_the_assistant() -> None:
    words = [*COMMAND, "mcp", "--server", "localhost:9"]
    with subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        assert b"To stop: Ctrl-C" in waiting.stderr.readline()
        time.sleep(0.3)  # until it reads
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(20) == 130


@pytest.mark.parametrize(
    "words, status, complaint",
    [(["--server", "ftp://x"], 1, b"no URL of a server"), (["--folder"], 2, b"expected one argument")],
)
def test_a_wrong_call_ends_before_it_begins(words: list[str], status: int, complaint: bytes) -> None:
    done = subprocess.run([*COMMAND, "mcp", *words], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == status
    assert complaint in done.stderr
    assert done.stdout == b""

"""The HTTP API as the tools of the Model Context Protocol ask it: of a server elsewhere, or of the one they are in."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import httpx2

from chatterbox_plus.errors import BadRequest, PlusError
from chatterbox_plus.library.naming import safe_name

MADE = {"response_mode": "url"}  # JSON with links
_OUTPUTS = "/outputs/"


class Refused(PlusError):
    """What the API says is wrong."""


class NoAnswer(PlusError):
    """Nobody answers there, or somebody else does."""


class House:
    """Every call raises Refused and NoAnswer."""

    def __init__(self, client: httpx2.AsyncClient, url: str, folder: Path | None = None) -> None:
        """client: with the server's address and the caller's key. url: where its people reach the server. folder: on
        this machine, for copies of what is made; None: none are wanted."""
        self._client, self._url, self.folder = client, url.rstrip("/"), folder

    def whole(self, url: str) -> str:
        """A link of the server's, with its address."""
        return url if "://" in url else self._url + url

    def made(self, source: str) -> bool:
        """Whether it is the link of something that was made here."""
        return source.removeprefix(self._url).startswith(_OUTPUTS)

    async def speak(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return await self._told("POST", "/api/v1/tts", params=MADE, json=options)

    async def convert(
        self, source: str, target: str, format: str, source_file: Path | None, target_file: Path | None
    ) -> dict[str, Any]:
        """source: a stored recording, a URL, or the link of something that was made here. source_file, target_file:
        files of this machine that are meant instead. Raises BadRequest."""
        sent: dict[str, Any] = {"export_formats": [format]}
        with ExitStack() as opened:
            files: dict[str, tuple[str, BinaryIO | bytes]] = {}
            if source_file is not None:
                files["input_audio"] = (source_file.name, opened.enter_context(_open(source_file)))
            elif self.made(source):
                link = source.removeprefix(self._url)
                name = link.rpartition("/")[2]
                files["input_audio"] = (name, await self.audio({"url": link, "filename": name}))
            else:
                sent["input_audio_source"] = source
            if target_file is not None:
                files["target_voice"] = (target_file.name, opened.enter_context(_open(target_file)))
            else:
                sent["target_voice_source"] = target
            body = {"data": sent, "files": files} if files else {"json": sent}
            return await self._told("POST", "/api/v1/vc", params=MADE, **body)

    async def voices(self, language: str | None) -> list[dict[str, Any]]:
        """language: only stock voices, of this language."""
        params = {"language": language} if language else {}
        told = await self._told("GET", "/v1/audio/voices", params=params)
        found: list[dict[str, Any]] = told["voices"]
        return [voice for voice in found if not language or voice["kind"] == "stock"]

    async def audio(self, file: Mapping[str, Any]) -> bytes:
        """The bytes of a file that was made."""
        reply = await self._asked("GET", file["url"])
        _check(reply, file)
        return bytes(reply.content)

    async def save(self, file: Mapping[str, Any]) -> Path:
        """A copy in the folder, never over another file. Raises BadRequest."""
        assert self.folder is not None
        path = self.folder / safe_name(str(file["filename"]))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as unless_whole, path.open("xb") as copy:
                unless_whole.callback(path.unlink, missing_ok=True)
                with _troubles(self._url):
                    async with self._client.stream("GET", file["url"]) as reply:
                        _check(reply, file)
                        async for chunk in reply.aiter_bytes():
                            copy.write(chunk)
                unless_whole.pop_all()
        except OSError as error:
            raise BadRequest(f"cannot write {path.name} to {self.folder}: {error.strerror}") from None
        return path

    async def _told(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        reply = await self._asked(method, path, **more)
        try:
            told = reply.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise NoAnswer(f"what answers at {self._url} is no Chatterbox Plus server")
        if reply.status_code >= 400:
            error = told.get("error")
            message = error.get("message") if isinstance(error, dict) else error  # OpenAI's routes have their own form
            raise Refused(str(message))
        return told

    async def _asked(self, method: str, path: str, **more: Any) -> httpx2.Response:
        with _troubles(self._url):
            return await self._client.request(method, path, **more)


@contextmanager
def _troubles(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.ConnectError:
        raise NoAnswer(f"no server answers at {url}: `chatterbox-plus serve` starts one") from None
    except httpx2.HTTPError:
        raise NoAnswer(f"the connection to {url} broke off") from None


def _check(reply: httpx2.Response, file: Mapping[str, Any]) -> None:
    if reply.status_code != 200:
        raise NoAnswer(f"{file['filename']} could not be fetched: the server says {reply.status_code}")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadRequest(f"cannot read {path.name}: {error.strerror}") from None

"""A stored file that somebody deletes at the worst moment: said so before it is begun, and sent whole afterwards."""

import asyncio
import os
from pathlib import Path

import pytest
from starlette.types import Message

from chatterbox_plus.api.replies import StoredFile
from chatterbox_plus.errors import NotFound

DATA = bytes(range(256)) * 2000
SCOPE = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}


def sent(path: Path, *, asked: bytes = b"", known: os.stat_result | None = None, gone: bool = False) -> list[Message]:
    """What is sent of the file. asked: a Range; gone: it is deleted as soon as the headers are out."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)
        if gone and len(messages) == 1:
            await asyncio.to_thread(path.unlink)

    async def receive() -> Message:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    scope = {**SCOPE, "headers": [(b"range", asked)] if asked else []}
    asyncio.run(StoredFile(path, stat_result=known)(scope, receive, send))
    return messages


@pytest.mark.skipif(os.name == "nt", reason="what is open cannot be deleted there")
@pytest.mark.parametrize(
    ("asked", "content"), [(b"", DATA), (b"bytes=100-300000", DATA[100:300_001]), (b"bytes=-7", DATA[-7:])]
)
def test_what_was_begun_is_sent_whole(asked: bytes, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(DATA)
    start, *bodies = sent(path, asked=asked, gone=True)
    assert dict(start["headers"])[b"content-length"] == b"%d" % len(content)
    assert b"".join(body["body"] for body in bodies) == content
    assert not path.exists()


@pytest.mark.parametrize("looked_at", [True, False])
def test_what_is_gone_already_is_not_found(looked_at: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(DATA)
    known = path.stat() if looked_at else None
    path.unlink()
    with pytest.raises(NotFound, match="deleted"):
        sent(path, known=known)

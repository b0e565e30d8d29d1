"""Forms: taken apart as they arrive, whatever the pieces, and nothing left of a broken one."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from chatterbox_plus.api.bridge import Bridge
from chatterbox_plus.api.forms import MAX_PARTS, Form, read_form
from chatterbox_plus.errors import BadRequest, FileTooLarge, PlusError
from chatterbox_plus.library.library import Library

FILE = b'Content-Disposition: form-data; name="input_audio"; filename="%s"\r\nContent-Type: audio/wav\r\n\r\n'
MOST_MB = 5
FIELD = b'content-disposition: form-data; name="%s"\r\n\r\n%s'


def body(*parts: bytes) -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz--\r\n"


def read(
    data: bytes,
    root: Path,
    look: Callable[[Form], object] = lambda form: None,
    piece: int = 7,
    boundary: bytes = b"xyz",
) -> object:
    """What `look` makes of the form; the body arrives in pieces of so many bytes."""
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    library = Library(root / "r", root / "v", root / "o", root / "temp")

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0) if pieces else b"", "more_body": bool(pieces)}

    async def answer() -> object:
        bridge = Bridge(1, patience_s=20)
        headers = [(b"content-type", b"multipart/form-data; boundary=" + boundary)]
        try:
            async with read_form(
                Request({"type": "http", "headers": headers}, receive), bridge, library, MOST_MB
            ) as form:
                return look(form)
        finally:
            bridge.close()

    try:
        return asyncio.run(answer())
    finally:
        assert not list((root / "temp").iterdir()), "nothing is left"


@pytest.mark.parametrize("piece", [1, 7, 4096, 10**7])
def test_any_pieces_give_the_same_form(piece: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40 + b"\r\n--xy\r\n"

    def look(form: Form) -> object:
        file = form.file("input_audio")
        assert file is not None
        assert file.path.suffix == ".wav"
        assert tmp_path in file.path.parents
        return file.name, file.size, file.path.read_bytes(), form.values()

    data = body(FILE % b"C:\\music\\\xc3\xa4.WAV" + content, FIELD % (b"a", b"\xc3\xa4"), FIELD % (b"a", b"\xe4"))
    assert read(data, tmp_path, look, piece) == ("ä.WAV", len(content), content, {"a": "ä"})


def test_nothing_is_written_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "tmp"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    seen = read(body(FILE % b"a.wav" + bytes(2**22)), tmp_path, lambda _: list(elsewhere.iterdir()), 2**16)
    assert seen == []


@pytest.mark.parametrize("cut", [0, 3, 40, 90, 150])
def test_a_form_that_ends_too_early_is_refused(cut: int, tmp_path: Path) -> None:
    """Half an upload must not pass for a whole one."""
    with pytest.raises(BadRequest):
        read(body(FILE % b"a.wav" + bytes(100))[:cut], tmp_path)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"not a form at all", BadRequest),
        (body(b"Content-Type: text/plain\r\n\r\nx"), BadRequest),
        (body(b"X: " + b"x" * 20_000 + b"\r\n\r\nx"), BadRequest),
        (body(*[FIELD % (b"a", b"1")] * (MAX_PARTS + 1)), BadRequest),
        (body(FIELD % (b"a", b"x" * (2**21 + 1))), FileTooLarge),
        (body(FILE % b"a.wav" + bytes(MOST_MB * 2**20 + 1)), FileTooLarge),
        (body(FILE % b"a.wav" + b"x", FILE % b"b.txt" + bytes(MOST_MB * 2**20 + 1)), FileTooLarge),
    ],
)
def test_a_broken_or_overgrown_form_is_refused(data: bytes, error: type[PlusError], tmp_path: Path) -> None:
    with pytest.raises(error):
        read(data, tmp_path, piece=2**16)


def test_every_file_has_the_limit_for_itself(tmp_path: Path) -> None:
    whole = FILE % b"a.wav" + bytes(MOST_MB * 2**20)
    sizes = read(body(whole, whole), tmp_path, lambda form: [file.size for file in form.files("input_audio")], 2**20)
    assert sizes == [MOST_MB * 2**20] * 2


def test_what_a_client_calls_a_file_is_kept(tmp_path: Path) -> None:
    parts = FILE % b"a.wav" + b"x", b'Content-Disposition: form-data; name="input_audio"; filename="b"\r\n\r\nx'
    seen = read(body(*parts), tmp_path, lambda form: [(f.name, f.media_type) for f in form.files("input_audio")])
    assert seen == [("a.wav", "audio/wav"), ("b", "")]


def test_files_can_be_taken_over(tmp_path: Path) -> None:
    kept: list[object] = []

    def look(form: Form) -> object:
        file = form.file("input_audio")
        assert file is not None
        with form.keep():
            form.holds.close()  # what the reader does at its end
            kept.append(file.path.read_bytes())
        return file.path.exists()

    assert read(body(FILE % b"a.wav" + b"sound"), tmp_path, look) is False
    assert kept == [b"sound"]


@pytest.mark.parametrize("boundary", [b"", b'""', b"x" * 3000])
def test_a_boundary_that_cannot_be_is_told(boundary: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        read(body(FIELD % (b"a", b"b")), tmp_path, boundary=boundary)

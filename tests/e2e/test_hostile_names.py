"""Names made to lead somewhere, given to every parameter that takes a name, on the real server and a real disk."""

import hashlib
import http.client
import io
import json
import math
import os
import struct
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chatterbox_plus.library.naming import safe_name
from tests.live import LiveServer, live_server

STORES = ("reference_audio", "vc_inputs", "outputs")
SECRET = b"Nobody is to read this."
NAMES = [
    # up and out, in every spelling of a separator and of a dot
    "../secret.wav", "../../secret.wav", "../" * 40 + "etc/passwd", "..", "../", "../..", "./../secret.wav",
    "a/../../secret.wav", "..\\secret.wav", "..\\..\\secret.wav", "a\\..\\..\\secret.wav", "....//secret.wav",
    "..././secret.wav", ".. /secret.wav", "... /secret.wav", "..;/secret.wav", "%2e%2e/secret.wav",
    "%2e%2e%2fsecret.wav", "%252e%252e%252fsecret.wav", "..%c0%afsecret.wav", "..%5csecret.wav",
    "\uff0e\uff0e/secret.wav", "..\u2215secret.wav", "..\u2044secret.wav", ".\u200b./secret.wav", 
    "\u2024\u2024/secret.wav", "../outputs/mine.wav", "../vc_inputs/mine.wav", "../reference_audio/mine.wav.json", 
    "../.chatterbox-plus.json",
    # from the top, elsewhere, and what a shell or a library would open
    "/etc/passwd", "//etc/passwd", "/secret.wav", "C:\\secret.wav", "C:/secret.wav", "C:secret.wav",
    "\\\\host\\share\\a.wav", "//host/share/a.wav", "\\\\?\\C:\\a.wav", "~/secret.wav", "~root/a.wav", "$HOME/a.wav",
    "file:///etc/passwd", "FILE:/etc/passwd", "concat:/etc/passwd|a.wav", "data:audio/wav;base64,UklGRg==",
    "pipe:0", "|id", "`id`.wav", "$(id).wav", "-i.wav", "a.wav; rm -rf ~", "*", "*.wav", "[a-z].wav", "mine.wa?",
    # what is no name, or not everywhere
    "\0", "mine.wav\0.txt", "..\0/secret.wav", "CON", "nul.wav", "COM1.wav", "aux", "LPT\u00b9.wav", "mine.wav::$DATA",
    "mine.wav:stream", "mine.wav.", "fine.wav ", " fine.wav", ".", "./", ".hidden.wav", ".part", "a/.hidden/b.wav",
    "a" * 300 + ".wav", "\u00e9" * 200 + ".wav", "a/" * 300 + "b.wav", "\u202egnp.wav", "e" + "\u0301" * 500 + ".wav",
    "\ud800.wav", "\udc80\udfff", "a\r\nX-Evil: 1.wav", "a\nb.wav", "a\tb.wav", "a\x1b[31m.wav", "\x7f\ufeff.wav",
    "<script>alert(1)</script>.wav", '"><img src=x onerror=alert(1)>.wav', "'; DROP TABLE api_keys; --.wav",
    "{path}", "%s%n%x.wav", "${jndi:ldap://127.0.0.1/a}.wav", "mine.wav.json", "mine.json", "mine.wav/x.wav",
    # what lies on the disk of this test: links out, a folder and a pipe with the names of recordings
    "out.wav", "out", "outdir/secret.wav", "outdir", "folder.wav", "folder.wav/", "pipe.wav", "loop.wav", "gone.wav",
]  # fmt: skip
BY_PATH = [
    ("GET", "/outputs/{}"), ("HEAD", "/outputs/{}"), ("GET", "/api/v1/outputs/{}/metadata"),
    ("POST", "/api/v1/outputs/{}/link"), ("DELETE", "/api/v1/output/{}?confirm=true"),
    ("DELETE", "/api/v1/output/{}?confirm=true&all_formats=true"), ("GET", "/api/v1/voices/{}"),
    ("PUT", "/api/v1/voice/{}/metadata"), ("DELETE", "/api/v1/voice/{}?confirm=true"), ("GET", "/api/v1/vc_inputs/{}"),
    ("DELETE", "/api/v1/vc_input/{}?confirm=true"), ("GET", "/v1/models/{}"), ("GET", "/assets/{}"),
]  # fmt: skip
BY_QUERY = [
    (method, f"/api/v1/{kind}?{field}={{}}&confirm=true")
    for method in ("GET", "DELETE")
    for kind in ("outputs", "voices", "vc_inputs")
    for field in ("folder", "project", "filenames")
]
SPEECH: dict[str, Any] = {"text": "A.", "export_formats": ["wav"]}
JOIN: dict[str, Any] = {"segments": ["mine.wav"], "export_formats": ["wav"]}
CHANGE: dict[str, Any] = {
    "input_audio_source": "mine.wav",
    "target_voice_source": "used.wav",
    "export_formats": ["wav"],
}


def in_json(name: str) -> list[tuple[str, str, Any]]:
    """Method, path and body of every request that can have the name in its JSON."""
    return [
        ("POST", "/api/v1/tts", {**SPEECH, "reference_audio_filename": name}),
        ("POST", "/api/v1/tts", {**SPEECH, "project": name}),
        ("POST", "/api/v1/tts", {**SPEECH, "folder": name}),
        ("POST", "/v1/audio/speech", {"model": "tts-1", "input": "A.", "voice": name}),
        ("POST", "/v1/audio/speech", {"model": "tts-1", "input": "A.", "voice": {"id": name}}),
        ("POST", "/v1/audio/speech", {"model": name, "input": "A.", "voice": "alloy"}),
        ("POST", "/api/v1/vc", {**CHANGE, "input_audio_source": name}),
        ("POST", "/api/v1/vc", {**CHANGE, "target_voice_source": name}),
        ("POST", "/api/v1/vc", {**CHANGE, "project": name}),
        ("POST", "/api/v1/concat", {**JOIN, "segments": [name]}),
        ("POST", "/api/v1/concat", {**JOIN, "files": ["mine.wav", name], "segments": None}),
        ("POST", "/api/v1/concat", {**JOIN, "project": name}),
        ("POST", "/api/v1/concat", {**JOIN, "output_filename": name}),
        ("PUT", "/api/v1/voice/moved.wav/metadata", {"folder_path": name}),
    ]


def in_forms(name: str, sound: bytes) -> list[tuple[str, dict[str, str], dict[str, tuple[str, bytes]]]]:
    """Path, fields and files of every form that can have the name in it."""
    plans = [
        {"segments": [{"type": "server_file", "source": name}]},
        {**JOIN, "output_filename": name},
        {**JOIN, "project": name},
    ]
    upload = {"request_json": json.dumps({**JOIN, "segments": [{"type": "upload", "index": 0}]})}
    good = ("mine.wav", sound)
    return [
        *(("/api/v1/concat/mixed", {"request_json": json.dumps(plan)}, {}) for plan in plans),
        ("/api/v1/concat/mixed", upload, {"uploaded_files": (name, sound)}),
        ("/api/v1/vc", {"export_formats": "wav"}, {"input_audio": (name, sound), "target_voice": good}),
        ("/api/v1/vc", {"export_formats": "wav"}, {"input_audio": good, "target_voice": (name, sound)}),
        ("/api/v1/vc", {"project": name, "export_formats": "wav"}, {"input_audio": good, "target_voice": good}),
        ("/api/v1/voice", {}, {"voice_file": (name, sound)}),
        ("/api/v1/voice", {"folder_path": name}, {"voice_file": good}),
        ("/api/v1/vc_input", {}, {"vc_input_file": (name, sound)}),
        ("/api/v1/vc_input", {"project": name}, {"vc_input_file": good}),
    ]


def tone() -> bytes:
    """0.4 s: mono, 16 bits, 8 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", round(9000 * math.sin(n / 8))) for n in range(3200)))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with one recording in each store, and traps beside it."""
    folder = tmp_path_factory.mktemp("hostile")
    outside = folder / "outside"
    outside.mkdir()
    for place in (folder, outside):
        (place / "secret.wav").write_bytes(SECRET)
    with live_server(folder) as server:
        (server.data / "secret.wav").write_bytes(SECRET)
        for name in STORES:
            store = server.data / name
            for recording in ("mine.wav", "used.wav", "moved.wav"):
                (store / recording).write_bytes(tone())
            (store / "folder.wav").mkdir()
            (store / "folder.wav" / "note.txt").write_text("not empty")
            with suppress(OSError, NotImplementedError, AttributeError):  # no links or pipes here: names are left
                (store / "out.wav").symlink_to(outside / "secret.wav")
                (store / "outdir").symlink_to(outside, target_is_directory=True)
                (store / "loop.wav").symlink_to("loop.wav")
                (store / "gone.wav").symlink_to("nowhere.wav")
                os.mkfifo(store / "pipe.wav")
        yield server


def snapshot(folder: Path) -> dict[str, str]:
    """Everything below: what is in files, where links lead, what is a folder. Not what the server notes of uses."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder" if path.is_dir() else "other"
    for noted in ("server.log", "data/reference_audio/used.wav.json", "data/temp"):
        found.pop(noted, None)
    return found


class Talk:
    """One connection; paths and bodies go out byte by byte as they are given."""

    def __init__(self, server: LiveServer) -> None:
        self._url, self._port = server.url, int(server.url.rpartition(":")[2])

    def __call__(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection._validate_path = lambda _: None  # type: ignore[attr-defined]
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            if body is not None:
                connection.putheader("Content-Type", kind)
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        where = (method, path[:200], (body or b"")[:300], answer.status, content[:300])
        assert answer.status < 500, where
        assert SECRET not in content, where
        assert b"root:" not in content, where
        assert answer.getheader("X-Evil") is None, where
        assert answer.status not in range(300, 400) or answer.headers["Location"].startswith(self._url), where
        return answer.status


def written(name: str) -> list[str]:
    """The name as an address may have it: every byte escaped, only what must be, and where it can be, not at all."""
    raw = name.encode("utf-8", "surrogatepass")
    plain = [name] if name.isascii() and name.isprintable() and not set(" ?#") & set(name) else []
    return list(dict.fromkeys([quote(raw, safe=""), quote(raw, safe="/.~"), *plain]))


def form(fields: dict[str, str], files: dict[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    body = b""
    for key, text in fields.items():
        value = text.encode("utf-8", "surrogatepass")
        body += b'--xyz\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (key.encode(), value)
    for key, (name, content) in files.items():
        told = name.encode("utf-8", "surrogatepass")
        head = b'--xyz\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n' % (key.encode(), told)
        body += head + content + b"\r\n"
    return body + b"--xyz--\r\n", "multipart/form-data; boundary=xyz"


def test_no_name_leads_anywhere(house: LiveServer) -> None:
    """Neither for reading nor for deleting: nothing is answered with, changed or gone."""
    assert len(set(NAMES)) > 100
    folder, ask = house.data.parent, Talk(house)
    before = snapshot(folder)
    for name in NAMES:
        for address in written(name):
            for method, path in BY_PATH + BY_QUERY:
                status = ask(method, path.format(address), b"{}" if method == "PUT" else None)
                assert status >= 300 or (method, path) in BY_QUERY, (method, path, name)
    now = snapshot(folder)
    left = {name for name in before if now.get(name) != before[name]}
    assert not left
    assert not set(now) - set(before)


def test_what_is_written_lies_in_its_store_under_a_safe_name(house: LiveServer) -> None:
    folder, ask, sound = house.data.parent, Talk(house), tone()
    before = snapshot(folder)
    for turn, name in enumerate(NAMES):  # every other request, in turns: most of them make audio
        for method, path, body in in_json(name)[turn % 2 :: 2]:
            ask(method, path, json.dumps(body).encode())
            if method == "PUT":  # back where it was
                ask("PUT", "/api/v1/voice/moved.wav/metadata", b'{"folder_path": ""}')
        for path, fields, files in in_forms(name, sound)[turn % 2 :: 2]:
            ask("POST", path, *form(fields, files))
    now = snapshot(folder)
    moved = {"data/reference_audio/moved.wav", "data/reference_audio/moved.wav.json"}
    assert {name for name in before if now.get(name) != before[name]} <= moved
    for name in set(now) - set(before):
        top, store, *parts = name.split("/")
        assert (top, store in STORES) == ("data", True), name
        for part in parts:
            assert safe_name(part.removesuffix(".json")) == part.removesuffix(".json"), name

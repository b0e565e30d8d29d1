"""Names that lead out, name devices, hide or never end: every route answers, and nothing outside is seen or touched."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from chatterbox_plus.settings import Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve
from tests.api.shelf import lay, tone
from tests.library.test_store import HOSTILE

SECRET = b"a secret outside"
STORES = ("reference_audio", "vc_inputs", "outputs")
BY_PATH = [
    ("GET", "/api/v1/voices/{}"),
    ("PUT", "/api/v1/voice/{}/metadata"),
    ("DELETE", "/api/v1/voice/{}?confirm=true"),
    ("GET", "/api/v1/vc_inputs/{}"),
    ("DELETE", "/api/v1/vc_input/{}?confirm=true"),
    ("GET", "/api/v1/outputs/{}/metadata"),
    ("DELETE", "/api/v1/output/{}?confirm=true"),
    ("GET", "/outputs/{}"),
]
BY_QUERY = [
    (method, f"/api/v1/{library}?confirm=true&{field}={{}}")
    for library in ("voices", "vc_inputs", "outputs")
    for method, fields in (("GET", ("folder", "filenames", "search")), ("DELETE", ("folder", "filenames")))
    for field in fields
]
UPLOADS = [("/api/v1/voice", "voice_file"), ("/api/v1/vc_input", "vc_input_file")]
NAMES = [name for name in HOSTILE if name != "\ud800"]  # no client can put that one into a URL

assert len(NAMES) >= 40


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "canary.wav").write_bytes(SECRET)
    (folder / "canary.wav.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def hostile(outside: Path) -> Iterator[tuple[FakeStudio, LiveServer]]:
    studio = FakeStudio(outside / "data")
    for store in (studio.library.voices, studio.library.inputs, studio.library.outputs):
        lay(store, "speaker1.wav")
        try:
            (store.root / "away").symlink_to(outside)
            (store.root / "away.wav").symlink_to(outside / "canary.wav")
        except (OSError, NotImplementedError):
            continue  # no symbolic links here: the names are still hostile
    with serve(Settings(), studio) as running:
        yield studio, running


def world(outside: Path) -> dict[str, str]:
    """Everything that is not in a library or its trash, with what is in it."""
    inside = [outside / "data" / name for name in (*STORES, "trash")]
    return {
        path.relative_to(outside).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in outside.rglob("*")
        if path.is_file() and not any(path.is_relative_to(folder) for folder in inside)
    }


def every_name(outside: Path) -> list[str]:
    return [name.replace("{tmp}", str(outside)) for name in (*NAMES, "away/canary.wav", "away.wav", "away")]


@pytest.mark.parametrize(("method", "url"), BY_PATH, ids=lambda value: value)
def test_no_path_leads_out(hostile, outside, method, url):
    before = world(outside)
    for name in every_name(outside):
        lay(hostile[0].library.voices, "speaker1.wav")
        for written in {quote(name, safe=""), quote(name, safe="/")}:
            answer = hostile[1].ask(method, url.format(written), json={} if method == "PUT" else None)
            assert answer.status_code in (200, 400, 403, 404, 405, 409, 422), (name, answer.text)
            assert SECRET not in answer.content
            assert str(outside) not in answer.text.replace(name, "")
    assert world(outside) == before


@pytest.mark.parametrize(("method", "url"), BY_QUERY, ids=lambda value: value)
def test_no_filter_leads_out(hostile, outside, method, url):
    before = world(outside)
    for name in every_name(outside):
        answer = hostile[1].ask(method, url.format(quote(name, safe="")))
        assert answer.status_code in (200, 400, 403, 409, 422), (name, answer.text)
        assert answer.status_code != 200 or "canary" not in answer.text
    assert world(outside) == before


@pytest.mark.parametrize(("url", "part"), UPLOADS)
def test_no_upload_lands_outside(hostile, outside, url, part):
    before, sound = world(outside), tone(0.4)
    for name in every_name(outside):
        for folder, called in ((name, "take.wav"), ("x", f"{name}.wav")):
            sent = {part: (called, sound)}
            answer = hostile[1].post(url, files=sent, data={"folder_path": folder, "overwrite": "true"})
            assert answer.status_code in (200, 400, 403, 409, 422), (name, answer.text)
    assert world(outside) == before


def test_no_change_moves_a_voice_outside(hostile, outside):
    before = world(outside)
    lay(hostile[0].library.voices, "mover.wav")
    for name in every_name(outside):
        answer = hostile[1].ask("PUT", "/api/v1/voice/mover.wav/metadata", json={"folder_path": name})
        assert answer.status_code in (200, 403, 409, 422), (name, answer.text)
    assert world(outside) == before

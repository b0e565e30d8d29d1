"""Whatever is sent to the real server: a documented error, nothing written outside, nothing lost or overwritten."""

import hashlib
from pathlib import Path

import pytest
import requests

from tests.api.bad_requests import BAD
from tests.audio.bad_files import bad_files
from tests.live import LiveServer, live_server

SECRETS = ("Traceback", "site-packages", "ffmpeg", "libav", ".py", "errno")


def snapshot(folder: Path) -> dict[str, str]:
    """Relative path -> content hash of every file below."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def without_log(files: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if name != "server.log"}


def test_bad_requests_get_their_error_and_leave_no_trace(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "canary.wav").write_bytes(b"not yours")
    with live_server(tmp_path / "server") as server:
        before = without_log(snapshot(tmp_path / "server"))
        for bad in BAD:
            answer = requests.request(bad.method, server.url + bad.path, timeout=30, **bad.kwargs)
            assert answer.status_code == bad.status, (bad.why, answer.text[:300])
            assert "X-Request-ID" in answer.headers, bad.why
            for secret in (*SECRETS, str(tmp_path)):
                assert secret not in answer.text, bad.why
        for bad in BAD:  # and live, where the answer is begun before the audio is whole
            if bad.path in ("/api/v1/tts", "/api/v1/vc", "/api/v1/concat") and "unknown mode" not in bad.why:
                url = f"{server.url}{bad.path}?response_mode=live"
                answer = requests.request(bad.method, url, timeout=30, **bad.kwargs)
                assert 400 <= answer.status_code < 500, (bad.why, answer.status_code)
        busy = requests.get(server.url + "/api/v1/health", timeout=30).json()["engine"]["busy"]
        assert busy == 0
        after = without_log(snapshot(tmp_path / "server"))
        assert {name: after.get(name) for name in before} == before, "something stored was changed"
        assert not {name for name in after.keys() - before.keys() if "/temp/" in name}, "an upload was left behind"
        assert b"Traceback" not in server.log.read_bytes()
    assert set(snapshot(tmp_path)) == {"canary.wav", *(f"server/{name}" for name in after), "server/server.log"}
    assert (tmp_path / "canary.wav").read_bytes() == b"not yours"


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path, int, str]]:
    files = bad_files(tmp_path_factory.mktemp("bad"))
    return [(what, path, error.status, error.code) for what, path, error in files if path.is_file()]


def test_bad_files_are_refused_when_uploaded(server: LiveServer, wrong_files: list[tuple[str, Path, int, str]]) -> None:
    assert len(wrong_files) >= 30
    for what, path, status, code in wrong_files:
        with path.open("rb") as file:
            answer = requests.post(
                server.url + "/api/v1/vc",
                files={"input_audio": (path.name, file)},
                data={"target_voice_source": "speaker1.wav", "export_formats": "wav"},
                timeout=60,
            )
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), (what, answer.text[:300])
        for secret in (*SECRETS[:-2], str(path.parent)):
            assert secret not in answer.text, what
    assert not list((server.data / "temp").iterdir()), "an upload was left behind"


def test_bad_files_are_refused_as_voices(server: LiveServer, wrong_files: list[tuple[str, Path, int, str]]) -> None:
    folder = server.data / "reference_audio" / "wrong"
    folder.mkdir()
    for what, path, status, _ in wrong_files:
        (folder / path.name).write_bytes(path.read_bytes())
        body = {"text": "Hi.", "reference_audio_filename": f"wrong/{path.name}"}
        answer = requests.post(server.url + "/api/v1/tts", json=body, timeout=60)
        # a voice is heard for its first 30 s only: hours of silence are no reason to refuse it, having no voice is
        assert 400 <= answer.status_code < 500, (what, status, answer.text[:300])
        assert answer.json()["error_code"] in ("INVALID_AUDIO", "UNSUPPORTED_FORMAT"), (what, answer.text[:300])


def test_a_voice_is_never_read_through_a_link_that_leads_out(server: LiveServer, tmp_path: Path) -> None:
    outside = tmp_path / "secret.wav"
    outside.write_bytes((server.data / "reference_audio" / "speaker1.wav").read_bytes())
    link = server.data / "reference_audio" / "link.wav"
    try:
        link.symlink_to(outside)
    except OSError:
        pytest.skip("this system makes no symbolic links")
    try:
        body = {"text": "Hi.", "reference_audio_filename": "link.wav"}
        assert requests.post(server.url + "/api/v1/tts", json=body, timeout=30).status_code == 403
    finally:
        link.unlink()


def test_a_custom_name_never_overwrites(server: LiveServer) -> None:
    first = (server.data / "outputs" / "intro.wav").read_bytes()
    body = {"segments": ["outro.wav"], "output_filename": "intro"}
    answer = requests.post(server.url + "/api/v1/concat?response_mode=url", json=body, timeout=30).json()
    assert answer["output_files"] != ["intro.wav"]
    assert (server.data / "outputs" / "intro.wav").read_bytes() == first

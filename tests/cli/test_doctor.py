"""`doctor`: a server that is well is found well, and what is wrong with another is named, with what mends it."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chatterbox_plus.access.keys import KeyStore
from chatterbox_plus.bridges.clients import CLIENTS
from chatterbox_plus.cli import main
from chatterbox_plus.settings import Api, Paths, Settings
from tests.api import live_server as in_process
from tests.api.fake_studio import FakeStudio
from tests.live import LiveServer, free_port

Run = Callable[..., tuple[int, str, str]]
WAV = b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(100)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`doctor` in this process: its status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("CHATTERBOX_"):
            monkeypatch.delenv(name)

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["doctor", *words])
        said = capfd.readouterr()
        return status, said.out, said.err

    return call


@contextmanager
def stub(
    replies: dict[str, tuple[int, str, bytes]], refusal: bytes = b'{"detail": "voice not found"}'
) -> Iterator[str]:
    """A server that somebody else wrote. replies: "GET /path" -> status, media type, body; what names a voice that
    nobody has is a 404 with `refusal`, or spoken if that is None."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            missing = (404, "application/json", b'{"detail": "Not Found"}')
            reply = replies.get(f"{self.command} {self.path.partition('?')[0]}", missing)
            if refusal is not None and b"nobody" in body and reply[0] == 200:
                reply = (404, "application/json", refusal)
            self.send_response(reply[0])
            self.send_header("Content-Type", reply[1])
            self.send_header("Content-Length", str(len(reply[2])))
            self.end_headers()
            self.wfile.write(reply[2])

        do_POST = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def problems(out: str) -> dict[str, tuple[str, str]]:
    """ "METHOD /path" -> what is wrong, and how to mend it; of requests to one path the last."""
    told = json.loads(out)
    return {
        f"{program['name']} {request['request']}": (request["problem"], request["mend"])
        for program in told["programs"]
        for request in program["requests"]
        if not request["ok"]
    }


def test_our_own_server_is_well(server: LiveServer, run: Run) -> None:
    status, out, err = run("--url", server.url)
    assert (status, "fails" in out) == (0, False), out
    assert "all would work" in err
    for client in CLIENTS:
        assert client.title in out.splitlines()


def test_json_tells_every_request(server: LiveServer, run: Run) -> None:
    status, out, err = run("openai", "--url", f"{server.url}/v1", "--json", "--quiet")
    told = json.loads(out)
    assert (status, err, told["success"], told["url"]) == (0, "", True, server.url)
    (program,) = told["programs"]
    assert (program["name"], program["ok"]) == ("openai", True)
    assert {request["request"] for request in program["requests"]} == {"GET /v1/models", "POST /v1/audio/speech"}
    assert all(request["ok"] and request["status"] and request["mend"] is None for request in program["requests"])


def test_a_missing_key_is_named_and_a_shown_one_is_used(tmp_path: Path, run: Run) -> None:
    _, key = KeyStore.at(tmp_path).add("ana")
    settings = Settings(api=Api(api_key_required=True), paths=Paths(data_dir=tmp_path))
    with in_process.serve(settings, FakeStudio(tmp_path)) as server:
        status, out, _ = run("--url", server.url, "--json")
        assert status == 1
        found = problems(out)
        problem, mend = found["home-assistant POST /v1/audio/speech"]
        assert "asks for a key" in problem
        assert "--key" in mend
        assert "no field for a key" in found["sillytavern-chatterbox POST /tts"][1]
        assert "open-webui GET /v1/audio/voices" not in found, "which stays open"
        keyed = problems(run("--url", server.url, "--json", "--key", key)[1])
        assert not any("asks for a key" in problem for name, (problem, _) in keyed.items() if "chatterbox" not in name)


def test_a_page_that_may_not_call_is_named(tmp_path: Path, run: Run) -> None:
    page = "http://elsewhere.example:8000"
    with in_process.serve(Settings(paths=Paths(data_dir=tmp_path)), FakeStudio(tmp_path)) as server:
        status, out, _ = run("sillytavern-chatterbox", "--url", server.url, "--page", page, "--json")
    found = problems(out)
    assert status == 1
    assert found["sillytavern-chatterbox GET /get_predefined_voices"][1].startswith(f"add {page} to CHATTERBOX_CORS")
    assert found["sillytavern-chatterbox POST /tts"][1] == f"add {page} to CHATTERBOX_CORS_ORIGINS"
    assert "same host name" in found["sillytavern-chatterbox GET /tts-stream"][1]


def test_a_name_that_is_not_trusted_is_named(tmp_path: Path, run: Run) -> None:
    with in_process.serve(Settings(paths=Paths(data_dir=tmp_path)), FakeStudio(tmp_path)) as server:
        refused = server.get("/v1/audio/voices", headers={"Host": "speech.example"})
    assert refused.status_code == 403
    with stub({"GET /v1/audio/voices": (403, "application/json", refused.content)}) as url:
        found = problems(run("llama-swap", "--url", url, "--json")[1])
    assert "CHATTERBOX_TRUSTED_HOSTS" in found["llama-swap GET /v1/audio/voices"][1]


def test_another_kind_of_server_is_told_what_it_does_wrong(run: Run) -> None:
    voices = json.dumps({"voices": ["Emily.wav"], "data": ["Emily.wav"]}).encode()
    replies = {
        "GET /v1/audio/voices": (200, "application/json", voices),
        "POST /v1/audio/speech": (200, "audio/mpeg", WAV),
    }
    with stub(replies) as url:
        status, out, _ = run("open-webui", "home-assistant", "--url", url, "--json")
    found = problems(out)
    assert status == 1
    assert "not objects with id and name" in found["open-webui GET /v1/audio/voices"][0]
    assert "says audio/mpeg, but is audio/wav" in found["home-assistant POST /v1/audio/speech"][0]
    problem, mend = found["open-webui POST /v1/audio/speech"]
    assert '{"detail": …}' in problem
    assert '{"error": {"message": …}}' in mend
    assert found["open-webui GET /v1/audio/models"][0].startswith("there is nothing at /v1/audio/models")
    assert "without /v1" in found["open-webui GET /audio/voices"][1]


@pytest.mark.parametrize(
    ("voices", "problem"),
    [
        ({"voices": [], "data": []}, "is empty"),
        ({"items": []}, "there is no list of"),
        (["Emily.wav"], "there is no list of"),
    ],
)
def test_a_list_without_voices_is_named(voices: Any, problem: str, run: Run) -> None:
    with stub({"GET /v1/audio/voices": (200, "application/json", json.dumps(voices).encode())}) as url:
        assert problem in problems(run("llama-swap", "--url", url, "--json")[1])["llama-swap GET /v1/audio/voices"][0]


def test_an_unknown_voice_that_is_spoken_all_the_same_is_named(run: Run) -> None:
    with stub({"POST /v1/audio/speech": (200, "audio/mpeg", b"ID3" + bytes(100))}, refusal=None) as url:
        found = problems(run("sillytavern", "--url", url, "--json")[1])
    assert "was answered with audio" in found["sillytavern POST /v1/audio/speech"][0]


def test_where_nobody_answers_it_says_how_to_start_a_server(run: Run) -> None:
    status, out, err = run("--url", f"http://127.0.0.1:{free_port()}")
    assert status == 1
    assert "chatterbox-plus serve" in err
    assert "--url names another" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(["alexa"], "there is no program alexa"), (["--url", "ftp://x"], "no URL"), (["--page", "::"], "no URL")],
)
def test_what_cannot_be_is_explained(words: list[str], complaint: str, run: Run) -> None:
    status, _, err = run(*words)
    assert status == 1
    assert complaint in err

"""Who may call, how much may be sent, and the id that everything carries."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from chatterbox_plus.api.middleware import FORM_PATHS, WORK_PATHS
from chatterbox_plus.settings import Api, Server, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer, serve

TTS, HEALTH = "/api/v1/tts", "/api/v1/health"
RETAKE = "/api/v1/tasks/{id}/passages/{number}/retake"


def test_every_answer_has_an_id_and_keeps_a_sane_one(server: LiveServer) -> None:
    ids = {server.get(path).headers["X-Request-ID"] for path in ("/", "/nope", HEALTH, "/outputs/none.wav", "/docs")}
    assert len(ids) == 5
    assert server.get(HEALTH, headers={"X-Request-ID": "mine-1.2_3"}).headers["X-Request-ID"] == "mine-1.2_3"
    for odd in ("a b", "x" * 65, "ä".encode().decode("latin-1")):
        assert server.get(HEALTH, headers={"X-Request-ID": odd}).headers["X-Request-ID"].startswith("req_")


def chunks(count: int, size: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b" " * size


@pytest.fixture(scope="module")
def strict(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(Settings(api=Api(max_upload_mb=2)), studio) as running:
        yield running


@pytest.fixture(scope="module")
def roomy(studio: FakeStudio) -> Iterator[LiveServer]:
    with serve(Settings(api=Api(max_upload_mb=50)), studio) as running:
        yield running


def upload(content: bytes) -> dict[str, Any]:
    return {"files": {"input_audio": ("a.wav", content)}, "data": {"target_voice_source": "speaker1.wav"}}


def test_a_body_without_an_announced_length_is_counted(strict: LiveServer) -> None:
    answer = strict.ask("POST", TTS, data=chunks(40, 2**16), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error_code"]) == (413, "FILE_TOO_LARGE")


def test_an_announced_body_is_refused_unread(strict: LiveServer) -> None:
    head = (
        f"POST {TTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    )
    connection = strict.raw(head.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 413")
    connection.close()


def test_uploads_have_a_limit_of_their_own(strict: LiveServer) -> None:
    assert strict.post("/api/v1/vc", **upload(bytes(2 * 2**20))).status_code == 200
    answer = strict.post("/api/v1/vc", **upload(bytes(4 * 2**20)))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "FILE_TOO_LARGE")


def test_an_upload_in_chunks_is_counted_too(strict: LiveServer, studio: FakeStudio) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    start = b'--b\r\nContent-Disposition: form-data; name="input_audio"; filename="a.wav"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield start
        yield from chunks(64, 2**16)

    answer = strict.ask("POST", "/api/v1/vc", data=body(), headers=kind)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "FILE_TOO_LARGE")


@pytest.mark.parametrize("path", [TTS, "/api/v1/concat", "/v1/audio/speech"])
def test_a_form_gets_no_room_where_none_is_taken(path: str, roomy: LiveServer) -> None:
    """What is not written to disk as it arrives would lie in memory."""
    answer = roomy.post(path, **upload(bytes(3 * 2**20)))
    assert answer.status_code == 413
    assert roomy.post("/api/v1/vc", **upload(bytes(3 * 2**20))).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1", "127.5.5.5", "[::1]:80", "a.localhost"])
def test_loopback_names_are_answered(host: str, server: LiveServer) -> None:
    assert server.get(HEALTH, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::1"]
)
def test_other_names_are_not(host: str, server: LiveServer) -> None:
    """A name that somebody points at 127.0.0.1 would let any page read everything."""
    assert server.get(HEALTH, headers={"Host": host}).status_code == 403


@pytest.fixture(scope="module")
def named(studio: FakeStudio) -> Iterator[LiveServer]:
    named = Server(trusted_hosts=("tts.example", "*.lan"), public_url="https://voice.example/x")
    with serve(Settings(server=named, api=Api(cors_origins=("https://app.example",))), studio) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "status"),
    [("tts.example", 200), ("TTS.example:7860", 200), ("nas.lan", 200), ("voice.example", 200), ("localhost", 200),
     ("lan", 403), ("x.tts.example", 403), ("other.example", 403)],
)  # fmt: skip
def test_trusted_hosts(host: str, status: int, named: LiveServer) -> None:
    assert named.get(HEALTH, headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "origin", ["http://localhost:8000", "http://127.0.0.1", "https://[::1]:3000", "http://st.localhost"]
)
def test_pages_of_this_machine_may_call(origin: str, server: LiveServer) -> None:
    """SillyTavern's browser does."""
    answer = server.post(TTS, {"text": "hello"}, headers={"Origin": origin})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Credentials" not in answer.headers
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"X-Alternative-Formats", "X-Generation-Seed", "X-Request-ID"} <= set(exposed.split(", "))


def test_a_page_may_ask_first(server: LiveServer) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-request-id"}
    good = server.ask("OPTIONS", TTS, headers={**ask, "Origin": "http://localhost:8000"})
    assert (good.status_code, good.headers["Access-Control-Allow-Origin"]) == (200, "http://localhost:8000")
    bad = server.ask("OPTIONS", TTS, headers={**ask, "Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in bad.headers
    assert (bad.status_code, bad.json()["error_code"]) == (403, "PERMISSION_DENIED"), "told like every other refusal"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://localhost.evil.example", "null", "http://localhost:80.evil"]
)
def test_pages_of_strangers_may_not(origin: str, server: LiveServer, studio: FakeStudio) -> None:
    """Not even as a form, for which no browser asks first."""
    before = len(studio.calls)
    assert server.post("/api/v1/vc", **upload(b"x"), headers={"Origin": origin}).status_code == 403
    assert len(studio.calls) == before
    assert "Access-Control-Allow-Origin" not in server.get(HEALTH, headers={"Origin": origin}).headers


def test_named_origins_and_our_own_page_may_call(named: LiveServer) -> None:
    answer = named.post(TTS, {"text": "hello"}, headers={"Origin": "https://app.example"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example")
    own = {"Origin": "https://tts.example", "Host": "tts.example"}
    assert named.post(TTS, {"text": "hello"}, headers=own).status_code == 200


def test_an_error_can_be_read_by_a_page_that_may_call(server: LiveServer) -> None:
    answer = server.post(TTS, {"text": "boom"}, headers={"Origin": "http://localhost:8000"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (500, "http://localhost:8000")


def test_half_a_request_is_nobodys_error(server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    head = f"POST {TTS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    connection = server.raw(head.encode() + b"{")
    connection.close()
    assert requests.get(server.url + HEALTH, timeout=5).status_code == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_body_that_stops_arriving_is_not_waited_for(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatterbox_plus.api.middleware.STALL_S", 0.2)
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        head = f"POST /api/v1/vc HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 99\r\n\r\n--x"
        connection = server.raw(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
        connection.close()


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "", "application/jso n"],
)
def test_a_form_of_a_strangers_page_does_nothing(kind: str, server: LiveServer, studio: FakeStudio) -> None:
    """A form needs no leave to be sent, and its text/plain can look like JSON."""
    calls = len(studio.calls)
    body = b'{"text": "Hello.", "x": "="}'
    for path in (TTS, "/v1/audio/speech", "/api/v1/concat", "/api/v1/cleanup"):
        for origin in ("https://evil.example", "null"):
            headers = {"Origin": origin, "Content-Type": kind}
            assert server.ask("POST", path, data=body, headers=headers).status_code == 403
    assert len(studio.calls) == calls


def test_a_full_house_refuses_before_it_reads(server: LiveServer, studio: FakeStudio) -> None:
    studio.full = True
    try:
        for path in sorted(WORK_PATHS | {RETAKE.format(id="task_1", number=1)}):
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
            connection = server.raw(head.encode())
            answer = connection.recv(4096)
            connection.close()
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 30" in answer.lower()
        assert server.get(HEALTH).status_code == 200
    finally:
        studio.full = False


def test_every_route_that_makes_audio_is_refused_by_a_full_house(server: LiveServer) -> None:
    document = server.get("/openapi.json").json()
    making = {
        path for path, methods in document["paths"].items() if "504" in methods.get("post", {}).get("responses", {})
    }
    bare = {path.removeprefix("/v1") for path in making if path.startswith("/v1/")}
    making.remove("/api/v1/warmup")  # it makes none, and may take long
    assert making | bare | {"/v1/audio/speech", "/audio/speech"} == WORK_PATHS | {RETAKE}


def test_every_route_that_takes_files_takes_large_bodies(server: LiveServer) -> None:
    document = server.get("/openapi.json").json()
    taking = {
        path
        for path, methods in document["paths"].items()
        if "multipart/form-data" in methods.get("post", {}).get("requestBody", {}).get("content", {})
    }
    bare = {path.removeprefix("/v1") for path in taking if path.startswith("/v1/")}
    assert taking | bare == FORM_PATHS

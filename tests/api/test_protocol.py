"""What comes before a body, and is none: a head, a chunk's extensions, trailers. None of it has more than its limit."""

import json
import time
from http.client import HTTPResponse

import pytest

from chatterbox_plus.api import protocol
from chatterbox_plus.api.protocol import MAX_HEAD_BYTES, MAX_HEADERS
from tests.api.live_server import LiveServer

HEAD = b"POST /api/v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"a" * 2**16


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET /", PIECE),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", PIECE),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a: b\r\n" * 10_000),
        (CHUNKED + b"2;", PIECE),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-Long: ", PIECE),
        (CHUNKED + b"2\r\n{}\r\n0\r\n", b"a: b\r\n" * 10_000),
    ],
)
def test_what_is_no_body_has_an_end(start: bytes, more: bytes, server: LiveServer) -> None:
    connection = server.raw(start)
    sent = 0
    try:
        while sent < 256 * MAX_HEAD_BYTES:
            connection.sendall(more)
            sent += len(more)
    except OSError:  # the server has hung up
        pass
    finally:
        connection.close()
    assert sent < 256 * MAX_HEAD_BYTES
    assert server.get("/api/v1/health").status_code == 200


def test_a_crowd_of_headers_is_refused(server: LiveServer) -> None:
    few, many = ({f"x-{n}": "1" for n in range(count)} for count in (MAX_HEADERS // 2, MAX_HEADERS + 1))
    assert server.get("/api/v1/health", headers=few).status_code == 200
    answer = server.get("/api/v1/health", headers=many)
    assert (answer.status_code, answer.json()["error_code"]) == (431, "HEADER_TOO_LARGE")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"hello\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"FOO / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"POST /api/v1/tts HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1), 431, "HEADER_TOO_LARGE"),
        (b"GET /v1/models HTTP/1.1\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1), 431, "header_too_large"),
    ],
)
def test_what_never_reaches_a_route_is_refused_like_all_else(
    sent: bytes, status: int, code: str, server: LiveServer
) -> None:
    with server.raw(sent) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
    assert answer.status == status
    if sent.startswith(b"GET /v1/"):
        assert body["error"]["code"] == code
    else:
        assert (body["success"], body["error_code"], body["request_id"]) == (
            False,
            code,
            answer.headers["X-Request-ID"],
        )
    assert answer.headers["X-Request-ID"].startswith("req_")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_bodies_in_many_pieces_and_many_requests_on_one_connection_are_none_of_it(server: LiveServer) -> None:
    text = b'{"text": "' + b"a " * 200 + b'"}'
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"
    count = 2 * MAX_HEAD_BYTES // len(CHUNKED + body)
    connection = server.raw((CHUNKED + body) * count)
    with connection, connection.makefile("rb") as answers:
        for _ in range(count):
            assert answers.readline().startswith(b"HTTP/1.1 200")
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /api/v1/he",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX-Never: ",
        b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/v1/he",
        HEAD + b"Content-Length: 99999999999\r\n\r\n",  # refused unread
    ],
)
def test_a_head_that_does_not_end_is_not_waited_for(
    sent: bytes, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    with server.raw(sent) as connection:
        while connection.recv(65536):
            pass  # what was asked before is answered; then the server hangs up
    assert server.get("/api/v1/health").status_code == 200


def test_a_body_may_take_longer_than_a_head(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 2.0)
    with server.raw(HEAD + b'Content-Length: 18\r\n\r\n{"text": "') as connection:
        time.sleep(1.5 * protocol.HEAD_S)  # nothing to wait for: what is shown is that nothing happens
        connection.sendall(b'Hello."}')
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")

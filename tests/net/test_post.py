"""What a message sent to somebody's URL promises; the receivers are made to misbehave."""

import itertools
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from chatterbox_plus.errors import Cancelled, InvalidOption, PermissionDenied, PlusError
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.net.post import DeliveryFailed, PostReply, post
from tests.net import web as web_module
from tests.net.web import Visit, Web, Wire, web_server

HELD_S = 30.0  # how long an answer hangs that nobody breaks off: any test that waits for it has failed
BODY = '{"task_id":"task_1","output_url":"/outputs/ü.wav"}'.encode()


@dataclass
class Receiver:
    """Somebody's server, and what was sent to it."""

    web: Web
    bodies: list[bytes] = field(default_factory=list)

    def post(self, url: str, **more: Any) -> PostReply:
        return post(Guard(allowed_hosts=(self.web.host,)), url, BODY, {"Content-Type": "application/json"}, **more)

    def fails(self, url: str, **more: Any) -> str:
        """The message: of no library, and without what is secret in the URL."""
        with pytest.raises(DeliveryFailed) as caught:
            self.post(url + "?token=s3cret", **more)
        assert caught.value.code == "DELIVERY_FAILED"
        assert caught.value.status == 502
        assert caught.value.__cause__ is None
        for word in ("s3cret", "Errno", "httpcore", "h11", "Error"):
            assert word not in caught.value.message
        return caught.value.message


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    bodies: list[bytes] = []

    class Posted(Visit):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

    monkeypatch.setattr(web_module, "Visit", Posted)
    with web_server() as running:
        yield Receiver(running, bodies)


# What is sent, and what is heard


def test_the_message_arrives_as_it_is_with_its_headers(receiver: Receiver) -> None:
    url = receiver.web.page("/hook", b"thanks")
    headers = {"Content-Type": "application/json", "webhook-id": "task_1", "host": "elsewhere", "connection": "upgrade"}
    reply = post(Guard(allowed_hosts=(receiver.web.host,)), url + "?a=1", BODY, headers)
    assert (reply.status, reply.excerpt, reply.retry_after) == (200, "thanks", "")
    assert 0 < reply.seconds < HELD_S
    assert receiver.bodies == [BODY]
    assert receiver.web.seen == ["/hook?a=1"]
    sent = {name.lower(): text for name, text in receiver.web.headers[0].items()}
    assert sent.pop("user-agent").startswith("chatterbox-plus/")
    assert sent == {
        "host": receiver.web.host,
        "content-length": str(len(BODY)),
        "content-type": "application/json",
        "webhook-id": "task_1",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


@pytest.mark.parametrize("status", [200, 201, 204, 400, 404, 410, 429, 500, 503])
def test_any_status_is_an_answer(receiver: Receiver, status: int) -> None:
    url = receiver.web.page("/hook", b"" if status == 204 else b"so", status=status, Retry_After="120")
    reply = receiver.post(url)
    assert (reply.status, reply.retry_after) == (status, "120")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["/elsewhere", "http://127.0.0.1:9/", "file:///etc/passwd"])
def test_a_redirect_is_not_followed(receiver: Receiver, wire: Wire, status: int, to: str) -> None:
    receiver.web.page("/elsewhere")
    assert receiver.post(receiver.web.redirect("/hook", to, status)).status == status
    assert receiver.web.seen == ["/hook"]
    assert len(wire.addresses) == 1


def test_the_excerpt_is_short_and_printable(receiver: Receiver) -> None:
    reply = receiver.post(receiver.web.page("/hook", "é\x1b[31m\r\nX: 1\u202e\0".encode() + b"\xff" + b"a" * 5000))
    assert reply.excerpt.startswith("é [31m  X: 1")
    assert len(reply.excerpt) == 200
    assert reply.excerpt.isprintable()


def test_a_large_message_goes_through(receiver: Receiver) -> None:
    body = bytes(2_000_000)
    url = receiver.web.page("/hook")
    assert post(Guard(allowed_hosts=(receiver.web.host,)), url, body, {}).status == 200
    assert receiver.bodies == [body]


def test_the_environment_s_proxy_is_not_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver.post(receiver.web.page("/hook"))
    assert [f"{host}:{port}" for host, port in wire.addresses] == [receiver.web.host]


# Receivers that misbehave


def _silent(visit: Visit) -> None:
    visit.left.wait(HELD_S)


def _endless_headers(visit: Visit) -> None:
    visit.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not visit.left.wait(0.02):
        visit.wfile.write(b"X: y\r\n")


def _dripping(visit: Visit) -> None:
    visit.answer(length=10_000)
    while not visit.left.wait(0.02):
        visit.wfile.write(b"x")


def _half(visit: Visit) -> None:
    visit.answer(b"half", length=8)
    visit.left.wait(HELD_S)


HANGING = {"silent": _silent, "endless headers": _endless_headers, "drop by drop": _dripping, "half-way": _half}


@pytest.mark.parametrize("how", HANGING)
def test_a_reply_that_does_not_end_is_given_up_at_the_deadline(receiver: Receiver, how: str) -> None:
    receiver.web.pages["/hook"] = HANGING[how]
    began = time.monotonic()
    assert "it took longer than 0.3 s" in receiver.fails(receiver.web.url("/hook"), timeout_s=0.3)
    assert 0.3 <= time.monotonic() - began < 2


def test_a_receiver_that_does_not_read_is_given_up_at_the_deadline() -> None:
    """It accepts, and its buffers are full at some time."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(DeliveryFailed, match=r"longer than 0\.3 s"):
            post(Guard(allowed_hosts=(host,)), f"http://{host}/", bytes(50_000_000), {}, timeout_s=0.3)


@pytest.mark.parametrize("announced", [None, 10**12, -1])
def test_a_reply_is_read_up_to_the_cap_and_its_status_counts(receiver: Receiver, announced: int | None) -> None:
    """Chunked without end, announced as a terabyte, or until the connection closes, which it does not."""

    def flood(visit: Visit) -> None:
        visit.send_response(200)
        if announced is None:
            visit.send_header("Transfer-Encoding", "chunked")
        elif announced > 0:
            visit.send_header("Content-Length", str(announced))
        visit.end_headers()
        while not visit.left.is_set():
            visit.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n" if announced is None else b"x" * 1024)

    receiver.web.pages["/hook"] = flood
    reply = receiver.post(receiver.web.url("/hook"), timeout_s=HELD_S)
    assert (reply.status, reply.excerpt) == (200, "x" * 200)
    assert reply.seconds < HELD_S / 3


def test_a_compressed_reply_is_not_unpacked(receiver: Receiver) -> None:
    assert receiver.post(receiver.web.page("/hook", b"\x1f\x8b" + bytes(9), Content_Encoding="gzip")).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_an_answer_that_breaks_off_or_is_none_fails(receiver: Receiver, answer: bytes) -> None:
    receiver.web.pages["/hook"] = lambda visit: visit.wfile.write(answer)
    receiver.fails(receiver.web.url("/hook"))


def test_more_than_was_announced_is_not_read(receiver: Receiver) -> None:
    assert receiver.post(receiver.web.page("/hook", b"abcdef", length=3)).excerpt == "abc"


def test_a_receiver_that_answers_before_it_has_read_all_is_heard() -> None:
    """413 to a message it does not want: the answer counts, not the broken pipe."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        host = f"127.0.0.1:{listener.getsockname()[1]}"

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(2**20):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        assert post(Guard(allowed_hosts=(host,)), f"http://{host}/", bytes(5_000_000), {}).status == 413
        thread.join()


def test_a_connection_that_is_refused_fails(receiver: Receiver) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        receiver.web.host = f"127.0.0.1:{probe.getsockname()[1]}"  # nobody listens there
        assert "127.0.0.1 could not be told" in receiver.fails(receiver.web.url("/hook"))


# Names


def _rows(addresses: list[str], port: int) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Makes every lookup answer in turn; the names that were asked for."""

    def answering(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        turns = itertools.chain(answers, itertools.repeat(answers[-1]))

        def getaddrinfo(host: str, port: int, **hints: Any) -> list[Any]:
            asked.append(host)
            return _rows(next(turns), port)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return answering


def _refused(url: str, kind: type[PlusError], guard: Guard | None = None) -> str:
    with pytest.raises(kind) as caught:
        post(guard or Guard(), url, BODY, {}, param="webhook_url")
    assert caught.value.param == "webhook_url"
    return caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost:7860/", "http://10.0.0.1/", "http://169.254.169.254/latest/",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "https://192.168.0.1/", "http://0.0.0.0/", "http://[fd00::1]/",
    ],
)  # fmt: skip
def test_a_private_host_is_forbidden_and_never_connected_to(url: str, wire: Wire) -> None:
    assert "allowed_hosts" in _refused(url, PermissionDenied)
    assert wire.addresses == []


@pytest.mark.parametrize(
    "url", ["", "hook", "file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@example.com/", "http://a b/", "http://"]
)
def test_what_is_no_plain_http_url_is_a_bad_request(url: str, wire: Wire) -> None:
    _refused(url, InvalidOption)
    assert wire.addresses == []


@pytest.mark.parametrize("first", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"]])
def test_a_name_that_means_a_private_host_is_forbidden_and_not_asked_again(
    names: Callable[..., list[str]], wire: Wire, first: list[str]
) -> None:
    asked = names(first, ["93.184.216.34"])
    message = _refused("http://rebind.test/", PermissionDenied)
    assert not any(address in message for address in first)
    assert asked == ["rebind.test"]
    assert wire.addresses == []


def test_a_rebound_name_is_connected_to_where_the_guard_looked(
    names: Callable[..., list[str]], wire: Wire, refuse_connections: None
) -> None:
    asked = names(["93.184.216.34"], ["127.0.0.1"])
    _refused("http://rebind.test/", DeliveryFailed)
    assert asked == ["rebind.test"]
    assert [address[0] for address in wire.addresses] == ["93.184.216.34"]


def test_a_connection_that_ends_elsewhere_than_it_was_sent_is_closed_unused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = receiver.web.page("/hook")
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("10.0.0.1", 80))
    _refused(url, PermissionDenied, Guard(allowed_hosts=(receiver.web.host,)))
    assert receiver.bodies == []


def test_a_name_that_does_not_exist_fails(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **hints: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert "there is no such host" in receiver.fails("http://nowhere.test/")


def test_a_name_server_that_does_not_answer_ends_at_the_deadline(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = Event()

    def getaddrinfo(*args: Any, **hints: Any) -> Any:
        release.wait(HELD_S)
        raise socket.gaierror(socket.EAI_AGAIN, "timed out")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        assert "0.3 s" in receiver.fails("http://slow.test/", timeout_s=0.3)
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name == "name-lookup":
                thread.join()


# TLS, and being called off


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name hook.test alone, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=hook.test"]
    try:
        subprocess.run([*command, "-addext", "subjectAltName=DNS:hook.test"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    return cert, key


@pytest.mark.parametrize(("name", "trusted"), [("hook.test", True), ("other.test", True), ("hook.test", False)])
def test_certificates_are_checked(
    certificate: tuple[Path, Path],
    receiver: Receiver,
    names: Callable[..., list[str]],
    name: str,
    trusted: bool,
) -> None:
    cert, key = certificate
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    receiver.web.secure(serving)
    receiver.web.page("/hook", b"safe")
    host, port = receiver.web.host.split(":")
    names([host])
    context = ssl.create_default_context(cafile=str(cert)) if trusted else None
    url = f"https://{name}:{port}/hook"
    if trusted and name == "hook.test":
        reply = post(Guard(allowed_hosts=(receiver.web.host,)), url, BODY, {}, ssl_context=context)
        assert reply.excerpt == "safe"
        assert receiver.bodies == [BODY]
    else:
        assert "certificate" in receiver.fails(url, ssl_context=context)
        assert receiver.bodies == []


def test_a_handshake_that_hangs_ends_at_the_deadline() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DeliveryFailed, match=r"longer than 0\.3 s"):
            post(Guard(allowed_hosts=(host,)), f"https://{host}/", BODY, {}, timeout_s=0.3)


@pytest.mark.parametrize("how", HANGING)
def test_called_off_it_ends_at_once(receiver: Receiver, how: str) -> None:
    cancel = Event()

    def answer(visit: Visit) -> None:
        threading.Timer(0.05, cancel.set).start()
        HANGING[how](visit)

    receiver.web.pages["/hook"] = answer
    began = time.monotonic()
    with pytest.raises(Cancelled):
        receiver.post(receiver.web.url("/hook"), timeout_s=HELD_S, cancel=cancel)
    assert time.monotonic() - began < HELD_S / 3


def test_called_off_before_it_begins_nothing_is_asked(receiver: Receiver, wire: Wire) -> None:
    cancel = Event()
    cancel.set()
    with pytest.raises(Cancelled):
        receiver.post(receiver.web.page("/hook"), cancel=cancel)
    assert wire.addresses == []

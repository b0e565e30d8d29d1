"""What a download promises about size, time, retries and being called off; the web server is made to misbehave."""

import gzip
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from chatterbox_plus.errors import Cancelled, DownloadFailed, FileTooLarge, PlusError
from chatterbox_plus.net import client as client_module
from chatterbox_plus.net import sockets
from chatterbox_plus.net.client import Download, GuardedClient, Retries
from chatterbox_plus.net.guard import Guard
from tests.net.web import Visit, Web, Wire, web_server

HELD_S = 30.0  # how long an answer hangs that nobody breaks off: any test that waits for it has failed
AT_ONCE = Retries(max_retries=2, base_delay_s=0, max_delay_s=0, factor=2, jitter=False)


@dataclass
class Fetching:
    """Downloads into one folder."""

    folder: Path
    web: Web
    cancel: Event = field(default_factory=Event)
    retries: Retries | None = None

    @property
    def path(self) -> Path:
        return self.folder / "fetched"

    def get(self, url: str, *, max_bytes: int = 100_000, deadline_s: float = HELD_S, **client: Any) -> Download:
        guarded = GuardedClient(Guard(allowed_hosts=(self.web.host,)), retries=self.retries, **client)
        return guarded.download(url, self.path, max_bytes=max_bytes, deadline_s=deadline_s, cancel=self.cancel)

    def fails(self, kind: type[PlusError], url: str, **limits: Any) -> str:
        """The message; nothing may be left."""
        with pytest.raises(kind) as caught:
            self.get(url, **limits)
        assert list(self.folder.iterdir()) == []
        return caught.value.message


@pytest.fixture
def fetching(tmp_path: Path, web: Web) -> Fetching:
    return Fetching(tmp_path, web)


# The body


@pytest.mark.parametrize("size", [0, 1, 65_535, 100_000])
@pytest.mark.parametrize("announced", [True, False])
def test_the_body_arrives_whole(fetching: Fetching, web: Web, size: int, announced: bool) -> None:
    body = bytes(i % 251 for i in range(size))
    url = web.page("/dir/a%20b.wav", body, length=None if announced else -1, Content_Type="audio/wav")
    assert fetching.get(url + "?key=secret") == Download(web.url("/dir/a%20b.wav"), "a b.wav", size, "audio/wav")
    assert fetching.path.read_bytes() == body


def test_chunked_bodies_are_put_together(fetching: Fetching, web: Web) -> None:
    def chunks(visit: Visit) -> None:
        visit.send_response(200)
        visit.send_header("Transfer-Encoding", "chunked")
        visit.end_headers()
        visit.wfile.write(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")

    web.pages["/a"] = chunks
    assert fetching.get(web.url("/a")).size == 5
    assert fetching.path.read_bytes() == b"abcde"


def test_a_request_tells_nothing_about_us_but_who_asks(fetching: Fetching, web: Web) -> None:
    web.page("/a", b"x", Set_Cookie="id=1; Path=/")
    fetching.get(web.url("/a"))
    fetching.path.unlink()
    fetching.get(web.url("/a"))
    assert {name.lower() for name in web.headers[1]} == {
        "host",
        "accept",
        "accept-encoding",
        "user-agent",
        "connection",
    }
    assert web.headers[1]["Accept-Encoding"] == "identity"
    assert web.headers[1]["Host"] == web.host


def test_an_address_of_ipv6_is_reached_and_named_in_brackets(fetching: Fetching) -> None:
    try:
        with web_server("::1") as six:
            fetching.web = six
            assert fetching.get(six.page("/a", b"x")).url == f"http://{six.host}/a"
            assert six.headers[0]["Host"] == six.host
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_the_environment_s_proxy_is_not_asked(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    fetching.get(web.page("/a", b"x"))
    assert [f"{host}:{port}" for host, port in wire.addresses] == [web.host]


def test_a_file_that_exists_is_left_alone(fetching: Fetching, web: Web) -> None:
    fetching.path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        fetching.get(web.page("/a", b"x"))
    assert fetching.path.read_bytes() == b"mine"
    assert web.seen == []


# Size


def test_an_announced_size_over_the_cap_is_refused_before_the_body(fetching: Fetching, web: Web) -> None:
    def announce(visit: Visit) -> None:
        visit.answer(length=101)
        visit.left.wait(HELD_S)  # the body never comes: whoever waits for it is too late

    web.pages["/big.wav"] = announce
    assert "big.wav" in fetching.fails(FileTooLarge, web.url("/big.wav"), max_bytes=100)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_without_end_is_cut_at_the_cap(fetching: Fetching, web: Web, chunked: bool) -> None:
    def flood(visit: Visit) -> None:
        visit.send_response(200)
        if chunked:
            visit.send_header("Transfer-Encoding", "chunked")
        visit.end_headers()
        while not visit.left.is_set():
            visit.wfile.write(b"400\r\n" + bytes(1024) + b"\r\n" if chunked else bytes(1024))

    web.pages["/a"] = flood
    fetching.fails(FileTooLarge, web.url("/a"), max_bytes=50_000)


def test_the_cap_itself_is_allowed(fetching: Fetching, web: Web) -> None:
    assert fetching.get(web.page("/a", bytes(100)), max_bytes=100).size == 100
    fetching.path.unlink()
    fetching.fails(FileTooLarge, web.page("/b", bytes(101), length=-1), max_bytes=100)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "x-unknown"])
def test_a_compressed_answer_is_refused(fetching: Fetching, web: Web, encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    fetching.fails(DownloadFailed, web.page("/a", bomb, Content_Encoding=encoding), max_bytes=20_000_000)


# Answers that are none


@pytest.mark.parametrize("status", [201, 204, 206, 304, 305, 400, 401, 403, 404, 410, 416, 451, 500, 503])
def test_any_status_but_200_fails_and_is_named(fetching: Fetching, web: Web, status: int) -> None:
    message = fetching.fails(DownloadFailed, web.page("/a.wav", status=status))
    assert str(status) in message
    assert "a.wav" in message


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_a_truncated_or_broken_answer_fails(fetching: Fetching, web: Web, answer: bytes) -> None:
    web.pages["/a"] = lambda visit: visit.wfile.write(answer)
    fetching.fails(DownloadFailed, web.url("/a"))


def test_a_connection_that_is_refused_fails(fetching: Fetching, web: Web) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        web.host = f"127.0.0.1:{probe.getsockname()[1]}"  # nobody listens there
        fetching.fails(DownloadFailed, web.url("/a"))


# Redirects


def test_redirects_are_followed_five_times(fetching: Fetching, web: Web) -> None:
    for hop in range(6):
        web.redirect(f"/{hop}", f"/{hop + 1}", 301 + hop % 3)
    web.page("/6", b"end")
    assert fetching.get(web.url("/1")).name == "1"
    assert fetching.path.read_bytes() == b"end"
    fetching.path.unlink()
    assert "redirects" in fetching.fails(DownloadFailed, web.url("/0"))


def test_a_redirect_in_a_circle_ends(fetching: Fetching, web: Web) -> None:
    web.redirect("/a", "/b")
    web.redirect("/b", "/a")
    fetching.fails(DownloadFailed, web.url("/a"))
    assert len(web.seen) == client_module.MAX_REDIRECTS + 1


# Retries


def _failing(times: int, status: int) -> Any:
    """Answers with that status so often, then with a body."""
    left = [status] * times

    def answer(visit: Visit) -> None:
        visit.answer(b"rest of it", status=left.pop()) if left else visit.answer(b"ok")

    return answer


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(fetching: Fetching, web: Web, status: int) -> None:
    fetching.retries = AT_ONCE
    web.pages["/a"] = _failing(2, status)
    assert fetching.get(web.url("/a")).size == 2
    assert len(web.seen) == 3


def test_there_are_so_many_tries_and_no_more(fetching: Fetching, web: Web) -> None:
    fetching.retries = AT_ONCE
    web.pages["/a"] = _failing(3, 503)
    fetching.fails(DownloadFailed, web.url("/a"))
    assert len(web.seen) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_will_not_pass_is_not_tried_again(fetching: Fetching, web: Web, status: int) -> None:
    fetching.retries = AT_ONCE
    fetching.fails(DownloadFailed, web.page("/a", status=status))
    assert len(web.seen) == 1


def test_a_broken_off_body_is_fetched_again_from_its_beginning(fetching: Fetching, web: Web) -> None:
    fetching.retries = AT_ONCE
    lengths = [20, 2]

    def answer(visit: Visit) -> None:
        visit.answer(b"ab", length=lengths.pop(0))

    web.pages["/a"] = answer
    fetching.get(web.url("/a"))
    assert fetching.path.read_bytes() == b"ab"


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for(fetching: Fetching, web: Web) -> None:
    fetching.retries = Retries(max_retries=5, base_delay_s=3600, max_delay_s=3600, factor=1, jitter=False)
    web.pages["/a"] = _failing(1, 503)
    assert "503" in fetching.fails(DownloadFailed, web.url("/a"), deadline_s=HELD_S)


def test_delays_grow_to_their_limit_and_jitter_only_shortens_them() -> None:
    plain = Retries(max_retries=5, base_delay_s=2, max_delay_s=10, factor=2, jitter=False)
    assert list(plain.delays()) == [2, 4, 8, 10, 10]
    jittered = Retries(max_retries=5, base_delay_s=2, max_delay_s=10, factor=2, jitter=True)
    assert all(full / 2 <= delay <= full for full, delay in zip(plain.delays(), jittered.delays(), strict=True))
    assert list(Retries(max_retries=0, base_delay_s=2, max_delay_s=10, factor=2, jitter=False).delays()) == []


# Time, and being called off


def _silent(visit: Visit) -> None:
    visit.left.wait(HELD_S)


def _dripping(visit: Visit) -> None:
    """A byte whenever a little time has gone by: never silent, never done."""
    visit.answer(length=10_000)
    while not visit.left.wait(0.02):
        visit.wfile.write(b"x")


def _half(visit: Visit) -> None:
    visit.answer(b"half", length=8)
    visit.left.wait(HELD_S)


HANGING = {"before the headers": _silent, "drop by drop": _dripping, "half-way": _half}


@pytest.mark.parametrize("how", HANGING)
def test_an_answer_that_does_not_come_ends_at_the_deadline(fetching: Fetching, web: Web, how: str) -> None:
    web.pages["/a"] = HANGING[how]
    began = time.monotonic()
    assert "0.3 s" in fetching.fails(DownloadFailed, web.url("/a"), deadline_s=0.3)
    assert time.monotonic() - began < HELD_S / 3


def test_a_silent_server_is_given_up_and_tried_again(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SILENCE_S", 0.2)
    fetching.retries = AT_ONCE
    web.pages["/a"] = _silent
    fetching.fails(DownloadFailed, web.url("/a"))
    assert len(web.seen) == 3


def _called_off(fetching: Fetching, ready: Event, url: str) -> None:
    """Calls it off once `ready`; it ends long before anything else would end it."""

    def call_off() -> None:
        ready.wait(HELD_S)
        fetching.cancel.set()

    watcher = threading.Thread(target=call_off)
    watcher.start()
    began = time.monotonic()
    fetching.fails(Cancelled, url)
    watcher.join()
    assert time.monotonic() - began < HELD_S / 3


@pytest.mark.parametrize("how", HANGING)
def test_called_off_it_ends_while_it_waits_for_an_answer(fetching: Fetching, web: Web, how: str) -> None:
    arrived = Event()

    def answer(visit: Visit) -> None:
        arrived.set()
        HANGING[how](visit)

    web.pages["/a"] = answer
    _called_off(fetching, arrived, web.url("/a"))


def test_called_off_it_ends_between_two_tries(fetching: Fetching, web: Web) -> None:
    arrived = Event()

    def answer(visit: Visit) -> None:
        visit.answer(status=503)
        arrived.set()

    fetching.retries = Retries(max_retries=3, base_delay_s=20, max_delay_s=20, factor=1, jitter=False)
    web.pages["/a"] = answer
    _called_off(fetching, arrived, web.url("/a"))
    assert len(web.seen) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a full listener refuses connections there, and nothing hangs")
def test_called_off_it_ends_while_a_connection_is_being_made(fetching: Fetching, web: Web) -> None:
    """A listener whose queue is full does not answer."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        web.host = f"127.0.0.1:{full.getsockname()[1]}"
        ready = Event()
        threading.Timer(0.2, ready.set).start()
        _called_off(fetching, ready, web.url("/a"))


def test_a_name_server_that_does_not_answer_holds_nobody_up(
    fetching: Fetching, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, asked = Event(), Event()

    def getaddrinfo(*args: Any, **hints: Any) -> Any:
        asked.set()
        release.wait(HELD_S)
        raise socket.gaierror(socket.EAI_AGAIN, "timed out")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(sockets, "_LOOKUPS", threading.BoundedSemaphore(1))
    try:
        fetching.fails(DownloadFailed, "http://slow.test/a", deadline_s=0.3)
        assert asked.is_set()
        fetching.fails(DownloadFailed, "http://other.test/a", deadline_s=0.3)  # waits for its turn, not for ever
        fetching.cancel.set()
        fetching.fails(Cancelled, "http://slow.test/a")
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name == "name-lookup":
                thread.join()  # it gives its turn back to this test's semaphore


def test_called_off_before_it_begins_nothing_is_asked(fetching: Fetching, web: Web, wire: Wire) -> None:
    fetching.cancel.set()
    fetching.fails(Cancelled, web.page("/a", b"x"))
    assert wire.addresses == []


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name sound.test alone, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=sound.test"]
    try:
        subprocess.run([*command, "-addext", "subjectAltName=DNS:sound.test"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    return cert, key


@pytest.mark.parametrize(
    ("name", "trusted", "works"),
    [
        ("sound.test", True, True),
        ("sound.test.", True, True),
        ("other.test", True, False),
        ("sound.test", False, False),
    ],
)
def test_certificates_are_checked_against_the_name_that_was_asked_for(
    certificate: tuple[Path, Path],
    fetching: Fetching,
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    trusted: bool,
    works: bool,
) -> None:
    cert, key = certificate
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(cert, key)
    web.secure(serving)
    host, port = web.host.split(":")
    web.page("/a", bytes(50_000))
    row = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **hints: row)
    context = ssl.create_default_context(cafile=str(cert)) if trusted else None
    fetching.retries = AT_ONCE
    url = f"https://{name}:{port}/a"
    if works:
        assert fetching.get(url, ssl_context=context).size == 50_000
        assert web.headers[0]["Host"] == f"{name}:{port}"
    else:
        assert "certificate" in fetching.fails(DownloadFailed, url, ssl_context=context)
        assert web.seen == []


def test_called_off_it_ends_in_a_handshake_that_hangs(fetching: Fetching, web: Web) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        web.host = f"127.0.0.1:{silent.getsockname()[1]}"
        ready = Event()
        threading.Timer(0.2, ready.set).start()
        _called_off(fetching, ready, f"https://{web.host}/a")

"""No URL leads to a machine that is not public: the interpreter's own record of connects is the witness."""

import itertools
import socket
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from chatterbox_plus.errors import DownloadFailed, InvalidOption, PermissionDenied, PlusError
from chatterbox_plus.net.client import GuardedClient
from chatterbox_plus.net.guard import Guard
from tests.net.web import Web, Wire

FORBIDDEN = r"""
http://127.0.0.1/a.wav                 http://127.0.0.1:80/                  http://127.0.0.1:7860/api/v1/voices
http://127.255.255.254/                http://0.0.0.0/                       http://10.0.0.1/
http://10.255.255.255/                 http://172.16.0.1/                    http://172.31.255.255/
http://192.168.1.1/                    http://100.64.0.1/                    http://100.100.100.200/latest/meta-data
http://169.254.169.254/latest/meta-data/iam/security-credentials/            http://169.254.170.2/v2/credentials
http://192.0.0.192/opc/v1/instance/    http://168.63.129.16/metadata         http://192.88.99.1/
http://198.18.0.1/                     http://192.0.2.1/                     http://224.0.0.1/
http://255.255.255.255/                http://240.0.0.1/                     https://127.0.0.1/
HTTP://127.0.0.1/                      http://127.0.0.1/?q=@example.com      http://127.0.0.1/#@example.com
http://127。0。0。1/                    http://127.0.0.1#.example.com         http://127.0.0.1?.example.com
http://[::1]/                          http://[::1]:7860/                    http://[::]/
http://[0:0:0:0:0:0:0:1]/              http://[0000::0001]/                  http://[::ffff:127.0.0.1]/
http://[::ffff:7f00:1]/                http://[::ffff:169.254.169.254]/      http://[::ffff:a9fe:a9fe]/
http://[::127.0.0.1]/                  http://[::ffff:0:127.0.0.1]/          http://[64:ff9b::7f00:1]/
http://[64:ff9b::127.0.0.1]/           http://[64:ff9b::a9fe:a9fe]/          http://[64:ff9b:1::7f00:1]/
http://[2002:7f00:1::]/                http://[2002:a9fe:a9fe::1]/           http://[2001::1]/
http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/                               http://[2001:db8::1]/
http://[fe80::1]/                      http://[fec0::1]/                     http://[fc00::1]/
http://[fd00:ec2::254]/latest/         http://[ff02::1]/                     http://[100::1]/
http://localhost/                      http://LOCALHOST/                     http://localhost:22/
https://localhost/                     http://loop.test/
http://metadata.test/                  http://mixed.test/                    http://xix.test/
http://router.test./                   http://ümlaut.test/
"""

ODD = """
http://2130706433/ http://017700000001/ http://0x7f000001/ http://0x7F.0x0.0x0.0x1/ http://0177.0.0.1/ http://0177.0.0.01/
http://127.1/ http://127.0.1/ http://0/ http://0x0/ http://0x7f.1/ http://127.0.0.1./ http://2852039166/ http://0xa9fea9fe/
http://0251.0376.0251.0376/ http://169.254.43518/ http://169.16689662/ http://127.0.0.256/ http://1.2.3.4.5/
http://00000000000000000000000000000000000000177.0.0.1/ http://4294967296/ http://18446744071829455873/
http://nowhere.test/ http://localhost./
"""
"""Notations that one system's resolver reads as an address and another's does not."""

MALFORMED = r"""
http://user@127.0.0.1/ http://user:pass@127.0.0.1/ http://example.com@127.0.0.1/ http://@127.0.0.1/ http://:@127.0.0.1/
http://127.0.0.1@example.com/ http://example.com%40127.0.0.1/ http://a:b@c@127.0.0.1/ http://127.0.0.1\@example.com/
http://example.com\@127.0.0.1/ http:\\127.0.0.1\ http:/127.0.0.1/ http:127.0.0.1 http:///127.0.0.1/ http:// http://:80/
https:// http://?q http://#f http://127.0.0.1:0/ http://127.0.0.1:65536/ http://127.0.0.1:-1/ http://127.0.0.1:80:80/
http://127.0.0.1:8o/ http://１２７.０.０.１/ http://①②⑦.⓪.⓪.①/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/ http://ＬＯＣＡＬＨＯＳＴ/ http://%31%32%37.0.0.1/
http://127.0.0.1%00.example.com/ http://127.0.0.1%2f@example.com/ http://127.0.0.1%23.example.com/ http://[::1%25lo]/
http://[fe80::1%eth0]/ http://[::1 http://::1/ http://[127.0.0.1]/ http://[v1.x]/ http://[::1]x/ http://a..b/ http://.a/
http://a,b/ http://a;b/ http://{a}/ http://a|b/ http://a^b/ http://"a"/ http://<a>/ http://a*b/ http://!/ http://$/
file:///etc/passwd file://localhost/etc/passwd ftp://127.0.0.1/a gopher://127.0.0.1:6379/_INFO dict://127.0.0.1:11211/
ldap://127.0.0.1/ unix:///run/docker.sock http+unix://%2Frun%2Fdocker.sock/ ws://127.0.0.1/ tftp://127.0.0.1/a
jar:http://127.0.0.1!/ data://text/plain,hi httpss://127.0.0.1/ smb://127.0.0.1/a netdoc:///etc/passwd
"""
MORE_MALFORMED = [
    "http://127.0.0.1/\r\nHost: example.com",
    "http://127.0.0.1 .example.com/",
    "http://127.0.0.1\t/",
    "http://127.0.0.1/\x00",
    "http://127.0.0.1/\u202egpj",
    "http://exa\u200bmple.com/",
    "ht\ntp://127.0.0.1/",
    "http://" + "a" * 2100 + "/",
    "",
    "speaker1.wav",
]

NAMES = {
    "loop.test": ["127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "xix.test": ["2606:4700:4700::1111", "::ffff:10.0.0.1"],
    "router.test.": ["192.168.0.1"],
    "xn--mlaut-jva.test": ["::1"],
}
_real_getaddrinfo = socket.getaddrinfo


def _rows(addresses: list[str], port: int) -> list[Any]:
    six, four = socket.AF_INET6, socket.AF_INET
    return [
        (six, socket.SOCK_STREAM, 6, "", (a, port, 0, 0)) if ":" in a else (four, socket.SOCK_STREAM, 6, "", (a, port))
        for a in addresses
    ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the names mean; those under .test that are not in it do not exist."""
    known = dict(NAMES)

    def getaddrinfo(host: str, port: int, **hints: Any) -> list[Any]:
        if host in known:
            return _rows(known[host], port)
        if host.rstrip(".").endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return _real_getaddrinfo(host, port, **hints)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


def _fetch(url: str, folder: Path, guard: Guard | None = None) -> PlusError:
    """The error; nothing may be left of it."""
    client = GuardedClient(guard or Guard())
    path = folder / "fetched"
    with pytest.raises(PlusError) as caught:
        client.download(url, path, max_bytes=1000, deadline_s=5, cancel=Event(), param="input_audio_source")
    assert not path.exists()
    assert caught.value.param == "input_audio_source"
    return caught.value


@pytest.mark.parametrize("url", FORBIDDEN.split())
def test_a_host_that_is_not_public_is_forbidden_and_never_connected_to(
    url: str, tmp_path: Path, wire: Wire, names: dict[str, list[str]]
) -> None:
    assert isinstance(_fetch(url, tmp_path), PermissionDenied)
    assert wire.addresses == []


@pytest.mark.parametrize("url", ODD.split())
def test_an_odd_notation_leads_nowhere(url: str, tmp_path: Path, wire: Wire, names: dict[str, list[str]]) -> None:
    assert isinstance(_fetch(url, tmp_path), PermissionDenied | InvalidOption | DownloadFailed)
    assert wire.addresses == []


@pytest.mark.parametrize("url", [*MALFORMED.split(), *MORE_MALFORMED])
def test_what_is_no_plain_http_url_is_a_bad_request(url: str, tmp_path: Path, wire: Wire) -> None:
    assert isinstance(_fetch(url, tmp_path), InvalidOption)
    assert wire.addresses == []


@pytest.mark.parametrize("url", ["http://metadata.test/", "http://mixed.test/"])
def test_the_address_behind_a_name_is_not_told(url: str, tmp_path: Path, names: dict[str, list[str]]) -> None:
    message = _fetch(url, tmp_path).message
    assert not any(address in message for addresses in NAMES.values() for address in addresses)


class Rebinding:
    """A name server that answers something else every time."""

    def __init__(self, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))

    def __call__(self, host: str, port: int, **hints: Any) -> list[Any]:
        self.asked += 1
        return _rows(next(self._answers), port)


@pytest.mark.parametrize("first", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1", "2606:4700:4700::1111"]])
def test_a_name_that_means_a_private_host_at_first_is_not_asked_again(
    first: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire
) -> None:
    rebinding = Rebinding(first, ["93.184.216.34"])
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert isinstance(_fetch("http://rebind.test/", tmp_path), PermissionDenied)
    assert rebinding.asked == 1
    assert wire.addresses == []


def test_a_rebound_name_is_connected_to_where_the_guard_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wire: Wire, refuse_connections: None
) -> None:
    """First public, then loopback: the connection goes to the first answer, and there is no second question."""
    rebinding = Rebinding(["93.184.216.34"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert isinstance(_fetch("http://rebind.test/", tmp_path), DownloadFailed)
    assert rebinding.asked == 1
    assert [address[0] for address in wire.addresses] == ["93.184.216.34"]


def test_a_connection_that_ends_elsewhere_than_it_was_sent_is_closed_unused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, web: Web
) -> None:
    """Something below us (a transparent proxy, an odd resolver) may still lead inside: the peer is looked at, too."""
    url = web.page("/a", b"secret")
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("10.0.0.1", 80))
    assert isinstance(_fetch(url, tmp_path, Guard(allowed_hosts=(web.host,))), PermissionDenied)
    assert web.seen == []


TO_PRIVATE = ["http://127.0.0.2/", "http://[::1]/", "//169.254.169.254/", "http://localhost:1/", "http://loop.test/"]
TO_NOWHERE = [
    "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://u:p@127.0.0.1/", "//u@127.0.0.1/", "http://[",
    "javascript:alert(1)", "http://127.0.0.1:99999/", "data:audio/wav;base64,", "http://\u00e9\u00ff/",
]  # fmt: skip


@pytest.mark.parametrize("to", TO_PRIVATE)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_private_host_is_not_followed(
    to: str, status: int, tmp_path: Path, web: Web, wire: Wire, names: dict[str, list[str]]
) -> None:
    error = _fetch(web.redirect("/a", to, status), tmp_path, Guard(allowed_hosts=(web.host,)))
    assert isinstance(error, PermissionDenied)
    assert {f"{host}:{port}" for host, port, *_ in wire.addresses} == {web.host}


@pytest.mark.parametrize("to", TO_NOWHERE)
def test_a_redirect_to_no_web_page_fails(to: str, tmp_path: Path, web: Web, wire: Wire) -> None:
    error = _fetch(web.redirect("/a", to), tmp_path, Guard(allowed_hosts=(web.host,)))
    assert isinstance(error, DownloadFailed)
    assert web.seen == ["/a"]
    assert len(wire.addresses) == 1


def test_every_link_of_a_chain_is_looked_at(tmp_path: Path, web: Web, wire: Wire) -> None:
    for hop in range(3):
        web.redirect(f"/{hop}", f"/{hop + 1}")
    web.redirect("/3", "http://10.0.0.1/")
    assert isinstance(_fetch(web.url("/0"), tmp_path, Guard(allowed_hosts=(web.host,))), PermissionDenied)
    assert web.seen == ["/0", "/1", "/2", "/3"]
    assert {address[0] for address in wire.addresses} == {"127.0.0.1"}


def test_an_allowed_port_opens_no_other(tmp_path: Path, web: Web, wire: Wire) -> None:
    host, port = web.host.split(":")
    web.redirect("/a", f"http://{host}:{int(port) - 1}/")
    assert isinstance(_fetch(web.url("/a"), tmp_path, Guard(allowed_hosts=(web.host,))), PermissionDenied)
    assert len(wire.addresses) == 1

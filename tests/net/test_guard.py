"""What an administrator allows beyond the public internet."""

import pytest

from chatterbox_plus.errors import SettingsError
from chatterbox_plus.net.guard import Guard


@pytest.mark.parametrize(
    ("entry", "host", "port", "ip", "permitted"),
    [
        ("nas.local", "nas.local", 80, "10.0.0.5", True),
        ("nas.local", "NAS.local.", 8080, "10.0.0.5", True),
        ("nas.local", "xnas.local", 80, "10.0.0.5", False),
        ("nas.local", "a.nas.local", 80, "10.0.0.5", False),
        ("nas.local:8080", "nas.local", 8080, "10.0.0.5", True),
        ("nas.local:8080", "nas.local", 80, "10.0.0.5", False),
        ("*.example.org", "a.b.example.org", 80, "10.0.0.5", True),
        ("*.example.org", "example.org", 80, "10.0.0.5", False),
        ("*.example.org", "badexample.org", 80, "10.0.0.5", False),
        ("Müller.example", "xn--mller-kva.example", 80, "10.0.0.5", True),
        ("127.0.0.1", "127.0.0.1", 80, "127.0.0.1", True),
        ("127.0.0.1", "localhost", 80, "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", 80, "127.0.0.2", False),
        ("127.0.0.1", "x", 80, "::ffff:127.0.0.1", True),
        ("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1", True),
        ("127.0.0.1:8000", "127.0.0.1", 8001, "127.0.0.1", False),
        ("10.0.0.0/8", "x", 80, "10.9.9.9", True),
        ("10.0.0.0/8", "x", 80, "11.0.0.0", True),  # public anyway
        ("10.0.0.0/8:9000", "x", 80, "10.9.9.9", False),
        ("::1", "::1", 80, "::1", True),
        ("[::1]:8000", "::1", 8000, "::1", True),
        ("[::1]:8000", "::1", 80, "::1", False),
        ("fd00::/8", "x", 80, "fd00:ec2::254", True),
        ("fe80::/10", "x", 80, "fe80::1%eth0", True),
    ],
)
def test_an_entry_allows(entry: str, host: str, port: int, ip: str, permitted: bool) -> None:
    assert Guard(allowed_hosts=(entry,)).permits(host, port, ip) is permitted


@pytest.mark.parametrize(
    "entry",
    ["http://nas.local", "nas.local/", "a b", "nas:0", "nas:65536", "nas:x", "[::1]8000", "10.0.0.0/33", "*", "a@b"],
)
def test_an_entry_that_means_nothing_is_named_at_start(entry: str) -> None:
    with pytest.raises(SettingsError, match="allowed_hosts"):
        Guard(allowed_hosts=(entry,))


def test_private_hosts_are_reached_only_when_all_are() -> None:
    assert not Guard().permits("x", 80, "10.0.0.1")
    assert Guard(allow_private=True).permits("x", 80, "10.0.0.1")

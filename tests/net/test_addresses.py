"""Which addresses are public."""

import ipaddress
import random

import pytest

from chatterbox_plus.net.addresses import Address, address_of, is_public

NAT64 = ipaddress.ip_network("64:ff9b::/96")
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
223.255.255.255 2606:4700:4700::1111 2001:4860:4860::8888 2001:200:: 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808
"""
REFUSED = """
0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1
192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::a00:1 64:ff9b:1::1 64:ff9b:1:808:8:800:: 100::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a00:1::1
2002:a9fe:a9fe:: 2620:4f:8000::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd12:3456:789a::1 fe80::1 fe80::1%1 fec0::1
ff02::1 ff0e::1 4000::1 e000::1
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_the_public_internet_is_public(text: str) -> None:
    assert is_public(address_of(text))


@pytest.mark.parametrize("text", REFUSED.split())
def test_everything_else_is_not(text: str) -> None:
    assert not is_public(address_of(text))


def test_nothing_is_public_that_python_knows_to_be_private() -> None:
    """Python's own tables, over addresses drawn evenly: all of IPv4, and where IPv6 is particular."""
    draw = random.Random(1)
    drawn: list[Address] = [ipaddress.IPv4Address(draw.getrandbits(32)) for _ in range(20_000)]
    drawn += [
        ipaddress.IPv6Address(draw.choice((0x2001 << 112, 0x20 << 120, 0)) | draw.getrandbits(112)) for _ in drawn
    ]
    assert not [a for a in drawn if is_public(address_of(str(a))) and not a.is_global and a not in NAT64]

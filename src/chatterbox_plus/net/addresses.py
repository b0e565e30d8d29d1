"""Which IP addresses belong to the public internet.

The tables are written down because `ipaddress.is_global` answers differently from one Python to the next: to 3.11.7
192.88.99.0/24 is global. They hold every row of IANA's special-purpose registries, those that IANA calls globally
reachable too: relays, sinks and anycast services, no web server among them.
"""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# https://www.iana.org/assignments/iana-ipv4-special-registry, and https://www.iana.org/assignments/multicast-addresses
_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba Cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # in no registry: inside every Azure machine, the platform's own services
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle Cloud's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays (deprecated)
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast
    )
)

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA has given out (https://www.iana.org/assignments/ipv6-address-space). Loopback, unspecified, unique
local, link-local, site-local, multicast, IPv4-compatible and 64:ff9b:1::/48 (translates to anything) lie outside."""

# https://www.iana.org/assignments/iana-ipv6-special-registry: the rows inside 2000::/3
_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID, ...
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 (deprecated): carries any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how an IPv6-only network reaches IPv4


def address_of(text: str) -> Address:
    """The address a socket speaks of. IPv4 inside IPv6 (mapped, or behind the well-known NAT64 prefix) comes out as the
    IPv4 address that is reached; a scope id ("%eth0") is dropped. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could be reached there. address: from `address_of`."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _IPV4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _IPV6)

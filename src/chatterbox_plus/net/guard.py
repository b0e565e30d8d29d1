"""Who may be reached: the public internet, what the administrator allows by name, and nobody else."""

import ipaddress
import re
from dataclasses import dataclass
from functools import cache

from chatterbox_plus.errors import InvalidOption, SettingsError
from chatterbox_plus.net.addresses import Address, Network, address_of, is_public
from chatterbox_plus.net.urls import parse


@dataclass(frozen=True)
class Guard:
    """allowed_hosts: names ("nas.local"; "*.example.org" for all below it), addresses or networks in CIDR notation,
    each for all ports or for one ("nas.local:8080", "[::1]:8080"). They may be reached wherever they are.

    Raises SettingsError for an entry that is none of these.
    """

    allow_private: bool = False
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.allowed_hosts:
            _rule(entry)

    def permits(self, host: str, port: int, ip: str) -> bool:
        """Whether a connection to `ip`, found under the name `host`, may be made."""
        address = address_of(ip)
        if self.allow_private or is_public(address):
            return True
        return any(_rule(entry).covers(host, port, address) for entry in self.allowed_hosts)


@dataclass(frozen=True)
class _Rule:
    name: str = ""  # a host name, or ".name" for all below it
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, port: int, address: Address) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address in self.network
        host = host.lower().removesuffix(".")
        return host.endswith(self.name) if self.name.startswith(".") else host == self.name


@cache
def _rule(entry: str) -> _Rule:
    wrong = SettingsError(f"allowed_hosts: {entry!r} is no host name, address or network, with or without a port")
    text = entry.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
    elif text.count(":") > 1:
        host, rest = text, ""
    else:
        host, colon, number = text.partition(":")
        rest = colon + number
    if rest and not (re.fullmatch(r":\d{1,5}", rest, re.ASCII) and 0 < int(rest[1:]) < 65536):
        raise wrong
    port = int(rest[1:]) if rest else None
    try:
        return _Rule(network=_network(host), port=port)
    except ValueError:
        pass
    plain = host.removeprefix("*.")
    try:
        name = parse(f"http://{plain}").host.removesuffix(".")
    except InvalidOption:
        raise wrong from None
    if re.search(r"[/?#:]", plain):
        raise wrong
    return _Rule(name="." + name if plain != host else name, port=port)


def _network(text: str) -> Network:
    """Raises ValueError. An address is a network of one; a mapped one means the IPv4 address, as it does elsewhere."""
    if "/" in text:
        return ipaddress.ip_network(text, strict=False)
    return ipaddress.ip_network(address_of(text))

"""Telling the network of a service (zeroconf, mDNS), so that Home Assistant finds it by itself."""

import asyncio
import ipaddress
import logging
import socket

import psutil
from zeroconf import Error
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from chatterbox_plus.settings import is_loopback

_KIND = "_wyoming._tcp.local."
_log = logging.getLogger(__name__)


class Announcement:
    """One service of this machine. A network on which nothing can be told is logged: the service works without."""

    def __init__(self, name: str, host: str, port: int) -> None:
        """name: of the service, at most 40 characters; this machine's own is added. host: where the service listens."""
        self._name, self._host, self._port = name, host, port
        self._zeroconf: AsyncZeroconf | None = None

    async def begin(self) -> None:
        addresses = await _addresses(self._host)
        if not addresses:
            _log.warning("nothing was announced: this machine has no address that others could use")
            return
        machine = socket.gethostname().partition(".")[0][:20]
        service = AsyncServiceInfo(
            _KIND, f"{self._name}-{machine}.{_KIND}", port=self._port, parsed_addresses=addresses
        )
        try:
            self._zeroconf = AsyncZeroconf()
            await self._zeroconf.async_register_service(service, allow_name_change=True)
        except (OSError, Error) as error:
            _log.warning("nothing was announced on the network: %s", error or type(error).__name__)

    async def end(self) -> None:
        """Takes it back. May be called although nothing was begun."""
        if self._zeroconf is not None:
            await self._zeroconf.async_unregister_all_services()
            await self._zeroconf.async_close()


async def _addresses(host: str) -> list[str]:
    """Where others reach what listens there: IPv4, as Home Assistant looks for it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        known = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
        found = [str(info[4][0]) for info in known]
    else:
        found = _own() if address.is_unspecified else [host]
    return sorted({name for name in found if not is_loopback(name) and ":" not in name})


def _own() -> list[str]:
    """The addresses of this machine."""
    return [at.address for each in psutil.net_if_addrs().values() for at in each if at.family == socket.AF_INET]

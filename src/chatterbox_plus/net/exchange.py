"""One request and its answer, through a guarded connection that is used for nothing else."""

import platform
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpcore2

from chatterbox_plus.net.sockets import NameNotFound, Network
from chatterbox_plus.net.urls import WebUrl


class Trouble(Exception):
    """Why it did not work. passing: whether it may the next time."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.passing = reason, passing


@contextmanager
def exchange(
    network: Network,
    method: str,
    url: WebUrl,
    headers: Mapping[str, str],
    *,
    connect_s: float,
    silence_s: float,
    content: bytes | None = None,
) -> Iterator[httpcore2.Response]:
    """The answer while it comes in.

    headers: ASCII, without Host. connect_s: to reach the server, its certificate included; silence_s: without a byte
    from it, or to it. content: what is sent along; its length is announced.

    Whatever goes wrong with the connection, in here and while the answer is read, is a Trouble. Raises Forbidden,
    OutOfTime and Cancelled as `network` does.
    """
    wire = url.url
    lines = [(b"Host", wire.netloc), *((name.encode("ascii"), text.encode("ascii")) for name, text in headers.items())]
    waits = {"connect": connect_s, "read": silence_s, "write": silence_s, "pool": None}
    address = httpcore2.URL(scheme=wire.raw_scheme, host=url.host, port=url.port, target=wire.raw_path)
    try:
        with (
            httpcore2.ConnectionPool(
                ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # a blank; see Network
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=network,
            ) as pool,
            pool.stream(method, address, headers=lines, content=content, extensions={"timeout": waits}) as answer,
        ):
            yield answer
    except NameNotFound:
        raise Trouble("there is no such host") from None
    except httpcore2.TimeoutException:
        raise Trouble("it does not answer", passing=True) from None
    except httpcore2.NetworkError as error:
        if isinstance(error.args[0], ssl.SSLError | ValueError):
            raise Trouble("no secure connection could be made (its certificate may be at fault)") from None
        raise Trouble("the connection failed", passing=True) from None
    except httpcore2.ProtocolError:
        raise Trouble("its answer broke off or makes no sense", passing=True) from None


def header(answer: httpcore2.Response, name: bytes) -> str:
    """All values of that header; "" if there is none."""
    values = [value.decode("latin-1").strip() for key, value in answer.headers if key.lower() == name]
    return ", ".join(values)


def system_trust() -> ssl.SSLContext:
    """Certificates and names are checked. httpcore2's own choice for Windows and macOS looks at certificates only
    inside a blocking handshake, which cannot be called off."""
    if platform.system() in ("Windows", "Darwin"):
        return ssl.create_default_context()
    return httpcore2.default_ssl_context()

"""A message sent to somebody's URL: one POST, no redirects, no second try.

Synchronous, for worker threads, and thread-safe. Proxies of the environment are not used, as in `client`.
"""

import math
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from threading import Event

from chatterbox_plus import __version__
from chatterbox_plus.errors import PermissionDenied, PlusError
from chatterbox_plus.net.exchange import Trouble, exchange, header, system_trust
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.net.sockets import Forbidden, Network, OutOfTime, Watch
from chatterbox_plus.net.urls import parse

CONNECT_S = 10.0  # to reach the receiver, its certificate included: when nobody is there, some of the time is left
EXCERPT_CHARS = 200
_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": f"chatterbox-plus/{__version__}"}
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class DeliveryFailed(PlusError):
    """A message got no whole answer: nobody there, too slow, no secure connection, or an answer that broke off."""

    status, code = 502, "DELIVERY_FAILED"


@dataclass(frozen=True)
class PostReply:
    """What the receiver said. status: any, a redirect's too. seconds: from the call to the end of the reply.

    excerpt: the beginning of the reply's body, printable, at most 200 characters. retry_after: that header, "" if there
    was none.
    """

    status: int
    seconds: float
    excerpt: str
    retry_after: str = ""


def post(
    guard: Guard,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float = 15,
    max_reply_bytes: int = 64_000,
    cancel: Event | None = None,
    param: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> PostReply:
    """Sends `body` to `url` and hears the answer out.

    headers: what the message needs (Content-Type, signatures), ASCII; how the connection is used is decided here: Host,
    Content-Length, Transfer-Encoding and Connection are not taken over. timeout_s: for everything: name, connection,
    certificate, request and reply. max_reply_bytes: of the reply's body, compressed or not; the rest is not waited for.
    param: the field the URL came from, for errors. ssl_context: None trusts whom the system trusts.

    Raises InvalidOption for a bad URL, PermissionDenied for a host the guard does not permit, DeliveryFailed for
    whatever else goes wrong out there, a reply that ends too early included, and Cancelled within 0.2 s of the event.
    """
    began = time.monotonic()
    target = parse(url, param=param)
    watch = Watch(timeout_s, cancel or Event())
    network = Network(guard, watch, ssl_context or _trust())
    try:
        # the deadline alone ends a silence, so that one who is late is told how much time there was
        with exchange(
            network, "POST", target, _headers(headers), connect_s=CONNECT_S, silence_s=math.inf, content=body
        ) as answer:
            start, size = bytearray(), 0
            for chunk in answer.iter_stream():
                size += len(chunk)
                if len(start) < 4 * EXCERPT_CHARS:  # no character has more bytes
                    start += chunk
                if size >= max_reply_bytes:
                    break
            status, retry_after = answer.status, header(answer, b"retry-after")
    except Forbidden:
        message = (
            f"this server may not send messages to {target.shown}: "
            "api.allowed_hosts names what is allowed besides public hosts"
        )
        raise PermissionDenied(message, param=param) from None
    except OutOfTime:
        reason = f"it took longer than {timeout_s:g} s"
        raise DeliveryFailed(f"{target.shown} could not be told: {reason}", param=param) from None
    except Trouble as trouble:
        raise DeliveryFailed(f"{target.shown} could not be told: {trouble.reason}", param=param) from None
    return PostReply(status, time.monotonic() - began, _excerpt(bytes(start)), _printable(retry_after))


@cache
def _trust() -> ssl.SSLContext:
    """Read once: the system's certificates take longer to load than a message to deliver."""
    return system_trust()


def _headers(wanted: Mapping[str, str]) -> dict[str, str]:
    named = {name.lower() for name in wanted}
    defaults = {name: value for name, value in _DEFAULTS.items() if name.lower() not in named}
    own = {name: value for name, value in wanted.items() if name.lower() not in _OURS}
    return {**defaults, **own, "Connection": "close"}


def _excerpt(start: bytes) -> str:
    return _printable(start.decode("utf-8", "replace"))


def _printable(text: str) -> str:
    """One line that cannot disturb a log or a page."""
    return "".join(c if c.isprintable() else " " for c in text[:EXCERPT_CHARS]).strip()

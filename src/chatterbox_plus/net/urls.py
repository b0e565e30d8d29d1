"""URLs, read once and strictly: what is checked is what is connected to."""

import re
from dataclasses import dataclass

import httpx2

from chatterbox_plus.errors import InvalidOption

MAX_URL_CHARS = 2048
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", re.ASCII)
_NAMELESS = "download"


@dataclass(frozen=True)
class WebUrl:
    """An http or https URL without user name and password. host: lower-case ASCII (IDNA), as it is looked up."""

    url: httpx2.URL
    host: str
    port: int

    @property
    def shown(self) -> str:
        """The host for messages, as people read it."""
        return self.url.host

    @property
    def safe(self) -> str:
        """Scheme, host, port and path: what may be stored and shown. Query strings carry signatures and keys."""
        return str(self.url.copy_with(query=None, fragment=None))

    @property
    def name(self) -> str:
        """The last part of the path: a file name to show, never one to store under."""
        last = self.url.path.rstrip("/").rpartition("/")[2]
        return "".join(c for c in last if c.isprintable() and c not in '/\\:*?"<>|')[-200:] or _NAMELESS


def parse(text: str, *, param: str | None = None) -> WebUrl:
    """Raises InvalidOption for anything but a plain http or https URL. param: the field it came from."""
    text = text.strip()

    def bad(reason: str) -> InvalidOption:
        return InvalidOption(f"the URL {reason}", param=param)

    if len(text) > MAX_URL_CHARS:
        raise bad(f"is longer than {MAX_URL_CHARS} characters")
    if not text.isprintable() or "\\" in text:
        raise bad("has backslashes or control characters in it")
    try:
        url = httpx2.URL(text)
        host = url.raw_host.decode("ascii")
        port = url.port
    except (httpx2.InvalidURL, ValueError):
        raise bad("cannot be read") from None
    if url.scheme not in ("http", "https"):
        raise bad("must begin with http:// or https://")
    if not host:
        raise bad("has no host")
    if "@" in re.split(r"[/?#]", text.partition("//")[2], maxsplit=1)[0]:
        raise bad("must not have a user name or password")
    if not (":" in host and "%" not in host) and not _HOST.fullmatch(host):
        raise bad("has a host name that cannot be")
    if port is None:
        port = 443 if url.scheme == "https" else 80
    if not 0 < port < 65536:
        raise bad("has a port that cannot be")
    return WebUrl(url, host, port)

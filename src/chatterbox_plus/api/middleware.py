"""What every request passes on its way in: a name and a log line, who may call, how much may be sent. Plain ASGI."""

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatterbox_plus.api.errors import plus_reply
from chatterbox_plus.api.metrics import Metrics
from chatterbox_plus.errors import FileTooLarge, PermissionDenied

MB = 2**20
MAX_JSON_BYTES = 2 * MB  # unless longer texts are allowed
BYTES_PER_CHARACTER = 12  # at worst: two escaped halves of a surrogate pair
FORM_PATHS = frozenset({"/api/v1/vc", "/api/v1/voice", "/api/v1/vc_input", "/api/v1/concat/mixed"})  # who takes a form apart as it arrives; all others read their body whole
FORM_OVERHEAD_BYTES = 1 * MB  # field names, boundaries and values around an upload
EXPOSED_HEADERS = (
    "Content-Disposition",
    "Retry-After",
    "X-Alternative-Formats",
    "X-Audio-Duration",
    "X-Chatterbox-Model",
    "X-Chatterbox-Notes",
    "X-Generation-Seed",
    "X-Processing-Time",
    "X-Request-ID",
)
LOOPBACK_ORIGIN = r"https?://(localhost|[\w.-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?"
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_log = logging.getLogger(__name__)


class Introduction:
    """Gives every request an id, every answer that id, the log a line and the metrics their counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        name = asked if _SANE_ID.fullmatch(asked) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = name
        began, status = time.perf_counter(), 499

        async def sign(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = name
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self.app(scope, receive, sign)
        finally:
            took_s = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "(none)")
            self.metrics.count(f"{scope['method']} {route}", status, took_s, scope["state"].get("error_code"))
            _log.info("%s %s %s %d %.0f ms", name, scope["method"], _printable(scope["path"]), status, took_s * 1000)


class Door:
    """Refuses hosts that are not ours (a rebound DNS name) and pages of strangers that make a browser call us."""

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str] | None, origins: Iterable[str], origin_regex: str | None
    ) -> None:
        """hosts: names to answer to, besides loopback ones; "*.name" for all below; None or "*": any.

        origins, origin_regex: whose pages may call, besides our own.
        """
        self.app = app
        self.hosts = None if hosts is None else tuple(host.strip().lower() for host in hosts)
        self.origins = frozenset(origins)
        self.origin_regex = re.compile(origin_regex) if origin_regex else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._known(host):
            error = PermissionDenied("This host name is not one the server answers to: add it to TRUSTED_HOSTS")
            await plus_reply(scope, error)(scope, receive, send)
        elif origin is not None and scope["method"] not in _SAFE_METHODS and not self._welcome(origin, host):
            error = PermissionDenied("Pages of this origin may not call the server: add it to CORS_ORIGINS")
            await plus_reply(scope, error)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _known(self, host: str) -> bool:
        if self.hosts is None or "*" in self.hosts:
            return True
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return is_loopback(name) or any(
            name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in self.hosts
        )

    def _welcome(self, origin: str, host: str) -> bool:
        if "*" in self.origins or origin in self.origins:
            return True
        if self.origin_regex is not None and self.origin_regex.fullmatch(origin):
            return True
        return origin.partition("://")[2] == host


class BodyLimit:
    """Stops reading a body that is too large, whether it was announced or not."""

    def __init__(self, app: ASGIApp, max_upload_bytes: int, max_text_length: int) -> None:
        self.app, self.max_form_bytes = app, max_upload_bytes + FORM_OVERHEAD_BYTES
        self.max_json_bytes = max(MAX_JSON_BYTES, MB + BYTES_PER_CHARACTER * max_text_length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        upload = form and scope["path"] in FORM_PATHS
        limit = self.max_form_bytes if upload else self.max_json_bytes
        most = limit - FORM_OVERHEAD_BYTES if upload else limit  # as people know it: the size of a file
        message = f"The request is larger than {most // MB} MB, the most that is taken"
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await plus_reply(scope, FileTooLarge(message))(scope, receive, send)
            return
        seen = 0

        async def count() -> Message:
            nonlocal seen
            event = await receive()
            seen += len(event.get("body", b""))
            if seen > limit:
                raise HTTPException(413, message)  # the one kind that nothing on its way turns into another
            return event

        await self.app(scope, count, send)


def is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _printable(text: str) -> str:
    """For one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])

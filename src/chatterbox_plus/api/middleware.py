"""What every request passes on its way in: a name and a log line, who may call, how much may be sent. Plain ASGI."""

import asyncio
import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatterbox_plus.access.caller import ANYBODY
from chatterbox_plus.api.access import OUTPUTS, SAFE_METHODS
from chatterbox_plus.api.bridge import blame_of
from chatterbox_plus.api.errors import plus_reply
from chatterbox_plus.api.metrics import Metrics
from chatterbox_plus.errors import FileTooLarge, Overloaded, PermissionDenied
from chatterbox_plus.logs import REQUEST, printable
from chatterbox_plus.settings import is_loopback
from chatterbox_plus.synthesis.gate import FULL

MB = 2**20
MAX_JSON_BYTES = 2 * MB  # unless longer texts are allowed
BYTES_PER_CHARACTER = 12  # at worst: two escaped halves of a surrogate pair
FORM_PATHS = frozenset(
    {
        "/api/v1/vc",
        "/api/v1/vc/async",
        "/api/v1/voice",
        "/api/v1/voice/check",
        "/api/v1/vc_input",
        "/api/v1/concat/mixed",
        "/api/v1/batch",
        "/api/v1/batch/preview",
        "/api/v1/book",
        "/api/v1/book/preview",
        "/v1/audio/voices",
        "/audio/voices",
        "/v1/audio/voice_consents",
        "/audio/voice_consents",
    }
)  # who takes a form apart as it arrives; all others read their body whole
LONG_JSON_PATHS = frozenset({"/api/v1/batch", "/api/v1/batch/preview", "/api/v1/book", "/api/v1/book/preview"})
LONG_JSON_BYTES = 40 * MB  # thousands of rows, or a whole book
WORK_PATHS = frozenset(
    {
        "/api/v1/tts",
        "/api/v1/vc",
        "/api/v1/concat",
        "/api/v1/concat/mixed",
        "/v1/audio/speech",
        "/audio/speech",
        "/tts",
    }
)
"""What the studio works on, and what a full house refuses; so it does what `_RETAKE` matches."""
_RETAKE = re.compile(r"/api/v1/tasks/[^/]+/passages/[^/]+/retake")
STALL_S = 60  # without a byte of a body that was begun
FORM_OVERHEAD_BYTES = 1 * MB  # field names, boundaries and values around an upload
EXPOSED_HEADERS = (
    "Content-Disposition",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "X-Alternative-Formats",
    "X-Audio-Duration",
    "X-Chatterbox-Model",
    "X-Chatterbox-Notes",
    "X-Generation-Seed",
    "X-Processing-Time",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-ID",
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # pages set their own
}
LOOPBACK_ORIGIN = r"https?://(localhost|[\w.-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?"
# RFC 6762, RFC 8375, ICANN's reservation of 2024, RFC 2606, and what home routers hand out and nobody can register
LOCAL_DOMAINS = (".local", ".home.arpa", ".internal", ".test", ".lan", ".home", ".localdomain", ".corp")
NO_ROUTE = "(none)"  # what a request that meets no route is counted as
_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger(__name__)


def max_json_bytes(max_text_length: int) -> int:
    """How long a text may be, as JSON: the body of a request, or one message of a WebSocket."""
    return max(MAX_JSON_BYTES, MB + BYTES_PER_CHARACTER * max_text_length)


def new_request_id() -> str:
    """For a request that brings no usable one."""
    return f"req_{secrets.token_hex(12)}"


class Introduction:
    """Gives every request an id, every answer that id, the log a line and the metrics their counts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        name = asked if _SANE_ID.fullmatch(asked) else new_request_id()
        scope.setdefault("state", {})["request_id"] = name
        REQUEST.set(name)
        began, status, answered = time.perf_counter(), 499, 0.0

        async def sign(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "websocket.accept":
                status, answered = 101, time.perf_counter()
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", name.encode())]}
            elif message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                given = {header for header, _ in message["headers"]}
                ours = [header for header in _SECURITY_HEADERS if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *ours, (b"x-request-id", name.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, sign)
        finally:
            ended = time.perf_counter()
            self._note(scope, name, status, ended - began, (answered or ended) - began)

    def _note(self, scope: Scope, name: str, status: int, took_s: float, counted_s: float) -> None:
        """Nothing of the query or the body: there may be secrets in the one and somebody's words in the other.

        counted_s: of a WebSocket how long it took to let it in; it lasts as long as people talk.
        """
        method, path = scope.get("method", "GET"), printable(scope["path"])
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        blamed, code = blame_of(scope) or (status, None)
        self.metrics.count(method, route, status, counted_s, code)
        if code:
            self.metrics.failures.record(f"{method} {route}", code, blamed, name)
        if _log.isEnabledFor(logging.INFO):
            took_ms = took_s * 1000
            key = scope["state"].get("caller", ANYBODY).key  # its id: the key itself is nobody's to read
            fields = {
                "method": method,
                "path": path,
                "route": route,
                "status": status,
                "duration_ms": round(took_ms, 1),
                "key": key,
            }
            by = f" key {key}" if key else ""
            _log.info("%s %s %d %.0f ms%s", method, path, status, took_ms, by, extra={"fields": fields})


class HeadLikeGet:
    """Every GET route takes HEAD: asked as a GET, of whose answer the server sends the headers only.

    Files are the exception: their route knows HEAD itself and need not read them for it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"].startswith(OUTPUTS):
            await self.app(scope, receive, send)
            return
        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")  # which the counts go by


class Door:
    """Refuses hosts that are not ours (a rebound DNS name) and pages of strangers that make a browser call us."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] | None,
        origins: Iterable[str],
        origin_regex: str | None,
        local_names: bool = False,
    ) -> None:
        """hosts: names to answer to, besides loopback ones; "*.name" for all below; None or "*": any.

        origins, origin_regex: whose pages may call, besides our own. local_names: answer to addresses too, and to names
        that nobody on the internet can own, as machines on the same network use them.
        """
        self.app, self.local_names = app, local_names
        self.hosts = None if hosts is None else tuple(host.strip().lower() for host in hosts if host)
        self.origins = frozenset(origins)
        self.origin_regex = re.compile(origin_regex) if origin_regex else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._known(host):
            error = PermissionDenied("This host name is not one the server answers to: add it to TRUSTED_HOSTS")
            await plus_reply(scope, error)(scope, receive, send)
        elif self._is_strange(scope, headers, origin, host):
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
        if is_loopback(name) or (self.local_names and is_local(name)):
            return True
        return any(name == known or (known.startswith("*.") and name.endswith(known[1:])) for known in self.hosts)

    def _is_strange(self, scope: Scope, headers: Headers, origin: str | None, host: str) -> bool:
        """Whether a page elsewhere sent this without being told that it may, or asks whether it may and may not."""
        method = scope.get("method", "POST")  # a WebSocket can do as much as a POST
        if origin is not None:
            asks = method == "OPTIONS" and "access-control-request-method" in headers
            return (asks or method not in SAFE_METHODS) and not self._welcome(origin, host)
        # An image or a script of another site: browsers name no origin then, but say what it is (Fetch Metadata). Of
        # what changes something they name it, unless somebody has told them not to.
        unsafe = method not in SAFE_METHODS or headers.get("sec-fetch-mode") == "no-cors"
        return unsafe and headers.get("sec-fetch-site") == "cross-site"

    def _welcome(self, origin: str, host: str) -> bool:
        if "*" in self.origins or origin in self.origins:
            return True
        if self.origin_regex is not None and self.origin_regex.fullmatch(origin):
            return True
        return origin.partition("://")[2] == host


class Admission:
    """Refuses work at once when the house is full: before a body is read, a form stored or a thread taken for it.

    Who slips through meanwhile is refused by the studio itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and is_work(scope["path"])
            and scope["app"].state.api.studio.full
        ):
            await plus_reply(scope, Overloaded(FULL))(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class BodyLimit:
    """Stops reading a body that is too large, whether it was announced or not."""

    def __init__(self, app: ASGIApp, max_request_bytes: int, max_text_length: int) -> None:
        """max_request_bytes: of a form with all its files; how large each may be is for the form's reader to see."""
        self.app, self.max_form_bytes = app, max_request_bytes + FORM_OVERHEAD_BYTES
        self.max_json_bytes = max_json_bytes(max_text_length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        upload = form and scope["path"] in FORM_PATHS
        limit = self.max_form_bytes if upload else self.max_json_bytes
        if scope["path"] in LONG_JSON_PATHS and not form:
            limit = max(limit, LONG_JSON_BYTES)
        most = limit - FORM_OVERHEAD_BYTES if upload else limit  # as people know it: the size of their files
        message = f"The request is larger than {most // MB} MB, the most that is taken"
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await plus_reply(scope, FileTooLarge(message))(scope, receive, send)
            return
        seen, whole = 0, False

        async def count() -> Message:
            nonlocal seen, whole
            try:
                async with asyncio.timeout(None if whole else STALL_S):
                    event = await receive()
            except TimeoutError:
                raise HTTPException(408, f"Nothing of the request came for {STALL_S} seconds") from None
            whole = whole or not event.get("more_body", False)
            seen += len(event.get("body", b""))
            if seen > limit:
                raise HTTPException(413, message)  # the one kind that nothing on its way turns into another
            return event

        await self.app(scope, count, send)


def is_work(path: str) -> bool:
    """Whether a POST there makes audio while its client waits."""
    return path in WORK_PATHS or _RETAKE.fullmatch(path) is not None


def is_local(name: str) -> bool:
    """An address, a name without a dot, or one below a domain that is never sold: what no rebound DNS name is."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(LOCAL_DOMAINS))
    return True

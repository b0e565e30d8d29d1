"""Who may ask, and how often: keys, the page's session, signed links, rate limits. Plain ASGI.

Everything needs a key unless it is in the list of what is public: a route nobody thought of is closed, not open.
"""

import asyncio
import ipaddress
import math
import time
from functools import partial
from urllib.parse import parse_qs

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatterbox_plus.access.caller import ANYBODY, STRANGER, Caller, Role
from chatterbox_plus.access.key import Key
from chatterbox_plus.access.keyring import Keyring
from chatterbox_plus.api.errors import plus_reply
from chatterbox_plus.api.sockets import refuse, shown_key
from chatterbox_plus.errors import DatabaseAway, PlusError, RateLimited, Unauthorized

COOKIE = "chatterbox_session"
OUTPUTS = "/outputs/"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PUBLIC = frozenset(
    {
        "/",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/api/v1/health",
        "/api/v1/ready",
        # Open WebUI and others fetch these without their key, and fall back to wrong lists when refused
        "/v1/models",
        "/v1/audio/models",
        "/v1/audio/voices",
        "/models",
        "/audio/models",
        "/audio/voices",
    }
)
"""What anybody may GET, key or not; what lies below `/assets/` and a single model of `/v1/models` too."""
_PUBLIC_BELOW = ("/assets/", "/v1/models/", "/models/")
_SESSION = "/api/v1/session"
_WORKING_GETS = frozenset({"/tts-stream"})  # which change nothing and yet cost something: no cookie speaks for them
_NEEDED = "This server asks for a key: send it as Authorization: Bearer … or as x-api-key"
WRONG_KEY = "The key is not one of this server's, or was revoked"
_ENDED = "This link has expired, was revoked, or is not whole: ask for a new one"


_TOO_MANY = "More than {} requests in a minute: ask again a little later"


def is_public(method: str, path: str) -> bool:
    """Whether anybody may ask for that, key or not."""
    if path == _SESSION or method == "OPTIONS":
        return True
    return method in SAFE_METHODS and (path in PUBLIC or path.startswith(_PUBLIC_BELOW))


class Access:
    """Finds out who asks (`scope["state"]["caller"]`), refuses who may not, and counts requests against a rate.

    Keys are asked for when the app's state has a keyring. A WebSocket may do what a POST may, and shows its key as a
    browser can. What it asks for is heard later: `await scope["state"]["ask"]()` counts it, and raises what speaks
    against it by then: RateLimited, Unauthorized.
    """

    def __init__(self, app: ASGIApp, rate_limit_per_minute: int, pages: frozenset[str] = frozenset()) -> None:
        """rate_limit_per_minute: for whom no other is set; 0 = none. pages: further paths that anybody may GET."""
        self.app, self._rate_limit, self._pages = app, rate_limit_per_minute, pages
        self._counts = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        public = is_public(_method(scope), scope["path"]) or scope["path"] in self._pages
        caller, key, shown = ANYBODY, None, ""
        keyring: Keyring | None = scope["app"].state.api.keyring
        if keyring is not None:
            if keyring.stale:
                try:
                    await asyncio.to_thread(keyring.refresh)
                except DatabaseAway as lost:
                    if not public:
                        await _refuse(scope, receive, send, lost)
                        return
            shown = _shown_key(headers) or (shown_key(scope) if scope["type"] == "websocket" else "")
            key = _find(keyring, shown, scope, headers)
            caller = key.caller if key else _stranger(keyring, scope)
            if not (caller.known or caller.link or public):
                error = Unauthorized(WRONG_KEY if shown else _ENDED if _is_link(scope) else _NEEDED)
                await _refuse(scope, receive, send, error)
                return
        scope["state"]["caller"] = caller
        if scope["type"] == "websocket":
            scope["state"]["ask"] = partial(self._ask, key, shown, scope)
            await self.app(scope, receive, send)
        elif public or scope["path"].startswith(OUTPUTS) or scope["method"] == "OPTIONS":
            await self.app(scope, receive, send)
        else:
            await self._counted(key, scope, receive, send)

    def _rate(self, key: Key | None, scope: Scope) -> tuple[int, str]:
        """How many requests a minute there may be (0 = any number), and of whom."""
        own = key.rate_limit_per_minute if key else None
        return self._rate_limit if own is None else own, key.id if key else _address(scope)

    async def _ask(self, key: Key | None, shown: str, scope: Scope) -> None:
        keyring: Keyring | None = scope["app"].state.api.keyring
        if keyring is not None:
            if keyring.stale:
                await asyncio.to_thread(keyring.refresh)
            if _find(keyring, shown, scope, Headers(scope=scope)) is None:
                raise Unauthorized(WRONG_KEY)
        most, who = self._rate(key, scope)
        if most and not self._counts.hit(RateLimitItemPerMinute(most), who):
            raise RateLimited(_TOO_MANY.format(most))

    async def _counted(self, key: Key | None, scope: Scope, receive: Receive, send: Send) -> None:
        most, who = self._rate(key, scope)
        if not most:
            await self.app(scope, receive, send)
            return
        item = RateLimitItemPerMinute(most)
        free = self._counts.hit(item, who)
        stats = self._counts.get_window_stats(item, who)
        told = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(0, stats.remaining) if free else 0),
            "X-RateLimit-Reset": str(math.ceil(stats.reset_time)),
        }

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        if free:
            await self.app(scope, receive, tell)
            return
        answer = plus_reply(scope, RateLimited(_TOO_MANY.format(most)))
        answer.headers["Retry-After"] = str(max(1, math.ceil(stats.reset_time - time.time())))
        await answer(scope, receive, tell)


def _method(scope: Scope) -> str:
    return str(scope.get("method", "POST"))


async def _refuse(scope: Scope, receive: Receive, send: Send, error: PlusError) -> None:
    if scope["type"] == "websocket":
        await refuse(scope, receive, send, error)
        return
    answer = plus_reply(scope, error)
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    await answer(scope, receive, send)


def _find(keyring: Keyring, shown: str, scope: Scope, headers: Headers) -> Key | None:
    if shown:
        return keyring.find(shown)
    cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return keyring.of_session(cookie) if cookie and _from_our_page(scope, headers) else None


def _is_link(scope: Scope) -> bool:
    return scope["path"].startswith(OUTPUTS) and b"signature=" in scope["query_string"]


def _stranger(keyring: Keyring, scope: Scope) -> Caller:
    path = scope["path"]
    if _method(scope) not in ("GET", "HEAD") or not path.startswith(OUTPUTS):
        return STRANGER
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    except ValueError:  # more fields than any link of ours has
        return STRANGER
    expires, key, signature = (query.get(name, [""])[0] for name in ("expires", "key", "signature"))
    path = path.removeprefix(OUTPUTS)
    if not keyring.opens(path, expires, key, signature):
        return STRANGER
    return Caller(role=Role.USER, known=False, link=path)


def _shown_key(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else headers.get("x-api-key", "").strip()


def _from_our_page(scope: Scope, headers: Headers) -> bool:
    """Whether a cookie may speak for its owner: a page elsewhere, another port of this machine too, could have sent
    the request with it. Browsers name the origin of everything but plain GETs, whose answer such a page cannot read."""
    origin = headers.get("origin")
    if origin is None:
        return _method(scope) in SAFE_METHODS and scope["path"] not in _WORKING_GETS
    return origin.partition("://")[2] == headers.get("host", "")


def _address(scope: Scope) -> str:
    """Who asks without a key: an IPv4 address, or the /64 network that one IPv6 customer has."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return str(address)

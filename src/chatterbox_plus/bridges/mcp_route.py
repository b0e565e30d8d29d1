"""The Model Context Protocol at a route of the server, over its "streamable HTTP".

Keys, rates, names and origins are looked at on the way here, as for every route; the tools then ask the API with the
key that was shown. There are no sessions: any of several servers may answer any request.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from chatterbox_plus.bridges.mcp_house import House
from chatterbox_plus.bridges.mcp_tools import AnyContext, build

_HEADERS = ("authorization", "x-api-key", "host")
"""Of the assistant's request, that go along with what its tools ask."""


class McpRoute:
    """ASGI; works while `running` does."""

    def __init__(self, app: ASGIApp, public_url: str = "") -> None:
        """app: the whole application, which the tools ask. public_url: where clients reach it; "": as they say."""
        self._app, self._public_url = app, public_url
        self._server = build(self._house)
        self._server.streamable_http_app(
            stateless_http=True,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the Door does that
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """While the server runs; once."""
        manager: StreamableHTTPSessionManager = self._server.session_manager
        return manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._server.session_manager.handle_request(scope, receive, send)

    @asynccontextmanager
    async def _house(self, ctx: AnyContext) -> AsyncIterator[House]:
        asked = ctx.request_context.request
        assert isinstance(asked, Request)
        headers = {name: asked.headers[name] for name in _HEADERS if name in asked.headers}
        client = (asked.client.host, asked.client.port) if asked.client else ("", 0)
        here = f"{asked.url.scheme}://{asked.url.netloc}"
        transport = httpx2.ASGITransport(self._app, client=client)
        async with httpx2.AsyncClient(transport=transport, base_url=here, headers=headers, timeout=None) as inside:
            yield House(inside, self._public_url or here)

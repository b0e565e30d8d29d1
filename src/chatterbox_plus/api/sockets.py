"""What WebSockets have of their own: errors as messages, codes for why one was closed, keys as browsers send them."""

import json
from typing import Any
from urllib.parse import parse_qs

from fastapi.exceptions import RequestValidationError
from starlette.types import Receive, Scope, Send

from chatterbox_plus.api.errors import invalid_reply, plus_reply, render
from chatterbox_plus.errors import PlusError

NOT_ALLOWED, BROKEN, LATER = 1008, 1011, 1013  # RFC 6455, 7.4.1, and the registry it began
SUBPROTOCOL = "speech"
KEY_SUBPROTOCOL = "api-key."  # before a key, among the subprotocols: all that a page can send along with a socket
_QUERY_KEY = "api_key"


def shown_key(scope: Scope) -> str:
    """The key that came with the address or as a subprotocol; "" for none."""
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(KEY_SUBPROTOCOL):
            return str(offered.removeprefix(KEY_SUBPROTOCOL))
    try:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20)
    except ValueError:  # more fields than anybody needs
        return ""
    return str(query.get(_QUERY_KEY, [""])[0]).strip()


def subprotocol(scope: Scope) -> str | None:
    """The one to answer with: browsers hang up where none of theirs is named. A key only if there is nothing else."""
    offered = scope.get("subprotocols", ())
    plain = [name for name in offered if not name.startswith(KEY_SUBPROTOCOL)]
    return SUBPROTOCOL if SUBPROTOCOL in plain else next(iter([*plain, *offered]), None)


def error_message(scope: Scope, error: PlusError | RequestValidationError) -> str:
    """The error as a text message: what a request would be answered, and `type`."""
    answer = plus_reply(scope, error) if isinstance(error, PlusError) else invalid_reply(scope, error)
    return message("error", **json.loads(bytes(answer.body)))


def message(type: str, **fields: Any) -> str:
    return render({"type": type, **fields}).decode()


def close_code(error: PlusError | RequestValidationError) -> int:
    """Why a socket is closed after that."""
    if not isinstance(error, PlusError):
        return BROKEN
    if error.status in (401, 403):
        return NOT_ALLOWED
    return LATER if error.retry_after_s is not None else BROKEN


async def refuse(scope: Scope, receive: Receive, send: Send, error: PlusError) -> None:
    """Lets a socket in only to say why it is closed: a page cannot read anything else."""
    await receive()  # that it wants to connect
    await send({"type": "websocket.accept", "subprotocol": subprotocol(scope), "headers": []})
    await send({"type": "websocket.send", "text": error_message(scope, error)})
    await send({"type": "websocket.close", "code": close_code(error), "reason": ""})

"""One handler introduces every error: the flat envelope on our own routes, OpenAI's shape on theirs."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatterbox_plus.api.bridge import blame, request_id
from chatterbox_plus.errors import Cancelled, PlusError
from chatterbox_plus.logs import printable

MAX_INPUT_CHARS = 200  # of a wrong value, repeated back in a 422
Model = TypeVar("Model", bound=BaseModel)
_log = logging.getLogger(__name__)

_CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "FILE_TOO_LARGE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    431: "HEADER_TOO_LARGE",
    503: "SERVICE_OVERLOADED",
}
_MESSAGES = {404: "There is nothing at {path}", 405: "{path} does not take {method}"}
_NO_OBJECT = "Send a JSON object, with Content-Type: application/json"
_OPENAI_PREFIXES = ("/v1/", "/audio/", "/models")
_OPENAI_NAMES = {
    "text": "input",
    "reference_audio_filename": "voice",
    "speed_factor": "speed",
    "export_formats": "response_format",
}


class ErrorBody(BaseModel):
    """How every error looks, except on OpenAI's routes."""

    success: bool = Field(False, description="Always false.")
    error: str = Field(description="What is wrong, for a person.")
    error_message: str = Field(description="The same.")
    error_code: str = Field(description="What is wrong, for a program.", examples=["RESOURCE_NOT_FOUND"])
    detail: str | list[dict[str, Any]] = Field(description="The same text; for 422 one entry for each wrong field.")
    request_id: str = Field(description="As in the X-Request-ID header.")
    timestamp: str = Field(description="UTC, ISO 8601.")


class OpenAIError(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorBody(BaseModel):
    """How errors look on OpenAI's routes."""

    error: OpenAIError


class Reply(JSONResponse):
    """JSON that can say anything a client sent, lone surrogates too."""

    def render(self, content: Any) -> bytes:
        return render(content)


def render(content: Any) -> bytes:
    """JSON as every reply has it."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def now() -> str:
    """UTC in ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wrong(where: str, name: str, message: str, value: Any = None) -> RequestValidationError:
    """A 422 about one field. where: "query" or "body"."""
    return RequestValidationError([{"type": "value_error", "loc": (where, name), "msg": message, "input": value}])


def checked(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """The values as that model; a 422 as for any JSON body where they do not fit."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None


def install(app: FastAPI) -> None:
    """Give every expected error its reply."""
    app.add_exception_handler(PlusError, _on_plus_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


class Unexpected:
    """The last net, inside all other middleware: a 500 that says nothing, and the traceback in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = closed = False

        async def watch(message: Message) -> None:
            nonlocal started, closed
            started = started or message["type"] == "http.response.start"
            closed = closed or message["type"] in ("websocket.close", "websocket.http.response.start")
            await send(message)

        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, watch)
        except Exception:  # noqa: BLE001 - the border: nothing unexpected may show
            method = scope.get("method", "WebSocket")
            _log.exception("unexpected error at %s %s", method, printable(scope["path"]))
            if scope["type"] == "websocket":
                blame(scope, 500, "INTERNAL_ERROR")
                if not closed:
                    await send({"type": "websocket.close", "code": 1011})
            elif not started:  # else the body stays without its end, and the server closes the connection
                message = f"Something went wrong in the server; its log has more under {request_id(scope)}"
                await reply(scope, 500, "INTERNAL_ERROR", message)(scope, receive, send)


def reply(
    scope: Scope,
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    detail: Sequence[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The error in the shape of the route it happened on."""
    blame(scope, status, code)
    if is_openai(scope["path"]):
        status = 400 if status == 422 else status
        kind = "invalid_request_error" if status < 500 else "server_error"
        named = _named(scope, param) if param else None
        body: dict[str, Any] = {
            "error": {"message": message, "type": kind, "param": named, "code": code.lower()},
        }
    else:
        body = {**envelope(scope, code, message), **({} if detail is None else {"detail": list(detail)})}
    return Reply(body, status, headers=headers)


def error_of_status(scope: Scope, status: int, message: str) -> Response:
    """The error that a status alone tells."""
    return reply(scope, status, _CODES[status], message)


def envelope(scope: Scope, code: str, message: str) -> dict[str, Any]:
    """An error on our own routes."""
    return {
        "success": False,
        "error": message,
        "error_message": message,
        "error_code": code,
        "detail": message,
        "request_id": request_id(scope),
        "timestamp": now(),
    }


def is_openai(path: str) -> bool:
    """Whether errors at that path have OpenAI's form."""
    return path.startswith(_OPENAI_PREFIXES)


def _named(scope: Scope, field: str) -> str:
    """Our field as the route's clients call it."""
    if not is_openai(scope["path"]) or (scope["type"] == "websocket" and field == "text"):  # a message has that, too
        return field
    return _OPENAI_NAMES.get(field, field)


def plus_reply(scope: Scope, error: PlusError) -> Response:
    detail = None
    if error.status == 422:
        where = "query" if error.param in QueryParams(scope["query_string"]) else "body"
        loc = [where, *([error.param] if error.param else [])]
        detail = [{"type": "value_error", "loc": loc, "msg": error.message}]
        if error.details:
            detail = [{"type": "value_error", "loc": ["body", place], "msg": told} for place, told in error.details]
    headers = None if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.status >= 500:
        _log.error("%s: %s", error.code, error.message, exc_info=error.__cause__)
    return reply(scope, error.status, error.code, error.message, param=error.param, detail=detail, headers=headers)


async def _on_plus_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlusError)
    return plus_reply(request.scope, error)


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return plus_reply(request.scope, Cancelled("the client left before its request was complete"))


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid_reply(request.scope, error)


def invalid_reply(scope: Scope, error: RequestValidationError) -> Response:
    detail = [_entry(item) for item in error.errors()]
    first = detail[0]
    place = [] if first["type"] == "json_invalid" else [str(part) for part in first["loc"][1:]]  # that has a position
    if place:
        place[0] = _named(scope, place[0])
    message = f"{'.'.join(place)}: {first['msg']}" if place else str(first["msg"])
    if len(detail) > 1:
        message += f" (and {len(detail) - 1} more)"
    param = place[0] if place else None
    return reply(scope, 422, "VALIDATION_ERROR", message, param=param, detail=detail)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = _MESSAGES.get(error.status_code, str(error.detail))
    message = message.format(path=request.url.path[:MAX_INPUT_CHARS], method=request.method)
    headers = dict(error.headers) if error.headers else None
    code = _CODES.get(error.status_code, "INTERNAL_ERROR" if error.status_code >= 500 else "VALIDATION_ERROR")
    return reply(request.scope, error.status_code, code, message, headers=headers)


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    entry = {
        "type": item["type"],
        "loc": [part if isinstance(part, int) else str(part) for part in item["loc"]],
        "msg": _message(item),
    }
    if _repeatable(item.get("input")):
        entry["input"] = item["input"]
    return entry


def _message(item: dict[str, Any]) -> str:
    if tuple(item["loc"]) == ("body",) and item["type"] in ("model_attributes_type", "dict_type", "missing"):
        return _NO_OBJECT
    if item["type"] == "json_invalid":
        return "The body is not valid JSON"
    return str(item["msg"]).removeprefix("Value error, ")


def _repeatable(value: Any) -> bool:
    """Whether a wrong value can be shown again: short, and plain JSON."""
    if isinstance(value, str):
        return len(value) <= MAX_INPUT_CHARS
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) < 10**MAX_INPUT_CHARS)

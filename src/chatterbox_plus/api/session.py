"""The page's session, in a cookie no script can read, and links that open one output without a key."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.access.caller import Caller
from chatterbox_plus.access.signing import LINK_MAX_S, SESSION_S
from chatterbox_plus.api.access import COOKIE, WRONG_KEY
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.lists import NAMED
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.errors import Unauthorized
from chatterbox_plus.library.library import output_url

router = APIRouter(tags=["access"])
_LINK_S = 3600
_SESSION_EXAMPLE = {
    "success": True,
    "authenticated": True,
    "keys_required": True,
    "name": "Ana's laptop",
    "role": "user",
    "project": "ana",
    "timestamp": "2025-06-22T14:30:22.000Z",
}
_SESSION: dict[int | str, dict[str, Any]] = {
    200: {"description": "Who asks.", "content": {"application/json": {"example": _SESSION_EXAMPLE}}}
}
_LINK_EXAMPLE = {
    "success": True,
    "url": "/outputs/book/intro.wav?expires=1781800000&key=0a1b2c3d&signature=5f1c…",
    "full_url": "https://speech.example/outputs/book/intro.wav?expires=1781800000&key=0a1b2c3d&signature=5f1c…",
    "expires_in": _LINK_S,
    "timestamp": "2025-06-22T14:30:22.000Z",
}


class SessionRequest(BaseModel):
    """What the page sends when somebody types a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "cbp_6a5cdde3_Ol6hAY"}]})

    key: str = Field(min_length=1, max_length=200, description="An API key of this server.")


@router.get("/api/v1/session", summary="Who asks", responses=_SESSION)
async def session(state: State) -> Response:
    """Whether the server asks for keys, and whose was shown. Needs none itself."""
    return _reply(state, state.caller)


@router.post("/api/v1/session", summary="Begin a session with a key", responses={**_SESSION, 401: ERRORS[401]})
async def begin(body: SessionRequest, request: Request, state: State) -> Response:
    """Sets a cookie that stands for the key for 30 days, or until the key is revoked. For browsers: an audio element
    cannot send a header."""
    if state.keyring is None:
        return _reply(state, state.caller)
    key = state.keyring.find(body.key.strip())
    if key is None:
        raise Unauthorized(WRONG_KEY)
    answer = _reply(state, key.caller)
    answer.set_cookie(
        COOKIE,
        state.keyring.signer.session(key.id),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https" or state.settings.server.public_url.startswith("https:"),
    )
    return answer


@router.delete("/api/v1/session", summary="End the session", responses=_SESSION)
async def end(state: State) -> Response:
    """Takes the cookie back; the key stays as it is."""
    answer = _reply(state, state.caller)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.post(
    "/api/v1/outputs/{path:path}/link",
    summary="A link to an output that needs no key",
    responses={
        200: {"description": "The link.", "content": {"application/json": {"example": _LINK_EXAMPLE}}},
        **{status: ERRORS[status] for status in (400, 403, 404, 409, 422)},
    },
)
async def link(
    path: Annotated[str, PathParameter(description=NAMED, examples=["intro.wav"])],
    request: Request,
    state: State,
    expires_in: Annotated[int, Query(ge=1, le=LINK_MAX_S, description="Seconds until it opens nothing.")] = _LINK_S,
) -> Response:
    """A URL that opens this one file for anybody who has it, until it expires; without keys, the plain URL. `full_url`
    begins with `public_url` where that is set, else as the request did."""
    outputs = state.studio.library.outputs
    found = await state.bridge.call(outputs.resolve, path)
    place = outputs.prefix + outputs.relative(found)
    url = output_url(place)
    if state.keyring is not None and state.caller.key is not None:
        url += "?" + state.keyring.signer.link(place, expires_in, key=state.caller.key)
    base = state.settings.server.public_url or str(request.base_url)
    full = base.rstrip("/") + url
    return Reply({"success": True, "url": url, "full_url": full, "expires_in": expires_in, "timestamp": now()})


def _reply(state: ApiState, caller: Caller) -> Response:
    return Reply(
        {
            "success": True,
            "authenticated": caller.known,
            "keys_required": state.keyring is not None,
            "name": caller.name or None,
            "role": caller.role.value if caller.known else None,
            "project": caller.project or None,
            "timestamp": now(),
        }
    )

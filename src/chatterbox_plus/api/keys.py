"""/api/v1/keys: who may use the server. For admins, and only where keys are asked for."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from chatterbox_plus.access.caller import Role
from chatterbox_plus.access.key import Key
from chatterbox_plus.access.keyring import Keyring
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.lists import Confirm
from chatterbox_plus.api.replies import ERRORS
from chatterbox_plus.api.state import AdminState, ApiState
from chatterbox_plus.errors import BadRequest, NotFound, WrongState
from chatterbox_plus.library.naming import shown

router = APIRouter(tags=["access"])
_OFF = "Nobody is asked for a key here: set api.api_key_required (CHATTERBOX_API_KEY_REQUIRED=true) and start anew"
_WHEN = "2025-06-22T14:30:22.000456Z"
_EXAMPLE = {
    "id": "0a1b2c3d",
    "name": "ana",
    "role": "user",
    "project": "ana",
    "rate_limit_per_minute": None,
    "created_at": _WHEN,
    "last_used_at": None,
    "revoked_at": None,
    "yours": False,
}


def _answers(
    description: str, example: dict[str, Any], *errors: int, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    body = {"description": description, "content": {"application/json": {"example": {**example, "timestamp": _WHEN}}}}
    return {status: body, **{code: ERRORS[code] for code in (401, 403, 409, *errors)}}


_LIST = _answers("Those that open something, the oldest first.", {"success": True, "keys": [_EXAMPLE], "count": 1}, 503)
_MADE = _answers(
    "The key, for the only time.",
    {"success": True, "key": "cbp_0a1b2c3d_Ol6hAY", **_EXAMPLE},
    400,
    422,
    503,
    status=201,
)
_REVOKED = _answers("It opens nothing any more.", {"success": True, **_EXAMPLE, "revoked_at": _WHEN}, 400, 404, 503)


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana"}]})

    name: str = Field(min_length=1, max_length=64, description="Whose it is, or what for.")
    role: Role = Field(Role.USER, description="`user`: its own project and the shared voices. `admin`: everything.")
    project: str | None = Field(None, max_length=260, description="Where a user's files lie. Default: from the name.")
    rate_limit_per_minute: int | None = Field(
        None, ge=0, le=1_000_000, description="Requests a minute, 0 for no limit. Default: the server's."
    )


@router.get("/api/v1/keys", summary="List keys", responses=_LIST)
async def listed(state: AdminState) -> Response:
    """Names, roles and when each was last used; of the keys themselves nothing is known but a hash."""
    found = await state.bridge.call(_ring(state).store.listed)
    keys = [_shown(state, key) for key in found]
    return Reply({"success": True, "keys": keys, "count": len(keys), "timestamp": now()})


@router.post("/api/v1/keys", summary="Make a key", status_code=201, responses=_MADE)
async def make(body: KeyRequest, state: AdminState) -> Response:
    """`key` is shown this once, and works within a second."""
    store = _ring(state).store
    key, text = await state.bridge.call(
        lambda: store.add(
            body.name, role=body.role, project=body.project or None, rate_limit_per_minute=body.rate_limit_per_minute
        )
    )
    return Reply({"success": True, "key": text, **_shown(state, key), "timestamp": now()}, 201)


@router.delete("/api/v1/keys/{id}", summary="Revoke a key", responses=_REVOKED)
async def revoke(
    id: Annotated[str, PathParameter(description="As the list has it.", max_length=64, examples=["0a1b2c3d"])],
    state: AdminState,
    confirm: Confirm = False,
) -> Response:
    """Ends it for good, with its sessions and links; what was made with it stays. Nobody can revoke the key that they
    ask with."""
    store = _ring(state).store
    if not confirm:
        raise BadRequest("Revoking requires confirm=true: nothing was revoked", param="confirm")
    if id == state.caller.key:
        raise WrongState("You ask with this key: revoke it with another one, or on the server's machine")

    def work() -> Key:
        if not any(key.id == id for key in store.listed()):  # a name would do for the store: one's own, too
            raise NotFound(f"There is no key of that id: {shown(id)}")
        return store.revoke(id)

    key = await state.bridge.call(work)
    return Reply({"success": True, **_shown(state, key), "revoked_at": now(), "timestamp": now()})


def _ring(state: ApiState) -> Keyring:
    """Raises WrongState where nobody is asked for a key: whoever is in could make one that outlasts that."""
    if state.keyring is None:
        raise WrongState(_OFF)
    return state.keyring


def _shown(state: ApiState, key: Key) -> dict[str, Any]:
    """Everything but the hash."""
    told = {name: value for name, value in asdict(key).items() if name != "digest"}
    return {**told, "yours": key.id == state.caller.key}

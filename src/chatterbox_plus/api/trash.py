"""/api/v1/trash: deleted voices, which for a day can be had back. With keys, each project has its own, admins all."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field
from starlette.responses import Response

from chatterbox_plus.api import stored, voices
from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.lists import Confirm, look
from chatterbox_plus.api.state import ApiState, State
from chatterbox_plus.errors import BadRequest, NotFound
from chatterbox_plus.library.trash import Trashed

router = APIRouter(tags=["voices"])
_ENTRY: dict[str, Any] = {
    "id": "trash_5f0c2a9b4d1e7788",
    "kind": "voice",
    "path": "readers/greta.wav",
    "name": "Greta",
    "owner": None,
    "size_bytes": 600044,
    "duration_seconds": 12.5,
    "deleted_at": "2025-06-22T14:30:22.000456Z",
    "restore_until": "2025-06-23T14:30:22.000456Z",
}
_TIME = "2025-06-22T14:30:22.000Z"
_LIST = {"success": True, "trash": [_ENTRY], "count": 1, "keep_hours": 24.0, "timestamp": _TIME}
_GONE = {"success": True, "message": "'greta.wav' is gone for good", **_ENTRY, "timestamp": _TIME}

Id = Annotated[
    str, PathParameter(description="As the deletion named it.", examples=["trash_5f0c2a9b4d1e7788"], max_length=64)
]


class TrashEntry(BaseModel):
    id: str
    kind: str = Field(description="`voice`.")
    path: str = Field(description="Where it lay below reference_audio/, and where it would be again.")
    name: str
    owner: str | None = Field(description="The project that sent it; null: an admin's.")
    size_bytes: int
    duration_seconds: float | None
    deleted_at: str
    restore_until: str


class TrashList(stored.Reply):
    trash: list[TrashEntry]
    count: int
    keep_hours: float = Field(description="That a voice which is deleted now can be had back; 0: not at all.")


class Emptied(stored.Reply, TrashEntry):
    message: str


@router.get("/api/v1/trash", summary="List the trash", responses=stored.replies(TrashList, _LIST))
async def listed(state: State) -> Response:
    """What you may have back, the last deleted first."""
    trash = state.studio.library.trash
    found = await state.bridge.call(trash.all)
    told = [_told(entry) for entry in found if state.caller.may_change(entry.owner)]
    kept = {"keep_hours": trash.keep_hours}
    return Reply({"success": True, "trash": told, "count": len(told), **kept, "timestamp": now()})


@router.post(
    "/api/v1/trash/{id}/restore",
    summary="Restore what was deleted",
    responses=stored.replies(stored.VoiceReply, stored.VOICE_REPLY, 404, 409, 507),
)
async def restore(id: Id, state: State) -> Response:
    """Back where it lay, with all that was known of it. A 409 if there is a file of that name again: nothing is
    overwritten."""

    def work() -> dict[str, Any]:
        _mine(state, id)
        library = state.studio.library
        told, sidecar = look(state, library.voices, voices.KIND, library.trash.restore(id))
        return told | {"quality": sidecar.get("quality")}

    told = await state.bridge.call(work)
    return voices.voice_reply(f"Voice '{told['name']}' restored successfully", told)


@router.delete("/api/v1/trash/{id}", summary="Delete for good", responses=stored.replies(Emptied, _GONE, 400, 404))
async def remove(id: Id, state: State, confirm: Confirm = False) -> Response:
    """Before its time is over."""
    if not confirm:
        raise BadRequest("Deletion requires confirm=true: nothing was deleted", param="confirm")

    def work() -> Trashed:
        _mine(state, id)
        return state.studio.library.trash.remove(id)

    gone = await state.bridge.call(work)
    message = f"'{gone.path.rpartition('/')[2]}' is gone for good"
    return Reply({"success": True, "message": message, **_told(gone), "timestamp": now()})


def _mine(state: ApiState, id: str) -> None:
    """Raises NotFound, also for what is another project's."""
    found = state.studio.library.trash.get(id)
    if not state.caller.may_change(found.owner):
        raise NotFound("There is nothing of that id in the trash, or not any more")


def _told(entry: Trashed) -> dict[str, Any]:
    told = entry.as_json()
    return {"id": told.pop("id"), "kind": "voice", **told}

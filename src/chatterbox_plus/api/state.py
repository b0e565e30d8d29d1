"""What the handlers share: the settings, the studio, the bridge to it, the counts, and who asks."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from chatterbox_plus.access.caller import ANYBODY, Caller
from chatterbox_plus.access.keyring import Keyring
from chatterbox_plus.api.bridge import Bridge
from chatterbox_plus.api.metrics import Metrics
from chatterbox_plus.api.watch import Watch
from chatterbox_plus.errors import PermissionDenied
from chatterbox_plus.jobs.queue import Jobs
from chatterbox_plus.models.pulls import Pulls
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.studio import Studio


@dataclass(frozen=True)
class ApiState:
    """studio: as the caller sees it, with the inputs and outputs of their project only."""

    settings: Settings
    studio: Studio
    bridge: Bridge
    metrics: Metrics
    watch: Watch
    jobs: Jobs
    models: Pulls
    keyring: Keyring | None = None  # None: nobody is asked for a key
    caller: Caller = ANYBODY


async def state_of(request: HTTPConnection) -> ApiState:
    """What a handler of that request may use."""
    found = request.app.state.api
    assert isinstance(found, ApiState)
    caller = request.scope["state"].get("caller", ANYBODY)
    if caller is ANYBODY:
        return found
    studio = found.studio
    if caller.project:
        studio = await found.bridge.call(studio.within, caller.project)  # makes the project's folders
    return replace(found, studio=studio, caller=caller)


async def _admin_state(state: Annotated[ApiState, Depends(state_of)]) -> ApiState:
    if not state.caller.is_admin:
        raise PermissionDenied("This needs a key of the role admin")
    return state


State = Annotated[ApiState, Depends(state_of)]
AdminState = Annotated[ApiState, Depends(_admin_state)]
"""For routes that only an admin may use. Without keys everybody is one."""

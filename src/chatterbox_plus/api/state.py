"""What the handlers share: the settings, the studio, the bridge to it and the counts."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from chatterbox_plus.api.bridge import Bridge
from chatterbox_plus.api.metrics import Metrics
from chatterbox_plus.settings import Settings
from chatterbox_plus.synthesis.studio import Studio


@dataclass(frozen=True)
class ApiState:
    settings: Settings
    studio: Studio
    bridge: Bridge
    metrics: Metrics


async def _state(request: Request) -> ApiState:
    found = request.app.state.api
    assert isinstance(found, ApiState)
    return found


State = Annotated[ApiState, Depends(_state)]

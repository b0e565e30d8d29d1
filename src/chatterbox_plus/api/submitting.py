"""How a request becomes a task: who asks, what is checked at once, and what the 202 says."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request
from starlette.responses import Response

from chatterbox_plus.api.errors import Reply, now
from chatterbox_plus.api.replies import ERRORS, MEANINGS
from chatterbox_plus.api.state import ApiState
from chatterbox_plus.api.task_replies import ACCEPTED_EXAMPLE, Accepted
from chatterbox_plus.errors import InvalidOption, PermissionDenied
from chatterbox_plus.jobs.records import NewTask, Task, new_id
from chatterbox_plus.jobs.states import Kind, Lane
from chatterbox_plus.jobs.work import OPTIONS, SEED, UPLOADS
from chatterbox_plus.library.naming import safe_folder
from chatterbox_plus.net.addresses import address_of
from chatterbox_plus.net.urls import parse
from chatterbox_plus.synthesis.options import Options
from chatterbox_plus.synthesis.plan import new_seed

WEBHOOK = "webhook_url"
LANES = {"interactive": Lane.INTERACTIVE, "batch": Lane.BATCH}
Priority = Annotated[
    Literal["interactive", "batch"] | None,
    Query(description="Who goes first: every interactive task before any of a batch."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same request sent again with the same key is answered with the task that is there already.",
    ),
]


LATER = {status: reply for status, reply in ERRORS.items() if status != 504}
"""Of routes that make no audio while their client waits."""


def accepting(body: type[Accepted] = Accepted, **more: object) -> dict[int | str, dict[str, Any]]:
    """What a route that takes tasks answers. more: what its example has besides."""
    meanings = {
        422: f"{MEANINGS[422]} Or the Idempotency-Key came with another request before.",
        429: f"{MEANINGS[429]} Or too many tasks of this key are unfinished.",
    }
    return {
        **LATER,
        **{status: {**ERRORS[status], "description": text} for status, text in meanings.items()},
        202: {
            "model": body,
            "description": "It is safely kept, and will be worked on whatever happens to the server. With an "
            "Idempotency-Key that was sent before, the task as it stands (`Idempotency-Replayed: true`).",
            "content": {"application/json": {"example": {**ACCEPTED_EXAMPLE, **more}}},
        },
    }


ACCEPTED = accepting()


class Submission:
    """What all tasks have in common, read from one request. Raises InvalidOption, PermissionDenied for its webhook."""

    def __init__(
        self,
        request: Request,
        state: ApiState,
        *,
        webhook_url: object = None,
        priority: str | None = None,
        lane: Lane = Lane.INTERACTIVE,
        idempotency_key: str | None = None,
    ) -> None:
        self._request, self._state = request, state
        self._webhook_url = _checked_webhook(state, webhook_url)
        self._lane = LANES[priority] if priority else lane
        self._key = idempotency_key

    async def submit(
        self,
        kind: Kind,
        spec: Mapping[str, Any],
        *,
        rows: list[tuple[str | None, Mapping[str, Any]]] | None = None,
        name: str | None = None,
        files: Mapping[str, Path] | None = None,
        digests: object = None,
    ) -> tuple[Task, bool]:
        """The task, and whether it was there already. files: field → what was sent along, ours to move.

        digests: of what was sent, where the spec alone does not tell. Raises what `Jobs.submit` raises.
        """
        caller, jobs = self._state.caller, self._state.jobs
        id = new_id()
        new = NewTask(
            id=id,
            kind=kind,
            spec=spec,
            rows=rows or (),
            name=name,
            project=caller.project,
            key=caller.key,
            lane=self._lane,
            webhook_url=self._webhook_url,
            base_url=self._base_url(),
            idempotency=self._scoped_key(),
            fingerprint=self._fingerprint(kind, spec, rows, digests) if self._key else None,
        )

        def work() -> tuple[Task, bool]:
            if not files:
                return jobs.submit(new)
            jobs.files.take(id, files)
            kept = False
            try:
                task, replayed = jobs.submit(new)
                kept = not replayed
                return task, replayed
            finally:
                if not kept:
                    jobs.files.forget(id)

        return await self._state.bridge.call(work)

    def _base_url(self) -> str:
        return (self._state.settings.server.public_url or str(self._request.base_url)).rstrip("/")

    def _scoped_key(self) -> str | None:
        """One client's keys are nobody else's."""
        if self._key is None:
            return None
        caller = self._state.caller
        return _digest([caller.key, caller.project, self._request.url.path, self._key])

    def _fingerprint(self, kind: Kind, spec: Mapping[str, Any], rows: object, digests: object) -> str:
        asked = {name: value for name, value in spec.items() if name != SEED}
        return _digest([kind, asked, _without_seeds(rows), digests, self._webhook_url, self._lane])


def spec_of(options: Options, uploads: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a task keeps of a request: what was sent, and nothing that was not, so that defaults still count.

    Raises PermissionDenied, InvalidOption for a folder that could not be made.
    """
    safe_folder(options.subfolder)
    sent = options.model_dump(mode="json", exclude_unset=True)
    sent.pop(WEBHOOK, None)
    spec: dict[str, Any] = {OPTIONS: sent, SEED: new_seed()}
    return {**spec, UPLOADS: dict(uploads)} if uploads else spec


def accepted(submitted: tuple[Task, bool], extra: Mapping[str, Any] | None = None) -> Response:
    """202, and where to look."""
    task, replayed = submitted
    body = {
        "success": True,
        "message": "The task is queued" if not replayed else "The task was sent before",
        "task_id": task.id,
        "status": task.status.value,
        "status_url": f"/api/v1/tasks/{task.id}",
        "events_url": f"/api/v1/tasks/{task.id}/events",
        "created_at": task.created_at,
        **(extra or {}),
        "timestamp": now(),
    }
    headers = {"Location": f"/api/v1/tasks/{task.id}"}
    return Reply(body, 202, headers={**headers, "Idempotency-Replayed": "true"} if replayed else headers)


def _checked_webhook(state: ApiState, url: object) -> str | None:
    """Known at once, not days later: what is no URL, and what leads where it may not."""
    if url is None:
        return None
    if not isinstance(url, str):
        raise InvalidOption("the URL must be text", param=WEBHOOK)
    target = parse(url, param=WEBHOOK)
    try:
        address = str(address_of("127.0.0.1" if target.host == "localhost" else target.host))
    except ValueError:
        return url.strip()  # a name: whom it means is seen when it is called
    if not state.jobs.guard.permits(target.host, target.port, address):
        raise PermissionDenied(
            f"this server may not send messages to {target.shown}: api.allowed_hosts names what is allowed besides "
            "public hosts",
            param=WEBHOOK,
        )
    return url.strip()


def _without_seeds(rows: object) -> object:
    if not isinstance(rows, list):
        return None
    return [(name, {key: value for key, value in spec.items() if key != SEED}) for name, spec in rows]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()

"""Sends what is in the outbox: a few at once, each after its own schedule, until it is delivered or given up."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from chatterbox_plus.errors import Cancelled, DatabaseAway, InvalidOption, PermissionDenied, PlusError, StorageFull
from chatterbox_plus.jobs import webhook_message
from chatterbox_plus.jobs.messages import Delivery, Outbox
from chatterbox_plus.net.guard import Guard
from chatterbox_plus.net.post import post

TIMEOUT_S = 15
AT_ONCE = 8
LOOK_S = 1.0  # how soon what another server wrote is noticed
_log = logging.getLogger(__name__)

Finish = Callable[[Delivery], Mapping[str, Any]]
"""The body as it is sent: links made absolute, and signed where files need a key."""


class Webhooks:
    """A thread that looks, and a few that send."""

    def __init__(self, outbox: Outbox, guard: Guard, secret: str, finish: Finish) -> None:
        """secret: "" = messages are not signed. Raises SettingsError for a secret that cannot be read."""
        webhook_message.signing_keys(secret)
        self._outbox, self._guard, self._secret, self._finish = outbox, guard, secret, finish
        self._wake, self._cancel = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self._room = threading.Semaphore(AT_ONCE)
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def close(self) -> None:
        """What is under way is broken off and sent again later: receivers know a message by its id."""
        self._cancel.set()
        self._wake.set()
        self._thread.join(5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self) -> None:
        while not self._cancel.is_set():
            self._wake.clear()
            try:
                if not self._send_due():
                    self._wake.wait(self._pause_s())
            except (DatabaseAway, StorageFull) as error:
                _log.info("webhooks wait: %s", error.message)
                self._cancel.wait(LOOK_S)
            except Exception:  # noqa: BLE001 - the border: without this thread no message would ever be sent
                _log.exception("webhooks wait: unexpected error")
                self._cancel.wait(LOOK_S)

    def _send_due(self) -> bool:
        """Whether there was something to send, and somebody free to do so: what is taken is ours for a short time."""
        free = 0
        while free < AT_ONCE and self._room.acquire(blocking=False):
            free += 1
        try:
            due = self._outbox.take_due(free) if free else []
            for delivery in due:
                self._pool.submit(self._send, delivery)
                free -= 1
        finally:
            for _ in range(free):
                self._room.release()
        return bool(due)

    def _pause_s(self) -> float:
        due = self._outbox.next_due()
        if due is None:
            return LOOK_S
        return min(LOOK_S, max(0.05, (due - datetime.now(UTC)).total_seconds()))

    def _send(self, delivery: Delivery) -> None:
        try:
            state, next_at, status, error = self._attempt(delivery)
            self._remember(delivery, state, next_at, status, error)
        except Cancelled:  # the server stops
            with suppress(DatabaseAway, StorageFull):
                self._outbox.give_back(delivery)
        except Exception:
            _log.exception("a webhook could not be sent; it will be tried again")
            raise
        finally:
            self._room.release()
            self._wake.set()

    def _attempt(self, delivery: Delivery) -> tuple[str, datetime | None, int | None, str | None]:
        told = dict(self._finish(delivery))
        body = webhook_message.body(
            told.pop("task_id"), told.pop("success"), told.pop("output_url"), told.pop("error"), **told
        )
        headers = {
            "Content-Type": "application/json",
            **webhook_message.signature_headers(self._secret, delivery.id, int(time.time()), body),
        }
        status, error, wait_s = None, None, 0.0
        try:
            reply = post(self._guard, delivery.url, body, headers, timeout_s=TIMEOUT_S, cancel=self._cancel)
            status = reply.status
            verdict = webhook_message.verdict(status)
            if verdict == "delivered":
                return "delivered", None, status, None
            error = f"the receiver answered {status}" + (f": {reply.excerpt}" if reply.excerpt else "")
            if verdict == "gone":
                return "gone", None, status, error
            wait_s = webhook_message.asked_wait_s(status, reply.retry_after, datetime.now(UTC))
        except (PermissionDenied, InvalidOption) as refused:
            return "given_up", None, None, refused.message
        except Cancelled:
            raise
        except PlusError as failed:
            error = failed.message
        now = datetime.now(UTC)
        first = datetime.fromisoformat(delivery.first_at) if delivery.first_at else now
        next_at = webhook_message.next_attempt(delivery.attempts + 1, first, now, wait_s=wait_s)
        return "pending" if next_at else "given_up", next_at, status, error

    def _remember(
        self, delivery: Delivery, state: str, next_at: datetime | None, status: int | None, error: str | None
    ) -> None:
        """However long the database is away; if we are stopped before, the message is sent once more."""
        while True:
            try:
                self._outbox.attempted(delivery, state=state, next_at=next_at, status=status, error=error)
                return
            except (DatabaseAway, StorageFull):
                if self._cancel.wait(LOOK_S):
                    return

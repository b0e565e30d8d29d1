"""What a webhook says, how it is signed, and when it is tried again: rules without a network, a clock or a database.

Signatures follow https://www.standardwebhooks.com.
"""

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from chatterbox_plus.errors import SettingsError

Verdict: TypeAlias = Literal["delivered", "retry", "gone"]

FIRST_WAITS_S = (0, 2, 10, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600)  # before each attempt, after the one before
LATER_WAIT_S = 12 * 3600
GIVE_UP_AFTER_S = 72 * 3600  # after the first attempt
MAX_ASKED_WAIT_S = 12 * 3600  # however long a receiver asks to be left alone

_PREFIX = "whsec_"
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def body(task_id: str, success: bool, output_url: str | None = None, error: str | None = None, **extras: Any) -> bytes:
    """JSON in UTF-8 that always holds `task_id`, `success`, `output_url` and `error`: null where one does not apply.

    extras: JSON-ready. A lone surrogate becomes `?`.
    """
    message = {"task_id": task_id, "success": success, "output_url": output_url, "error": error, **extras}
    return json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def signing_keys(secret: str) -> tuple[bytes, ...]:
    """The keys that a secret holds: several are separated by blanks, the newest first.

    `whsec_` and base64 is those bytes; anything else is its own UTF-8. Raises SettingsError for `whsec_` before
    something that is not base64; the secret is never repeated.
    """
    return tuple(_key(word) for word in secret.split())


def signature_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that say which message this is, and prove whose.

    secret: as in `signing_keys`; every key signs, so that receivers can change over; "" leaves the signatures out.
    message_id: letters, digits, `_` and `-`, the same for every attempt. timestamp: of this one, seconds since 1970.

    `X-Chatterbox-Signature`, of the body alone, is made with the first key: it has room for one.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("a message id is made of letters, digits, _ and -")
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    keys = signing_keys(secret)
    if keys:
        signed = f"{message_id}.{timestamp}.".encode() + body
        headers["webhook-signature"] = " ".join(f"v1,{_base64_hmac(key, signed)}" for key in keys)
        headers["X-Chatterbox-Signature"] = "sha256=" + hmac.new(keys[0], body, hashlib.sha256).hexdigest()
    return headers


def verdict(status: int) -> Verdict:
    """What an answer means: 2xx is delivered, 410 wants no more of it, all else is tried again, redirects too."""
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == 410 else "retry"


def asked_wait_s(status: int, retry_after: str, now: datetime) -> float:
    """Seconds that the answer asks us to wait, 0 to 12 h; 0 unless it is a 429 or 503 with a Retry-After we can read.

    retry_after: that header, in seconds or as a date. now: aware.
    """
    if status not in (429, 503):
        return 0.0
    text = retry_after.strip()
    if re.fullmatch(r"\d+", text, re.ASCII):
        return float(min(int(text[:12]), MAX_ASKED_WAIT_S))
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if when.tzinfo is None:  # "-0000": UTC by a machine that does not know its place
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), MAX_ASKED_WAIT_S)


def next_attempt(attempt: int, first_at: datetime, now: datetime, *, wait_s: float = 0.0) -> datetime | None:
    """When to try after `attempt` attempts, the last of which ended `now`; None: it is given up.

    first_at: when the first attempt was made; `attempt` 0 has none yet, and is due now. wait_s: from `asked_wait_s`.
    After 0, 2 s, 10 s, 1 min, 5 min, 30 min, 2 h and 5 h, each after the one before, then every 12 h, as long as that
    is within 72 h of the first.
    """
    if attempt < 0 or not math.isfinite(wait_s):
        raise ValueError("attempts are counted from 0, waits are finite")
    if attempt == 0:
        return now
    planned_s = FIRST_WAITS_S[attempt] if attempt < len(FIRST_WAITS_S) else LATER_WAIT_S
    due = now + timedelta(seconds=max(planned_s, min(wait_s, MAX_ASKED_WAIT_S)))
    return due if due <= first_at + timedelta(seconds=GIVE_UP_AFTER_S) else None


def _key(word: str) -> bytes:
    if not word.startswith(_PREFIX):
        return word.encode("utf-8", "surrogateescape")  # as the environment hands over what is not UTF-8
    text = word.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise SettingsError("api.webhook_secret: what follows whsec_ must be base64")
    return key


def _base64_hmac(key: bytes, data: bytes) -> str:
    return base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode("ascii")

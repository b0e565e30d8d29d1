"""What a webhook says, how it is signed, and when it is tried again."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from chatterbox_plus.errors import SettingsError
from chatterbox_plus.jobs.webhook_message import (
    asked_wait_s,
    body,
    next_attempt,
    signature_headers,
    signing_keys,
    verdict,
)

KEY = bytes(range(24))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MESSAGE = body("task_1", True, "http://here.test/outputs/ü.wav")

# The body


def test_the_four_keys_are_always_there() -> None:
    assert json.loads(body("t", True, "/outputs/a.wav")) == {
        "task_id": "t",
        "success": True,
        "output_url": "/outputs/a.wav",
        "error": None,
    }
    assert json.loads(body("t", False, error="no voice")) == {
        "task_id": "t",
        "success": False,
        "output_url": None,
        "error": "no voice",
    }


def test_extras_come_after_them() -> None:
    assert list(json.loads(body("t", True, "/a", None, generation_seed_used=7, output_files=[]))) == [
        "task_id", "success", "output_url", "error", "generation_seed_used", "output_files",
    ]  # fmt: skip


def test_a_body_is_utf8_whatever_is_in_it() -> None:
    assert "Grüße 你好" in body("t", False, error="Grüße 你好").decode()
    assert json.loads(body("t", False, error="broken \ud800"))["error"] == "broken ?"


# Signatures


def test_the_vector_of_the_specification_s_libraries() -> None:
    """From the reference implementations' tests; none of ours had a part in it."""
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert headers["webhook-timestamp"] == "1614265330"


@pytest.mark.parametrize("secret", [SECRET, SECRET.rstrip("="), "  " + SECRET + "\n"])
def test_the_reference_library_takes_our_signature(secret: str) -> None:
    headers = signature_headers(secret, "task_1", int(time.time()), MESSAGE)
    assert Webhook(KEY).verify(MESSAGE, headers)["task_id"] == "task_1"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(MESSAGE + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(MESSAGE, {**headers, "webhook-id": "task_2"})


def test_another_secret_is_its_own_bytes() -> None:
    headers = signature_headers("schlüssel", "task_1", int(time.time()), MESSAGE)
    Webhook("schlüssel".encode()).verify(MESSAGE, headers)


@pytest.mark.parametrize("known", [SECRET, OTHER])
def test_while_secrets_change_either_will_do(known: str) -> None:
    headers = signature_headers(f"{OTHER} {SECRET}", "task_1", int(time.time()), MESSAGE)
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(known).verify(MESSAGE, headers)


def test_the_older_signature_is_of_the_body_with_the_first_key() -> None:
    assert signature_headers(f"plain {SECRET}", "task_1", 1, MESSAGE)["X-Chatterbox-Signature"] == (
        "sha256=" + hmac.new(b"plain", MESSAGE, hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize("secret", ["", " \t"])
def test_without_a_secret_nothing_is_signed(secret: str) -> None:
    assert signature_headers(secret, "task_1", 5, MESSAGE) == {"webhook-id": "task_1", "webhook-timestamp": "5"}


@pytest.mark.parametrize("secret", ["whsec_", "whsec_???", "whsec_abcde", f"{SECRET} whsec_not-base64!"])
def test_a_broken_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        signing_keys(secret)
    assert caught.value.message == "api.webhook_secret: what follows whsec_ must be base64"


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nX: 1", "ä"])
def test_an_id_that_would_make_signatures_ambiguous_is_refused(message_id: str) -> None:
    with pytest.raises(ValueError):
        signature_headers(SECRET, message_id, 1, b"")


# Verdicts


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "delivered"), (204, "delivered"), (299, "delivered"), (410, "gone")]
    + [(status, "retry") for status in (101, 199, 300, 301, 308, 400, 401, 404, 409, 411, 429, 500, 503, 599)],
)
def test_what_a_status_means(status: int, expected: str) -> None:
    assert verdict(status) == expected


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, " 0 ", 0),
        (503, "43201", 43200),
        (429, "9" * 50, 43200),
        (429, format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300),
        (503, format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0),
        (503, format_datetime(NOW + timedelta(days=9), usegmt=True), 43200),
        (503, "Sun, 01 Mar 2026 12:01:00 -0000", 60),
        (429, "", 0),
        (429, "-5", 0),
        (429, "1.5", 0),
        (429, "soon", 0),
        (429, "٣", 0),
        (500, "120", 0),
        (200, "120", 0),
    ],
)
def test_how_long_a_receiver_asks_us_to_wait(status: int, header: str, seconds: float) -> None:
    assert asked_wait_s(status, header, NOW) == seconds


@given(st.text(max_size=60) | st.from_regex(r"\w{0,4},? ?\d{0,5} \w{0,4} -?\d{0,6} [\d:.]{0,12} [+-]?\w{0,7}"))
def test_no_retry_after_breaks_us(header: str) -> None:
    assert 0 <= asked_wait_s(503, header, NOW) <= 43200


# When it is tried again


def _life(first_at: datetime, took: timedelta = timedelta()) -> list[timedelta]:
    """When each attempt of a message that is never taken is made, after the first."""
    moments: list[timedelta] = []
    due = next_attempt(0, first_at, first_at)
    while due is not None:
        moments.append(due - first_at)
        due = next_attempt(len(moments), first_at, due + took)
    return moments


def test_the_schedule() -> None:
    waits = [0, 2, 10, 60, 300, 1800, 7200, 18000]
    moments = [timedelta(seconds=sum(waits[: n + 1])) for n in range(len(waits))]
    while moments[-1] + timedelta(hours=12) <= timedelta(hours=72):
        moments.append(moments[-1] + timedelta(hours=12))
    assert _life(NOW) == moments
    assert len(moments) == 13


def test_slow_receivers_put_it_off_and_never_beyond_three_days() -> None:
    moments = _life(NOW, took=timedelta(seconds=15))
    assert moments[2] == timedelta(seconds=2 + 10 + 2 * 15)
    assert moments[-1] <= timedelta(hours=72)


def test_a_wait_that_was_asked_for_only_lengthens() -> None:
    assert next_attempt(1, NOW, NOW, wait_s=90) == NOW + timedelta(seconds=90)
    assert next_attempt(4, NOW, NOW, wait_s=90) == NOW + timedelta(seconds=300)
    assert next_attempt(1, NOW, NOW, wait_s=10**9) == NOW + timedelta(hours=12)


def test_it_is_given_up_after_three_days() -> None:
    assert next_attempt(3, NOW, NOW + timedelta(hours=72)) is None
    assert next_attempt(9, NOW, NOW + timedelta(hours=60)) == NOW + timedelta(hours=72)
    assert next_attempt(9, NOW, NOW + timedelta(hours=60, seconds=1)) is None


def test_what_was_never_tried_is_due_however_late() -> None:
    late: Any = NOW + timedelta(days=30)
    assert next_attempt(0, NOW, late) == late

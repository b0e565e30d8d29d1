"""Work that is asked for now and done later: the same results as at once, the same complaints, and who is told."""

import base64
import hashlib
import hmac
import io
import threading
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from chatterbox_plus.settings import Api, Paths, Settings
from tests.api.fake_studio import FakeStudio
from tests.api.live_server import serve
from tests.api.shelf import tone
from tests.api.task_house import House, Receiver, house, receiver

SECRET = base64.b64encode(b"a secret of 32 bytes, or nearly!").decode()
LIMIT = 40
TAKE = {"input_audio_source": "take", "target_voice_source": "speaker1"}
TTS, VC, CONCAT = "/api/v1/tts/async", "/api/v1/vc/async", "/api/v1/concat/async"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    sections = {"jobs": {"concurrency": 1, "max_unfinished": LIMIT}, "api": {"webhook_secret": f"whsec_{SECRET}"}}
    with house(tmp_path_factory.mktemp("async"), **sections) as running:
        (running.data / "reference_audio" / "speaker1.wav").write_bytes(tone(1.0))
        (running.data / "vc_inputs" / "take.wav").write_bytes(tone(0.75))
        yield running


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


def seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as file:
        return file.getnframes() / file.getframerate()


def made(here: House, task: str) -> bytes:
    return here.server.get(here.ended(task)["output_url"]).content


def test_a_request_is_answered_at_once_with_where_to_look(here: House) -> None:
    reply = here.server.post(TTS, json={"text": "Later.", "export_formats": ["wav"]})
    told = reply.json()
    assert (reply.status_code, told["success"], told["status"]) == (202, True, "queued")
    assert reply.headers["Location"] == told["status_url"] == f"/api/v1/tasks/{told['task_id']}"
    assert here.server.get(told["status_url"]).json()["task_id"] == told["task_id"]
    assert here.server.get(told["events_url"]).headers["Content-Type"].startswith("text/event-stream")


def test_speech_is_the_same_bytes_as_at_once(here: House) -> None:
    body = {"text": "The same. Whenever it is said.", "seed": 9, "export_formats": ["wav"], "speed_factor": 1.2}
    assert made(here, here.sent(TTS, body)) == here.server.post("/api/v1/tts", json=body).content


def test_a_recording_that_is_sent_along_is_converted(here: House) -> None:
    form = {"target_voice_source": "speaker1", "export_formats": "wav"}
    reply = here.server.ask("POST", VC, files={"input_audio": ("mine.wav", tone(0.5))}, data=form)
    assert reply.status_code == 202, reply.text
    assert seconds(made(here, reply.json()["task_id"])) == pytest.approx(0.5, abs=0.01)
    assert list((here.data / "jobs").glob("*")) == [], "what was sent is gone when it is done"


def test_a_stored_recording_is_converted(here: House) -> None:
    body = {**TAKE, "export_formats": ["wav"]}
    assert seconds(made(here, here.sent(VC, body))) == pytest.approx(0.75, abs=0.01)


def test_files_are_joined(here: House) -> None:
    names = [here.ended(here.submit(text))["output_files"][0]["filename"] for text in ("One here.", "Two there.")]
    task = here.sent(CONCAT, {"segments": [names[0], "(1s)", names[1]], "normalize_levels": False})
    assert seconds(made(here, task)) == pytest.approx(1.0 + 0.09 + 0.1, abs=0.03)
    assert here.task(task)["result"]["file_count"] == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (TTS, {"text": " "}, 422, "VALIDATION_ERROR"),
        (TTS, {"text": "x", "speed_factor": 9}, 422, "VALIDATION_ERROR"),
        (TTS, {"text": "x" * 10_001}, 422, "TEXT_TOO_LONG"),
        (TTS, {"text": "x", "reference_audio_filename": "nobody"}, 404, "RESOURCE_NOT_FOUND"),
        (TTS, {"text": "x", "language": "xx"}, 422, "VALIDATION_ERROR"),
        (TTS, {"text": "x", "project": "../../x"}, 403, "PERMISSION_DENIED"),
        (TTS, {"text": "x", "webhook_url": "ftp://here"}, 422, "VALIDATION_ERROR"),
        (TTS, {"text": "x", "webhook_url": "nonsense"}, 422, "VALIDATION_ERROR"),
        (f"{TTS}?priority=soon", {"text": "x"}, 422, "VALIDATION_ERROR"),
        (VC, {**TAKE, "input_audio_source": "none"}, 404, "RESOURCE_NOT_FOUND"),
        (VC, {**TAKE, "target_voice_source": "nobody"}, 404, "RESOURCE_NOT_FOUND"),
        (VC, {**TAKE, "webhook_url": 3}, 422, "VALIDATION_ERROR"),
        (VC, {**TAKE, "folder": "../x"}, 403, "PERMISSION_DENIED"),
        (CONCAT, {"segments": ["none.wav"]}, 404, "RESOURCE_NOT_FOUND"),
        (CONCAT, {"segments": []}, 422, "VALIDATION_ERROR"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_once(here: House, path: str, body: dict[str, Any], status: int, code: str) -> None:
    before = here.server.get("/api/v1/tasks").json()["total"]
    reply = here.server.post(path, json=body)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code), reply.text
    assert here.server.get("/api/v1/tasks").json()["total"] == before


def test_a_file_that_is_no_audio_is_refused_at_once(here: House) -> None:
    form = {"target_voice_source": "speaker1"}
    for name, content, code in (("x.wav", b"nothing", "INVALID_AUDIO"), ("x.txt", b"x", "UNSUPPORTED_FORMAT")):
        reply = here.server.ask("POST", VC, files={"input_audio": (name, content)}, data=form)
        assert (reply.status_code, reply.json()["error_code"]) == (400, code)
    assert list((here.data / "jobs").glob("*")) == []


def test_the_same_key_and_request_are_one_task(here: House) -> None:
    body, key = {"text": "Only once, please.", "export_formats": ["wav"]}, {"Idempotency-Key": "order-1"}
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: here.server.post(TTS, json=body, headers=key), range(6)))
    assert {reply.status_code for reply in replies} == {202}
    (task,) = {reply.json()["task_id"] for reply in replies}
    assert sorted(reply.headers.get("Idempotency-Replayed", "") for reply in replies) == ["", *["true"] * 5]
    here.ended(task)
    again = here.server.post(TTS, json=body, headers=key)
    assert (again.json()["task_id"], again.json()["status"]) == (task, "succeeded")
    assert here.said("only once") == 1


def test_the_same_key_with_another_request_is_refused(here: House) -> None:
    key = {"Idempotency-Key": "order-2"}
    here.server.post(TTS, json={"text": "First."}, headers=key)
    reply = here.server.post(TTS, json={"text": "Second."}, headers=key)
    assert (reply.status_code, reply.json()["error_code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    form = {"target_voice_source": "speaker1", "export_formats": "wav"}
    sent = [
        here.server.ask("POST", VC, files={"input_audio": ("a.wav", sound)}, data=form, headers=key)
        for sound in (tone(0.5), tone(0.5), tone(0.5, 300))
    ]
    assert [reply.status_code for reply in sent] == [202, 202, 422], "the files count, not only their names"
    assert sent[0].json()["task_id"] == sent[1].json()["task_id"]


def test_whoever_waits_for_one_goes_before_a_batch(here: House) -> None:
    busy = here.submit("First wait lanes here.")
    here.until(busy, lambda task: task["status"] == "running")
    rows = {"items": [{"text": f"Row {n} of many."} for n in range(4)], "options": {"export_formats": ["wav"]}}
    batch = here.sent("/api/v1/batch", rows)
    slow = here.submit("In no hurry at all.")
    late = here.sent(f"{TTS}?priority=batch", {"text": "As patient as a batch.", "export_formats": ["wav"]})
    here.open("lanes")
    ended = [here.ended(task) for task in (slow, late)]
    here.ended(batch)
    assert ended[0]["started_at"] < min(row["started_at"] for row in here.rows(batch))
    assert ended[0]["started_at"] < ended[1]["started_at"]


def test_more_than_may_wait_are_refused_with_when_to_come_back(here: House) -> None:
    rows = {"items": [{"text": "Please wait limit."}] * LIMIT}
    full = here.sent("/api/v1/batch", rows)
    reply = here.server.post(TTS, json={"text": "One too many."})
    assert here.server.ask("DELETE", f"/api/v1/tasks/{full}").status_code == 200
    assert (reply.status_code, reply.json()["error_code"]) == (429, "RATE_LIMITED")
    assert int(reply.headers["Retry-After"]) > 0
    assert str(LIMIT) in reply.json()["error"]
    never = here.server.post("/api/v1/batch", json={"items": [{"text": "One too many."}] * (LIMIT + 1)})
    assert never.status_code == 422  # to come back would be of no use


def verified(headers: dict[str, str], body: bytes) -> bool:
    """As https://www.standardwebhooks.com says, written without our own code."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = base64.b64encode(hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(part, f"v1,{right}") for part in headers["webhook-signature"].split())


def test_the_webhook_is_told_with_a_signature_and_whole_links(here: House, told: Receiver) -> None:
    task = here.submit("Tell them.", webhook_url=told.url)
    ((headers, message),) = told.about(task)
    assert message["success"] is True
    assert message["error"] is None
    assert requests.get(message["output_url"], timeout=10).content == made(here, task)
    assert message["output_files"][0]["url"] == message["output_url"]
    assert headers["content-type"] == "application/json"
    assert verified(headers, told.bodies[0])
    assert not verified(headers, told.bodies[0] + b" ")


def test_the_webhook_is_told_of_a_failure_too(here: House, told: Receiver) -> None:
    task = here.submit("It must fail always.", webhook_url=told.url)
    ((_, message),) = told.about(task)
    assert (message["success"], message["output_url"]) == (False, None)
    assert message["error"] == "this sentence cannot be said yet"


def test_a_conversion_and_a_join_tell_their_webhooks(here: House, told: Receiver) -> None:
    body = {**TAKE, "webhook_url": told.url}
    name = here.ended(here.submit("Joined."))["output_files"][0]["filename"]
    for task in (here.sent(VC, body), here.sent(CONCAT, {"segments": [name], "webhook_url": told.url})):
        assert told.about(task)[0][1]["success"] is True


def test_what_a_receiver_does_not_take_is_sent_again_under_the_same_id(here: House, told: Receiver) -> None:
    told.answers += [500]
    task = here.submit("Tell them twice.", webhook_url=told.url)
    told.about(task)
    where = f"/api/v1/tasks/{task}/deliveries"
    first = here.server.get(where).json()["deliveries"][0]
    (one, _), (other, _) = told.about(task, 2)
    assert one["webhook-id"] == other["webhook-id"] == first["id"]
    assert verified(other, told.bodies[1])
    found = settled(here, where)
    assert (found["state"], found["attempts"], found["last_status"]) == ("delivered", 2, 200)


def test_a_message_can_be_sent_again_on_demand(here: House, told: Receiver) -> None:
    task = here.submit("And once more.", webhook_url=told.url)
    where = f"/api/v1/tasks/{task}/deliveries"
    told.about(task)
    first = settled(here, where)
    reply = here.server.post(f"{where}/{first['id']}/redeliver")
    assert (reply.status_code, reply.json()["delivery"]["state"]) == (200, "pending")
    (one, before), (other, after) = told.about(task, 2)
    assert one["webhook-id"] != other["webhook-id"] == reply.json()["delivery"]["id"]
    assert before == after
    assert here.server.get(where).json()["count"] == 2
    assert here.server.post(f"{where}/msg_0/redeliver").status_code == 404


def settled(here: House, where: str) -> dict[str, Any]:
    """The first delivery once it is on its way no more: what the receiver said is written down after it was said."""
    pause = threading.Event()
    for _ in range(500):
        found: dict[str, Any] = here.server.get(where).json()["deliveries"][0]
        if found["state"] != "pending":
            return found
        pause.wait(0.02)
    raise AssertionError(found)


def test_a_webhook_that_may_not_be_reached_is_refused_at_once(tmp_path: Path) -> None:
    settings = Settings(api=Api(allow_private_hosts=False), paths=Paths(data_dir=tmp_path))
    with serve(settings, FakeStudio(tmp_path)) as server:
        for url in (
            "http://127.0.0.1:9/",
            "http://localhost/x",
            "http://[::1]/",
            "http://10.0.0.1/",
            "http://169.254.169.254/",
        ):
            reply = server.post(TTS, json={"text": "x", "webhook_url": url})
            assert (reply.status_code, reply.json()["error_code"]) == (403, "PERMISSION_DENIED"), url
    assert not (tmp_path / "jobs.sqlite").exists()

"""A message about a task reaches a real receiver: tried again until it is delivered, refused for good, or given up."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from chatterbox_plus.jobs import messages, webhook_message
from chatterbox_plus.jobs.database import Database, database_url
from chatterbox_plus.jobs.ledger import Ledger
from chatterbox_plus.jobs.links import Finisher
from chatterbox_plus.jobs.messages import Delivery, Outbox
from chatterbox_plus.jobs.records import NewTask, Task
from chatterbox_plus.jobs.states import Kind, Status
from chatterbox_plus.jobs.tasks import TaskStore
from chatterbox_plus.jobs.webhooks import Webhooks
from chatterbox_plus.net.guard import Guard
from tests.jobs.driving import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RESULT = {"output_url": "/outputs/t.wav", "output_files": [{"url": "/outputs/t.wav", "format": "wav"}]}


class Receiver:
    """Answers with these statuses, one a message and the last for ever; keeps what it got."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = left.pop(0) if len(left) > 1 else left[0]
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                if not status:
                    receiver.reached.set()
                    receiver.leave.wait(10)
                    status = 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.reached, self.leave = threading.Event(), threading.Event()  # of a status 0: an answer that does not come
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.leave.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(database_url("", tmp_path))
    made.open()
    yield made
    made.close()


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_message, "FIRST_WAITS_S", (0, 0.05, 0.05, 0.05))


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(*request.param)
    yield made
    made.close()


@pytest.fixture
def sender(outbox: Outbox) -> Iterator[Webhooks]:
    made = Webhooks(outbox, Guard(allow_private=True), SECRET, Finisher(None))
    yield made
    made.close()


def ended(store: TaskStore, ledger: Ledger, url: str, status: Status = Status.SUCCEEDED) -> Task:
    task, _ = store.submit(NewTask(kind=Kind.TTS, spec={}, webhook_url=url, base_url="http://host"))
    mine = ledger.begin(task.id, 1, "me")
    assert mine is not None
    good = status is Status.SUCCEEDED
    error = None if good else {"code": "X", "message": "it went wrong"}
    ledger.finish(mine, "me", status, result=RESULT if good else None, error=error)
    return task


def delivery(outbox: Outbox, task: Task) -> Delivery:
    (found,) = outbox.of_task(task.id)
    return found


def has_come_to(outbox: Outbox, task: Task, state: str) -> Delivery:
    wait_until(lambda: delivery(outbox, task).state == state, 10, state)
    return delivery(outbox, task)


@pytest.mark.parametrize("receiver", [(200,)], indirect=True)
def test_the_receiver_gets_the_result_signed_and_with_whole_links(
    store: TaskStore, ledger: Ledger, outbox: Outbox, sender: Webhooks, receiver: Receiver
) -> None:
    task = ended(store, ledger, receiver.url)
    has_come_to(outbox, task, "delivered")
    ((headers, body),) = receiver.got
    told = Webhook(SECRET).verify(body, headers)
    assert told == json.loads(body)
    assert (told["task_id"], told["success"], told["error"]) == (task.id, True, None)
    assert told["output_url"] == told["output_files"][0]["url"] == "http://host/outputs/t.wav"
    assert "key" not in told
    assert "base_url" not in told


@pytest.mark.parametrize("receiver", [(200,)], indirect=True)
def test_a_failure_is_told_too(
    store: TaskStore, ledger: Ledger, outbox: Outbox, sender: Webhooks, receiver: Receiver
) -> None:
    has_come_to(outbox, ended(store, ledger, receiver.url, Status.FAILED), "delivered")
    told = json.loads(receiver.got[0][1])
    assert (told["success"], told["output_url"], told["error"]) == (False, None, "it went wrong")


@pytest.mark.parametrize("receiver", [(500, 302, 200)], indirect=True)
def test_a_receiver_that_fails_first_gets_the_same_message_again(
    store: TaskStore, ledger: Ledger, outbox: Outbox, sender: Webhooks, receiver: Receiver
) -> None:
    done = has_come_to(outbox, ended(store, ledger, receiver.url), "delivered")
    assert (done.attempts, done.last_status, done.next_at) == (3, 200, None)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {done.id}
    assert len({body for _, body in receiver.got}) == 1


@pytest.mark.parametrize("receiver", [(410, 200)], indirect=True)
def test_who_wants_no_more_of_it_gets_no_more(
    store: TaskStore, ledger: Ledger, outbox: Outbox, sender: Webhooks, receiver: Receiver
) -> None:
    gone = has_come_to(outbox, ended(store, ledger, receiver.url), "gone")
    assert (gone.attempts, gone.last_status, gone.next_at) == (1, 410, None)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("receiver", [(500,)], indirect=True)
def test_after_three_days_a_message_is_given_up(
    store: TaskStore,
    ledger: Ledger,
    outbox: Outbox,
    sender: Webhooks,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhook_message, "GIVE_UP_AFTER_S", 0.12)
    given_up = has_come_to(outbox, ended(store, ledger, receiver.url), "given_up")
    assert given_up.attempts >= 2
    assert given_up.last_error == "the receiver answered 500"


def test_a_receiver_that_may_not_be_reached_is_given_up_at_once(
    store: TaskStore, ledger: Ledger, outbox: Outbox
) -> None:
    strict = Webhooks(outbox, Guard(allow_private=False), "", Finisher(None))
    try:
        given_up = has_come_to(outbox, ended(store, ledger, "http://127.0.0.1:9/hook"), "given_up")
    finally:
        strict.close()
    assert "allowed_hosts" in (given_up.last_error or "")


@pytest.mark.parametrize("receiver", [(200,)], indirect=True)
def test_a_delivered_message_can_be_sent_once_more(
    store: TaskStore, ledger: Ledger, outbox: Outbox, sender: Webhooks, receiver: Receiver
) -> None:
    task = ended(store, ledger, receiver.url)
    again = outbox.again(task.id, has_come_to(outbox, task, "delivered").id)
    sender.wake()
    wait_until(lambda: {one.state for one in outbox.of_task(task.id)} == {"delivered"}, 10)
    assert [headers["webhook-id"] for headers, _ in receiver.got][1:] == [again.id]


@pytest.mark.parametrize("receiver", [(200,)], indirect=True)
def test_what_a_killed_server_was_sending_is_sent_when_its_lease_is_over(
    store: TaskStore, ledger: Ledger, outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LEASE_S", 0.5)
    task = ended(store, ledger, receiver.url)
    (taken,) = outbox.take_due(9)  # and then it is killed
    assert outbox.take_due(9) == []
    other = Webhooks(outbox, Guard(allow_private=True), SECRET, Finisher(None))
    try:
        assert has_come_to(outbox, task, "delivered").id == taken.id
    finally:
        other.close()
    assert len(receiver.got) == 1


@pytest.mark.parametrize("receiver", [(0, 200)], indirect=True)
def test_a_message_under_way_when_the_server_stops_is_sent_by_the_next(
    store: TaskStore, ledger: Ledger, outbox: Outbox, receiver: Receiver
) -> None:
    first = Webhooks(outbox, Guard(allow_private=True), SECRET, Finisher(None))
    task = ended(store, ledger, receiver.url)
    assert receiver.reached.wait(10)
    first.close()
    assert delivery(outbox, task).state == "pending"
    second = Webhooks(outbox, Guard(allow_private=True), SECRET, Finisher(None))
    try:
        has_come_to(outbox, task, "delivered")
    finally:
        second.close()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_two_servers_never_take_the_same_message(store: TaskStore, ledger: Ledger, outbox: Outbox) -> None:
    for _ in range(20):
        ended(store, ledger, "http://127.0.0.1:9/hook")
    taken: list[str] = []
    threads = [threading.Thread(target=lambda: taken.extend(one.id for one in outbox.take_due(20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 20

"""Many at once: each gets its own words in its own voice, the excess is told so, and who leaves stops being served."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from tests.live import LiveServer, live_server

SENTENCE = "This sentence is here to be said again and again, and it takes its time. "
SECONDS = SENTENCE * 12  # of work, in the voice of a reference, for one core
LONG = SENTENCE * 40  # for what is never done to its end

pytestmark = pytest.mark.alone


def speak(server: LiveServer, **fields: object) -> requests.Response:
    return requests.post(server.url + "/api/v1/tts", json={"export_formats": ["wav"], "seed": 7, **fields}, timeout=120)


def test_parallel_requests_get_the_same_bytes_as_alone(server: LiveServer) -> None:
    """Voices, languages, speeds and lengths mixed: nothing of one request is ever heard in another."""
    voices = ["speaker1.wav", "speaker2.wav", "narrator.wav", None, "alloy", "onyx", "de", "fr+f2"]
    wishes = [
        {"text": f"Request number {i} says this. {'And a little more. ' * (i % 4)}", "reference_audio_filename": voice}
        | ({"speed_factor": 1.5} if i % 3 == 0 else {})
        for i, voice in enumerate(voices * 2)
    ]
    alone = [speak(server, **wish).content for wish in wishes]
    assert len(set(alone)) == len(wishes)
    with ThreadPoolExecutor(8) as crowd:
        together = list(crowd.map(lambda wish: speak(server, **wish).content, wishes))
    assert together == alone


def test_a_full_house_says_so_at_once(tmp_path: Path) -> None:
    env = {"CHATTERBOX_WORKERS": "1", "CHATTERBOX_QUEUE_LIMIT": "1"}
    with live_server(tmp_path, env=env) as server, ThreadPoolExecutor(12) as crowd:
        wishes = [SECONDS + str(i) for i in range(12)]
        answers = list(
            crowd.map(lambda text: speak(server, text=text, reference_audio_filename="speaker1.wav"), wishes)
        )
        busy = [answer for answer in answers if answer.status_code == 503]
        assert len(busy) >= 8, "two at a time, and these take seconds"
        assert all(a.json()["error_code"] == "SERVICE_OVERLOADED" and a.headers["Retry-After"] for a in busy)
        assert {answer.status_code for answer in answers} == {200, 503}
        assert speak(server, text="There is room again.").status_code == 200


def family(server: LiveServer) -> list[psutil.Process]:
    head = psutil.Process(server.process.pid)
    return [head, *head.children(recursive=True)]


def used(processes: list[psutil.Process]) -> float:
    """CPU seconds, of those that still run."""
    return sum(sum(process.cpu_times()[:2]) for process in processes if process.is_running())


def await_work(server: LiveServer) -> None:
    """Until it has plainly begun to work."""
    processes, deadline = family(server), time.monotonic() + 60
    before = used(processes)
    while used(processes) < before + 0.3:
        assert time.monotonic() < deadline, "the work does not begin"
        time.sleep(0.05)


@pytest.mark.parametrize("mode", ["stream", "live"])
def test_a_client_that_leaves_stops_its_work(server: LiveServer, mode: str) -> None:
    """A cloned text that takes many seconds; the client goes away early. A second later nobody works on it any more."""
    host, port = server.url.removeprefix("http://").split(":")
    body = f'{{"text": "{LONG}", "reference_audio_filename": "speaker2.wav"}}'.encode()
    head = (
        f"POST /api/v1/tts?response_mode={mode} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    )
    outputs = set((server.data / "outputs").iterdir())
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await_work(server)
    time.sleep(1.0)  # what the promise allows
    processes = family(server)
    before = used(processes)
    time.sleep(1.0)  # what is measured
    assert used(processes) < before + 0.3
    assert set((server.data / "outputs").iterdir()) == outputs, "nothing is kept of a broken-off request"


def test_health_answers_while_everybody_works(server: LiveServer) -> None:
    with ThreadPoolExecutor(6) as crowd:
        done = threading.Event()
        works = [crowd.submit(speak, server, text=SECONDS, reference_audio_filename="narrator") for _ in range(4)]
        times = []
        while not all(work.done() for work in works):
            began = time.perf_counter()
            assert requests.get(server.url + "/api/v1/health", timeout=10).ok
            times.append(time.perf_counter() - began)
            done.wait(0.05)
        assert all(work.result().status_code == 200 for work in works)
    assert len(times) > 5
    assert sorted(times)[len(times) // 2] < 1.0, "the event loop waited for audio work"


def test_the_server_leaves_no_process_behind(tmp_path: Path) -> None:
    with live_server(tmp_path) as server:
        speak(server, text="Hi.", reference_audio_filename="speaker1.wav")
        children = family(server)[1:]
        assert children
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert server.process.returncode == 0


def test_a_request_that_is_not_done_when_the_server_stops_is_told_so(tmp_path: Path) -> None:
    with live_server(tmp_path, env={"CHATTERBOX_DRAIN_S": "1"}) as server, ThreadPoolExecutor(1) as client:
        work = client.submit(speak, server, text=LONG * 3, reference_audio_filename="speaker1.wav")
        await_work(server)
        server.process.terminate()
        answer = work.result()
        assert (answer.status_code, answer.json()["error_code"]) == (503, "SERVICE_STOPPING")
        assert server.process.wait(15) == 0
        assert "Traceback" not in server.log.read_text("utf-8", "replace")


def test_what_is_under_way_is_finished_before_the_server_stops(tmp_path: Path) -> None:
    with live_server(tmp_path, env={"CHATTERBOX_DRAIN_S": "90"}) as server, ThreadPoolExecutor(2) as client:
        work = client.submit(speak, server, text=SENTENCE * 8, reference_audio_filename="speaker1.wav")
        await_work(server)
        assert not work.done()
        server.process.terminate()
        assert work.result().status_code == 200
        assert server.process.wait(90) == 0

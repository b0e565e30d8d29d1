"""Recordings named by URL, against the real server: what works, what is forbidden, and that nothing is left behind."""

import io
import json
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from chatterbox_plus.synthesis.sources import is_url
from tests.cli.helpers import Shell
from tests.live import LiveServer, live_server
from tests.net.test_hostile_urls import FORBIDDEN, MALFORMED, MORE_MALFORMED, ODD
from tests.net.web import Visit, Web, web_server

MODES = ["stream", "url", "live"]
TEXT = "A voice from somewhere else."
VOICES = ["speaker1", "narrator"]


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with web_server() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, web: Web) -> Iterator[LiveServer]:
    """A server that may fetch from our web server and nowhere else inside; it tries again at once."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "config.yaml").write_text(
        "api: {max_upload_mb: 2, download_timeout_seconds: 8}\n"
        "error_handling: {download_retries: {max_retries: 1, base_delay_seconds: 0}}\n"
    )
    with live_server(folder, env={"CHATTERBOX_ALLOWED_HOSTS": web.host, "CHATTERBOX_WORKERS": "1"}) as running:
        for name in VOICES:
            recording = beginning(running.data / "reference_audio" / f"{name}.wav")
            for folder in ("reference_audio", "vc_inputs"):
                (running.data / folder / f"short_{name}.wav").write_bytes(recording)
            web.page(f"/voices/{name}", recording, Content_Type="text/html")  # neither name nor type says what it is
        yield running


def beginning(recording: Path) -> bytes:
    """Its first second and a half: long enough to learn a voice from, and quickly worked on."""
    made = io.BytesIO()
    with wave.open(str(recording)) as whole, wave.open(made, "wb") as cut:
        cut.setparams(whole.getparams())
        cut.writeframes(whole.readframes(whole.getframerate() * 3 // 2))
    return made.getvalue()


@pytest.fixture(autouse=True)
def nothing_is_left(house: LiveServer) -> Iterator[None]:
    yield
    deadline = time.monotonic() + 20
    while left := [path.name for path in (house.data / "temp").glob("request-*")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)  # a live reply ends a moment before the work behind it


def speak(house: LiveServer, voice: str, mode: str = "url", **fields: Any) -> requests.Response:
    body = {"text": TEXT, "reference_audio_filename": voice, "export_formats": ["wav"], "seed": 1, **fields}
    return requests.post(f"{house.url}/api/v1/tts?response_mode={mode}", json=body, timeout=60)


def convert(house: LiveServer, source: str, target: str, mode: str = "url") -> requests.Response:
    body = {"input_audio_source": source, "target_voice_source": target, "export_formats": ["wav"]}
    return requests.post(f"{house.url}/api/v1/vc?response_mode={mode}", json=body, timeout=60)


def sound(house: LiveServer, reply: requests.Response, mode: str) -> bytes:
    """The samples, whatever way they came: live files cannot say their length in the header."""
    assert reply.status_code == 200, reply.text
    if mode == "url":
        reply = requests.get(house.url + reply.json()["output_files"][0]["url"], timeout=60)
    return reply.content.partition(b"data")[2][4:]


def refused(reply: requests.Response, status: int, code: str) -> str:
    assert (reply.status_code, reply.json()["error_code"]) == (status, code)
    message: str = reply.json()["error"]
    assert "request-" not in message
    return message


@pytest.mark.parametrize("mode", MODES)
def test_a_reference_by_url_sounds_as_the_stored_file_does(house: LiveServer, web: Web, mode: str) -> None:
    fetched = speak(house, web.url("/voices/speaker1"), mode)
    stored = speak(house, "short_speaker1.wav", mode)
    assert sound(house, fetched, mode) == sound(house, stored, mode)


@pytest.mark.parametrize("mode", MODES)
def test_source_and_target_by_url_are_two_files(house: LiveServer, web: Web, mode: str) -> None:
    fetched = convert(house, web.url("/voices/narrator?a=1"), web.url("/voices/speaker1"), mode)
    stored = convert(house, "short_narrator.wav", "short_speaker1.wav", mode)
    assert sound(house, fetched, mode) == sound(house, stored, mode)


def test_a_form_may_bring_one_file_and_name_the_other_by_url(house: LiveServer, web: Web) -> None:
    upload = (house.data / "vc_inputs" / "short_narrator.wav").read_bytes()
    reply = requests.post(
        f"{house.url}/api/v1/vc?response_mode=url",
        files={"input_audio": ("mine.wav", upload)},
        data={"target_voice_source": web.url("/voices/speaker1"), "export_formats": "wav"},
        timeout=60,
    )
    assert reply.status_code == 200, reply.text


def test_openai_s_voice_may_be_a_url(house: LiveServer, web: Web) -> None:
    body = {"model": "tts-1", "input": TEXT, "voice": web.url("/voices/speaker1"), "response_format": "wav"}
    by_url = requests.post(f"{house.url}/v1/audio/speech", json=body, timeout=60)
    by_name = requests.post(f"{house.url}/v1/audio/speech", json={**body, "voice": "short_speaker1"}, timeout=60)
    assert by_url.status_code == by_name.status_code == 200
    assert len(by_url.content) == len(by_name.content)


def test_many_at_once_get_what_they_asked_for(house: LiveServer, web: Web) -> None:
    names = VOICES * 4
    with ThreadPoolExecutor(8) as many:
        replies = list(many.map(lambda name: speak(house, web.url(f"/voices/{name}"), "stream"), names))
    heard = [sound(house, reply, "stream") for reply in replies]
    assert heard[2:] == heard[:2] * 3
    assert heard[0] != heard[1]


def test_a_sidecar_holds_the_url_without_its_keys(house: LiveServer, web: Web) -> None:
    url = web.url("/voices/speaker1")
    spoken = speak(house, url + "?token=secret#part").json()["output_files"][0]
    converted = convert(house, url + "?token=secret", url + "?token=secret").json()["output_files"][0]
    assert "speaker1" in converted["filename"]
    for made, fields in ((spoken, ["reference_audio_filename"]), (converted, ["input_audio_source"])):
        text = (house.data / made["path"]).with_suffix(".json").read_text("utf-8")
        assert "secret" not in text
        assert all(json.loads(text)["parameters"][field] == url for field in fields)
    assert "secret" not in house.log.read_text("utf-8")


def test_a_host_that_is_not_allowed_is_forbidden(house: LiveServer, web: Web, server: LiveServer) -> None:
    seen = len(web.seen)
    for url in (web.url("/voices/speaker1").replace("127.0.0.1", "127.0.0.2"), "http://localhost:1/", "http://[::1]/a"):
        for reply in (speak(house, url), speak(house, url, "live"), convert(house, url, "speaker1.wav")):
            refused(reply, 403, "PERMISSION_DENIED")
    refused(speak(server, web.url("/voices/speaker1")), 403, "PERMISSION_DENIED")  # one without the setting
    assert len(web.seen) == seen


@pytest.mark.parametrize("mode", MODES)
def test_a_redirect_inside_is_forbidden(house: LiveServer, web: Web, mode: str) -> None:
    url = web.redirect("/inside", "http://127.0.0.1:1/secret")
    assert ":1/" not in refused(speak(house, url, mode), 403, "PERMISSION_DENIED")


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_there_is_a_502(house: LiveServer, web: Web, mode: str) -> None:
    url = web.page("/gone.wav", status=404)
    for reply in (speak(house, url, mode), convert(house, url, "speaker1", mode), convert(house, "x.wav", url, mode)):
        if reply.json()["error_code"] != "RESOURCE_NOT_FOUND":  # x.wav itself
            message = refused(reply, 502, "DOWNLOAD_FAILED")
            assert "gone.wav" in message
            assert "404" in message


def test_what_fails_once_is_fetched_again(house: LiveServer, web: Web) -> None:
    recording = (house.data / "reference_audio" / "short_speaker1.wav").read_bytes()
    answers = [503, 200]
    web.pages["/flaky"] = lambda visit: visit.answer(recording, status=answers.pop(0))
    assert speak(house, web.url("/flaky")).status_code == 200


def test_what_is_not_audio_is_called_by_its_name(house: LiveServer, web: Web) -> None:
    url = web.page("/dir/page.wav", b"<html>" * 1000)
    for reply in (speak(house, url), speak(house, url, "live"), convert(house, url, "speaker1.wav")):
        assert "page.wav" in refused(reply, 400, "INVALID_AUDIO")
    assert refused(speak(house, web.page("/empty.wav")), 400, "INVALID_AUDIO")


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_an_upload_may_have_is_a_413(house: LiveServer, web: Web, announced: bool) -> None:
    url = web.page("/big.wav", bytes(2 * 2**20 + 1), length=None if announced else -1)
    assert "big.wav" in refused(speak(house, url), 413, "FILE_TOO_LARGE")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.wav", "file:///etc/passwd", "http://u:p@127.0.0.1/", "http:///a"])
def test_what_is_no_web_url_is_a_422(house: LiveServer, url: str) -> None:
    refused(speak(house, url), 422, "VALIDATION_ERROR")
    refused(convert(house, url, "speaker1.wav"), 422, "VALIDATION_ERROR")


def test_a_client_that_leaves_ends_its_download(house: LiveServer, web: Web) -> None:
    """The house is let go at once, not when the download's time is over."""
    arrived, left = Event(), Event()

    def hang(visit: Visit) -> None:
        visit.answer(length=1000)
        arrived.set()
        while not visit.left.wait(0.02):
            try:
                visit.wfile.write(b"x")
            except OSError:
                break
        left.set()

    web.pages["/hang"] = hang
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{house.url}/api/v1/tts",
            json={"text": TEXT, "reference_audio_filename": web.url("/hang")},
            timeout=(5, 0.5),
        )
    assert arrived.is_set()
    assert left.wait(5)


def test_urls_can_be_switched_off(tmp_path: Path, web: Web) -> None:
    (tmp_path / "config.yaml").write_text("api: {enable_url_downloads: false, allow_private_hosts: true}\n")
    with live_server(tmp_path, env={"CHATTERBOX_WORKERS": "1"}) as running:
        refused(speak(running, web.page("/off", b"x")), 403, "PERMISSION_DENIED")
    assert "/off" not in web.seen


def test_an_allowed_host_that_is_none_is_named_at_start(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="allowed_hosts"),
        live_server(tmp_path, env={"CHATTERBOX_ALLOWED_HOSTS": "http://nas/"}),
    ):
        pass


_WITNESS = """
import os, sys
def _tell(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        with open(os.environ["WITNESS"], "a") as file:
            print(*args[1][:2], file=file)
sys.addaudithook(_tell)
"""


def test_no_hostile_url_makes_the_server_connect_to_anything(tmp_path: Path, web: Web) -> None:
    """The interpreter of the server itself writes down every connect, its children's too; one that is allowed shows
    that it does."""
    (tmp_path / "sitecustomize.py").write_text(_WITNESS)
    witness = tmp_path / "connects"
    env = {"PYTHONPATH": str(tmp_path), "WITNESS": str(witness), "CHATTERBOX_ALLOWED_HOSTS": web.host}
    urls = [url for url in (*FORBIDDEN.split(), *ODD.split(), *MALFORMED.split(), *MORE_MALFORMED) if is_url(url)]
    assert len(urls) > 150
    with live_server(tmp_path / "house", env={**env, "CHATTERBOX_WORKERS": "1"}) as running:
        with ThreadPoolExecutor(4) as many:
            replies = list(many.map(lambda url: speak(running, url), urls))
        assert {reply.status_code for reply in replies} == {403, 422, 502}
        assert not witness.exists()
        refused(speak(running, web.page("/here", status=404)), 502, "DOWNLOAD_FAILED")
        assert set(witness.read_text().split("\n")) - {""} == {web.host.replace(":", " ")}


def test_the_command_takes_urls_where_it_takes_files(tmp_path: Path, house: LiveServer, web: Web) -> None:
    (tmp_path / "work").mkdir()
    shell = Shell(tmp_path / "work", house.data)
    voice, allowed = web.url("/voices/speaker1"), shell.env(CHATTERBOX_ALLOWED_HOSTS=web.host)
    spoken = shell("say", TEXT, "--voice", voice, "-o", "said.wav", env=allowed)
    assert (spoken.returncode, spoken.stderr) == (0, b"")
    changed = shell("convert", web.url("/voices/narrator"), "--to", voice, "-o", "changed.wav", env=allowed)
    assert (changed.returncode, changed.stderr) == (0, b"")
    assert shell.names() == ["changed.wav", "said.wav"]
    forbidden = shell("say", TEXT, "--voice", voice, "-o", "not.wav")
    assert forbidden.returncode != 0
    assert b"127.0.0.1" in forbidden.stderr
    assert shell.names() == ["changed.wav", "said.wav"]

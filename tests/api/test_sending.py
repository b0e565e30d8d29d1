"""GET …/audio of voices and of conversion inputs: the recording as it was sent, and nothing else."""

import pytest

from tests.api.fake_studio import FakeStudio
from tests.api.live_server import LiveServer
from tests.api.shelf import clear, tone

LISTS = ("/api/v1/voices", "/api/v1/vc_inputs")


@pytest.fixture(autouse=True)
def stored(studio: FakeStudio, server: LiveServer) -> None:
    clear(studio.library.voices)
    clear(studio.library.inputs)
    fields = {"folder_path": "a b"}
    server.post("/api/v1/voice", files={"voice_file": ("ä.wav", tone())}, data=fields).raise_for_status()
    server.post("/api/v1/vc_input", files={"vc_input_file": ("ä.wav", tone())}, data=fields).raise_for_status()


@pytest.mark.parametrize("listed", LISTS)
def test_a_recording_is_heard_as_it_was_sent(listed: str, server: LiveServer) -> None:
    url = f"{listed}/a%20b/%C3%A4.wav/audio"
    answer = server.get(url)
    assert (answer.status_code, answer.content) == (200, tone())
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert server.get(url, headers={"Range": "bytes=0-9"}).content == tone()[:10]
    assert server.get(url, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    assert server.ask("HEAD", url).headers["Content-Length"] == str(len(tone()))


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody.wav", 404),
        ("a%20b/%C3%A4.wav.json", 400),  # what is known of it is no recording
        ("..%2F..%2Fsettings.wav", 403),
    ],
)
def test_nothing_but_recordings_is_sent(path: str, status: int, listed: str, server: LiveServer) -> None:
    assert server.get(f"{listed}/{path}/audio").status_code == status


def test_a_list_says_how_good_a_recording_was(server: LiveServer) -> None:
    listed = server.get("/api/v1/voices").json()["voices"][0]
    assert listed["rating"] == server.get("/api/v1/voices/a%20b/%C3%A4.wav").json()["quality"]["rating"]

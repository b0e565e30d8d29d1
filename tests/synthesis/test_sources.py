"""Recordings by URL, seen from the studio: counted while they are fetched, there while they are needed, then gone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import Cancelled, DownloadFailed, InvalidAudio, InvalidOption, PermissionDenied, PlusError
from chatterbox_plus.library.library import Library
from chatterbox_plus.net.client import Download
from chatterbox_plus.synthesis.options import ConversionOptions, SpeechOptions
from chatterbox_plus.synthesis.sources import Sources, is_url
from chatterbox_plus.synthesis.studio import Studio
from tests.cli.helpers import tone
from tests.fakes import TONE

URL = "https://example.org/voices/anna?token=secret"
SAFE = "https://example.org/voices/anna"


class FakeClient:
    """Writes down what it was asked for, and answers with a tone, with nonsense, or with an error."""

    def __init__(self, folder: Path) -> None:
        self.recording = tone(folder / "tone.wav", 1.0).read_bytes()
        self.error: PlusError | None = None
        self.watch: Callable[[], None] = lambda: None
        self.asked: list[tuple[str, int, float, str]] = []

    def download(
        self, url: str, path: Path, *, max_bytes: int, deadline_s: float, cancel: Event, param: str
    ) -> Download:
        self.asked.append((url, max_bytes, deadline_s, param))
        self.watch()
        if self.error:
            raise self.error
        path.write_bytes(self.recording)
        return Download(SAFE, "anna", len(self.recording), "")


@pytest.fixture
def client(tmp_path: Path) -> FakeClient:
    return FakeClient(tmp_path)


@pytest.fixture
def studio(tmp_path: Path, client: FakeClient) -> Iterator[Studio]:
    folders = (tmp_path / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))
    engines = Engines("tone", engines={"tone": EngineHost(TONE, "tests.fakes:ToneEngine", workers=1)})
    sources = Sources(lambda: client, max_bytes=1_000_000, deadline_s=7)  # type: ignore[arg-type,return-value]
    library = Library(*folders)
    house = Studio(library, engines, Decoder(workers=1), capacity=1, timeout_s=20, max_text_chars=1000, sources=sources)
    yield house
    house.close()
    assert house.busy == 0
    assert temporary(house) == []


def temporary(studio: Studio) -> list[Path]:
    return [path for path in studio.library.temp.rglob("*") if path.is_file()]


def said(**fields: Any) -> SpeechOptions:
    body = {"text": "One sentence. " * 20, "export_formats": ["wav"], "reference_audio_filename": URL, **fields}
    return SpeechOptions.model_validate(body)


def converted(**fields: Any) -> ConversionOptions:
    body = {"input_audio_source": URL, "target_voice_source": URL, "export_formats": ["wav"], **fields}
    return ConversionOptions.model_validate(body)


def test_fetching_is_work_in_the_house(studio: Studio, client: FakeClient) -> None:
    inside: list[int] = []
    client.watch = lambda: inside.append(studio.busy)
    studio.speak(said(), cancel=Event())
    studio.convert(converted(), cancel=Event())
    assert inside == [1, 1, 1]
    assert client.asked[0] == (URL, 1_000_000, 7, "reference_audio_filename")
    assert [asked[3] for asked in client.asked[1:]] == ["input_audio_source", "target_voice_source"]


def test_a_reference_is_gone_as_soon_as_it_is_decoded_and_a_source_with_its_job(studio: Studio) -> None:
    with studio.speak_live(said(), cancel=Event(), keep=False):
        assert temporary(studio) == []
    with studio.convert_live(converted(), cancel=Event(), keep=False) as live:
        assert len(temporary(studio)) == 1
        assert b"".join(live)


def test_live_audio_left_in_the_middle_leaves_no_source(studio: Studio) -> None:
    live = studio.convert_live(converted(), cancel=Event())
    next(iter(live))
    live.close()
    assert temporary(studio) == []


@pytest.mark.parametrize("error", [DownloadFailed("no"), PermissionDenied("no"), Cancelled("no")])
def test_an_error_of_the_client_is_the_request_s(studio: Studio, client: FakeClient, error: PlusError) -> None:
    client.error = error
    for run in (
        lambda: studio.speak(said(), cancel=Event()),
        lambda: studio.speak_live(said(), cancel=Event()),
        lambda: studio.convert(converted(), cancel=Event()),
        lambda: studio.convert_live(converted(), cancel=Event()),
    ):
        with pytest.raises(type(error)):
            run()


def test_what_is_no_audio_is_called_by_its_url_without_the_query(studio: Studio, client: FakeClient) -> None:
    client.recording = b"<html>"
    for run in (
        lambda: studio.speak(said(), cancel=Event()),
        lambda: studio.convert(converted(), cancel=Event()),
    ):
        with pytest.raises(InvalidAudio, match=f"{SAFE}:"):
            run()


def test_an_unknown_model_is_known_before_anything_is_fetched(studio: Studio, client: FakeClient) -> None:
    with pytest.raises(InvalidOption):
        studio.speak(said(model="nobody"), cancel=Event())
    with pytest.raises(InvalidOption):
        studio.convert(converted(model="nobody"), cancel=Event())
    assert client.asked == []


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("http://x/a.wav", True),
        (" HTTPS://x", True),
        ("http:x", True),
        ("https:/x", True),
        ("file:///etc/passwd", True),
        ("git+ssh://x", True),
        ("speaker1.wav", False),
        ("https", False),
        ("http.wav", False),
        ("book/http:/x", False),
        ("C:/x.wav", False),
        ("//x/a.wav", False),
        ("", False),
    ],
)
def test_a_url_is_told_from_the_name_of_a_file(name: str, url: bool) -> None:
    assert is_url(name) is url

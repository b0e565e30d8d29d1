"""Whatever becomes of a request, the house is as it was: nobody inside, nothing half-made, nothing held."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.engines.registry import Engines
from chatterbox_plus.errors import Cancelled, NotFound, PermissionDenied, PlusError
from chatterbox_plus.library.library import Library
from chatterbox_plus.library.retention import Policy, Retention
from chatterbox_plus.synthesis.options import ConversionOptions, FileSegment, JoinOptions, SpeechOptions
from chatterbox_plus.synthesis.studio import Studio
from tests.fakes import TONE


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    folders = (tmp_path / name for name in ("reference_audio", "vc_inputs", "outputs", "temp"))
    engines = Engines("tone", engines={"tone": EngineHost(TONE, "tests.fakes:ToneEngine", workers=1)})
    house = Studio(Library(*folders), engines, Decoder(workers=1), capacity=2, timeout_s=20, max_text_chars=10_000)
    yield house
    house.close()


def said(text: str = "Hello there.", **fields: object) -> SpeechOptions:
    return SpeechOptions.model_validate({"text": text, "export_formats": ["wav"], **fields})


def everything(studio: Studio) -> list[str]:
    root = studio.library.outputs.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"project": "../x"}, PermissionDenied),
        ({"reference_audio_filename": "nobody"}, NotFound),
        ({"language": "x"}, PlusError),
    ],
)
def test_a_request_that_cannot_begin_holds_nothing(
    studio: Studio, fields: dict[str, str], error: type[PlusError]
) -> None:
    for _ in range(5):
        with pytest.raises(error):
            studio.speak_live(said(**fields), cancel=threading.Event())
        with pytest.raises(error):
            studio.speak(said(**fields), cancel=threading.Event())
    assert studio.busy == 0
    assert everything(studio) == []


def test_live_audio_that_nobody_listens_to_leaves_nothing(studio: Studio) -> None:
    studio.speak_live(said(), cancel=threading.Event()).close()
    assert studio.busy == 0
    assert everything(studio) == []


def test_live_audio_left_in_the_middle_leaves_nothing(studio: Studio) -> None:
    live = studio.speak_live(said("One sentence. " * 40), cancel=threading.Event())
    heard = iter(live)
    next(heard)
    assert studio.busy == 1
    live.close()
    assert studio.busy == 0
    assert everything(studio) == []


def test_live_audio_heard_to_the_end_is_kept_with_its_sidecar(studio: Studio) -> None:
    live = studio.speak_live(said(project="book"), cancel=threading.Event())
    assert b"".join(live)
    live.close()
    assert live.result is not None
    (file,) = live.result.files
    assert everything(studio) == ["book", file.path.replace(".wav", ".json"), file.path]
    assert studio.busy == 0


@pytest.mark.parametrize("fields", [{}, {"normalize_audio": True, "trim": True, "use_auto_editor": True}])
def test_a_cancelled_request_stops_and_leaves_nothing(studio: Studio, fields: dict[str, bool]) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        studio.speak(said("One sentence. " * 40, **fields), cancel=cancel, progress=lambda done, total: cancel.set())
    assert studio.busy == 0
    assert everything(studio) == []


def test_a_missing_file_in_a_join_holds_nothing(studio: Studio) -> None:
    with pytest.raises(NotFound):
        studio.join(JoinOptions(segments=(FileSegment(filename="gone.wav"),)), cancel=threading.Event())
    assert studio.busy == 0


def test_retention_leaves_the_sources_of_a_join_alone_until_it_is_over(studio: Studio) -> None:
    """They are opened twice."""
    file = studio.speak(said(), cancel=threading.Event()).files[0]
    place = studio.library.outputs.root / file.path
    os.utime(place, (0, 0))
    os.utime(place.with_suffix(".json"), (0, 0))
    retention = Retention(studio.library, Policy(outputs_max_bytes=1))
    join = studio.join_live(JoinOptions(segments=(FileSegment(filename=file.path),)), cancel=threading.Event())
    retention.run()
    assert place.exists()
    assert b"".join(join)
    join.close()
    retention.run()
    assert not place.exists()


def test_an_upload_is_called_by_its_own_name_in_errors(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "3f9a.wav").write_bytes(b"nothing")
    with pytest.raises(PlusError, match="my song"):
        studio.convert(
            ConversionOptions(target_voice_source="my song.wav"),
            cancel=threading.Event(),
            source=tmp_path / "3f9a.wav",
            source_name="mine.wav",
            target=tmp_path / "3f9a.wav",
        )

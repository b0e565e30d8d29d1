"""Audio on its way out: whole files or none, the same samples everywhere."""

from collections.abc import Generator
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.commands.output import Target
from chatterbox_plus.commands.sinks import deliver, openers
from chatterbox_plus.errors import FileExists, GenerationError, PlusError
from chatterbox_plus.synthesis.results import LiveAudio
from tests.cli.helpers import heard


def sine(channels: int = 1, n: int = 30_000) -> Samples:
    wave = (0.5 * np.sin(np.arange(n) * 0.1)).astype(np.float32)
    return wave if channels == 1 else np.stack([wave, -wave])


def live(samples: Samples, pieces: int, *, fails: PlusError | None = None) -> LiveAudio:
    """The samples as a live wav in pieces of so many bytes, which may break off at the end."""
    channels = 1 if samples.ndim == 1 else samples.shape[0]
    encoder = Encoder("wav", rate=24_000, channels=channels)
    data = encoder.push(samples) + encoder.finish()

    def make(_: LiveAudio) -> Generator[bytes]:
        for i in range(0, len(data), pieces):
            yield data[i : i + pieces]
        if fails:
            raise fails

    return LiveAudio(make, format=FORMATS["wav"], filename="", model="", notes=(), cancel=Event(), release=lambda: None)


def targets(folder: Path, *names: str, replace: bool = False) -> list[Target]:
    return [Target(folder / name, Path(name).suffix[1:], replace) for name in names]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("pieces", [1001, 4096, 10**6])
def test_a_file_holds_the_samples_whatever_the_pieces(tmp_path: Path, channels: int, pieces: int) -> None:
    made = targets(tmp_path, "a.wav", "b.flac")
    seconds = deliver(live(sine(channels), pieces), openers(made, None, None, Event()))
    assert seconds == 30_000 / 24_000
    whole = np.rint(sine(channels) * 32768) / 32768
    for path in (tmp_path / "a.wav", tmp_path / "b.flac"):
        clip = decode(path, channels)
        np.testing.assert_array_equal(clip, whole)


def decode(path: Path, channels: int) -> Samples:
    from chatterbox_plus.audio.decode import Decoder

    decoder = Decoder()
    try:
        clip = decoder.read(path, channels=channels)
    finally:
        decoder.close()
    assert clip.rate == 24_000
    return clip.samples


def test_every_format_can_be_written(tmp_path: Path) -> None:
    made = targets(tmp_path, *(f"a.{name}" for name in FORMATS))
    deliver(live(sine(), 4096), openers(made, None, None, Event()))
    assert (tmp_path / "a.pcm").stat().st_size == 60_000
    for clip in heard([t.path for t in made if t.format != "pcm"]):
        assert clip.duration_s == pytest.approx(1.25, abs=0.1)


def test_audio_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    made = targets(tmp_path, "a.wav", "b.mp3")
    with pytest.raises(GenerationError):
        deliver(live(sine(), 4096, fails=GenerationError("no more")), openers(made, None, None, Event()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_opened_leaves_the_others_unmade(tmp_path: Path) -> None:
    made = targets(tmp_path, "a.wav", "gone/b.wav")
    with pytest.raises(PlusError, match=r"cannot write b\.wav"):
        deliver(live(sine(), 4096), openers(made, None, None, Event()))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"old")
    made = targets(tmp_path, "a.wav", replace=True)
    with pytest.raises(GenerationError):
        deliver(live(sine(), 4096, fails=GenerationError("no more")), openers(made, None, None, Event()))
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    deliver(live(sine(), 4096), openers(made, None, None, Event()))
    assert (tmp_path / "a.wav").stat().st_size == 60_044


def test_a_name_taken_meanwhile_is_not_overwritten_and_nothing_else_stays(tmp_path: Path) -> None:
    made = targets(tmp_path, "a.wav", "b.wav")

    def somebody_else(_: float) -> None:
        (tmp_path / "b.wav").write_bytes(b"theirs")

    with pytest.raises(FileExists, match="--force"):
        deliver(live(sine(), 4096), openers(made, None, None, Event()), somebody_else)
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
    assert (tmp_path / "b.wav").read_bytes() == b"theirs"


def test_no_file_gets_its_name_before_all_are_whole(tmp_path: Path) -> None:
    class Failing:
        def push(self, samples: Samples) -> None: ...

        def finish(self) -> None:
            assert not (tmp_path / "a.wav").exists()
            raise GenerationError("no more")

        def place(self) -> None: ...

        def abandon(self) -> None: ...

    made = openers(targets(tmp_path, "a.wav"), None, None, Event())
    with pytest.raises(GenerationError):
        deliver(live(sine(), 4096), [*made, lambda rate, channels: Failing()])
    assert list(tmp_path.iterdir()) == []

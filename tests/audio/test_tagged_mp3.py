"""An mp3 says which chapter of what it is, and is otherwise what the encoder makes."""

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.tagged_mp3 import write_tagged_mp3
from chatterbox_plus.audio.tags import LARGEST_COVER_BYTES, iso_639_2
from chatterbox_plus.errors import InvalidOption
from tests.audio.pictures import picture
from tests.audio.recordings import sine
from tests.needs import missing

RATE = 24_000
FFPROBE = shutil.which("ffprobe")
NAMED = {"title": "Erstes Käpitel", "album": "天野", "author": "A. B.", "track": 3, "tracks": 12}


def written(samples: Samples, block: int = 10**6, **said: Any) -> bytes:
    file = io.BytesIO()
    blocks = (samples[i : i + block] for i in range(0, len(samples), block))
    write_tagged_mp3(file, blocks, rate=RATE, **NAMED | said)
    return file.getvalue()


def untagged(samples: Samples) -> bytes:
    """What the encoder makes of it, from the first frame on."""
    file = io.BytesIO()
    encoder = Encoder("mp3", rate=RATE, sink=file, bit_rate=96_000)
    encoder.push(samples)
    encoder.finish()
    return file.getvalue()[file.getvalue().index(b"\xff\xf3") :]


@pytest.mark.parametrize("seconds", [0, 0.1, 1, 30])
def test_after_one_tag_comes_what_the_encoder_makes(seconds: float) -> None:
    """Its header included, which is written last, over what was there."""
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    content = written(noise)
    size = 10 + int.from_bytes(content[9:10]) + (content[8] << 7) + (content[7] << 14)
    assert content[:4] == b"ID3\x03"
    assert content[size:] == untagged(noise)


@pytest.mark.parametrize("block", [113, 24_000])
def test_any_block_size_gives_the_same_bytes(block: int) -> None:
    assert written(sine(440, 1, RATE), block) == written(sine(440, 1, RATE))


def test_it_knows_its_length_to_the_sample(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(written(sine(440, 1.234, RATE), cover=picture("png")))
    assert decoder.read(path, rate=RATE).samples.shape == (round(1.234 * RATE),)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_tags_and_cover_come_back(kind: str) -> None:
    content = written(sine(440, 0.2, RATE), language="pt-BR", cover=picture(kind))
    with av.open(io.BytesIO(content)) as container:
        tags = dict(container.metadata)
        cover = bytes(next(container.demux(container.streams.video[0])))
    assert tags == {
        **{"title": "Erstes Käpitel", "album": "天野", "artist": "A. B.", "album_artist": "A. B.", "track": "3/12"},
        **{"genre": "Audiobook", "language": "por"},
    }
    assert cover == picture(kind)


def test_ffprobe_agrees(tmp_path: Path) -> None:
    if FFPROBE is None:
        missing("ffprobe")
    path = tmp_path / "a.mp3"
    path.write_bytes(written(sine(440, 0.2, RATE), cover=picture("jpeg")))
    show = ["-show_format", "-show_streams", "-of", "json"]
    said = subprocess.run([FFPROBE, "-v", "error", *show, str(path)], capture_output=True, check=True)
    assert said.stderr == b""
    seen = json.loads(said.stdout)
    assert seen["format"]["tags"]["track"] == "3/12"
    assert [stream["codec_name"] for stream in seen["streams"]] == ["mp3", "mjpeg"]


def test_a_cover_must_be_a_picture_of_bearable_size() -> None:
    with pytest.raises(InvalidOption, match="JPEG or PNG"):
        written(sine(440, 0.1, RATE), cover=b"<svg/>")
    with pytest.raises(InvalidOption, match="16 MiB"):
        written(sine(440, 0.1, RATE), cover=picture("png") + bytes(LARGEST_COVER_BYTES))


def test_blocks_that_break_off_are_closed_and_their_error_is_heard() -> None:
    closed = []

    def blocks() -> Iterator[Samples]:
        try:
            yield sine(440, 0.1, RATE)
            raise OSError("gone")
        finally:
            closed.append(True)

    with pytest.raises(OSError, match="gone"):
        write_tagged_mp3(io.BytesIO(), blocks(), rate=RATE, **NAMED)  # type: ignore[arg-type]
    assert closed


@pytest.mark.parametrize(
    "language, letters",
    [("en", "eng"), ("pt-BR", "por"), ("PT_br", "por"), ("cmn", "zho"), ("yue", "yue"), ("", "und"), ("x!", "und")],
)
def test_a_language_is_named_by_three_letters(language: str, letters: str) -> None:
    assert iso_639_2(language) == letters

"""Chapters encoded on their own and joined without being encoded again: what is heard, when, and what the file says."""

import gc
import io
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from chatterbox_plus.audio.aac_segments import FRAME_SAMPLES, LEAD_SAMPLES, SegmentWriter, packets, segment_info
from chatterbox_plus.audio.audiobook import CEILING_DBTP, LEVEL_LUFS, chapter_level
from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.loudness import Levels, Meter
from chatterbox_plus.audio.m4b import ChapterMark, write_m4b
from chatterbox_plus.errors import InvalidAudio, InvalidOption
from tests.audio.pictures import picture
from tests.audio.recordings import loudest_hz, sine
from tests.hearing import listen
from tests.needs import missing

RATE = 24_000
TONES = (330, 520, 880)  # Hz, one a chapter
FFPROBE = shutil.which("ffprobe")


def segment(samples: Samples, block: int = 10**6, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    writer = SegmentWriter(file, rate=rate)
    for i in range(0, len(samples), block):
        writer.push(samples[i : i + block])
    info = writer.finish()
    assert segment_info(io.BytesIO(file.getvalue()), rate) == info
    return file.getvalue()


def length(content: bytes) -> int:
    return segment_info(io.BytesIO(content)).samples


def marks(contents: list[bytes]) -> list[ChapterMark]:
    ends = np.cumsum([length(content) for content in contents]).tolist()
    return [
        ChapterMark(f"Chapter {i + 1}", start, end)
        for i, (start, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]


def book(folder: Path, contents: list[bytes], chapters: list[ChapterMark] | None = None, **said: Any) -> Path:
    paths = [folder / f"{i}.aac" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    with (folder / "book.m4b").open("w+b") as sink:
        samples = write_m4b(
            sink, paths, marks(contents) if chapters is None else chapters, **{"title": "T", "author": "A"} | said
        )
    assert samples == sum(length(content) for content in contents)
    return folder / "book.m4b"


@pytest.fixture(scope="module")
def tones() -> list[bytes]:
    """Three chapters of 1.1 to 1.3 s."""
    return [segment(sine(hz, 1.1 + i / 10, RATE)) for i, hz in enumerate(TONES)]


def probed(path: Path) -> dict[str, Any]:
    if FFPROBE is None:
        missing("ffprobe")
    show = ["-show_format", "-show_streams", "-show_chapters", "-of", "json"]
    said = subprocess.run([FFPROBE, "-v", "error", *show, str(path)], capture_output=True, check=True)
    assert said.stderr == b""
    found: dict[str, Any] = json.loads(said.stdout)
    return found


@pytest.mark.parametrize("block", [1, 113, 1024, 24_000])
def test_any_block_size_gives_the_same_segment(block: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    assert segment(noise, block) == segment(noise)


@pytest.mark.parametrize("n, frames", [(0, 0), (1, 2), (1023, 2), (1024, 2), (1025, 3), (24_000, 25)])
def test_a_segment_lasts_whole_frames_and_knows_how_many(n: int, frames: int) -> None:
    content = segment(sine(440, 1, RATE)[:n])
    assert length(content) == frames * FRAME_SAMPLES
    if n:
        assert len(listen(content)) == frames * FRAME_SAMPLES


@pytest.mark.parametrize("rate", [22_050, 24_000, 44_100])
def test_the_first_sample_sounds_after_the_lead_and_silence_fills_the_end(rate: int) -> None:
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, 4200).astype(np.float32)
    samples[0] = samples[-1] = 0.9
    heard = listen(segment(samples, rate=rate), rate)
    assert np.abs(heard[LEAD_SAMPLES]) > 0.6
    assert np.abs(heard[LEAD_SAMPLES + 4199]) > 0.6
    likeness = np.correlate(heard[LEAD_SAMPLES - 50 : LEAD_SAMPLES + 4250], samples, "valid")
    assert np.argmax(likeness) == 50
    assert np.abs(heard[LEAD_SAMPLES + 4600 :]).max() < 0.05


def test_segments_joined_sound_as_they_do_alone(tmp_path: Path, tones: list[bytes]) -> None:
    """A loud tone that breaks off at a frame's edge is the worst there is: of it an echo is left, at -45 dB."""
    abrupt = segment(sine(440, 1, RATE)[: 20 * FRAME_SAMPLES])
    contents = [abrupt, *tones, abrupt]
    whole, alone = listen(book(tmp_path, contents)), np.concatenate([listen(content) for content in contents])
    np.testing.assert_allclose(whole, alone, atol=5e-3)


def test_frames_are_copied_as_they_are(tmp_path: Path, tones: list[bytes]) -> None:
    frames = [frame for content in tones for frame in packets(io.BytesIO(content))]
    with av.open(str(book(tmp_path, tones, cover=picture("png")))) as container:
        copied = [packet for packet in container.demux(audio=0) if packet.size]
    assert [bytes(packet) for packet in copied] == frames
    assert [packet.pts for packet in copied] == [i * FRAME_SAMPLES for i in range(len(frames))]


def test_two_threads_write_what_one_does() -> None:
    sounds = [np.random.default_rng(i).normal(0, 0.1, 100_000).astype(np.float32) for i in range(4)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(segment, sounds)) == [segment(sound) for sound in sounds]


def test_every_chapter_is_heard_at_its_mark(tmp_path: Path, tones: list[bytes]) -> None:
    path = book(tmp_path, tones)
    heard = listen(path)
    with av.open(str(path)) as container:
        chapters = container.chapters()
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    for chapter, mark, hz in zip(chapters, marks(tones), TONES, strict=True):
        assert chapter["time_base"] is not None
        assert float(chapter["start"] * chapter["time_base"]) == pytest.approx(mark.start / RATE, abs=0.001)
        assert float(chapter["end"] * chapter["time_base"]) == pytest.approx(mark.end / RATE, abs=0.001)
        begin = mark.start + LEAD_SAMPLES
        assert np.abs(heard[mark.start : begin - 64]).max() < 0.05
        assert np.abs(heard[begin : begin + 100]).max() > 0.3
        assert loudest_hz(heard[begin : begin + RATE].astype(np.float32), RATE) == pytest.approx(hz, abs=0.5)


def test_players_can_jump_to_a_chapter(tmp_path: Path, tones: list[bytes]) -> None:
    start = marks(tones)[2].start
    with av.open(str(book(tmp_path, tones, cover=picture("jpeg")))) as container:
        stream = container.streams.audio[0]
        container.seek(start, stream=stream)
        frames = list(container.decode(stream))
    assert frames[0].pts == start
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert loudest_hz(sound[LEAD_SAMPLES:][:RATE], RATE) == pytest.approx(TONES[2], abs=0.5)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_ffprobe_sees_an_audiobook(tmp_path: Path, tones: list[bytes], kind: str) -> None:
    said = {"title": "Die Käfer", "author": "天野", "language": "pt-BR", "comment": "a\nb", "cover": picture(kind)}
    seen = probed(book(tmp_path, tones, **said))
    tags = {name: seen["format"]["tags"][name] for name in ("title", "album", "artist", "album_artist", "genre")}
    assert tags == {
        **{"title": "Die Käfer", "album": "Die Käfer", "artist": "天野", "album_artist": "天野", "genre": "Audiobook"}
    }
    assert seen["format"]["tags"]["comment"] == "a b"
    assert seen["format"]["tags"]["media_type"] == "2"
    assert seen["format"]["tags"]["major_brand"] == "M4B "
    audio, *rest = [stream for stream in seen["streams"] if stream["codec_type"] == "audio"]
    assert (audio["codec_name"], audio["profile"], rest) == ("aac", "LC", [])
    assert audio["tags"]["language"] == "por"
    assert audio["duration_ts"] == sum(length(content) for content in tones)
    cover = [stream for stream in seen["streams"] if stream["disposition"]["attached_pic"]]
    assert [stream["codec_name"] for stream in cover] == ["mjpeg" if kind == "jpeg" else "png"]
    assert [chapter["tags"]["title"] for chapter in seen["chapters"]] == ["Chapter 1", "Chapter 2", "Chapter 3"]
    assert float(seen["format"]["duration"]) == pytest.approx(marks(tones)[-1].end / RATE, abs=0.002)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_the_cover_comes_back_to_the_byte(tmp_path: Path, tones: list[bytes], kind: str) -> None:
    with av.open(str(book(tmp_path, tones, cover=picture(kind)))) as container:
        assert bytes(next(container.demux(container.streams.video[0]))) == picture(kind)


def test_a_long_title_is_cut_between_characters(tmp_path: Path, tones: list[bytes]) -> None:
    end = length(tones[0])
    path = book(
        tmp_path, tones[:1], [ChapterMark("ü" * 200, 0, end // 2), ChapterMark("a\0\ud800\tb\n", end // 2, end)]
    )
    with av.open(str(path)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["ü" * 127, "a b"]


def test_a_book_needs_neither_chapters_nor_cover(tmp_path: Path, tones: list[bytes]) -> None:
    seen = probed(book(tmp_path, tones, chapters=[]))
    assert [stream["codec_name"] for stream in seen["streams"]] == ["aac"]
    assert "language" not in seen["streams"][0].get("tags", {}) or seen["streams"][0]["tags"]["language"] == "und"


def test_many_chapters_are_all_there(tmp_path: Path, tones: list[bytes]) -> None:
    """Above the 255 of one of the two lists that players read."""
    chapters = [ChapterMark(str(i), i * 100, i * 100 + 100) for i in range(300)]
    with av.open(str(book(tmp_path, tones, chapters))) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == [c.title for c in chapters]


def test_the_same_book_gives_the_same_bytes(tmp_path: Path, tones: list[bytes]) -> None:
    first = book(tmp_path, tones, cover=picture("png")).read_bytes()
    assert book(tmp_path, tones, cover=picture("png")).read_bytes() == first
    assert b"Lavf" not in first


def damaged(tones: list[bytes]) -> dict[str, bytes]:
    return {
        "torn": tones[1][:-1],
        "torn in a header": tones[1] + tones[1][:3],
        "no segment": b"RIFF" + bytes(100),
        "at another rate": segment(sine(440, 0.1, 48_000), rate=48_000),
    }


@pytest.mark.parametrize("how", ["torn", "torn in a header", "no segment", "at another rate"])
def test_a_damaged_segment_is_refused(tmp_path: Path, tones: list[bytes], how: str) -> None:
    paths = [tmp_path / "0.aac", tmp_path / "1.aac"]
    for path, content in zip(paths, [tones[0], damaged(tones)[how]], strict=True):
        path.write_bytes(content)
    with pytest.raises(InvalidAudio, match="speak that chapter again"):
        write_m4b(io.BytesIO(), paths, [], title="T", author="A")


def test_what_is_no_picture_is_no_cover() -> None:
    for cover in (b"GIF89a", b""):
        with pytest.raises(InvalidOption, match="JPEG or PNG") as refused:
            write_m4b(io.BytesIO(), [], [], title="T", author="A", cover=cover)
        assert refused.value.param == "cover"


@pytest.mark.parametrize(
    "places, wrong", [([(0, 100), (90, 200)], "after one that ends"), ([(0, 10**9)], "last chapter ends")]
)
def test_marks_that_cannot_be_are_refused(
    tmp_path: Path, tones: list[bytes], places: list[tuple[int, int]], wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong):
        book(tmp_path, tones, [ChapterMark("", *place) for place in places])


def test_a_book_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without any sound"):
        book(tmp_path, [b""])


def test_a_segment_takes_no_rate_that_aac_lacks_and_nothing_but_numbers_of_one_channel() -> None:
    with pytest.raises(ValueError, match="23000 Hz"):
        SegmentWriter(io.BytesIO(), rate=23_000)
    with pytest.raises(ValueError, match="numbers"):
        SegmentWriter(io.BytesIO()).push(np.array([0, np.nan], np.float32))
    with pytest.raises(ValueError, match="one channel"):
        SegmentWriter(io.BytesIO()).push(silence(10, 2))


def test_a_book_given_up_leaves_its_file_alone(tmp_path: Path, tones: list[bytes]) -> None:
    (tmp_path / "0.aac").write_bytes(tones[0])
    sink = io.BytesIO()
    with pytest.raises(FileNotFoundError):
        write_m4b(sink, [tmp_path / "0.aac", tmp_path / "lost.aac"], [], title="T", author="A")
    written = sink.getvalue()
    gc.collect()
    assert sink.getvalue() == written


def test_a_full_disk_is_heard_of(tmp_path: Path, tones: list[bytes]) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    (tmp_path / "0.aac").write_bytes(tones[0])
    with pytest.raises(OSError, match="No space left"):
        write_m4b(FullDisk(), [tmp_path / "0.aac"], [], title="T", author="A")
    with pytest.raises(OSError, match="No space left"):
        SegmentWriter(FullDisk()).push(sine(440, 2, RATE))


def levels(samples: Samples) -> Levels:
    meter = Meter(RATE)
    for i in range(0, len(samples), 4096):
        meter.push(samples[i : i + 4096])
    return meter.finish()


def test_a_levelled_chapter_has_its_level_in_the_book(tmp_path: Path) -> None:
    """Quiet speech-like sound with claps in it: the claps are limited, and the codec brings none of them back."""
    rng = np.random.default_rng(4)
    t = np.arange(12 * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20)) * np.maximum(0, np.sin(4.4 * t)) ** 2
    sound = (0.05 * voice + 0.0005 * rng.standard_normal(len(t))).astype(np.float32)
    for start in range(5000, len(t) - RATE, RATE // 2):
        sound[start : start + 400] += (0.1 * np.exp(-np.arange(400) / 100) * rng.standard_normal(400)).astype(
            np.float32
        )
    stage = chapter_level(lambda: np.array_split(sound, 7), RATE).stage(RATE, 1)
    content = segment(np.concatenate([stage.push(sound), stage.finish()]))
    read = levels(listen(book(tmp_path, [content])).astype(np.float32))
    assert read.lufs == pytest.approx(LEVEL_LUFS, abs=2)
    assert CEILING_DBTP - 4 < read.true_peak_dbtp <= CEILING_DBTP

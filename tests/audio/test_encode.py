import gc
import io
import struct
from pathlib import Path

import numpy as np
import pytest

import chatterbox_plus.audio.encode as encode
from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import FORMATS
from chatterbox_plus.errors import InvalidOption
from tests.audio.recordings import loudest_hz, sine

RATE = 24_000
WITH_HEADER = [name for name in FORMATS if name != "pcm"]
EXACT = {"wav", "flac"}


def live(format: str, samples: Samples, block: int = 10**6, *, rate: int = RATE, bit_rate: int | None = None) -> bytes:
    encoder = Encoder(format, rate=rate, channels=1 if samples.ndim == 1 else len(samples), bit_rate=bit_rate)
    parts = [encoder.push(samples[..., i : i + block]) for i in range(0, samples.shape[-1], block)]
    return b"".join(parts) + encoder.finish()


def into_file(path: Path, samples: Samples, *, rate: int = RATE) -> Path:
    with path.open("w+b") as sink:
        encoder = Encoder(path.suffix[1:], rate=rate, channels=1 if samples.ndim == 1 else len(samples), sink=sink)
        assert encoder.push(samples) + encoder.finish() == b""
    return path


def heard(decoder: Decoder, content: bytes | Path, folder: Path, channels: int = 1) -> Clip:
    path = content if isinstance(content, Path) else folder / "live"
    if isinstance(content, bytes):
        path.write_bytes(content)
    return decoder.read(path, channels=channels)


@pytest.mark.parametrize("format", WITH_HEADER)
@pytest.mark.parametrize("to_file", [False, True], ids=["live", "file"])
@pytest.mark.parametrize("rate", [24_000, 22_050, 7_000, 50_000])
def test_what_went_in_comes_out(decoder: Decoder, tmp_path: Path, format: str, to_file: bool, rate: int) -> None:
    """The tone keeps its pitch, level and length, at rates the codec has and at those it lacks."""
    tone = sine(440, 1.5, rate)
    content = into_file(tmp_path / f"a.{format}", tone, rate=rate) if to_file else live(format, tone, rate=rate)
    clip = heard(decoder, content, tmp_path)
    assert clip.duration_s == pytest.approx(1.5, abs=1e-4 if format in EXACT else 0.4)
    assert clip.duration_s >= 1.5 - 1e-3  # padding, not loss
    assert loudest_hz(clip.samples, clip.rate) == pytest.approx(440, abs=0.5)
    inner = clip.samples[clip.rate // 2 : -clip.rate // 2]
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(0.5 / 2**0.5, rel=0.02)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("block", [113, 480, 24_000])
def test_any_block_size_gives_the_same_bytes(format: str, block: int) -> None:
    both = np.stack([sine(440, 1, RATE), sine(700, 1, RATE)])
    for sound in (both[0], both):
        assert live(format, sound, block) == live(format, sound)


@pytest.mark.parametrize("format", WITH_HEADER)
def test_two_channels_keep_apart(decoder: Decoder, tmp_path: Path, format: str) -> None:
    both = np.stack([sine(440, 1, RATE), sine(1500, 1, RATE)])
    clip = heard(decoder, live(format, both), tmp_path, channels=2)
    assert [round(loudest_hz(side, clip.rate), -1) for side in clip.samples] == [440, 1500]


@pytest.mark.parametrize("format", FORMATS)
def test_sound_leaves_while_it_is_being_made(format: str) -> None:
    """After 0.2 s of 20 ms blocks there is sound on its way, and after that never more than 0.2 s without."""
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    encoder = Encoder(format, rate=RATE)
    sent = [len(encoder.push(noise[i : i + 480])) for i in range(0, RATE, 480)]
    assert sum(sent[:10]) > 200  # more than any header
    assert all(sum(sent[i : i + 10]) > 0 for i in range(40))


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_16_bit_numbers_come_back_as_they_were(decoder: Decoder, tmp_path: Path, format: str) -> None:
    numbers = np.arange(-32768, 32768, dtype=np.int16)
    samples = numbers.astype(np.float32) / 32768
    np.testing.assert_array_equal(heard(decoder, live(format, samples), tmp_path).samples, samples)


def test_pcm_is_little_endian_16_bit_and_nothing_else() -> None:
    samples = np.array([0, 0.5, -0.5, 1, -1, 2, -2], np.float32)
    assert struct.unpack("<7h", live("pcm", samples)) == (0, 16384, -16384, 32767, -32768, 32767, -32768)


def test_pcm_of_two_channels_is_interleaved() -> None:
    assert struct.unpack("<4h", live("pcm", np.array([[0, 0.5], [-0.5, -1]], np.float32))) == (0, -16384, 16384, -32768)


@pytest.mark.parametrize("format", WITH_HEADER)
def test_what_is_too_loud_is_clipped_and_does_not_wrap(decoder: Decoder, tmp_path: Path, format: str) -> None:
    loud = heard(decoder, live(format, sine(440, 1, RATE) * 8), tmp_path)
    clipped = heard(decoder, live(format, np.clip(sine(440, 1, RATE) * 8, -1, 1)), tmp_path)
    np.testing.assert_array_equal(loud.samples, clipped.samples)


def test_a_live_wav_says_that_its_length_is_not_known() -> None:
    content = live("wav", sine(440, 1, RATE))
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", content[:44]) == (
        *(b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, 24_000, 48_000, 2, 16, b"data", 0xFFFFFFFF),
    )
    assert len(content) == 44 + 48_000


@pytest.mark.parametrize("format", ["wav", "mp3", "flac", "opus"])
def test_a_file_knows_its_length_to_the_sample(decoder: Decoder, tmp_path: Path, format: str) -> None:
    """mp3 too: LAME's delay and padding are in its header, and are left out by whoever reads it."""
    path = into_file(tmp_path / f"a.{format}", sine(440, 1.234, RATE))
    assert decoder.read(path, rate=RATE).samples.shape == (round(1.234 * RATE),)
    assert decoder.probe(path).duration_s == pytest.approx(1.234, abs=0.01)


def test_a_wav_file_has_its_true_sizes(tmp_path: Path) -> None:
    content = into_file(tmp_path / "a.wav", sine(440, 1, RATE)).read_bytes()
    assert (content[4:8], content[40:44]) == (struct.pack("<I", 36 + 48_000), struct.pack("<I", 48_000))


def test_a_wav_file_beyond_4_gib_is_refused_before_its_header_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "_UNKNOWN_SIZE", 50_000)
    encoder = Encoder("wav", rate=RATE, sink=io.BytesIO())
    encoder.push(sine(440, 1, RATE))
    with pytest.raises(InvalidOption, match="4 GiB"):
        encoder.push(sine(440, 1, RATE))


@pytest.mark.parametrize("format", FORMATS)
def test_no_sound_at_all_is_written_without_complaint(format: str) -> None:
    sink = io.BytesIO()
    assert Encoder(format, rate=RATE, sink=sink).finish() == b""
    assert not sink.closed


@pytest.mark.parametrize("format", FORMATS)
def test_an_encoder_given_up_leaves_its_file_alone(format: str) -> None:
    sink = io.BytesIO()
    encoder = Encoder(format, rate=RATE, sink=sink)
    encoder.push(sine(440, 1, RATE))
    written = sink.getvalue()
    del encoder
    gc.collect()
    assert sink.getvalue() == written


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_heard_of(format: str) -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    encoder = Encoder(format, rate=RATE, sink=FullDisk())
    with pytest.raises(OSError, match="No space left"):  # at the first bytes, whenever those are
        (encoder.push(sine(440, 2, RATE)), encoder.finish())


@pytest.mark.parametrize(
    "format, rate, written",
    [
        *(("mp3", 24_000, 24_000), ("mp3", 23_000, 24_000), ("mp3", 96_000, 48_000), ("opus", 44_100, 48_000)),
        *(("opus", 24_000, 24_000), ("aac", 50_000, 64_000), ("wav", 12_345, 12_345)),
    ],
)
def test_the_next_rate_above_is_taken(format: str, rate: int, written: int) -> None:
    assert Encoder(format, rate=rate).rate == written


@pytest.mark.parametrize("rate, most", [(24_000, 160_000), (44_100, 320_000), (8_000, 64_000)])
def test_mp3_takes_the_highest_bit_rate_there_is_at_its_rate(rate: int, most: int) -> None:
    content = live(
        "mp3", np.random.default_rng(0).normal(0, 0.1, 10 * rate).astype(np.float32), rate=rate, bit_rate=320_000
    )
    assert len(content) * 8 / 10 == pytest.approx(most, rel=0.03)


@pytest.mark.parametrize("bit_rate", [320_000, 256_000, 224_000, 200_000, 192_000, 170_000, 160_000, 128_000])
@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_mp3_is_as_loud_as_what_went_in(decoder: Decoder, tmp_path: Path, rate: int, bit_rate: int) -> None:
    clip = heard(decoder, live("mp3", sine(440, 1, rate), rate=rate, bit_rate=bit_rate), tmp_path)
    level = np.sqrt(np.mean(clip.samples[rate // 4 : -rate // 4] ** 2))
    assert 20 * np.log10(level * 2**0.5 / 0.5) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("format", FORMATS)
def test_any_bit_rate_may_be_asked_for(format: str) -> None:
    assert live(format, sine(440, 0.5, RATE), bit_rate=320_000)


def test_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="numbers"):
        Encoder("wav", rate=RATE).push(np.array([0, np.nan], np.float32))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InvalidOption, match="avi"):
        Encoder("avi", rate=RATE)


def test_the_number_of_channels_must_be_as_announced() -> None:
    with pytest.raises(ValueError, match="channels"):
        Encoder("wav", rate=RATE).push(np.zeros((2, 10), np.float32))

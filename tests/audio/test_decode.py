import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chatterbox_plus.audio.decode import DecodeLimits, Decoder, check_suffix
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import AudioTooLong, FileTooLarge, InvalidAudio, NotFound, PlusError, UnsupportedFormat
from tests.audio.bad_files import bad_files, wav
from tests.audio.recordings import CONTAINERS, loudest_hz, record, record_video, sine

FORMATS_BY_SUFFIX = {".opus": "ogg", ".m4a": "mp4"}  # the others are called as they end
UNPADDED = {".wav", ".flac", ".ogg", ".opus", ".webm", ".m4a", ".mp4", ".mp3"}  # all but bare aac know their padding


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """A second of 440 Hz at 24 kHz."""
    return record(tmp_path / "tone.wav", sine(440, 1, 24_000))


@pytest.mark.parametrize("suffix", INPUT_SUFFIXES)
def test_every_container_keeps_its_sound(decoder: Decoder, tmp_path: Path, suffix: str) -> None:
    """Pitch, length, level and place in time."""
    rate = CONTAINERS[suffix][3]
    sound = sine(440, 2, rate)
    path = record(tmp_path / f"tone{suffix}", sound)
    info, clip = decoder.probe(path), decoder.read(path, rate=rate)
    assert info.format == FORMATS_BY_SUFFIX.get(suffix, suffix[1:])
    assert info.channels == 1
    assert info.duration_s == pytest.approx(clip.duration_s, abs=0.03)
    assert loudest_hz(clip.samples, rate) == pytest.approx(440, abs=0.3)
    if suffix in UNPADDED:
        assert clip.duration_s == pytest.approx(2, abs=0.03)
        inner = slice(rate // 2, rate)
        np.testing.assert_allclose(clip.samples[inner], sound[inner], atol=0.03)  # LAME is 5 % quieter


@pytest.mark.parametrize("suffix, codec", [(".ogg", "flac"), (".wav", "pcm_f32le"), (".m4a", "alac")])
def test_other_codecs_in_them_too(decoder: Decoder, tmp_path: Path, suffix: str, codec: str) -> None:
    rate = CONTAINERS[suffix][3]
    clip = decoder.read(record(tmp_path / f"tone{suffix}", sine(440, 1, rate), codec=codec))
    assert (clip.rate, loudest_hz(clip.samples, rate)) == (rate, pytest.approx(440, abs=0.3))


def test_the_content_counts_and_not_the_name(decoder: Decoder, tmp_path: Path) -> None:
    path = record(tmp_path / "really_flac.wav", sine(440, 1, 24_000), kind=".flac", rate=24_000)
    assert decoder.probe(path).format == "flac"


def test_the_sound_of_a_film_is_decoded(decoder: Decoder, tmp_path: Path) -> None:
    for name in ("film.mp4", "film.webm"):
        clip = decoder.read(record_video(tmp_path / name, audio=sine(440, 1, 48_000)))
        assert loudest_hz(clip.samples, clip.rate) == pytest.approx(440, abs=0.3)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_full_scale_is_one_at_every_depth(decoder: Decoder, tmp_path: Path, bits: int) -> None:
    lowest = np.zeros(100, np.uint8) if bits == 8 else np.full(100, -(2 ** (bits - 1)), f"<i{bits // 8}")
    (tmp_path / "a.wav").write_bytes(wav(lowest.tobytes(), bits=bits))
    np.testing.assert_array_equal(decoder.read(tmp_path / "a.wav").samples, -1)


def test_samples_beyond_full_scale_are_kept(decoder: Decoder, tmp_path: Path) -> None:
    loud = sine(440, 1, 24_000) * 6
    path = record(tmp_path / "loud.wav", loud, codec="pcm_f32le")
    np.testing.assert_array_equal(decoder.read(path).samples, loud)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_become_as_many_as_asked_for(decoder: Decoder, tmp_path: Path, channels: int) -> None:
    """One: the average. Two: each side with what belongs to neither. None: as in the file, at most two."""
    levels = np.arange(1, channels + 1, dtype=np.float32) / 16
    path = record(tmp_path / "a.wav", np.repeat(levels[:, None], 1000, axis=1), kind=".wav")
    one, two, own = (decoder.read(path, channels=n).samples for n in (1, 2, None))
    sides = {1: [1, 1], 2: [1, 2], 6: [(1 + 3 + 4 + 5 + 6) / 5, (2 + 3 + 4 + 5 + 6) / 5]}[channels]
    np.testing.assert_allclose(one, np.full(1000, levels.mean()), atol=1e-4)
    np.testing.assert_allclose(two, np.repeat(np.array(sides)[:, None] / 16, 1000, axis=1), atol=1e-4)
    np.testing.assert_array_equal(own, one if channels == 1 else two)
    assert decoder.probe(path).channels == channels


def test_a_stream_holds_what_a_read_gives(decoder: Decoder, tmp_path: Path) -> None:
    path = record(tmp_path / "a.flac", np.stack([sine(440, 3.3, 44_100), sine(550, 3.3, 44_100)]))
    with decoder.stream(path, rate=24_000, channels=2) as stream:
        blocks = list(stream)
    assert (stream.rate, stream.channels, stream.info.rate) == (24_000, 2, 44_100)
    assert max(block.shape[1] for block in blocks) < 2 * 24_000
    whole = decoder.read(path, rate=24_000, channels=2).samples
    assert whole.shape == (2, round(3.3 * 24_000))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_only_the_beginning_may_be_read(decoder: Decoder, tone: Path) -> None:
    np.testing.assert_array_equal(decoder.read(tone, max_s=0.25).samples, decoder.read(tone).samples[:6000])
    assert decoder.read(tone, max_s=9).duration_s == 1


def test_a_change_of_rate_on_the_way_is_followed(decoder: Decoder, tmp_path: Path) -> None:
    """Two mp3 files put one behind the other, as people do."""
    parts = [record(tmp_path / f"{rate}.mp3", sine(440, 1, rate), rate=rate) for rate in (24_000, 48_000)]
    both = tmp_path / "both.mp3"
    both.write_bytes(b"".join(part.read_bytes()[45:] for part in parts))  # without the first tag
    clip = decoder.read(both)
    assert clip.duration_s == pytest.approx(2, abs=0.2)
    assert loudest_hz(clip.samples[-clip.rate // 2 :], clip.rate) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("declared", [0xFFFFFFFF, 0x7FFFF000, 0])
def test_a_wav_that_was_streamed_is_read_to_its_end(decoder: Decoder, tmp_path: Path, declared: int) -> None:
    (tmp_path / "a.wav").write_bytes(wav(bytes(48_000), declared=declared))
    assert decoder.read(tmp_path / "a.wav").duration_s == 1
    assert decoder.probe(tmp_path / "a.wav").duration_s == 1


@pytest.mark.parametrize("format", ["flac", "mp3", "aac", "opus"])
def test_the_length_of_a_live_stream_is_found_out(decoder: Decoder, tmp_path: Path, format: str) -> None:
    encoder = Encoder(format, rate=24_000)
    path = tmp_path / f"live.{format}"
    path.write_bytes(encoder.push(sine(440, 5, 24_000)) + encoder.finish())
    assert decoder.probe(path).duration_s == pytest.approx(decoder.read(path).duration_s, abs=0.1)
    assert decoder.probe(path, thorough=True).duration_s == pytest.approx(decoder.read(path).duration_s)


def test_a_little_damage_is_passed_over(decoder: Decoder, tmp_path: Path) -> None:
    path = record(tmp_path / "a.mp3", sine(440, 5, 24_000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    path.write_bytes(content)
    assert decoder.read(path).duration_s == pytest.approx(5, abs=0.3)


def read_as_uploaded(decoder: Decoder, path: Path) -> None:
    check_suffix(path.name)
    decoder.read(path)


def test_bad_files_are_refused_one_by_one_and_good_ones_go_on(decoder: Decoder, tmp_path: Path) -> None:
    """Each with its error and a message that shows neither folders nor a library's words."""
    cases = bad_files(tmp_path)
    assert len(cases) >= 60
    for what, path, expected in cases:
        with pytest.raises(expected) as caught:
            read_as_uploaded(decoder, path)
        for word in (str(tmp_path), tmp_path.name + "/", "Errno", "Traceback", "libav", "ffmpeg", "FFmpeg", "[", "\n"):
            assert word not in caught.value.message, what
        assert path.name in caught.value.message, what
        if expected is not UnsupportedFormat:
            with pytest.raises(expected):
                decoder.probe(path, thorough=True)
        assert decoder.read(tmp_path / "readable.wav").duration_s == 0.5, f"after {what}"


def test_a_file_may_be_called_by_another_name(decoder: Decoder, tmp_path: Path) -> None:
    (tmp_path / "tmp8f3a").write_bytes(b"x")
    with pytest.raises(InvalidAudio, match=r"interview\.wav"):
        decoder.read(tmp_path / "tmp8f3a", name="interview.wav")


def test_a_missing_file_is_not_found(decoder: Decoder, tmp_path: Path) -> None:
    for call in (decoder.read, decoder.probe):
        with pytest.raises(NotFound, match=r"gone\.wav"):
            call(tmp_path / "gone.wav")


@pytest.mark.parametrize("name", ["a.wav", "A.MP3", "b.c.opus", "x.m4a"])
def test_names_of_audio_pass(name: str) -> None:
    check_suffix(name)


def test_a_name_is_shown_without_its_folders() -> None:
    with pytest.raises(UnsupportedFormat, match=r"^Not an audio file: notes\.txt \(accepted: wav, "):
        check_suffix("/home/ann/notes.txt")


def lying_flac(seconds: float, declared_s: float) -> bytes:
    """Silence at 8 kHz whose header declares another length (36 bits from bit 172 of the file's STREAMINFO)."""
    sink = io.BytesIO()
    encoder = Encoder("flac", rate=8_000, sink=sink)
    encoder.push(np.zeros(round(seconds * 8_000), np.float32))
    encoder.finish()
    content = bytearray(sink.getvalue())
    content[22:26] = round(declared_s * 8_000).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("seconds, declared_s", [(30, 30), (30, 1), (30, 0), (1, 30)])
def test_too_long_is_too_long_whatever_the_header_says(tmp_path: Path, seconds: float, declared_s: float) -> None:
    path = tmp_path / "bomb.flac"
    path.write_bytes(lying_flac(seconds, declared_s))
    with Decoder(DecodeLimits(max_duration_s=10), workers=1) as strict, pytest.raises(AudioTooLong, match="10 s"):
        strict.read(path)


def test_too_large_is_not_even_opened(tmp_path: Path, tone: Path) -> None:
    with Decoder(DecodeLimits(max_bytes=1000)) as strict, pytest.raises(FileTooLarge, match=r"tone\.wav"):
        strict.read(tone)


def test_many_threads_each_get_their_own_file(decoder: Decoder, tmp_path: Path) -> None:
    tones = [200 + 50 * i for i in range(12)]
    paths = [record(tmp_path / f"{hz}.wav", sine(hz, 0.5, 24_000)) for hz in tones]

    def heard(path: Path) -> int:
        return round(loudest_hz(decoder.read(path).samples, 24_000))

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(heard, paths)) == tones


def test_one_thread_may_hold_many_streams_and_still_read(tmp_path: Path, tone: Path) -> None:
    """A join crossfades two files while it asks for a third; nobody waits for himself."""
    with Decoder(workers=1) as small:
        streams = [small.stream(tone) for _ in range(4)]
        opened = [stream.__enter__() for stream in streams]
        assert small.read(tone).duration_s == 1
        assert all(sum(len(block) for block in stream) == 24_000 for stream in opened)
        for stream in streams:
            stream.__exit__(None, None, None)


def test_an_error_of_the_listener_is_not_the_files(decoder: Decoder, tone: Path) -> None:
    with pytest.raises(InvalidAudio, match=r"^mine$"), decoder.stream(tone):
        raise InvalidAudio("mine")


def test_a_closed_decoder_says_so(tone: Path) -> None:
    decoder = Decoder()
    decoder.close()
    with pytest.raises(PlusError, match="closed"):
        decoder.read(tone)


def test_a_number_of_channels_that_cannot_be_is_refused(decoder: Decoder, tone: Path) -> None:
    with pytest.raises(ValueError, match="3 channels"):
        decoder.read(tone, channels=3)


def test_the_recordings_of_people_are_read(decoder: Decoder, recordings: Path) -> None:
    lengths = {"jfk.flac": 11.0, "linda_johnson_01.mp3": 49.5, "linda_johnson_02.flac": 71.7}
    for name, seconds in lengths.items():
        clip = decoder.read(recordings / "voices" / name, rate=24_000)
        assert clip.duration_s == pytest.approx(seconds, abs=0.1)
        assert 0.01 < np.sqrt(np.mean(clip.samples**2)) < 0.5

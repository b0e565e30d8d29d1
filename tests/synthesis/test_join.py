"""Joins are exact to the sample, level, free of clicks, and hold no more than they need."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Clip, Samples, silence
from chatterbox_plus.audio.decode import AudioInfo, Decoder
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.loudness import Meter
from chatterbox_plus.errors import Cancelled, InvalidAudio
from chatterbox_plus.synthesis.join import Joined, JoinedFile, JoinedPause, JoinSource, join
from chatterbox_plus.synthesis.options import FileSegment, JoinOptions, Segment, SilenceSegment, UploadSegment

RATE = 24_000


class MemoryDecoder:
    """Plays clips from memory instead of files, in blocks of any size. It only repeats or leaves out samples to change
    the rate: enough to count them."""

    def __init__(self, clips: dict[str, Clip], block: int = 4096) -> None:
        self.clips, self.block, self.streams = clips, block, 0

    def probe(self, path: Path, *, cancel: Event | None = None, name: str | None = None) -> AudioInfo:
        clip = self.clips[path.name]
        return AudioInfo(clip.duration_s, clip.rate, clip.channels, "wav")

    @contextmanager
    def stream(
        self, path: Path, *, rate: int, channels: int, cancel: Event | None = None, name: str | None = None
    ) -> Iterator[Any]:
        self.streams += 1
        clip = self.clips[path.name]
        samples = clip.samples[..., np.arange(round(clip.duration_s * rate)) * clip.rate // rate]
        if channels == 2 and samples.ndim == 1:
            samples = np.stack([samples, samples])
        yield (samples[..., i : i + self.block] for i in range(0, samples.shape[-1], self.block))


def sine(seconds: float, amplitude: float = 0.1, hz: float = 440, rate: int = RATE) -> Samples:
    n = round(seconds * rate)
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / rate)).astype(np.float32)


def noise(seconds: float, seed: int, amplitude: float = 0.1) -> Samples:
    return (amplitude * np.random.default_rng(seed).uniform(-1, 1, round(seconds * RATE))).astype(np.float32)


class Table:
    """Where clips and silences are laid out to be joined."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def join(
        self, *items: Samples | Clip | int, block: int = 4096, progress: Any = None, **options: Any
    ) -> tuple[Joined, MemoryDecoder]:
        """items: samples, clips, or milliseconds of silence."""
        segments: list[Segment] = []
        sources, clips = {}, {}
        for index, item in enumerate(items):
            if isinstance(item, int):
                segments.append(SilenceSegment(duration_ms=item, notation=f"({item}ms)"))
                continue
            name = f"{index}.wav"
            (self.folder / name).write_bytes(b"12345")
            clips[name] = item if isinstance(item, Clip) else Clip(item, RATE)
            segments.append(FileSegment(filename=name) if index % 2 else UploadSegment(index=index))
            sources[index] = JoinSource(f"folder/{name}", self.folder / name)
        decoder = MemoryDecoder(clips, block)
        wanted = JoinOptions(segments=tuple(segments), **{"normalize_levels": False, **options})
        return join(wanted, sources, decoder, cancel=Event(), progress=progress), decoder  # type: ignore[arg-type]

    def heard(self, *items: Samples | Clip | int, **options: Any) -> Samples:
        joined, _ = self.join(*items, **options)
        samples = np.concatenate(list(joined.blocks()), axis=-1)
        assert samples.shape[-1] == round(joined.duration_s * joined.rate)
        assert (1 if samples.ndim == 1 else len(samples)) == joined.channels
        assert samples.dtype == np.float32
        return samples


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path)


def test_files_that_meet_softly_are_joined_as_they_are(table: Table) -> None:
    left, right = sine(1.0), sine(0.5, hz=660)
    np.testing.assert_array_equal(table.heard(left, right), np.r_[left, right])


def test_silences_are_exact_wherever_they_stand(table: Table) -> None:
    tone = sine(0.5)
    heard = table.heard(1000, tone, 500, 250, tone, 50, crossfade_ms=300, pause_duration_ms=600)
    expected = np.r_[silence(24_000), tone, silence(18_000), tone, silence(1200)]
    np.testing.assert_array_equal(heard, expected)


def test_a_crossfade_overlaps_direct_neighbours_with_equal_power(table: Table) -> None:
    left, right = noise(1.0, 1), noise(1.0, 2)
    heard = table.heard(left, right, crossfade_ms=500)
    assert heard.shape == (36_000,)
    np.testing.assert_array_equal(heard[:12_000], left[:12_000])
    np.testing.assert_array_equal(heard[24_000:], right[12_000:])
    powers = np.square(heard).reshape(-1, 2000).mean(axis=1)
    np.testing.assert_allclose(powers, 0.1**2 / 3, rtol=0.15)


@pytest.mark.parametrize(
    "seconds, crossfade_ms, length",
    [
        ((1.0, 0.2), 500, 1.0),  # no longer than the shorter neighbour
        ((1.0, 0.4, 1.0), 300, 2.0),  # a middle file is shared by the two fades
        ((1.0, 0.4, 0.1), 350, 1.1),  # 0.3 s on its left is what the 0.1 s on its right leaves
        ((0.1, 0.1, 0.1, 0.1), 5000, 0.25),
        ((0.3, 0.3), 5000, 0.3),
        ((1.0,), 500, 1.0),
    ],
)
def test_crossfades_fit_their_neighbours(
    table: Table, seconds: tuple[float, ...], crossfade_ms: int, length: float
) -> None:
    heard = table.heard(*(sine(s) for s in seconds), crossfade_ms=crossfade_ms)
    assert len(heard) == pytest.approx(length * RATE, abs=2)


def test_a_gap_with_a_pause_gets_the_pause_and_no_overlap(table: Table) -> None:
    tone = sine(0.5)
    joined, _ = table.join(tone, tone, 100, tone, crossfade_ms=300, pause_duration_ms=600, seed=7)
    pauses = [part for part in joined.parts if isinstance(part, JoinedPause)]
    assert len(pauses) == 1
    assert 400 <= pauses[0].duration_ms <= 800
    assert joined.duration_s == pytest.approx(1.5 + 0.1 + pauses[0].duration_ms / 1000)
    samples = np.concatenate(list(joined.blocks()))
    np.testing.assert_array_equal(samples[12_000 : 12_000 + pauses[0].duration_ms * 24], 0)


def test_a_seed_repeats_the_pauses_and_none_draws_new_ones(table: Table) -> None:
    def pauses(**options: Any) -> list[int]:
        joined, _ = table.join(*[sine(0.1)] * 6, pause_duration_ms=600, **options)
        return [part.duration_ms for part in joined.parts if isinstance(part, JoinedPause)]

    assert pauses(seed=0) == pauses(seed=0) != pauses(seed=1)
    assert len(set(pauses(seed=0))) > 1
    assert pauses() != pauses()
    joined, _ = table.join(sine(0.1), sine(0.1), pause_duration_ms=600)
    assert pauses(seed=joined.seed)[0] == joined.parts[1].duration_ms  # type: ignore[union-attr]


def test_an_unset_variation_shrinks_to_a_short_pause(table: Table) -> None:
    joined, _ = table.join(*[sine(0.1)] * 30, pause_duration_ms=100, seed=3)
    drawn = [part.duration_ms for part in joined.parts if isinstance(part, JoinedPause)]
    assert min(drawn) >= 50
    assert max(drawn) <= 199


def test_files_come_to_one_level(table: Table) -> None:
    """-20 dBFS RMS each, and what is as good as silent is left alone."""
    heard = table.heard(sine(1.0, 0.9), sine(1.0, 0.01), noise(1.0, 1, 0.0001), normalize_levels=True)
    rms_dbfs = 10 * np.log10(np.square(heard.reshape(3, -1)[:, 200:-200]).mean(axis=1))
    np.testing.assert_allclose(rms_dbfs[:2], -20, atol=0.05)
    assert rms_dbfs[2] < -75


def test_levelling_keeps_the_true_peak_down(table: Table) -> None:
    """A quiet tone with loud clicks: raised to the level, its clicks would be far above full scale."""
    clicks = sine(2.0, 0.01)
    clicks[5000::9000] = 0.5
    heard = table.heard(clicks, clicks, normalize_levels=True, crossfade_ms=100)
    meter = Meter(RATE)
    meter.push(heard)
    levels = meter.finish()
    assert levels.true_peak_dbtp <= -1.95
    assert levels.rms_dbfs == pytest.approx(-20, abs=3)


def test_a_crossfade_of_the_same_loud_sound_stays_below_full_scale(table: Table) -> None:
    heard = table.heard(np.ones(24_000, np.float32), np.ones(24_000, np.float32), crossfade_ms=500)
    np.testing.assert_allclose(heard, 1.0, atol=1e-6)


def test_steps_that_would_click_are_faded_and_nothing_else(table: Table) -> None:
    loud, soft = np.full(24_000, 0.5, np.float32), np.full(24_000, 0.51, np.float32)
    np.testing.assert_array_equal(table.heard(loud, soft), np.r_[loud, soft])
    for heard in (table.heard(loud, -loud), table.heard(loud, 100, loud)):
        assert np.abs(np.diff(heard)).max() < 0.02
        np.testing.assert_array_equal(heard[: 24_000 - 72], 0.5)
        np.testing.assert_array_equal(np.abs(heard[-24_000 + 72 :]), 0.5)


def test_trimming_cuts_the_silence_of_every_file_and_says_so(table: Table) -> None:
    padded = np.r_[silence(24_000), sine(1.0), silence(12_000)]
    joined, _ = table.join(padded, sine(1.0), padded, trim=True)
    heard = np.concatenate(list(joined.blocks()))
    assert len(heard) == pytest.approx(3 * 24_000 + 2 * 2400, abs=8)
    first, second, _ = (part for part in joined.parts if isinstance(part, JoinedFile))
    assert first.trim is not None
    assert (first.trim.leading_silence_removed_ms, first.trim.trailing_silence_removed_ms) == (950, 450)
    assert second.trim is not None
    assert not second.trim.trimmed
    about = joined.metadata()
    assert about["files_trimmed"] == 2
    assert about["files_not_trimmed"] == 1
    assert about["total_silence_removed_seconds"] == pytest.approx(2.8, abs=0.01)
    assert about["trim_metadata"][0]["original_duration_ms"] == 2500


@pytest.mark.parametrize("block", [7, 480, 10**6])
def test_blocks_of_any_size_join_to_the_same_samples(table: Table, block: int) -> None:
    stereo = Clip(np.stack([noise(0.3, 1), noise(0.3, 2)]), RATE)
    items = (noise(0.4, 3, 0.9), stereo, 100, np.r_[silence(12_000), sine(0.3)], noise(0.05, 4))
    options = {"normalize_levels": True, "crossfade_ms": 150, "trim": True}
    np.testing.assert_array_equal(
        table.heard(*items, block=block, **options), table.heard(*items, block=4096, **options)
    )


def test_the_result_has_the_highest_rate_and_the_most_channels(table: Table) -> None:
    joined, _ = table.join(sine(1.0), Clip(sine(1.0, rate=44_100), 44_100), 1000)
    assert (joined.rate, joined.channels, joined.duration_s) == (44_100, 1, 3.0)
    stereo = Clip(np.stack([sine(1.0)] * 2), RATE)
    assert table.heard(sine(1.0), stereo, 1000).shape == (2, 72_000)
    joined, _ = table.join(Clip(sine(1.0, rate=96_000), 96_000))
    assert joined.rate == 48_000


def test_the_report_lists_what_is_in_the_join_in_order(table: Table) -> None:
    joined, _ = table.join(500, sine(1.0), sine(2.0), pause_duration_ms=600, pause_variation_ms=0)
    about = joined.metadata()
    assert about["processing_details"] == [
        {"type": "manual_silence", "duration_ms": 500, "duration_seconds": 0.5, "notation": "(500ms)"},
        {"type": "file", "filename": "folder/1.wav", "duration_seconds": 1.0, "size_bytes": 5},
        {
            "type": "natural_pause",
            "duration_ms": 600,
            "duration_seconds": 0.6,
            "base_duration_ms": 600,
            "variation_applied_ms": 0,
        },
        {"type": "file", "filename": "folder/2.wav", "duration_seconds": 2.0, "size_bytes": 5},
    ]
    assert about["total_duration_seconds"] == 4.1
    assert (about["file_count"], about["silence_segments"], about["natural_pauses"]) == (2, 1, 1)
    assert about["total_segments"] == 4


def test_every_file_is_heard_before_the_first_sample_leaves(table: Table) -> None:
    """So a broken file is an error reply, never half a recording; and progress counts both passes."""
    steps: list[tuple[int, int]] = []
    joined, decoder = table.join(sine(1.0), sine(1.0), progress=lambda done, total: steps.append((done, total)))
    assert decoder.streams == 2
    assert steps == [(1, 4), (2, 4)]
    list(joined.blocks())
    assert steps[2:] == [(3, 4), (4, 4)]


def test_a_file_that_changes_in_between_is_an_error(table: Table) -> None:
    joined, decoder = table.join(sine(1.0), sine(1.0))
    decoder.clips["1.wav"] = Clip(sine(0.5), RATE)
    with pytest.raises(InvalidAudio, match=r"folder/1\.wav"):
        list(joined.blocks())


def test_an_empty_file_is_an_error_that_names_it(table: Table) -> None:
    with pytest.raises(InvalidAudio, match=r"folder/0\.wav"):
        table.join(silence(0))


def test_silent_files_join_as_silence(table: Table) -> None:
    heard = table.heard(silence(24_000), silence(24_000), normalize_levels=True, trim=True, crossfade_ms=100)
    np.testing.assert_array_equal(heard, np.zeros(48_000 - 2400, np.float32))


def test_a_join_that_is_called_off_stops(tmp_path: Path) -> None:
    called_off = Event()
    (tmp_path / "0.wav").write_bytes(b"")
    decoder: Any = MemoryDecoder({"0.wav": Clip(sine(2.0), RATE)})
    options = JoinOptions(segments=(FileSegment(filename="0.wav"),))
    joined = join(options, {0: JoinSource("0.wav", tmp_path / "0.wav")}, decoder, cancel=called_off)
    blocks = joined.blocks()
    next(blocks)
    called_off.set()
    with pytest.raises(Cancelled):
        list(blocks)


def test_memory_does_not_grow_with_the_files(table: Table) -> None:
    """No block that leaves is larger than what one crossfade and one block of input need."""
    joined, _ = table.join(*[noise(3.0, 1)] * 8, crossfade_ms=1000, normalize_levels=True)
    assert max(block.shape[-1] for block in joined.blocks()) <= 24_000 + 2 * 4096


def test_files_on_disk_are_joined(tmp_path: Path) -> None:
    """Through the real decoder: another rate, another format, a second channel."""
    with (tmp_path / "a.wav").open("wb") as file:
        encoder = Encoder("wav", rate=RATE, sink=file)
        encoder.push(sine(1.0))
        encoder.finish()
    with (tmp_path / "b.flac").open("wb") as file:
        encoder = Encoder("flac", rate=16_000, channels=2, sink=file)
        encoder.push(np.stack([sine(0.5, rate=16_000)] * 2))
        encoder.finish()
    segments = (FileSegment(filename="a.wav"), SilenceSegment(duration_ms=100, notation="(100ms)"))
    options = JoinOptions(segments=(*segments, FileSegment(filename="b.flac")))
    sources = {0: JoinSource("a.wav", tmp_path / "a.wav"), 2: JoinSource("b.flac", tmp_path / "b.flac")}
    with Decoder() as decoder:
        joined = join(options, sources, decoder, cancel=Event())
        heard = np.concatenate(list(joined.blocks()), axis=-1)
    assert heard.shape == (2, 38_400)
    assert joined.duration_s == 1.6
    for part in (heard[:, :24_000], heard[:, 26_400:]):
        assert 10 * np.log10(np.square(part).mean()) == pytest.approx(-20, abs=0.1)

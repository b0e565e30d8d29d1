"""The watermark is Perth's, with Perth's own weights: numbers here were computed by resemble-perth 1.0.1 itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from chatterbox_plus.audio.clip import Samples, silence
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.engines.base import Passage
from chatterbox_plus.engines.builtin.engine import BuiltinEngine
from chatterbox_plus.engines.chatterbox import watermark
from chatterbox_plus.engines.chatterbox.watermark import Watermarker, installed
from chatterbox_plus.errors import MissingExtra, ModelLoadError
from tests.hearing import listen
from tests.needs import missing

RATE = 24_000


@pytest.fixture(scope="module")
def marker() -> Watermarker:
    if not installed():
        missing("resemble-perth")
    return Watermarker()


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Two sentences at RATE."""
    text = "The boy had never seen so much water, and he stood quite still. It was only a lake."
    return BuiltinEngine().speak(Passage(0, text, "en", seed=1), None, lambda: False).clip.samples


def buzz(seconds: float) -> Samples:
    """A buzz in the rhythm of syllables, at 32 kHz, Perth's own rate: nothing is resampled."""
    t = np.arange(round(seconds * watermark.RATE)) / watermark.RATE
    tones = [np.sin(2 * np.pi * 130 * k * (t + 0.01 * np.sin(2 * t))) / k for k in range(1, 25)]
    return (0.15 * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * sum(tones)).astype(np.float32)


def test_the_mark_is_the_one_that_perth_makes(marker: Watermarker) -> None:
    sound = buzz(2)
    added = marker.mark(sound, watermark.RATE) - sound
    perths = [-0.027214, -0.013781, -0.000979, 0.00682, 0.031634, 0.021778, 0.000381, 0.001099]
    np.testing.assert_allclose(added[5000::8000], perths, atol=2e-6)
    assert np.sqrt(np.mean(added**2)) == pytest.approx(0.017698, abs=2e-6)


def test_the_detector_is_as_sure_as_perths(marker: Watermarker) -> None:
    sound = buzz(2)
    marked = marker.mark(sound, watermark.RATE)
    assert marker.confidence(sound, watermark.RATE) == pytest.approx(0.695751, abs=1e-4)
    assert marker.confidence(marked, watermark.RATE) == pytest.approx(0.759292, abs=1e-4)
    assert marker.confidence(sound[:6400], watermark.RATE) == pytest.approx(0.007118, abs=1e-4)


def test_marked_speech_is_known_and_unmarked_speech_is_not(marker: Watermarker, speech: Samples) -> None:
    marked = marker.mark(speech, RATE)
    assert marked.shape == speech.shape
    assert marked.dtype == np.float32
    assert marker.confidence(marked, RATE) >= 0.9
    assert marker.confidence(speech, RATE) <= 0.1


def test_recordings_of_people_are_told_apart_too(marker: Watermarker, recordings: Path) -> None:
    for path in sorted((recordings / "voices").iterdir()):
        sound = listen(path)[: 5 * RATE].astype(np.float32)
        assert marker.confidence(sound, RATE) <= 0.5, path.name
        assert marker.confidence(marker.mark(sound, RATE), RATE) >= 0.9, path.name


def test_passages_marked_one_by_one_are_known_when_joined(marker: Watermarker, speech: Samples) -> None:
    half = len(speech) // 2
    parts = [marker.mark(speech[:half], RATE), silence(RATE // 2), marker.mark(speech[half:], RATE)]
    assert marker.confidence(np.concatenate(parts), RATE) >= 0.9


def test_the_mark_outlives_mp3(marker: Watermarker, speech: Samples) -> None:
    encoder = Encoder("mp3", rate=RATE, bit_rate=128_000)
    file = encoder.push(marker.mark(speech, RATE)) + encoder.finish()
    assert marker.confidence(listen(file).astype(np.float32), RATE) >= 0.9


def test_the_mark_is_softer_than_the_speech_and_leaves_high_sounds_alone(marker: Watermarker, speech: Samples) -> None:
    added = (marker.mark(speech, RATE) - speech).astype(np.float64)
    assert np.mean(added**2) < 0.05 * np.mean(speech**2)
    power = np.abs(np.fft.rfft(added)) ** 2
    above = np.fft.rfftfreq(len(added), 1 / RATE) > 2100
    assert power[above].sum() < 1e-4 * power.sum()


@pytest.mark.parametrize("n", [0, 1, 240, 1200, 24_000])
def test_any_length_works_and_silence_stays_silent(marker: Watermarker, speech: Samples, n: int) -> None:
    marked = marker.mark(speech[:n], RATE)
    assert marked.shape == (n,)
    assert np.isfinite(marked).all()
    np.testing.assert_array_equal(marker.mark(silence(n), RATE), silence(n))
    assert marker.confidence(silence(n), RATE) == marker.confidence(silence(n) + 1e-20, RATE) == 0.0


def test_the_same_speech_gets_the_same_mark_and_nobodys_dice_are_touched(speech: Samples, marker: Watermarker) -> None:
    torch.manual_seed(1)
    first, dice = Watermarker().mark(speech, RATE), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(dice, torch.rand(1))
    np.testing.assert_array_equal(marker.mark(speech, RATE), first)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watermark, "find_spec", lambda name: None)
    assert not installed()
    with pytest.raises(MissingExtra, match=r"pip install 'chatterbox-plus\[watermark\]'"):
        Watermarker().mark(silence(10), RATE)
    with pytest.raises(MissingExtra):
        Watermarker().confidence(silence(10), RATE)


def test_damaged_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "perth_net_250000.pth.tar").write_bytes(b"nothing of the kind")
    monkeypatch.setattr(watermark, "_weights", lambda: tmp_path / "perth_net_250000.pth.tar")
    with pytest.raises(ModelLoadError, match="perth_net_250000"):
        Watermarker().mark(silence(10), RATE)


def test_asking_whether_it_is_there_loads_nothing() -> None:
    asks = (
        "import sys; from chatterbox_plus.engines.chatterbox.watermark import installed; installed(); "
        "sys.exit(bool({'torch', 'perth'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", asks], check=False).returncode == 0

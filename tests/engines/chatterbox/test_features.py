"""What the networks hear: each spectrum against its definition, written the slow way in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from chatterbox_plus.engines.chatterbox import features
from chatterbox_plus.errors import InvalidAudio

CPU = torch.device("cpu")


def tone(hz: float, seconds: float, rate: int) -> Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(round(seconds * rate)) / rate)


def noise(samples: int, seed: int = 1) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def sinc_sum(wave: NDArray[np.float64], at: float, cutoff: float) -> float:
    """What a windowed sinc makes of the wave at `at` samples; cutoff in parts of the Nyquist frequency."""
    phase = (np.arange(len(wave)) - at) * cutoff
    taps = np.sinc(phase) * np.cos(np.pi * phase / 12) ** 2 * (np.abs(phase) < 6)
    return float(cutoff * (taps * wave).sum())


@pytest.mark.parametrize(("source", "target"), [(24_000, 16_000), (16_000, 24_000), (44_100, 16_000)])
def test_every_resampled_sample_is_a_sum_of_sincs(source: int, target: int) -> None:
    wave = noise(1_000)
    done = features.resample(wave, source, target)
    cutoff = 0.99 * min(source, target) / source
    expected = [sinc_sum(wave.double().numpy(), i * source / target, cutoff) for i in range(len(done))]
    assert len(done) == -(-1_000 * target // source)
    np.testing.assert_allclose(done.numpy(), expected, atol=1e-6)


def test_the_same_rate_changes_nothing() -> None:
    wave = noise(50)
    assert features.resample(wave, 16_000, 16_000) is wave


@pytest.mark.parametrize(("rate", "size", "bands"), [(24_000, 1920, 80), (16_000, 400, 40)])
def test_mel_bands_have_the_same_area(rate: int, size: int, bands: int) -> None:
    filters = features._mel_filters(rate, size, bands, CPU)
    assert filters.shape == (bands, size // 2 + 1)
    wide = filters[bands // 2 :]  # where a band is many bins wide, their sum is close to its area
    torch.testing.assert_close(wide.sum(1) * rate / size, torch.ones(len(wide)), atol=0.05, rtol=0)


def test_mel_bands_are_even_below_1_khz_and_grow_above() -> None:
    peaks = features._mel_filters(24_000, 1920, 80, CPU).argmax(1) * 12.5  # Hz
    steps = peaks.diff()
    assert steps[:25].max() - steps[:25].min() <= 12.5
    assert steps[-1] > 3 * steps[10]
    assert peaks[-1] < 8_000


@pytest.mark.parametrize("samples", [480, 4_799, 4_800, 24_000])
def test_a_prompt_has_fifty_frames_a_second(samples: int) -> None:
    assert features.prompt_mel(noise(samples)).shape == (samples // 480, 80)


def test_a_prompt_is_log_magnitude_under_mel_bands() -> None:
    wave = noise(4_800)
    middle = wave[5 * 480 - 720 : 5 * 480 + 1200].double().numpy()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1920) / 1920)
    magnitude = np.sqrt(np.abs(np.fft.rfft(middle * window)) ** 2 + 1e-9)
    expected = np.log(features._mel_filters(24_000, 1920, 80, CPU).double().numpy() @ magnitude)
    np.testing.assert_allclose(features.prompt_mel(wave)[5].numpy(), expected, atol=1e-4)


def test_silence_in_a_prompt_is_the_floor() -> None:
    assert features.prompt_mel(torch.zeros(4_800)).max() == pytest.approx(np.log(1e-5))


@pytest.mark.parametrize("samples", [160, 3_199, 3_200, 16_000])
def test_token_features_leave_the_frame_after_the_end_out(samples: int) -> None:
    assert features.s3_log_mel(noise(samples)).shape == (128, samples // 160)


def test_token_features_are_at_most_eight_below_their_loudest() -> None:
    mel = features.s3_log_mel(torch.cat([tone(1_000, 0.5, 16_000), torch.zeros(8_000)]))
    assert float(mel.max() - mel.min()) == pytest.approx(2.0)  # 8, divided by 4


def test_ten_times_louder_moves_token_features_by_a_half() -> None:
    wave = noise(8_000)
    torch.testing.assert_close(features.s3_log_mel(10 * wave), features.s3_log_mel(wave) + 0.5, atol=1e-5, rtol=0)


def test_a_voice_is_heard_as_power_not_as_a_logarithm() -> None:
    wave = noise(8_000)
    mel = features.voice_mel(wave)
    assert mel.shape == (51, 40)
    torch.testing.assert_close(features.voice_mel(10 * wave), 100 * mel, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 150, 201])
def test_a_wave_shorter_than_the_window_is_mirrored_back_and_forth(samples: int) -> None:
    wave = noise(samples)
    np.testing.assert_array_equal(features._reflected(wave, 200).numpy(), np.pad(wave.numpy(), 200, mode="reflect"))
    assert features.voice_mel(wave).shape == (1 + samples // 160, 40)


def test_kaldi_energies_follow_their_definition() -> None:
    wave = noise(1_000)
    frame = wave[320:720].double().numpy()
    frame = frame - frame.mean()
    frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)) ** 0.85
    power = np.abs(np.fft.rfft(frame * window, 512)) ** 2
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 82)
    mels = 1127 * np.log(1 + np.arange(257) * 31.25 / 700)
    bands = [np.interp(mels, edges[i : i + 3], [0, 1, 0]) @ power for i in range(80)]
    np.testing.assert_allclose(features.kaldi_fbank(wave)[2].numpy(), np.log(bands), atol=1e-3)


def test_kaldi_energies_do_not_hear_an_offset() -> None:
    wave = noise(1_600)
    assert features.kaldi_fbank(wave).shape == (8, 80)
    torch.testing.assert_close(features.kaldi_fbank(wave + 0.3), features.kaldi_fbank(wave), atol=1e-3, rtol=0)


def test_trimming_takes_the_silence_at_the_ends_only() -> None:
    sound = tone(300, 0.512, 16_000)  # 16 hops of 512 samples
    wave = torch.cat([torch.zeros(10 * 512), sound, torch.zeros(6 * 512), sound, torch.zeros(9 * 512 + 100)])
    kept = features.trim_silence(wave)
    before = kept.data_ptr() - wave.data_ptr()
    assert 0 <= 10 * 512 - before // 4 <= 1024
    assert 0 <= before // 4 + len(kept) - (10 + 16 + 6 + 16) * 512 <= 1024


def test_trimming_keeps_what_is_less_than_20_db_down() -> None:
    loud, quiet = tone(300, 0.512, 16_000), tone(300, 1.024, 16_000)
    assert len(features.trim_silence(torch.cat([loud, 0.11 * quiet]))) >= 46 * 512
    assert len(features.trim_silence(torch.cat([loud, 0.09 * quiet]))) <= 18 * 512


def test_silence_all_through_is_not_trimmed() -> None:
    assert len(features.trim_silence(torch.zeros(5_000))) == 5_000


@pytest.mark.parametrize(
    ("spectrum", "samples"), [(features.prompt_mel, 479), (features.s3_log_mel, 159), (features.kaldi_fbank, 399)]
)
def test_a_recording_shorter_than_a_frame_is_refused(spectrum: object, samples: int) -> None:
    assert callable(spectrum)
    with pytest.raises(InvalidAudio, match=f"too short: {samples} samples"):
        spectrum(torch.zeros(samples))

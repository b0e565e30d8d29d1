"""The voice encoder: which windows it hears, and what becomes of them."""

from collections.abc import Iterator

import pytest
import torch

from chatterbox_plus.engines.chatterbox import voice_encoder
from chatterbox_plus.engines.chatterbox.features import trim_silence, voice_mel
from chatterbox_plus.engines.chatterbox.voice_encoder import VoiceEncoder, _windows
from chatterbox_plus.errors import InvalidAudio


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture
def tiny() -> VoiceEncoder:
    torch.manual_seed(1)
    return VoiceEncoder(width=16).eval()


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(1))


FRAMES_AND_WINDOWS = [(1, 1), (160, 1), (204, 1), (205, 2), (237, 2), (281, 2), (282, 3), (160 + 77 * 9, 10)]


@pytest.mark.parametrize(("frames", "windows"), FRAMES_AND_WINDOWS)
def test_a_last_window_counts_from_four_fifths_on(frames: int, windows: int) -> None:
    assert _windows(torch.ones(frames, 40)).shape == (windows, 160, 40)


def test_windows_are_77_frames_apart_and_end_in_zeros() -> None:
    mel = torch.arange(1.0, 206.0)[:, None].expand(205, 40)
    first, second = _windows(mel)
    torch.testing.assert_close(first, mel[:160])
    torch.testing.assert_close(second[:128], mel[77:])
    assert not second[128:].any()


def test_a_voice_is_the_mean_of_its_windows(tiny: VoiceEncoder) -> None:
    wave = noise(48_000)
    each = torch.stack([tiny(window[None])[0] for window in _windows(voice_mel(trim_silence(wave)))])
    assert len(each) == 3
    torch.testing.assert_close(each.norm(dim=1), torch.ones(3))
    mean = each.mean(0)
    torch.testing.assert_close(tiny.embed(wave), mean / mean.norm())


def test_silence_at_the_ends_is_not_part_of_a_voice(tiny: VoiceEncoder) -> None:
    some, more = torch.zeros(4 * 512), torch.zeros(40 * 512)
    short, long = (torch.cat([quiet, noise(30 * 512), quiet]) for quiet in (some, more))
    torch.testing.assert_close(tiny.embed(long), tiny.embed(short))


def test_a_long_recording_is_heard_in_batches_of_the_same_result(
    tiny: VoiceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny.embed(noise(80_000))
    monkeypatch.setattr(voice_encoder, "_BATCH", 2)
    torch.testing.assert_close(tiny.embed(noise(80_000)), whole)


def test_a_third_of_a_second_is_enough(tiny: VoiceEncoder) -> None:
    assert tiny.embed(noise(4_800)).norm() == pytest.approx(1.0)


def test_a_voice_without_any_sign_is_zeros_not_nan(tiny: VoiceEncoder) -> None:
    tiny.proj.bias.fill_(-100.0)
    assert not tiny.embed(torch.zeros(16_000)).any()


def test_no_samples_are_refused(tiny: VoiceEncoder) -> None:
    with pytest.raises(InvalidAudio, match="too short"):
        tiny.embed(torch.zeros(0))


def test_weights_can_be_put_into_an_empty_network(tiny: VoiceEncoder) -> None:
    with torch.device("meta"):
        empty = VoiceEncoder(width=16)
    empty.load_state_dict(tiny.state_dict(), assign=True)
    torch.testing.assert_close(empty.embed(noise(16_000)), tiny.embed(noise(16_000)))


def test_keys_and_shapes_are_the_official_ones() -> None:
    with torch.device("meta"):
        shapes = {key: tuple(weight.shape) for key, weight in VoiceEncoder().state_dict().items()}
    layers = {0: 40, 1: 256, 2: 256}
    expected: dict[str, tuple[int, ...]] = {"proj.weight": (256, 256), "proj.bias": (256,)}
    for layer, inputs in layers.items():
        expected |= {f"lstm.weight_ih_l{layer}": (1024, inputs), f"lstm.weight_hh_l{layer}": (1024, 256)}
        expected |= {f"lstm.bias_ih_l{layer}": (1024,), f"lstm.bias_hh_l{layer}": (1024,)}
    assert shapes == expected

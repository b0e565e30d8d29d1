"""Mel to wave: the transforms, the source, and pieces that come to the same as the whole."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox import vocoder as room
from chatterbox_plus.engines.chatterbox.vocoder import RATE, Snake, Vocoder, draw_source, fade_in

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


@pytest.fixture
def tiny() -> Vocoder:
    made = Vocoder(size=16, pitch_size=8).eval()
    for module in made.modules():
        if isinstance(module, Snake):  # the only ones without a start of their own
            module.alpha.uniform_(0.5, 2)
    return made


def steady(hz: float, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """A pitch that stays, phases of zero and no noise."""
    return torch.full((1, frames), hz), torch.zeros(1, 9), torch.zeros(1, 9, 480 * frames)


def listen_to_one(vocoder: Vocoder, harmonic: int) -> None:
    linear = vocoder.m_source["l_linear"]
    assert isinstance(linear, nn.Linear)
    linear.bias.zero_()
    linear.weight.zero_()[0, harmonic] = 1


def test_a_frame_is_20_ms(tiny: Vocoder) -> None:
    assert (tiny.hop, RATE / tiny.hop) == (480, 50)
    phase, noise = draw_source(torch.Generator().manual_seed(1), 7)
    wave = tiny.wave(torch.randn(80, 7), phase, noise)
    assert wave.shape == (7 * 480,)
    assert wave.isfinite().all()


@pytest.mark.parametrize("harmonic", [0, 3])
def test_the_source_sings_multiples_of_the_pitch(tiny: Vocoder, harmonic: int) -> None:
    listen_to_one(tiny, harmonic)
    source = tiny.source(*steady(200.0, 50))[0, 0]
    t = torch.arange(1, 24_001, dtype=torch.float64) / RATE
    expected = torch.tanh(0.1 * torch.sin(2 * math.pi * 200 * (harmonic + 1) * t))
    # float32 knows 800 turns to 3e-5 of one
    torch.testing.assert_close(source, expected.float(), atol=5e-5, rtol=0)


def test_without_a_pitch_there_is_only_noise(tiny: Vocoder) -> None:
    listen_to_one(tiny, 0)
    pitch, phase, noise = steady(5.0, 3)
    assert not tiny.source(pitch, phase, noise).any()
    noise += 1
    torch.testing.assert_close(tiny.source(pitch, phase, noise), torch.full((1, 1, 1440), math.tanh(0.1 / 3)))


def test_no_pitch_is_below_nothing(tiny: Vocoder) -> None:
    pitch = tiny.f0(torch.randn(2, 80, 30))
    assert pitch.shape == (2, 30)
    assert (pitch >= 0).all()


@pytest.mark.parametrize("frames", [41, 56, 83])
def test_a_long_mel_is_shaped_in_pieces_and_sounds_the_same(
    tiny: Vocoder, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mel, source = torch.randn(1, 80, frames), torch.randn(1, 1, 480 * frames) * 0.1
    whole = tiny.decode(mel, source)
    monkeypatch.setattr(room, "_PIECE", 4)
    pieces = tiny.decode(mel, source)
    assert (pieces - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_rows_of_a_batch_do_not_hear_each_other(tiny: Vocoder) -> None:
    mel, source = torch.randn(2, 80, 6), torch.randn(2, 1, 2880) * 0.1
    torch.testing.assert_close(tiny.decode(mel, source)[1:], tiny.decode(mel[1:], source[1:]), atol=1e-5, rtol=1e-5)


def test_nothing_is_louder_than_the_limit(tiny: Vocoder) -> None:
    assert tiny.conv_post.bias is not None
    tiny.conv_post.bias.fill_(10)
    assert tiny.decode(torch.randn(1, 80, 4), torch.zeros(1, 1, 1920)).abs().max() == torch.tensor(0.99)


def test_our_spectra_are_torchs() -> None:
    wave = torch.randn(1, 480)
    frames = nn.functional.pad(wave[:, None], (8, 8), mode="reflect")[:, 0].unfold(1, 16, 4)
    spectra = torch.stft(wave, 16, 4, window=torch.hann_window(16), return_complex=True)
    expected = torch.cat([spectra.real, spectra.imag], dim=1).transpose(1, 2)
    torch.testing.assert_close(frames @ room._analysis(CPU, torch.float32), expected, atol=1e-5, rtol=1e-5)


def test_our_way_back_is_torchs() -> None:
    shaped = torch.randn(1, 121, 18) * 0.3 - 2
    size, phase = shaped[..., :9].exp(), shaped[..., 9:].sin()
    spectra = torch.polar(size, phase).transpose(1, 2)
    expected = torch.istft(spectra, 16, 4, window=torch.hann_window(16))
    assert expected.shape == (1, 480)
    torch.testing.assert_close(room._resynthesize(shaped), expected, atol=1e-6, rtol=1e-5)


def test_snake_is_its_formula() -> None:
    snake, x = Snake(3), torch.randn(2, 5, 3)
    snake.alpha.copy_(torch.tensor([0.5, 1, 2]))
    torch.testing.assert_close(snake(x), x + torch.sin(snake.alpha * x) ** 2 / snake.alpha)


def test_a_wave_begins_with_silence_and_rises() -> None:
    fade = fade_in(CPU)
    assert fade.shape == (960,)
    assert not fade[:480].any()
    assert (fade[480:].diff() >= 0).all()
    assert fade[-1] == 1


def test_phase_and_noise_are_drawn_in_upstreams_order() -> None:
    generator = torch.Generator().manual_seed(3)
    phase, noise = draw_source(generator, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = torch.distributions.Uniform(-math.pi, math.pi).sample((1, 9, 1))[0, :, 0]
        expected[0] = 0
        assert torch.equal(phase, expected)
        assert torch.equal(noise, torch.randn(1, 9, 960)[0])
        torch.randn(1, 960)
        assert torch.equal(torch.randn(20, generator=generator), torch.randn(20))

"""Mel to wave: the transforms, the source, and pieces that come to the same as the whole."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox import spectra as transforms
from chatterbox_plus.engines.chatterbox import vocoder as room
from chatterbox_plus.engines.chatterbox.vocoder import (
    RATE,
    Snake,
    Vocoder,
    WaveStream,
    draw_source,
    fade_in,
    widening,
)

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


@pytest.mark.parametrize("frames", [1, 4, 41, 83])
def test_a_mel_is_shaped_block_by_block_and_sounds_the_same(
    tiny: Vocoder, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mel, source = torch.randn(1, 80, frames), torch.randn(1, 1, 480 * frames) * 0.1
    monkeypatch.setattr(room, "_CPU_BLOCKS", (100,))
    whole = tiny.decode(mel, source)
    monkeypatch.setattr(room, "_CPU_BLOCKS", (16, 4))
    pieces = tiny.decode(mel, source)
    assert (pieces - whole).abs().max() <= 1e-5 * whole.abs().max()


def test_rows_of_a_batch_do_not_hear_each_other(tiny: Vocoder) -> None:
    mel, source = torch.randn(2, 80, 6), torch.randn(2, 1, 2880) * 0.1
    torch.testing.assert_close(tiny.decode(mel, source)[1:], tiny.decode(mel[1:], source[1:]), atol=1e-5, rtol=1e-5)


def test_several_mels_are_what_each_is_alone(tiny: Vocoder) -> None:
    batch = [(torch.randn(80, n), *draw_source(torch.Generator().manual_seed(n), n)) for n in (6, 31)]
    for one, found in zip(batch, tiny.wave_batch(batch), strict=True):
        assert torch.equal(found, tiny.wave(*one))


CUTS = [[1] * 211, [30, 181], [5, 0, 56, 150], [10] * 21 + [1], [211, 0]]


@pytest.mark.parametrize("cuts", CUTS, ids=len)
def test_a_stream_is_the_same_to_the_bit_however_it_is_cut(tiny: Vocoder, cuts: list[int]) -> None:
    mel = torch.randn(80, sum(cuts))
    whole = WaveStream(tiny, torch.Generator().manual_seed(3)).push(mel, last=True)
    stream, parts = WaveStream(tiny, torch.Generator().manual_seed(3)), mel.split(cuts, dim=1)
    found = [stream.push(part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    assert whole.shape == (480 * 211,)
    assert torch.equal(torch.cat(found), whole)


@pytest.mark.parametrize("frames", [1, 2, 10, 11, 20, 57])
def test_a_stream_is_the_wave(tiny: Vocoder, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.zeros(*shape))
    mel, generator = torch.linspace(-6, 2, 80 * frames).sin().mul(4).view(80, frames), torch.Generator()
    streamed = WaveStream(tiny, generator.manual_seed(3)).push(mel, last=True)
    whole = tiny.wave(mel, *draw_source(generator.manual_seed(3), frames))
    assert (streamed - whole).abs().max() <= 1e-4 * whole.abs().max()


def test_a_stream_is_heard_soon(tiny: Vocoder) -> None:
    stream, heard = WaveStream(tiny, torch.Generator().manual_seed(3)), 0
    for frames in range(1, 42):
        heard += len(stream.push(torch.randn(80, 1)))
        assert frames - heard / 480 <= 30


def test_noise_of_a_stream_is_noise(tiny: Vocoder) -> None:
    stream = WaveStream(tiny, torch.Generator().manual_seed(3))
    found = torch.cat([stream._take_noise(count) for count in (100, 7000, 9000)], dim=1)
    assert abs(found.mean()) < 0.05
    assert abs(found.std() - 1) < 0.05
    assert len(found[0].unique()) > 16_000


def test_nothing_is_pushed_after_the_last(tiny: Vocoder) -> None:
    stream = WaveStream(tiny, torch.Generator())
    assert len(stream.push(torch.randn(80, 0), last=True)) == 0
    with pytest.raises(ValueError, match="ended"):
        stream.push(torch.randn(80, 1))


@pytest.mark.parametrize(("kernel", "rate"), [(16, 8), (11, 5), (7, 3)])
def test_widening_is_a_transposed_convolution(kernel: int, rate: int) -> None:
    layer = nn.ConvTranspose1d(3, 2, kernel, rate, padding=(kernel - rate) // 2)
    x = torch.randn(2, 3, 6)
    made = widening(layer)(x).transpose(1, 2).reshape(2, 6 * rate, 2).transpose(1, 2)
    torch.testing.assert_close(made, layer(x), atol=1e-5, rtol=1e-5)


def test_nothing_is_louder_than_the_limit(tiny: Vocoder) -> None:
    assert tiny.conv_post.bias is not None
    tiny.conv_post.bias.fill_(10)
    assert tiny.decode(torch.randn(1, 80, 4), torch.zeros(1, 1, 1920)).abs().max() == torch.tensor(0.99)


def test_our_spectra_are_torchs() -> None:
    wave = torch.randn(1, 480)
    frames = nn.functional.pad(wave[:, None], (8, 8), mode="reflect")[:, 0].unfold(1, 16, 4)
    spectra = torch.stft(wave, 16, 4, window=torch.hann_window(16), return_complex=True)
    expected = torch.cat([spectra.real, spectra.imag], dim=1).transpose(1, 2)
    torch.testing.assert_close(frames @ transforms._analysis(CPU, torch.float32), expected, atol=1e-5, rtol=1e-5)


def test_our_way_back_is_torchs() -> None:
    shaped = torch.randn(1, 121, 18) * 0.3 - 2
    size, phase = shaped[..., :9].exp(), shaped[..., 9:].sin()
    spectra = torch.polar(size, phase).transpose(1, 2)
    expected = torch.istft(spectra, 16, 4, window=torch.hann_window(16))
    assert expected.shape == (1, 480)
    torch.testing.assert_close(transforms.Samples().push(shaped, last=True), expected, atol=1e-6, rtol=1e-5)


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

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.resample import Resampler, resample
from chatterbox_plus.audio.stage import Chain
from tests.audio.recordings import sine

PAIRS = [(24_000, 16_000), (16_000, 24_000), (44_100, 24_000), (24_000, 44_100), (8_000, 48_000), (96_000, 8_000)]


def in_blocks(stage: Resampler | Chain, samples: Samples, size: int) -> Samples:
    parts = [stage.push(samples[..., i : i + size]) for i in range(0, samples.shape[-1], size)]
    return np.concatenate([*parts, stage.finish()], axis=-1)


@pytest.mark.parametrize("src, dst", PAIRS)
@pytest.mark.parametrize("block", [1, 7, 480, 10**6])
def test_any_block_size_gives_the_same_samples(src: int, dst: int, block: int) -> None:
    tone = sine(440, 0.3, src)
    np.testing.assert_allclose(in_blocks(Resampler(src, dst), tone, block), resample(tone, src, dst), atol=1e-6)


@pytest.mark.parametrize("src, dst", PAIRS)
@pytest.mark.parametrize("n", [0, 1, 2, 17, 63, 64, 65, 1000, 23_999])
def test_the_length_is_exact_even_for_inputs_shorter_than_the_filter(src: int, dst: int, n: int) -> None:
    assert resample(np.ones(n, np.float32), src, dst).shape == (round(n * dst / src),)


@pytest.mark.parametrize("src, dst", PAIRS)
def test_a_tone_stays_where_and_what_it_was(src: int, dst: int) -> None:
    """The sine computed at the new rate is the sine resampled to it: no shift, no change of level."""
    got, inner = resample(sine(440, 1, src), src, dst), slice(dst // 20, -dst // 20)
    np.testing.assert_allclose(got[inner], sine(440, 1, dst)[inner], atol=1e-4)


@pytest.mark.parametrize("n", [5, 30, 3000])
def test_a_click_stays_where_it_was(n: int) -> None:
    """Also in clips shorter than the filter."""
    click = np.zeros(n, np.float32)
    click[n // 2] = 1
    assert abs(int(np.argmax(resample(click, 16_000, 48_000))) - 3 * (n // 2)) <= 1


def test_what_the_new_rate_cannot_hold_is_gone() -> None:
    folded = resample(sine(9_000, 1, 24_000), 24_000, 16_000)
    assert np.abs(folded[800:-800]).max() < 1e-4


def test_what_the_new_rate_can_hold_is_kept() -> None:
    kept = resample(sine(7_000, 1, 24_000), 24_000, 16_000)
    np.testing.assert_allclose(kept[800:-800], sine(7_000, 1, 16_000)[800:-800], atol=0.01)


def test_channels_keep_apart() -> None:
    left, right = sine(440, 0.5, 24_000), sine(1000, 0.5, 24_000)
    both = resample(np.stack([left, right]), 24_000, 16_000)
    np.testing.assert_allclose(both, [resample(left, 24_000, 16_000), resample(right, 24_000, 16_000)], atol=1e-6)


def test_one_channel_in_two_dimensions_stays_so() -> None:
    assert resample(np.ones((1, 240), np.float32), 24_000, 16_000).shape == (1, 160)


def test_the_same_rate_changes_nothing() -> None:
    tone = sine(440, 0.1, 24_000)
    assert resample(tone, 24_000, 24_000) is tone
    np.testing.assert_array_equal(in_blocks(Resampler(24_000, 24_000), tone, 100), tone)


@pytest.mark.parametrize("src, dst, channels", [(0, 24_000, 1), (24_000, -1, 1), (24_000, 16_000, 3)])
def test_what_cannot_be_is_refused(src: int, dst: int, channels: int) -> None:
    with pytest.raises(ValueError, match="cannot resample"):
        Resampler(src, dst, channels)


def test_time_stays_time() -> None:
    assert Resampler(24_000, 16_000).map_time(1.5) == 1.5


class Echo:
    """A stage one can reason about: every sample `times` times, the last sample only at the end."""

    def __init__(self, times: int) -> None:
        self.times, self.held = times, np.zeros(0, np.float32)

    def push(self, block: Samples) -> Samples:
        together = np.concatenate([self.held, block])
        self.held = together[-1:]
        return np.repeat(together[:-1], self.times)

    def finish(self) -> Samples:
        return np.repeat(self.held, self.times)

    def map_time(self, t_s: float) -> float:
        return t_s * self.times


@pytest.mark.parametrize("block", [1, 3, 100])
def test_a_chain_is_its_stages_one_after_the_other(block: int) -> None:
    """What a stage holds back to the end still goes through those after it."""
    samples = np.arange(10, dtype=np.float32)
    chain = Chain([Echo(2), Echo(3)])
    np.testing.assert_array_equal(in_blocks(chain, samples, block), np.repeat(samples, 6))
    assert chain.map_time(1.0) == 6.0


def test_an_empty_chain_changes_nothing() -> None:
    samples = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(in_blocks(Chain([]), samples, 3), samples)

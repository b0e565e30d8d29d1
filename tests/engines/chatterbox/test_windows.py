"""Windows on a recording: an engine that answers with what it hears gives the recording again, whatever the cuts."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.chatterbox.windows import HEARING_RATE, RATE, SPOKEN, TOKEN, Windows


def speechlike(seconds: float, rate: int, *, pauses_s: tuple[float, ...] = ()) -> Samples:
    """Three gliding tones below 3 kHz, silent for 0.2 s from each of `pauses_s`."""
    t = np.arange(round(seconds * rate)) / rate
    sound = np.sum([np.sin(2 * np.pi * f * (t + 0.02 * np.sin(3 * t))) for f in (180, 730, 2500)], axis=0) / 6
    for pause in pauses_s:
        sound[(t >= pause) & (t < pause + 0.2)] = 0
    return np.asarray(sound, np.float32)


def blocks(samples: Samples, size: int) -> Iterator[Samples]:
    buffer = np.empty(size, np.float32)  # the same one for every block, as a caller may have it
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        buffer[: len(part)] = part
        yield buffer[: len(part)]


def echoed(
    samples: Samples, rate: int, chunk_s: float, overlap_s: float, size: int = 4096
) -> tuple[Samples, list[int]]:
    """What comes out, and the lengths of the windows in tokens."""
    windows, out, tokens = Windows(rate, chunk_s, overlap_s), [np.zeros(0, np.float32)], []
    for window in windows.cut(blocks(samples, size)):
        assert window.dtype == np.float32
        assert len(window) % TOKEN == 0
        tokens.append(len(window) // TOKEN)
        out += windows.join(resample(window, HEARING_RATE, RATE))
    out += windows.rest()
    return np.concatenate(out), tokens


CHUNKS = [(1, 0), (1, 5), (2.5, 0.1), (60, 2), (300, 5)]


@pytest.mark.parametrize(
    ("rate", "chunk_s", "overlap_s"),
    [*((44_100, *chunk) for chunk in CHUNKS), *((rate, 5, 0.1) for rate in (8_000, 16_000, 24_000, 48_000))],
)
def test_what_goes_in_comes_out_without_a_seam(rate: int, chunk_s: float, overlap_s: float) -> None:
    sound = speechlike(40.123, rate)
    out, tokens = echoed(sound, rate, chunk_s, overlap_s)
    assert len(tokens) > 1
    assert len(out) == round(len(sound) * RATE / rate)
    expected = resample(resample(sound, rate, HEARING_RATE), HEARING_RATE, RATE)
    inside = slice(100, min(len(out), len(expected)) - 100)
    np.testing.assert_allclose(out[inside], expected[inside], atol=2e-4)


@pytest.mark.parametrize("size", [7, 333, 16_000, 10**6])
def test_blocks_of_any_size_give_the_same_samples(size: int) -> None:
    sound = speechlike(2.3, 44_100, pauses_s=(0.8, 1.7))
    np.testing.assert_array_equal(echoed(sound, 44_100, 1, 0, size)[0], echoed(sound, 44_100, 1, 0)[0])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 1763, 1764, 1765, 44_099, 44_101, 46_000, 60_000])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_any_length_comes_out_to_the_sample(n: int, rate: int) -> None:
    assert len(echoed(speechlike(n / rate, rate), rate, 1, 0)[0]) == round(n * RATE / rate)


def test_every_length_between_one_window_and_three_is_shared_well() -> None:
    for n in range(25 * TOKEN - 1, 75 * TOKEN, 517):
        out, tokens = echoed(speechlike(n / HEARING_RATE, HEARING_RATE), HEARING_RATE, 1, 0)
        assert len(out) == round(n * RATE / HEARING_RATE)
        assert max(tokens) <= 25
        assert min(tokens) >= 8


def test_nothing_gives_nothing() -> None:
    windows = Windows(RATE, 30, 0.1)
    assert not list(windows.cut(iter(())))
    assert not list(windows.rest())


def test_windows_are_no_longer_than_asked_nor_than_the_model_hears() -> None:
    assert max(echoed(speechlike(60, 16_000), 16_000, 5, 0.5)[1]) <= 125
    assert max(echoed(speechlike(100, 16_000), 16_000, 300, 0.5)[1]) <= 750


def test_windows_end_in_the_pause_of_their_last_third() -> None:
    sound = speechlike(20, 16_000, pauses_s=(4.1,))
    windows = Windows(16_000, 5, 0.1)
    first = next(windows.cut(blocks(sound, 4096)))
    assert 4.1 < len(first) / HEARING_RATE - 0.06 < 4.3, "the middle of the overlap lies in the pause"


def test_unlike_answers_are_faded_over_at_equal_power() -> None:
    """Noise instead of an answer is the worst case: a plain crossfade would dip by 3 dB."""
    windows, random = Windows(16_000, 1, 0), np.random.default_rng(5)
    out: list[Samples] = []
    for window in windows.cut(blocks(speechlike(200, 16_000), 4096)):
        out += windows.join(random.standard_normal(len(window) // TOKEN * SPOKEN).astype(np.float32))
    noise = np.concatenate([*out, *windows.rest()])
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1, abs=0.01)
    loudness = np.sqrt(np.mean(noise.reshape(-1, SPOKEN // 4) ** 2, axis=1))
    assert loudness.min() > 0.8


def test_each_window_and_each_target_has_its_own_seed_again_and_again() -> None:
    def seeds(digest: str) -> list[int]:
        windows = Windows(16_000, 1, 0)
        return [windows.seed(digest) for _ in windows.cut(blocks(speechlike(5, 16_000), 4096))]

    assert seeds("anna") == seeds("anna")
    assert len({*seeds("anna"), *seeds("ben")}) == 2 * len(seeds("anna"))
    assert all(0 <= seed < 2**63 for seed in seeds("anna"))


def test_memory_stays_flat() -> None:
    def peak(seconds: int) -> int:
        second = speechlike(1, 24_000)
        windows = Windows(24_000, 5, 0.1)
        tracemalloc.start()
        for window in windows.cut(second for _ in range(seconds)):
            for _ in windows.join(np.zeros(len(window) // TOKEN * SPOKEN, np.float32)):
                pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(200) < 1.1 * peak(20)

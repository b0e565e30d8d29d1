"""F0 by autocorrelation and the cheapest path.

Of WORLD's trackers, DIO takes most of a reverberant recording for unvoiced, and Harvest takes a seventh of real time.
This one takes about a fiftieth and follows P. Boersma, "Accurate short-term analysis of the
fundamental frequency and the harmonics-to-noise ratio of a sampled sound", 1993 (Praat's), with two changes: the
spectrum is flattened before it is turned into an autocorrelation, and StoneMask of WORLD refines what is found.
"""

import numpy as np
import pyworld
from numpy.typing import NDArray

_FLOOR_HZ, _CEIL_HZ = 60.0, 500.0  # of adult voices
_PER_OCTAVE = 36
_WINDOW_S = 0.05  # three periods of the floor
_DECIMATION, _LAGS_PER_SAMPLE = 3, 2  # what is looked at needs no high rate, lags need some
_BAND_HZ = 1500.0  # above it voices are too noisy to tell their pitch
_FLATTENING = 1.0  # power of the spectrum's amplitude: 2 would be the plain autocorrelation
_SILENCE = 10 ** (-65 / 20)  # amplitude below which nothing counts as periodic

_UNVOICED = 0.35  # how periodic a frame must be
_LOW_BONUS = 0.2  # for sound wholly below _LOW_HZ: hiss has none, while reverberation blurs a vowel's period
_LOW_HZ = 1000.0
_RINGING, _LONGEST_RING_S = 0.6, 0.1  # share of low sound with which a voice may be taken to go on, and how long
_OCTAVE_COST = 0.02  # for each octave down: a period is also one of its doubles
_JUMP_COST = 0.7  # for each octave between neighbouring frames
_VOICING_COST = 0.28  # for each change between voiced and unvoiced
_FRAMES_AT_ONCE = 500

_LOUD = 10 ** (-30 / 10)  # of the power of the loud frames
_LEAST_VOICED_S = 0.15  # less says nothing about a voice's pitch
_METER_S = 0.005  # between the frames of DIO and Harvest
_PART_S, _HARVEST_PART_S = 10.0, 2.5
_USUAL_FLOOR_HZ, _USUAL_CEIL_HZ = 71.0, 800.0  # WORLD's defaults
_AROUND = 2.5  # times the median: Harvest looks no higher, which spares it some time
_MOST_LEAD = 0.08  # of Harvest over DIO, of ln F0: more is a slip


def track_f0(samples: NDArray[np.float64], rate: int, hop: int) -> NDArray[np.float64]:
    """Hz for each frame of (n,): (n // hop + 1,), frame i centred on samples[i * hop], 0 where unvoiced."""
    frames = len(samples) // hop + 1
    candidates = _FLOOR_HZ * 2 ** (np.arange(np.log2(_CEIL_HZ / _FLOOR_HZ) * _PER_OCTAVE) / _PER_OCTAVE)
    scores = _periodicity(samples, rate, hop, frames, rate / candidates)
    scores += _OCTAVE_COST * np.log2(candidates / _FLOOR_HZ)
    low_share = _low_share(samples, rate, hop, frames)
    scores += _LOW_BONUS * low_share[:, None]
    path = _best_path(scores)
    rough = np.where(path >= 0, candidates[path], 0.0)
    if not rough.any():
        return rough
    fine = pyworld.stonemask(samples, rough, np.arange(frames) * hop / rate, rate)
    near = np.abs(np.log2(np.maximum(fine, 1.0) / np.maximum(rough, 1.0))) < 2 / _PER_OCTAVE
    f0 = np.where(near & (rough > 0), fine, rough)
    return _rung_out(f0, low_share > _RINGING, round(_LONGEST_RING_S * rate / hop))


def overall_f0(
    samples: NDArray[np.float64], rate: int, harvest_s: float, harvest_lead: float | None = None
) -> tuple[float, float] | None:
    """ln of the pitch of a voice as most meters would have it, and by how much Harvest leads; None for too few voiced.

    Meters differ by some per cent on real recordings, mostly in how soft a frame may be. This is half-way between the
    medians of WORLD's two, DIO (M. Morise et al., "Fast and reliable F0 estimation method based on the period
    extraction of vocal fold vibration of singing voice and speech", 2009) and Harvest (M. Morise, "Harvest: a
    high-performance fundamental frequency estimator from speech signals", 2017), which costs a tenth of real time: so
    Harvest looks at no more than harvest_s seconds from all over the samples, and only by how much it is above DIO
    there (of ln F0) counts: the lead. With a harvest_lead known from like samples it is not asked at all.
    """
    low, rate = _decimated(samples).astype(np.float64), rate // _DECIMATION
    low = np.pad(low, (0, max(round(0.1 * rate) - len(low), 0)))
    part, most = round(_PART_S * rate), round(harvest_s * rate)
    found, level = [], []
    for i in range(0, len(low), part):
        cut = np.pad(low[i : i + part], (0, max(round(0.1 * rate) - len(low[i : i + part]), 0)))
        found.append(_dio(cut, rate)[: len(cut) // (rate // 200)])
        level.append(np.mean(cut[: len(found[-1]) * (rate // 200)].reshape(-1, rate // 200) ** 2, axis=1))
    f0, loudness = np.concatenate(found), np.convolve(np.concatenate(level), np.ones(5) / 5, "same")
    loud = (f0 > 0) & (loudness > np.percentile(loudness, 99) * _LOUD)
    if loud.sum() * _METER_S < _LEAST_VOICED_S:
        return None
    median = float(np.median(f0[f0 > 0]))
    if harvest_lead is None:
        harvest_lead = _lead(low, rate, most, median)
    return float(np.log(median)) + harvest_lead / 2, harvest_lead


def _lead(low: NDArray[np.float64], rate: int, most: int, median: float) -> float:
    parts = [low]
    if len(low) > most:
        count = max(round(most / (_HARVEST_PART_S * rate)), 1)
        size = most // count
        parts = [low[i : i + size] for i in np.linspace(0, len(low) - size, count + 2)[1:-1].astype(int)]
    floor = min(_USUAL_FLOOR_HZ, max(median / 1.5, _FLOOR_HZ))
    ceil = min(median * _AROUND, _USUAL_CEIL_HZ)
    harvest = np.concatenate([pyworld.harvest(part, rate, floor, ceil)[0] for part in parts])
    dio = np.concatenate([_dio(part, rate) for part in parts])
    if not (harvest > 0).any() or not (dio > 0).any():
        return 0.0
    lead = np.log(np.median(harvest[harvest > 0]) / np.median(dio[dio > 0]))
    return float(np.clip(lead, -_MOST_LEAD, _MOST_LEAD))


def _dio(low: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    rough, times = pyworld.dio(low, rate, _FLOOR_HZ, _CEIL_HZ, frame_period=1000 * _METER_S)
    f0: NDArray[np.float64] = pyworld.stonemask(low, rough, times, rate)
    return f0


def _periodicity(
    samples: NDArray[np.float64], rate: int, hop: int, frames: int, lags: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(frames, lags): 1 where a frame repeats after so many samples, 0 where nothing does."""
    low, hop = _decimated(samples), hop // _DECIMATION
    rate, lags = rate // _DECIMATION, lags / _DECIMATION * _LAGS_PER_SAMPLE
    size = round(_WINDOW_S * rate) // 2 * 2
    fft_size = 1 << (2 * size - 1).bit_length()
    padded = np.pad(low, (size // 2, size // 2 + hop))
    cut = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:frames]
    window = np.hanning(size).astype(np.float32)
    band = np.arange(fft_size // 2 + 1) * rate / fft_size
    weights = (1 / (1 + (band / _BAND_HZ) ** 8) * (1 - 1 / (1 + (band / _FLOOR_HZ) ** 4))).astype(np.float32)
    fine = fft_size * _LAGS_PER_SAMPLE
    own = np.fft.irfft(np.abs(np.fft.rfft(window, fft_size)) ** 2, fine)  # of the window: what it takes from long lags
    below = np.floor(lags).astype(int)
    share = (lags - below).astype(np.float32)
    window_share = ((own[below] * (1 - share) + own[below + 1] * share) / own[0]).astype(np.float32)
    scores = np.empty((frames, len(lags)), np.float32)
    for i in range(0, frames, _FRAMES_AT_ONCE):
        part = cut[i : i + _FRAMES_AT_ONCE]
        part = part - part.mean(axis=1, keepdims=True)
        spectrum = np.abs(np.fft.rfft(part * window, fft_size)) * weights
        loud = np.sqrt(np.mean(part**2, axis=1)) > _SILENCE
        correlation = np.fft.irfft(spectrum**_FLATTENING, fine)
        at = correlation[:, below] * (1 - share) + correlation[:, below + 1] * share
        at /= np.maximum(correlation[:, :1], 1e-12) * window_share ** (_FLATTENING / 2)
        scores[i : i + len(part)] = at * loud[:, None]
    return scores


def _low_share(samples: NDArray[np.float64], rate: int, hop: int, frames: int) -> NDArray[np.float32]:
    """(frames,): how much of the power around a frame lies below _LOW_HZ."""
    reach = round(rate / _LOW_HZ / 2)
    total = np.concatenate([[0.0], np.cumsum(samples)])
    at = np.arange(len(samples))
    left, right = np.maximum(at - reach, 0), np.minimum(at + reach, len(samples))
    low = (total[right] - total[left]) / (2 * reach)  # a moving mean: -4 dB at _LOW_HZ
    powers = []
    for signal in (low, samples):
        power = np.pad(signal**2, (2 * hop, 3 * hop))
        sums = np.add.reduceat(power, np.arange(0, len(power) - hop + 1, hop))
        powers.append(np.convolve(sums, np.ones(4), "valid")[:frames])  # two hops on each side
    share: NDArray[np.float32] = (powers[0] / np.maximum(powers[1], 1e-12)).astype(np.float32)
    return np.minimum(share, 1.0)


def _rung_out(f0: NDArray[np.float64], ringing: NDArray[np.bool_], most: int) -> NDArray[np.float64]:
    """Voices go on in the frames around them that sound like one, for at most so many: an echo, a soft beginning."""
    for direction in (slice(None), slice(None, None, -1)):
        on, last, left = f0[direction].copy(), 0.0, 0
        for i, may in enumerate(ringing[direction]):
            if on[i] > 0:
                last, left = on[i], most
            elif may and left > 0:
                on[i], left = last, left - 1
            else:
                left = 0
        f0 = on[direction].copy()
    return f0


def _decimated(samples: NDArray[np.float64]) -> NDArray[np.float32]:
    """One sample of _DECIMATION, without delay, what is above two thirds of the new band filtered out."""
    x = np.arange(-8 * _DECIMATION, 8 * _DECIMATION + 1)
    taps = np.sinc(x * 0.6 / _DECIMATION) * np.hanning(len(x) + 2)[1:-1]
    low = np.convolve(samples, taps / taps.sum())[len(x) // 2 :: _DECIMATION]
    kept: NDArray[np.float32] = low[: -(-len(samples) // _DECIMATION)].astype(np.float32)
    return kept


def _best_path(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The candidate of each frame, -1 for none, such that scores less the costs of changes are most in all."""
    frames, count = scores.shape
    order = np.arange(count)
    jumps = (_JUMP_COST / _PER_OCTAVE * np.abs(order[:, None] - order[None])).astype(np.float32)
    came_from = np.empty((frames, count + 1), np.int64)
    voiced, unvoiced = scores[0].astype(np.float64), _UNVOICED
    for i in range(1, frames):
        onward = voiced[None] - jumps
        best = onward.argmax(axis=1)
        reached = onward[order, best]
        starts = unvoiced - _VOICING_COST
        came_from[i, :count] = np.where(reached >= starts, best, count)
        top = int(voiced.argmax())
        ends = float(voiced[top]) - _VOICING_COST
        came_from[i, count] = count if unvoiced >= ends else top
        voiced = np.maximum(reached, starts) + scores[i]
        unvoiced = max(unvoiced, ends) + _UNVOICED
    path = np.empty(frames, np.int64)
    state = count if unvoiced >= voiced.max() else int(voiced.argmax())
    for i in range(frames - 1, 0, -1):
        path[i] = state
        state = int(came_from[i, state])
    path[0] = state
    path[path == count] = -1
    return path

"""How loud a sound is, and how to make it as loud as asked.

Loudness is ITU-R BS.1770-4 / EBU R128 as FFmpeg's `ebur128` filter measures it. A mono sound is one channel: it reads
3.01 LU less than the same sound on two (a 1 kHz sine with its peak at -23 dBFS: -26.0 LUFS mono, -23.0 LUFS stereo).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import av
import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples, samples_in, silence
from chatterbox_plus.audio.graph import FilterGraph
from chatterbox_plus.audio.limiter import HIGHEST_CEILING_DBTP, Limiter, decibels
from chatterbox_plus.audio.truepeak import TruePeak

__all__ = ["GainPlan", "Levels", "Limiter", "LoudnessMeter", "Meter", "integrated_lufs", "normalise"]

GATING_BLOCK_S = 0.4  # BS.1770-4: what integrated loudness is made of; anything shorter has none
ABSOLUTE_GATE_LUFS = -70.0  # BS.1770-4; nothing above it reads as silence
CLOSE_ENOUGH_LU = 0.2  # well inside the 0.5 LU that R128 allows
MOST_LIMITING_DB = 24.0  # how far the gain may push peaks into the limiter; further only distorts
MOST_PASSES = 8
_NO_DENORMALS = np.float32(1e-9)  # the filter takes five times as long over digital silence


@dataclass(frozen=True)
class Levels:
    """What a Meter read. Silence reads -inf everywhere, with a range of 0."""

    lufs: float  # integrated loudness, gated
    true_peak_dbtp: float
    peak_dbfs: float  # the highest sample
    rms_dbfs: float  # over everything, ungated; a full-scale square wave is 0
    lra_lu: float  # loudness range (EBU Tech 3342); 0 for less than 3 s

    def raised(self, gain_db: float) -> "Levels":
        """The levels after a plain gain."""
        return replace(
            self,
            lufs=self.lufs + gain_db,
            true_peak_dbtp=self.true_peak_dbtp + gain_db,
            peak_dbfs=self.peak_dbfs + gain_db,
            rms_dbfs=self.rms_dbfs + gain_db,
        )


class Meter:
    """Measures a stream in constant memory. Blocks are (n,) or (channels, n); channels: 1 or 2.

    A sound shorter than one gating block (0.4 s) is measured as if it were repeated until it fills one.
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        self._rate, self._channels = rate, channels
        self._graph = _ebur128(rate, channels)
        self._true_peak = TruePeak(rate, channels)
        self._start = silence(0, channels)
        self._readings: dict[str, str] = {}
        self._count, self._energy, self._peak, self._peak_between = 0, 0.0, 0.0, 0.0

    def push(self, block: Samples) -> None:
        if not block.shape[-1]:
            return
        if self._count < self._gating_block:
            self._start = np.concatenate([self._start, block], axis=-1)[..., : self._gating_block]
        self._count += block.shape[-1]
        self._energy += float(np.square(block, dtype=np.float64).sum()) / self._channels
        self._peak = max(self._peak, float(np.abs(block).max()))
        self._peak_between = self._true_peak.highest(block, self._peak_between)
        self._read(self._graph.push(block))

    def finish(self) -> Levels:
        if not self._count:
            return Levels(-math.inf, -math.inf, -math.inf, -math.inf, 0.0)
        if self._count < self._gating_block:
            self._graph = _ebur128(self._rate, self._channels)
            times = 2 * math.ceil(self._gating_block / self._count)  # twice: the filter reports in steps of 0.1 s
            self._read(self._graph.push(np.concatenate([self._start] * times, axis=-1)))
        self._read(self._graph.finish())
        tail = silence(self._true_peak.reach, self._channels)
        self._peak_between = self._true_peak.highest(tail, self._peak_between)
        lufs = float(self._readings.get("lavfi.r128.I", "-inf"))
        return Levels(
            lufs if lufs > ABSOLUTE_GATE_LUFS else -math.inf,
            decibels(max(self._peak, self._peak_between)),
            decibels(self._peak),
            decibels(math.sqrt(self._energy / self._count)),
            float(self._readings.get("lavfi.r128.LRA", "0")),
        )

    @property
    def _gating_block(self) -> int:
        return samples_in(GATING_BLOCK_S, self._rate)

    def _read(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self._readings = dict(frame.metadata) or self._readings  # a part of 0.1 s at the end brings none


class LoudnessMeter:
    """Integrated loudness of a mono stream and nothing else, five times as fast as a Meter. Constant memory."""

    def __init__(self, rate: int) -> None:
        self._graph = _ebur128(rate, 1)
        self._lufs = "-inf"

    def push(self, block: Samples) -> None:
        """Blocks (n,)."""
        self._read(self._graph.push(block + _NO_DENORMALS))

    def finish(self) -> float:
        """LUFS; -inf for silence, and for what is shorter than a gating block (0.4 s)."""
        self._read(self._graph.finish())
        lufs = float(self._lufs)
        return lufs if lufs > ABSOLUTE_GATE_LUFS else -math.inf

    def _read(self, frames: list[av.AudioFrame]) -> None:
        if frames:
            self._lufs = dict(frames[-1].metadata).get("lavfi.r128.I", self._lufs)


def integrated_lufs(clip: Clip) -> float:
    """Integrated loudness alone, five times as fast as a Meter; -inf where there is none. Short sounds as a Meter."""
    samples, block = clip.samples, samples_in(GATING_BLOCK_S, clip.rate)
    if 0 < samples.shape[-1] < block:
        samples = np.concatenate([samples] * (2 * math.ceil(block / samples.shape[-1])), axis=-1)
    graph = _ebur128(clip.rate, clip.channels)
    frames = graph.push(samples + _NO_DENORMALS) + graph.finish()
    readings = [dict(frame.metadata).get("lavfi.r128.I") for frame in frames]
    lufs = next((float(reading) for reading in reversed(readings) if reading is not None), -math.inf)
    return lufs if lufs > ABSOLUTE_GATE_LUFS else -math.inf


def _ebur128(rate: int, channels: int) -> FilterGraph:
    return FilterGraph(rate, channels, [("ebur128", "metadata=1")])


@dataclass(frozen=True)
class GainPlan:
    """How to bring a sound to a level, and how near that comes."""

    gain_db: float
    ceiling_dbtp: float
    before: Levels
    after: Levels  # as measured, or as it follows from a plain gain
    missed_by_db: float  # the level asked for less the level reached; not 0 where the ceiling is in the way
    lra_over_lu: float  # by how much the loudness range is wider than asked for: it is measured and never changed

    def stage(self, rate: int, channels: int) -> Limiter:
        """The Stage that does it."""
        return Limiter(rate, channels, gain_db=self.gain_db, ceiling_dbtp=self.ceiling_dbtp)


def normalise(
    read_blocks: Callable[[], Iterable[Samples]],
    rate: int,
    channels: int,
    *,
    method: Literal["ebu", "peak"],
    level: float,
    true_peak: float,
    lra: float,
    close_enough_lu: float = CLOSE_ENOUGH_LU,
) -> GainPlan:
    """Find the gain that brings a sound to a level.

    read_blocks: gives the sound's blocks, (n,) or (channels, n), from the start each time it is called; it is called
      once, and for "ebu" up to seven times more when peaks have to be limited and the loudness that costs made good.
    method, level: "ebu" = integrated loudness in LUFS, met within 0.5 LU; "peak" = highest sample in dBFS.
    true_peak: ceiling in dBTP; above -1 it is taken as -1. "peak" lowers its gain until the true peak is under it;
      "ebu" limits the peaks. Where that makes the level unreachable, the plan comes as near as it can
      (`missed_by_db`).
    close_enough_lu: how near to the level is near enough; every pass costs as much as the first.
    lra: widest loudness range in LU. Only compared (`lra_over_lu`): narrowing it is dynamics compression, which would
      change the sound in ways nobody asked for.

    Silence gets no gain. Memory is constant. Raises what read_blocks raises.
    """
    ceiling = min(true_peak, HIGHEST_CEILING_DBTP)
    before = _measure(read_blocks(), Meter(rate, channels), None)
    over = max(0.0, before.lra_lu - lra)
    reading = before.lufs if method == "ebu" else before.peak_dbfs
    if math.isinf(reading):
        # nothing to bring to a level; a sound below the gate may still have peaks, and those keep under the ceiling
        return GainPlan(min(0.0, ceiling - before.true_peak_dbtp), ceiling, before, before, 0.0, over)
    headroom = ceiling - before.true_peak_dbtp
    gain = level - reading
    if method == "peak" or gain <= headroom:
        gain = min(gain, headroom)
        return GainPlan(gain, ceiling, before, before.raised(gain), level - reading - gain, over)

    tried: list[tuple[float, Levels]] = [(headroom, before.raised(headroom))]
    for _ in range(MOST_PASSES - 1):
        limiter = Limiter(rate, channels, gain_db=gain, ceiling_dbtp=ceiling)
        after = _measure(read_blocks(), Meter(rate, channels), limiter)
        (last_gain, last), missed = tried[-1], level - after.lufs
        tried.append((gain, after))
        if abs(missed) <= close_enough_lu or gain == last_gain:
            break
        slope = (after.lufs - last.lufs) / (gain - last_gain)  # LU heard for each dB given
        gain = min(gain + missed / min(max(slope, 0.2), 1.0), headroom + MOST_LIMITING_DB)
    gain, after = min(tried, key=lambda one: abs(level - one[1].lufs))
    return GainPlan(gain, ceiling, before, after, level - after.lufs, over)


def _measure(blocks: Iterable[Samples], meter: Meter, limiter: Limiter | None) -> Levels:
    for block in blocks:
        meter.push(block if limiter is None else limiter.push(block))
    if limiter is not None:
        meter.push(limiter.finish())
    return meter.finish()

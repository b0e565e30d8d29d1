"""The level of a chapter: as loud as the others, and no peak in the way once it has been through a codec."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.loudness import GainPlan, Limiter, LoudnessMeter, Meter, normalise
from chatterbox_plus.audio.stage import through

LEVEL_LUFS = -20.0  # met within CLOSE_ENOUGH_LU where the peaks allow it
CLOSE_ENOUGH_LU = 0.5  # of the 2 LU that audiobook practice allows; nearer costs a chapter two passes more
CEILING_DBTP = -3.0  # of what is heard, after decoding

# How much higher a peak may come out of a codec than it went in. Measured on recordings, espeak-ng, plosives, claps,
# sibilants and bursts of noise: at most 0.6 dB at the bit rates we write (AAC at 64 kbit/s; mp3 at 96 kbit/s: 1.1 dB),
# and 1.7 dB for speech at half of them.
CODEC_MARGIN_DB = 2.0

MOST_GAIN_DB = 20.0  # a chapter that is next to silent is left so: what is in it then is noise


NEAR_ENOUGH_LU = 1.5  # audiobook practice allows 2


def first_gain(blocks: Iterable[Samples], rate: int) -> float | None:
    """The gain in dB that a mono chapter needs if limiting its peaks costs no loudness; None if that cannot be told.

    Mostly it is near enough (`is_level`); where it is not, `chapter_level` finds a better one in more time.
    """
    meter = LoudnessMeter(rate)
    for block in blocks:
        meter.push(block)
    lufs = meter.finish()
    gain_db = LEVEL_LUFS - lufs
    return gain_db if math.isfinite(lufs) and gain_db <= MOST_GAIN_DB else None


def is_level(lufs: float) -> bool:
    """Whether a finished chapter is as loud as it should be."""
    return abs(lufs - LEVEL_LUFS) <= NEAR_ENOUGH_LU


def limiter(gain_db: float, rate: int) -> Limiter:
    """The gain, with no peak above what a codec may make of it."""
    return Limiter(rate, 1, gain_db=gain_db, ceiling_dbtp=CEILING_DBTP - CODEC_MARGIN_DB)


def chapter_level(read_blocks: Callable[[], Iterable[Samples]], rate: int, channels: int = 1) -> GainPlan:
    """Find the gain that brings a chapter to LEVEL_LUFS with its true peak, once encoded, at or under CEILING_DBTP.

    read_blocks: gives the chapter's blocks, (n,) or (channels, n), from the start each time it is called; mostly once
      or twice, at most nine times. rate: Hz. The plan's `stage(rate, channels)` does it.

    No gain is above MOST_GAIN_DB, and silence gets none: `missed_by_db` says how far from the level that leaves it.
    A sound shorter than 0.4 s has the loudness of its repetition. Memory is constant. Raises what read_blocks raises.
    """
    ceiling = CEILING_DBTP - CODEC_MARGIN_DB
    plan = normalise(
        read_blocks,
        rate,
        channels,
        method="ebu",
        level=LEVEL_LUFS,
        true_peak=ceiling,
        lra=math.inf,
        close_enough_lu=CLOSE_ENOUGH_LU,
    )
    if plan.gain_db <= MOST_GAIN_DB:
        return plan
    plan = replace(plan, gain_db=MOST_GAIN_DB)
    meter = Meter(rate, channels)
    for block in through(plan.stage(rate, channels), read_blocks()):
        meter.push(block)
    after = meter.finish()
    return replace(plan, after=after, missed_by_db=LEVEL_LUFS - after.lufs)

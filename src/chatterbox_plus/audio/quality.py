"""How good a recording is as a reference for a voice, and what its owner could do better.

A poor recording is no error: it is taken, with advice. Only one that nothing can be learnt from is refused.
"""

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.quality_measures import Measurements, measure
from chatterbox_plus.errors import InvalidAudio

REFERENCE_MIN_S = 0.3
_MOST_S, _MOST_SAMPLES = 120.0, 24_000_000  # looked at; the second bounds memory (96 MB) for very high rates
_GOOD, _USABLE = 75, 45  # score

# Below or above which value how many points are lost; the first that holds counts.
_SPEECH_S = ((1.5, 50), (3.0, 30), (5.0, 15), (8.0, 5))
_SNR_DB = ((10.0, 55), (15.0, 40), (20.0, 25), (25.0, 12))
_LOUDNESS_LUFS = ((-50.0, 20), (-40.0, 10))
_BANDWIDTH_HZ = ((4400, 30), (6000, 12))
_CLIPPED_PERCENT = ((2.0, 40), (0.5, 25), (0.05, 10))
_SILENCE_PERCENT = ((50.0, 10),)
_SIDES = {
    "alike": (0, ""),
    "one silent": (10, "One of the two channels is silent: send the other one alone."),
    "different": (15, "The two channels hold different sounds, which are mixed into one: send the better one alone."),
    "opposite": (
        60,
        "The two channels cancel each other out: send one of them alone.",
    ),
}
_WITHOUT_SPEECH = 10  # the most such a recording gets
_LONG_ENOUGH_S = 10.0


@dataclass(frozen=True)
class Quality(Measurements):
    """What was measured, of the first two minutes at most, and what it means."""

    score: int  # 0-100
    rating: Literal["good", "usable", "poor"]
    advice: tuple[str, ...]  # sentences for people: what is wrong, and what to do about it

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "speech_present": self.speech_present, "advice": list(self.advice)}


def assess_file(decoder: Decoder, path: Path, *, name: str, cancel: threading.Event | None = None) -> Quality:
    """What `assess` finds in the first two minutes of a file (less of one above 100 kHz); name: what errors call it.

    Raises what Decoder.read raises, and InvalidAudio for less than REFERENCE_MIN_S.
    """
    info = decoder.probe(path, cancel=cancel, name=name)
    max_s = min(_MOST_S, _MOST_SAMPLES / (info.rate * min(info.channels, 2)))
    clip = decoder.read(path, channels=None, max_s=max_s, cancel=cancel, name=name)
    check_length(clip.duration_s, name)
    whole_s = info.duration_s if clip.duration_s > max_s - 0.1 else clip.duration_s
    return _judged(replace(measure(clip), duration_s=round(whole_s, 3), channels=info.channels))


def assess(clip: Clip) -> Quality:
    """Measure a recording and say how good a reference it is. Raises InvalidAudio for less than REFERENCE_MIN_S."""
    check_length(clip.duration_s)
    return _judged(measure(clip))


def check_length(duration_s: float, name: str = "the recording") -> None:
    """Raises InvalidAudio for what nothing can be learnt from."""
    if duration_s < REFERENCE_MIN_S:
        raise InvalidAudio(f"{name} is shorter than {REFERENCE_MIN_S} s: nothing can be learnt from it")


def _judged(found: Measurements) -> Quality:
    faults = list(_faults(found))
    score = max(0, 100 - sum(points for points, _ in faults))
    if not found.speech_present:
        score = min(score, _WITHOUT_SPEECH)
    rating: Literal["good", "usable", "poor"] = "good" if score >= _GOOD else "usable" if score >= _USABLE else "poor"
    measured = {name: getattr(found, name) for name in Measurements.__dataclass_fields__}
    return Quality(**measured, score=score, rating=rating, advice=tuple(advice for points, advice in faults if points))


def _faults(found: Measurements) -> Iterator[tuple[int, str]]:
    """(points lost, what to say about it), the heaviest matters first; without points there is nothing to say."""
    if found.sides == "opposite":
        yield _SIDES[found.sides]  # what is left of both says nothing
        return
    if not found.speech_present:
        yield 100, "No speech was found in it: send 10 to 30 s of one person speaking, without music."
        return
    if found.duration_s < _LONG_ENOUGH_S:
        much = f"The recording is {found.duration_s:.1f} s long"
    else:
        much = f"Only {found.speech_s:.1f} s of the recording are speech"
    yield _below(found.speech_s, _SPEECH_S), f"{much}; 10 to 30 s of one person speaking sound better."
    if found.snr_db is not None:
        yield (
            _below(found.snr_db, _SNR_DB),
            f"There is noise behind the voice (SNR about {found.snr_db:.0f} dB): "
            "record in a quieter room or closer to the microphone.",
        )
    yield (
        _above(found.clipped_percent, _CLIPPED_PERCENT),
        f"{found.clipped_percent:.1f} % of the samples are clipped: record again at a lower input level.",
    )
    yield (
        _below(found.bandwidth_hz, _BANDWIDTH_HZ),
        f"The voice sounds muffled (nothing above {found.bandwidth_hz / 1000:.1f} kHz): "
        "record with a microphone instead of a telephone, at 24 kHz or more.",
    )
    if found.loudness_lufs is not None:
        yield (
            _below(found.loudness_lufs, _LOUDNESS_LUFS),
            f"The recording is very quiet ({found.loudness_lufs:.0f} LUFS): raise the input level.",
        )
    yield (
        _above(found.silence_percent, _SILENCE_PERCENT),
        f"More than half of the recording is silence ({found.silence_percent:.0f} %): cut it away.",
    )
    yield _SIDES[found.sides]


def _below(value: float, steps: tuple[tuple[float, int], ...]) -> int:
    return next((points for limit, points in steps if value < limit), 0)


def _above(value: float, steps: tuple[tuple[float, int], ...]) -> int:
    return next((points for limit, points in steps if value > limit), 0)

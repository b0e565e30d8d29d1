"""Speech that leaves while it is being made: how much at a time, where it begins and ends, and how it is marked.

The decoder looks at everything at once, so a passage that is given in parts is decoded again with more of it each time;
what has been given stays as it was. Parts are cut at fixed numbers of tokens: the samples depend on the request alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from chatterbox_plus.audio.clip import Samples, samples_in, silence
from chatterbox_plus.engines.chatterbox.ends import AFTER_S, BEFORE_S, FADE_S, HOP_S, faded_in, faded_out, loud_hops
from chatterbox_plus.engines.chatterbox.watermark import Watermarker

LOOK_AHEAD = 3  # tokens: the encoder's first convolution sees so many that follow (upstream's `pre_lookahead_len`)
_CONTEXT_S = 0.2  # of sound before a part: the watermarker's networks and spectra reach so far
_MARK_FADE_S = 0.02
_NOTHING_S = 0.1  # of silence, for a passage without a sound


@dataclass(frozen=True)
class Schedule:
    """At how many tokens a part of a passage is decoded: after `first`, then after `hop` more, each hop `growth` times
    the one before, up to `longest`. Growing keeps the work in proportion to the length."""

    first: int
    hop: int
    growth: float = 1.7
    longest: int = 200

    @property
    def behind(self) -> "Schedule":
        """For a passage that nobody waits for yet: fewer and larger parts."""
        return replace(self, first=self.first + self.hop)

    def after(self, count: int) -> int:
        """The number of tokens at which the next part is due, when one of `count` tokens has been decoded."""
        if count < self.first:
            return self.first
        due, hop = self.first, float(self.hop)
        while due <= count:
            due += round(hop)
            hop = min(hop * self.growth, self.longest)
        return due


SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "cpu": Schedule(first=20, hop=60, growth=2.0, longest=200),
        "mps": Schedule(first=20, hop=60, growth=2.0, longest=200),
        "cuda": Schedule(first=13, hop=25, growth=2.0, longest=200),
    }
)
"""By kind of device. 25 tokens are a second; of what is decoded, the vocoder holds 20 to 30 frames (10 to 15 tokens)
back. Every part decodes the voice's prompt anew, which on a CPU is most of a part's work: few parts, that is."""


class Ends:
    """Cuts the quiet off both ends of a passage that comes in parts, as `ends.trimmed` does it for a whole one.

    Loudness goes by the loudest so far. Quiet within is held until something follows it.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._loudest = 0.0  # power of a hop
        self._held = silence(0)
        self._begun = False

    def push(self, samples: Samples, last: bool) -> Samples:
        """(n,) -> what is sure to be heard now, (m,); at least 0.1 s of silence in all, if there was as much."""
        held, rate = np.concatenate([self._held, samples]), self._rate
        heard, self._loudest = loud_hops(held, rate, self._loudest)
        hop, before = samples_in(HOP_S, rate), samples_in(BEFORE_S, rate)
        if not self._begun:
            if not len(heard):
                self._held = held[max(0, len(held) - before - hop) :]
                return silence(samples_in(_NOTHING_S, rate)) if last else silence(0)
            start = max(0, int(heard[0]) * hop - before)
            held, self._begun = faded_in(held[start:], rate), True
            end = (int(heard[-1]) + 1) * hop - start
        else:
            end = (int(heard[-1]) + 1) * hop if len(heard) else 0
        if last:
            return faded_out(held[: end + samples_in(AFTER_S, rate)], rate)
        # A little is held of what is heard, too: it may be the end, which fades out.
        end = max(0, min(end, len(held) - samples_in(FADE_S, rate)))
        self._held = held[end:]
        return held[:end]


class Marks:
    """Puts the watermark into a passage that comes in parts: each part is marked knowing a little of what came before,
    and the mark, not the speech, fades to nothing where parts meet."""

    def __init__(self, marker: Watermarker, rate: int) -> None:
        self._marker, self._rate = marker, rate
        self._before = silence(0)

    def push(self, samples: Samples) -> Samples:
        """(n,) -> (n,)"""
        if not len(samples):
            return samples
        start = len(self._before)
        whole = np.concatenate([self._before, samples])
        added = (self._marker.mark(whole, self._rate) - whole)[start:]
        self._before = whole[max(0, len(whole) - samples_in(_CONTEXT_S, self._rate)) :]
        fade = min(samples_in(_MARK_FADE_S, self._rate), len(added) // 2)
        rising = 0.5 - 0.5 * np.cos((np.arange(fade, dtype=np.float32) + 0.5) * np.float32(np.pi / max(fade, 1)))
        added[:fade] *= rising
        added[len(added) - fade :] *= rising[::-1]
        marked: Samples = samples + added
        return marked

"""What those hear who listen to live speech while it is being made."""

import statistics
from collections.abc import Sequence

from chatterbox_plus.engines.base import Fragment, Outcome
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured

START_S = 2.0  # from asking on, until somebody minds that nothing is heard


class Listener:
    """Hears a text passage by passage. What comes of a later passage waits until those before it are whole."""

    def __init__(self, asked_at: float) -> None:
        """asked_at: seconds; of the same clock as all that follow."""
        self._asked_at = asked_at
        self._waiting: dict[int, list[tuple[float, bool]]] = {}  # by passage: seconds of sound, whether it is the last
        self._passage = 0
        self._given_s = 0.0  # of sound
        self.first_s = 0.0  # from asking to the first sound
        self.longest_gap_s = 0.0  # of silence, where sound is played as it comes
        self.parts = self.late = 0
        self._silent_s = 0.0  # of `play at once`: all gaps so far
        self._start_at = 0.0  # when it is played, by whoever waits for START_S first
        self._stalled_s = 0.0

    def hear(self, outcome: Outcome, at: float, part: int = 0) -> None:
        """part: the number of its passage."""
        assert isinstance(outcome, Fragment)
        self._waiting.setdefault(part, []).append((len(outcome.clip.samples) / outcome.clip.rate, outcome.last))
        while ready := self._waiting.get(self._passage):
            length_s, last = ready.pop(0)
            if length_s:
                self._play(length_s, at)
            if last:
                self._passage += 1

    def _play(self, length_s: float, at: float) -> None:
        if not self.parts:
            self.first_s = at - self._asked_at
            self._start_at = self._asked_at + START_S
        gap_s = at - (self._asked_at + self.first_s + self._silent_s + self._given_s)
        if gap_s > 0:
            self.longest_gap_s = max(self.longest_gap_s, gap_s)
            self._silent_s += gap_s
        late_s = at - (self._start_at + self._stalled_s + self._given_s)
        if late_s > 0:  # everything after it is played so much later
            self.late += 1
            self._stalled_s += late_s
        self.parts += 1
        self._given_s += length_s


def told(listeners: Sequence[Listener], throughput_x: float) -> Measured:
    """Of many who listen at once. in_time: the share of parts of which each was there when it was to be played."""
    parts = sum(listener.parts for listener in listeners)
    late = sum(listener.late for listener in listeners)
    firsts = [listener.first_s for listener in listeners]
    figures = {"in_time": 1 - late / parts, "throughput_x": throughput_x}
    details = {
        "first_audio_s": statistics.median(firsts),
        "slowest_first_audio_s": max(firsts),
        "longest_gap_s": max(listener.longest_gap_s for listener in listeners),
    }
    return Measured(figures, details)

"""Words with their times to subtitles: what is heard, in cues a reader can follow, as SubRip or WebVTT.

Words and the marks around them become units between which a cue or a line may end; the cues are then the cheapest way
through all units, where ending inside a sentence costs more than after a comma, and that more than after a full stop.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chatterbox_plus.text.subtitle_units import Unit, WordLike, units

_CLOSE_GAP_MS = 100  # a shorter one only flickers

# What a cue costs beside the place where it ends (`Unit.cut`): being one, being short of text, being short of time.
_EACH, _EMPTY, _HASTY = 10.0, 20.0, 40.0
_LINE, _RAGGED = 1000.0, 30.0  # what a line costs beside the place where it ends: being one, staying empty


@dataclass(frozen=True)
class Cue:
    """What stands on the screen from one moment to another.

    Times are whole milliseconds. `text` is the original from `char_start` to `char_end`, every run of white space a
    blank, broken into lines.
    """

    start_s: float
    end_s: float
    text: str
    char_start: int
    char_end: int


def cues(
    words: Sequence[WordLike],
    source: str,
    *,
    max_chars: int = 42,
    max_lines: int = 2,
    max_s: float = 7.0,
    min_s: float = 1.0,
) -> tuple[Cue, ...]:
    """The subtitles of a text.

    words: in the order of the text; each is shown exactly once, with the marks that belong to it. What lies between two
      words of a cue is shown too: blank out (by as many blanks) what must not be.
    max_chars, max_lines: of a cue; wide characters (Chinese, Japanese, Korean) count as two.
    max_s, min_s: how long a cue stands at most, and at least where the next one leaves it time.

    Cues never overlap, a gap of less than 0.1 s between two is closed, and none goes over the end of a paragraph or a
    silence of 1.5 s. A word too long for a line is cut, its time shared out. Raises ValueError for limits that cannot
    be and for words outside the text.
    """
    if max_chars < 4 or max_lines < 1 or not 0 <= min_s <= max_s or max_s <= 0:
        raise ValueError(f"no subtitles of {max_lines} lines of {max_chars} characters for {min_s} to {max_s} s")
    parts = _closed(units(words, source, max_chars))
    limits = _Limits(max_chars, max_lines, round(max_s * 1000), round(min_s * 1000))
    groups = list(_groups(parts, limits))
    found = []
    shown_ms = 0
    for i, group in enumerate(groups):
        next_ms = groups[i + 1][0].start_ms if i + 1 < len(groups) else math.inf
        start_ms = max(group[0].start_ms, shown_ms)
        end_ms = min(max(group[-1].end_ms, start_ms + limits.min_ms), next_ms)
        if next_ms - end_ms < _CLOSE_GAP_MS:
            end_ms = next_ms
        shown_ms = max(int(min(end_ms, start_ms + limits.max_ms)), start_ms + 1)
        text = "\n".join(_lines(group, max_chars))
        found.append(Cue(start_ms / 1000, shown_ms / 1000, text, group[0].start, group[-1].end))
    return tuple(found)


def to_srt(cues: Iterable[Cue]) -> str:
    """SubRip."""
    return "".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_payload(cue).replace('-->', '→')}\n\n"
        for number, cue in enumerate(cues, start=1)
    )


def to_vtt(cues: Iterable[Cue]) -> str:
    """WebVTT."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{_escaped(_payload(cue))}\n\n" for cue in cues
    )


def _clock(seconds: float, point: str) -> str:
    minutes, ms = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{ms // 1000:02}{point}{ms % 1000:03}"


def _payload(cue: Cue) -> str:
    """The text without blank lines: they end a cue in both formats."""
    return "\n".join(line for line in cue.text.splitlines() if line.strip())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class _Limits:
    max_chars: int
    max_lines: int
    max_ms: int
    min_ms: int


def _closed(parts: list[Unit]) -> list[Unit]:
    """The same with small gaps closed, so that the length of a cue is known before its end is decided."""
    following = [*(part.start_ms for part in parts[1:]), math.inf]
    return (
        [
            replace(part, end_ms=int(next_ms)) if next_ms - part.end_ms < _CLOSE_GAP_MS else part
            for part, next_ms in zip(parts, following, strict=True)
        ]
        if parts
        else []
    )


def _groups(parts: list[Unit], limits: _Limits) -> Iterator[list[Unit]]:
    """The units of each cue: the cheapest way through all of them, found from the end."""
    ends = [0] * len(parts)
    costs = [0.0] * (len(parts) + 1)
    for i in range(len(parts) - 1, -1, -1):
        costs[i] = math.inf
        for end, filled in _fitting(parts, i, limits):
            next_ms = parts[end].start_ms if end < len(parts) else math.inf
            hasty = max(0.0, 1 - (next_ms - parts[i].start_ms) / limits.min_ms) if limits.min_ms else 0.0
            cost = costs[end] + _EACH + parts[end - 1].cut + _EMPTY * (1 - filled) ** 2 + _HASTY * hasty
            if cost < costs[i]:
                costs[i], ends[i] = cost, end
    start = 0
    while start < len(parts):
        yield parts[start : ends[start]]
        start = ends[start]


def _fitting(parts: list[Unit], first: int, limits: _Limits) -> Iterator[tuple[int, float]]:
    """Where a cue that begins with a unit may end (the index after its last), and what share of it is then filled."""
    lines, width, filled = 1, 0, 0
    for i in range(first, len(parts)):
        part = parts[i]
        joint = int(i > first and parts[i - 1].blank)
        if i > first and (parts[i - 1].last or part.end_ms - parts[first].start_ms > limits.max_ms):
            return
        if i > first and width + joint + part.width > limits.max_chars:
            lines, width, joint = lines + 1, 0, 0
            if lines > limits.max_lines:
                return
        width += joint + part.width
        filled += joint + part.width
        yield i + 1, min(1.0, filled / (limits.max_chars * limits.max_lines))


def _lines(group: list[Unit], max_chars: int) -> list[str]:
    """As few lines as possible, broken at the best places, and of these the most even ones."""
    ends = [0] * len(group)
    costs = [0.0] * (len(group) + 1)
    for i in range(len(group) - 1, -1, -1):
        costs[i], width = math.inf, -1
        for end in range(i + 1, len(group) + 1):
            width += group[end - 1].width + (end - 1 == i or group[end - 2].blank)
            if width > max_chars:
                break
            cut = group[end - 1].cut if end < len(group) else 0.0
            cost = costs[end] + _LINE + cut + _RAGGED * (1 - width / max_chars) ** 2
            if cost < costs[i]:
                costs[i], ends[i] = cost, end
    lines = []
    start = 0
    while start < len(group):
        line = group[start : ends[start]]
        lines.append("".join(part.text + " " * part.blank for part in line).rstrip())
        start = ends[start]
    return lines

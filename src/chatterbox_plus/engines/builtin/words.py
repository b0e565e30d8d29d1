"""From espeak-ng's word events to the words of the text, each once, in order, with the time it sounds."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.engines.base import Word
from chatterbox_plus.engines.builtin.espeak import WordEvent

_TOKEN = re.compile(r"\S+")
# Scripts written without spaces: there espeak-ng's events, not blanks, tell the words apart.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_QUIET = 10 ** (-40 / 20)  # relative to the loudest sample: a word is over where it stays below
_TICK_S = 0.005


@dataclass(frozen=True)
class _Span:
    start: int
    end: int


def place_words(
    text: str, events: Sequence[WordEvent], samples: Samples, rate: int, *, event_rate: int, offset_s: float
) -> tuple[Word, ...]:
    """The words of `text` that are spoken in `samples` ((n,) at `rate` Hz).

    events: in samples at event_rate; `offset_s` seconds of their sound were cut before `samples` begin.
    A word begins with its first event and ends where its sound does, at the latest where the next begins. A word
    that espeak-ng joins with the one before it ("of the") gets its share of that one's time, by letters.
    """
    length_s = len(samples) / rate
    spans = _spans(text, events)
    starts: list[float | None] = [None] * len(spans)
    for event in events:
        at = max(event.sample / event_rate - offset_s, 0.0)
        for i, span in enumerate(spans):
            if span.start < event.char_end and event.char_start < span.end:
                known = starts[i]
                starts[i] = at if known is None else min(known, at)
                break
    timed = _fill(spans, starts, length_s)
    words = []
    audible = _audible(samples, rate)
    followings = [*(start for _, start in timed), length_s][1:]
    for (span, start), following in zip(timed, followings, strict=True):
        end = _end_of_sound(audible, start, following)
        if end > start:
            words.append(Word(start, end, span.start, span.end))
    return tuple(words)


def _spans(text: str, events: Sequence[WordEvent]) -> list[_Span]:
    """Where words stand in the text: between blanks, without the punctuation around them."""
    begins = sorted({event.char_start for event in events})
    heard = set(begins)
    spans = []
    for token in _TOKEN.finditer(text):
        cuts = {token.start(), token.end()}
        if _UNSPACED.search(token.group()):
            cuts |= {b for b in begins if token.start() < b < token.end()}
        for start, end in pairwise(sorted(cuts)):
            letters = [i for i in range(start, end) if text[i].isalnum()]
            if letters:
                spans.append(_Span(letters[0], _past_marks(text, letters[-1] + 1, end)))
            elif any(i in heard for i in range(start, end)):  # a sign that is spoken: "&", an emoji
                spans.append(_Span(start, end))
    if not spans and text.strip():  # signs that are spoken without an event: ">"
        start = len(text) - len(text.lstrip())
        spans.append(_Span(start, start + len(text.strip())))
    return spans


def _past_marks(text: str, i: int, end: int) -> int:
    """Over the vowel signs of Thai, Devanagari and others, which belong to the letter before and are no letters."""
    while i < end and unicodedata.category(text[i]).startswith("M"):
        i += 1
    return i


def _fill(spans: list[_Span], starts: list[float | None], length_s: float) -> list[tuple[_Span, float]]:
    """Starts that never go back, with those that have no event put between their neighbours."""
    timed: list[tuple[_Span, float]] = []
    i, last = 0, 0.0
    while i < len(spans):
        known = starts[i]
        start = last if known is None else min(max(known, last), length_s)
        run = i + 1
        while run < len(spans) and starts[run] is None:
            run += 1
        following = next((t for t in starts[run:] if t is not None), length_s)
        following = min(max(following, start), length_s)
        letters = np.cumsum([0, *(span.end - span.start for span in spans[i:run])])
        for k in range(i, run):
            timed.append((spans[k], float(start + (following - start) * letters[k - i] / letters[-1])))
        last, i = timed[-1][1], run
    return timed


def _audible(samples: Samples, rate: int) -> NDArray[np.bool_]:
    """Whether each 5 ms is loud enough to be heard."""
    size = round(_TICK_S * rate)
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    peaks = np.abs(padded).max(axis=1, initial=0.0)
    loud: NDArray[np.bool_] = peaks > _QUIET * peaks.max(initial=0.0)
    return loud


def _end_of_sound(audible: NDArray[np.bool_], start_s: float, following_s: float) -> float:
    first, last = round(start_s / _TICK_S), round(following_s / _TICK_S)
    heard = np.flatnonzero(audible[first:last])
    return min(following_s, (first + int(heard[-1]) + 1) * _TICK_S) if len(heard) else following_s

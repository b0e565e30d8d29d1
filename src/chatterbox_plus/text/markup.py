"""Marks inside a text: `[pause: 800ms]`, `[voice: name]` … `[/voice]`. All other square brackets are plain text.

A voice holds until the next voice mark, `[/voice]` or `[voice]` (both: the default voice again), or the
end of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chatterbox_plus.errors import InvalidOption

MIN_PAUSE_MS, MAX_PAUSE_MS = 50, 60_000
MAX_VOICE_CHARS = 200
_SHOWN_CHARS = 60  # of a mark, in a message about it

# A colon, or a number after "pause", says that a mark was meant; "[pause]" is a stage direction. Possessive (`*+`), so
# that no run of blanks is ever looked at twice.
_MARK = re.compile(
    r"""\[\s*+(?:
        (?: (?P<kind>pause|voice)\s*+(?P<sign>[:=]) | pause\s++(?=[.,]?\d) ) (?P<value>[^\[\]\n]*+) (?P<end>\])?
        | (?P<back>/\s*+voice|voice)\s*+\]
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LENGTH = re.compile(r"(\d{1,9}(?:[.,]\d{1,6})?|[.,]\d{1,6})\s*(ms|s|secs?|seconds?)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Speech:
    """What one voice says; it may be nothing but white space. `Spoken.of(original)[start:end]` keeps its places."""

    text: str  # as it stands in the original
    voice: str | None  # None: the default voice
    start: int  # offset in the original, in characters

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Pause:
    """Silence in place of the mark original[start:end]."""

    ms: int
    start: int
    end: int


Part = Speech | Pause


def has_marks(text: str) -> bool:
    """Whether there is anything for `parse` to find or to refuse."""
    return _MARK.search(text) is not None


def parse(text: str) -> tuple[Part, ...]:
    """The parts in order. Put together, with the marks of pauses, they are the text without its voice marks.

    Raises InvalidOption, naming the mark, for one that was meant but cannot be read: no length, a length outside 50 ms
    to 60 s, no voice, no closing bracket.
    """
    return tuple(_parts(text))


def voices(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The voices that say something, each once, in the order of their first words."""
    return tuple(dict.fromkeys(p.voice for p in parts if isinstance(p, Speech) and p.voice and p.text.strip()))


def _parts(text: str) -> Iterator[Part]:
    voice: str | None = None
    done = 0
    for mark in _MARK.finditer(text):
        if done < mark.start():
            yield Speech(text[done : mark.start()], voice, done)
        done = mark.end()
        if mark["back"]:
            voice = None
        elif mark["end"] is None:
            raise _refused(mark, "has no closing bracket")
        elif (mark["kind"] or "").lower() == "voice":
            voice = _voice(mark)
        else:
            yield Pause(_pause_ms(mark), mark.start(), mark.end())
    if done < len(text):
        yield Speech(text[done:], voice, done)


def _voice(mark: re.Match[str]) -> str:
    name = mark["value"].strip()
    if mark["sign"] != ":" or not name:
        raise _refused(mark, "names no voice: write [voice: name], or [/voice] to go back")
    if len(name) > MAX_VOICE_CHARS:
        raise _refused(mark, f"has a name of more than {MAX_VOICE_CHARS} characters")
    return name


def _pause_ms(mark: re.Match[str]) -> int:
    length = _LENGTH.fullmatch(mark["value"].strip())
    if mark["sign"] != ":" or length is None:
        raise _refused(mark, "has no length: write [pause: 800ms] or [pause: 1.5s]")
    number = float(length[1].replace(",", "."))
    ms = round(number if length[2].lower() == "ms" else number * 1000)
    if not MIN_PAUSE_MS <= ms <= MAX_PAUSE_MS:
        raise _refused(mark, f"is out of range: from {MIN_PAUSE_MS} ms to {MAX_PAUSE_MS // 1000} s")
    return ms


def _refused(mark: re.Match[str], reason: str) -> InvalidOption:
    shown = mark[0] if len(mark[0]) <= _SHOWN_CHARS else mark[0][:_SHOWN_CHARS] + "…"
    return InvalidOption(f"the mark {shown} {reason}", param="text")


def without_marks(text: str) -> str:
    """The text as it is read, as long as it was: blanks in the place of every mark. Raises as `parse` does."""
    read = [" "] * len(text)
    for part in parse(text):
        if isinstance(part, Speech):
            read[part.start : part.end] = part.text
    return "".join(read)

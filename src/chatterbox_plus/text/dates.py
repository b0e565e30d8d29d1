"""Dates and times of day in words."""

import datetime
import re
from functools import lru_cache

from chatterbox_plus.text.numbers import Reader, Unsayable, sub
from chatterbox_plus.text.spans import Spoken

_TIME_RANGE = re.compile(r"(?<=:[0-5]\d) ?[–—-] ?(?=\d{1,2}:[0-5]\d)")


@lru_cache(maxsize=64)
def _patterns(r: Reader) -> dict[str, re.Pattern[str]]:
    lexicon = r.lexicon
    names = sorted((name for month in lexicon.months for name in month), key=len, reverse=True)
    month = rf"({'|'.join(map(re.escape, names)) or '(?!)'})(?!\w)\.?"
    mark = re.escape(lexicon.numeric_date or "/")
    day = r"(?<![\w.,:/-])(\d{1,2})"
    marks = rf"(?:{lexicon.ordinal_marks})?" if lexicon.ordinal_marks else ""
    before = r"(?:(?<!\w)(\w{1,9})(\s+))?"
    year = r"(?:,?\s+(?:de |del )?(1\d{3}|20\d\d)(?![\d:])(?!,\d))?"
    sources = {
        "iso": rf"{before}(?<![\w.,:/-])(\d{{4}})-(\d\d)-(\d\d)(?:T(?=\d\d:))?(?![\d-])",
        "numeric": rf"{before}{day}{mark}(\d{{1,2}}){mark}(\d{{4}})(?![\w/-])(?!\.\d)",
        "day first": rf"{before}{day}{marks}{'[.]' if lexicon.day_dot else ''}\s+(?:of |de )?{month}{year}",
        "month first": rf"(?<!\w){month}\s+(\d{{1,2}}){marks}(?![\w:]|[.,]\d){year}",
        "clock": r"(?<![\w.,:])(\d{1,2})(?:"
        + lexicon.clock_marks
        + rf")([0-5]\d)(?::([0-5]\d))?(?![\w:]|[.,]\d)(?:\s?(?:{lexicon.clock_tail or '(?!)'})(?!\w))?",
        "hour": rf"(?<![\w.,:])(\d{{1,2}})\s?(?:{lexicon.clock_tail or '(?!)'})(?!\w)",
        "half day": r"(?<![\w.,:])(1[0-2]|0?[1-9])(?::([0-5]\d))?\s?([ap])(?:\.m\.|m\b\.?)",
    }
    return {name: re.compile(source, 0 if "first" in name else re.IGNORECASE) for name, source in sources.items()}


@lru_cache(maxsize=64)
def _months(r: Reader) -> dict[str, int]:
    return {name: index for index, names in enumerate(r.lexicon.months, start=1) for name in names}


def read_dates(spoken: Spoken, r: Reader) -> Spoken:
    """2026-11-23, 23.11.2026, Nov 23, 2026, 23. November; a numeric date in English only when it can mean one day."""
    lexicon = r.lexicon
    if not lexicon.months or lexicon.date is None:
        return spoken
    patterns, months = _patterns(r), _months(r)

    def say(day: int, month: int, year: int | None, before: str | None, blank: str | None = " ") -> str:
        try:
            datetime.date(year or 2000, month, day)  # a leap year, for the 29th of February
        except ValueError as error:
            raise Unsayable from error
        assert lexicon.date is not None
        words = lexicon.date(r, day, lexicon.months[month - 1][0], year, (before or "").lower())
        return f"{before}{blank}{words}" if before else words

    def numeric(match: re.Match[str]) -> str:
        day, month = int(match[3]), int(match[4])
        if lexicon.code == "en":
            if day <= 12 and month <= 12 and day != month:
                raise Unsayable
            if month > 12:
                day, month = month, day
        return say(day, month, int(match[5]), match[1], match[2])

    def day_first(match: re.Match[str]) -> str:
        return say(int(match[3]), months[match[4]], int(match[5]) if match[5] else None, match[1], match[2])

    def month_first(match: re.Match[str]) -> str:
        return say(int(match[2]), months[match[1]], int(match[3]) if match[3] else None, None)

    spoken = sub(
        spoken, patterns["iso"], lambda match: say(int(match[5]), int(match[4]), int(match[3]), match[1], match[2])
    )
    spoken = sub(spoken, patterns["numeric"], numeric)
    spoken = sub(spoken, patterns["day first"], day_first)
    return sub(spoken, patterns["month first"], month_first) if lexicon.code == "en" else spoken


def read_times(spoken: Spoken, r: Reader) -> Spoken:
    """14:05 and, in English, 3 pm. What is no time of day (25:61) stays."""
    lexicon = r.lexicon
    clock = lexicon.clock
    if clock is None:
        return spoken
    patterns = _patterns(r)

    def half_day(match: re.Match[str]) -> str:
        hour, minute = int(match[1]), int(match[2] or 0)
        words = clock(r, hour, minute) if minute else r.cardinal(hour)
        return f"{words} {match[3].lower()}.m."

    def time(match: re.Match[str]) -> str:
        if int(match[1]) > 24:
            raise Unsayable
        words = clock(r, int(match[1]), int(match[2]))
        return f"{words} {lexicon.and_} {r.cardinal(int(match[3]))}" if match[3] else words

    spoken = spoken.sub(_TIME_RANGE, f" {lexicon.to} ")
    if lexicon.code == "en":
        spoken = sub(spoken, patterns["half day"], half_day)
    spoken = sub(spoken, patterns["clock"], time)
    return sub(spoken, patterns["hour"], lambda match: clock(r, int(match[1]), 0)) if lexicon.clock_tail else spoken

"""What the rules for numbers must know about a language: its marks, its words and their forms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Noun:
    """A counted thing. forms: (one, other), or in Slavic languages (one, few, many, fraction)."""

    forms: tuple[str, ...]
    gender: str = "m"  # m, f or n: "un kilómetro", "una hora"


def noun(written: str) -> Noun:
    """ "hora/horas @f" -> Noun(("hora", "horas"), "f"); a single form serves for all."""
    forms, _, gender = written.partition("@")
    return Noun(tuple(form.strip() for form in forms.split("/")), gender.strip() or "m")


def nouns(table: str) -> dict[str, Noun]:
    """A line each: the symbol, a blank, the forms (`noun`). A symbol with a blank in it is written with "_"."""
    rows = (line.split(maxsplit=1) for line in table.strip().splitlines())
    return {symbol.replace("_", " "): noun(forms) for symbol, forms in rows}


def pairs(table: str) -> dict[str, str]:
    """Lines of `written = spoken`."""
    rows = (line.split("=", 1) for line in table.strip().splitlines())
    return {written.strip(): spoken.strip() for written, spoken in rows}


@dataclass(frozen=True)
class Currency:
    """major: what is counted ("dollar"); minor: a hundredth of it, None where there is none in use."""

    major: Noun
    minor: Noun | None = None


def currencies(table: str) -> dict[str, Currency]:
    """Lines of `symbols | major | minor`: "$ USD | dollar/dollars | cent/cents"."""
    found = {}
    for line in table.strip().splitlines():
        symbols, major, *minor = (cell.strip() for cell in line.split("|"))
        for symbol in symbols.split():
            found[symbol] = Currency(noun(major), noun(minor[0]) if minor else None)
    return found


class Numbers(Protocol):
    """How a language says bare numbers: the part of `numbers.Reader` that lexicons use."""

    def cardinal(self, value: int, gender: str = "") -> str:
        """ "21" -> "twenty-one"; gender: agreeing with a noun that follows, "" for none."""

    def ordinal(self, value: int, gender: str = "m", **forms: str) -> str:
        """1 -> "first". forms: what num2words takes for this language."""

    def year(self, value: int) -> str:
        """1961 -> "nineteen sixty-one"."""

    def count(self, value: int, thing: Noun) -> str:
        """(2, hour) -> "two hours"."""


DateReader = Callable[[Numbers, int, str, int | None, str], str]
"""(numbers, day, month name, year, word before the date in lower case) -> the date in words."""


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """One language. What is empty is not read aloud but left to the engine."""

    code: str  # as num2words calls it: "en", "pt_BR"
    decimal_mark: str = ","
    thousands: str = ". \u00a0\u202f"  # characters that may part thousands
    point: str = ""  # said for the decimal mark; "": num2words' own way
    minus: str = ""
    to: str = ""  # "10-15"
    and_: str = ""
    percent: Noun | None = None
    degree: Noun | None = None
    plural: Callable[[int], int] = field(default=lambda n: int(n != 1))  # a count -> index into a noun's forms
    fraction_form: int | None = 1  # index into a noun's forms after a decimal number; None: as after its whole part
    agree: Callable[[str, str], str] = field(
        default=lambda words, gender: words
    )  # (number words, gender) before a noun
    reads_years: bool = False  # 1961 is "nineteen sixty-one", not a thousand and so on
    ordinal_marks: str = ""  # regex of what makes 1 into first: "st|nd|rd|th"
    ordinal_genders: Mapping[str, str] = field(default_factory=dict)  # mark -> gender other than m
    contract: Callable[[str], str] = field(default=lambda words: words)  # "de euros" -> "d'euros"
    num2words_has_genders: bool = False  # its ordinals take gender=
    ordinal: Callable[[str, str], str] = field(default=lambda words, gender: words)  # (num2words' ordinal, gender)
    dotted_ordinals: Mapping[str, str] = field(default_factory=dict)  # "der 1. Test": word before -> ordinal's ending
    months: tuple[tuple[str, ...], ...] = ()  # per month: its name in a date, then other ways of writing it
    numeric_date: str = ""  # the mark in day-mark-month-mark-year
    day_dot: bool = False  # "3. Mai"
    date: DateReader | None = None
    clock: Callable[[Numbers, int, int], str] | None = None
    clock_marks: str = ":"  # regex: what parts hours and minutes
    clock_tail: str = ""  # regex of a word after the time that `clock` already says: "Uhr"
    currencies: Mapping[str, Currency] = field(default_factory=dict)
    cents: str = ""  # between the amount and its hundredths: " and "
    names_cents: bool = True  # "drei Euro fünfzig" does not
    scales: tuple[str, ...] = ()  # words after which a currency still follows: "million"
    scale_of: str = ""  # between a scale and the currency: "un million d'euros" has "de"
    units: Mapping[str, Noun] = field(default_factory=dict)
    fractions: Mapping[str, str] = field(default_factory=dict)  # "1/2" -> "one half"
    half_joint: str = ""  # "2½": two + this + half
    abbreviations: Mapping[str, str] = field(default_factory=dict)
    numbered: Mapping[str, str] = field(default_factory=dict)  # abbreviations only before a number: "No."
    closing: frozenset[str] = frozenset()  # abbreviations whose dot may also end the sentence
    signs: Mapping[str, str] = field(default_factory=dict)  # "&" -> "and"; "+", "=", "#" ...
    web: Mapping[str, str] = field(default_factory=dict)  # characters inside addresses

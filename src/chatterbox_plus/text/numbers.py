"""Bare numbers in words: cardinals, ordinals, decimals, years, ranges, fractions, versions, long runs of digits."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from threading import Lock

from num2words import CONVERTER_CLASSES, num2words

from chatterbox_plus.text.languages import base
from chatterbox_plus.text.lexicon import Lexicon, Noun
from chatterbox_plus.text.lexicons import LEXICONS
from chatterbox_plus.text.spans import Spoken

# Digits; longer numbers are said digit by digit, as are telephone numbers: from 10 digits on, or with a 0 first.
_LONGEST = 15
_LONGEST_UNTRIED = 9  # in languages without a lexicon: num2words' limits differ
_ENDLESS = frozenset(["am"])  # num2words 0.5.14 never returns from many Amharic numbers, 999 999 999 999 999 for one
# 3.5 and 1,000 are written here, 3,5 and 1.000 in the other languages without a lexicon.
_POINT_LANGUAGES = frozenset(["bn", "he", "ja", "kn", "ko", "te", "th"])
SENTENCE_END = r"(?=\s*$|\s*[\r\n]|\s+[\"“(]?[A-Z\u00c0-\u00de\u0410-\u042f])"
"""After an abbreviation's dot: that dot also ends the sentence."""
_SENTENCE_END = re.compile(SENTENCE_END)
_UNSPACED = frozenset(["ja", "th"])  # letters touch numbers there
_RENAMED = {"kk": "kz", "nb": "no", "nn": "no"}  # our tag -> num2words' name
# What num2words raises, by language, for what it cannot say.
_UNSAYABLE = (NotImplementedError, OverflowError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)

_lock = Lock()  # num2words' converters are shared and keep state while they work


class Unsayable(Exception):
    """num2words does not know how to say this; the digits stay for the engine to read."""


class Reader:
    """How one language reads numbers aloud: num2words, and our lexicon where there is one."""

    def __init__(self, code: str, lexicon: Lexicon) -> None:
        self.code = code
        self.lexicon = lexicon
        mark, parts = re.escape(lexicon.decimal_mark), re.escape(lexicon.thousands)
        self.whole = rf"(?:\d{{1,3}}(?:[{parts}]\d{{3}}){{1,4}}(?!\d)|\d{{1,{_LONGEST}}}(?!\d))"
        if code == "en":  # India parts 1,00,000
            self.whole = rf"(?:\d{{1,2}}(?:,\d\d){{1,5}},\d{{3}}(?!\d)|{self.whole})"
        self.number = rf"{self.whole}(?:{mark}\d{{1,{_LONGEST}}}(?!\d))?"
        if lexicon.decimal_mark == ",":  # 3.5 is no thousand, so it can only be a decimal of another language's
            self.number = rf"(?:\d{{1,{_LONGEST}}}\.(?!\d{{3}}(?!\d))\d{{1,{_LONGEST}}}(?!\d)|{self.number})"
        glue = "A-Za-z" if base(code) in _UNSPACED else r"\w"
        self.begin = rf"(?<![{glue}\d])(?<!\d[.,:/])"
        self.end = rf"(?![{glue}\d])(?![.,:/]\d)"

    def __hash__(self) -> int:
        return hash(self.code)

    def cardinal(self, value: int, gender: str = "") -> str:
        """21 -> "twenty-one"; gender: agreeing with a noun that follows, "" for none. Raises Unsayable."""
        if value >= 10 ** (_LONGEST if self.code in LEXICONS else _LONGEST_UNTRIED):
            return self.digits(str(value))
        words = _say(self.code, value, "cardinal", ())
        return self.lexicon.agree(words, gender) if gender else words

    def ordinal(self, value: int, gender: str = "m", **forms: str) -> str:
        """1 -> "first". forms: what num2words takes for this language. Raises Unsayable."""
        if self.lexicon.num2words_has_genders:
            forms["gender"] = gender
        return self.lexicon.ordinal(_say(self.code, value, "ordinal", tuple(forms.items())), gender)

    def year(self, value: int) -> str:
        """1961 -> "nineteen sixty-one". Raises Unsayable."""
        return _say(self.code, value, "year" if self.lexicon.reads_years else "cardinal", ())

    def digits(self, digits: str) -> str:
        """ "007" -> "zero zero seven"; anything but digits is passed over. Raises Unsayable."""
        return " ".join(self.cardinal(int(digit)) for digit in digits if digit.isdecimal())

    def split(self, written: str) -> tuple[int, str]:
        """A number as written in this language -> its whole part and its decimals ("" for none)."""
        mark = self.lexicon.decimal_mark
        if mark == "," and "," not in written and re.search(r"\.(?!\d{3}(?!\d))", written):
            mark = "."
        whole, _, decimals = written.partition(mark)
        return int(re.sub(r"\D", "", whole)), decimals

    def say(self, written: str, gender: str = "") -> str:
        """A number as written in this language, decimals digit by digit. Raises Unsayable."""
        whole, decimals = self.split(written)
        if not decimals:
            by_digit = len(written) > 1 and written[0] == "0" and written.isdecimal()
            return self.digits(written) if by_digit else self.cardinal(whole, gender)
        if not self.lexicon.point:
            return _say(self.code, Decimal(f"{whole}.{decimals}"), "cardinal", ())
        return f"{self.cardinal(whole)} {self.lexicon.point} {self.digits(decimals)}"

    def form(self, written: str, thing: Noun) -> str:
        """The form of a noun after a number as written: ("1", hour) -> "hour"."""
        value, decimals = self.split(written)
        last = len(thing.forms) - 1
        if decimals:
            fraction = self.lexicon.fraction_form
            return thing.forms[min(last, self.lexicon.plural(value) if fraction is None else fraction)]
        return thing.forms[min(last, self.lexicon.plural(value))]

    def amount(self, written: str, thing: Noun) -> str:
        """ "2,5" and a noun -> "two point five hours". Raises Unsayable."""
        return self.lexicon.contract(f"{self.say(written, thing.gender)} {self.form(written, thing)}")

    def count(self, value: int, thing: Noun) -> str:
        """(2, hour) -> "two hours". Raises Unsayable."""
        return (
            f"{self.cardinal(value, thing.gender)} {thing.forms[min(len(thing.forms) - 1, self.lexicon.plural(value))]}"
        )


@lru_cache(maxsize=4096)
def _say(code: str, value: int | Decimal, kind: str, forms: tuple[tuple[str, str], ...]) -> str:
    try:
        with _lock:
            words = num2words(value, lang=code, to=kind, **dict(forms))
    except _UNSAYABLE as error:
        raise Unsayable from error
    if not isinstance(words, str) or not words.strip() or any(letter.isdecimal() for letter in words):
        raise Unsayable
    return " ".join(words.replace(",", " ").split())  # commas would be read as pauses


@lru_cache(maxsize=64)
def reader(language: str) -> Reader | None:
    """How a language reads numbers; None where num2words does not know it, and digits are left to the engine."""
    tag = language.replace("-", "_")
    first, _, region = tag.partition("_")
    first = _RENAMED.get(first.lower(), first.lower())
    for code in (f"{first}_{region.upper()}", first):
        if code in CONVERTER_CLASSES and code not in _ENDLESS:
            lexicon = LEXICONS.get(first)
            if lexicon is None:
                lexicon = Lexicon(code=code)
                if first in _POINT_LANGUAGES:
                    lexicon = replace(lexicon, decimal_mark=".", thousands=",")
            return Reader(code, lexicon)
    return None


def closing_dot(match: re.Match[str]) -> str:
    """ "." where a match ends in an abbreviation whose dot also ends the sentence, else ""."""
    return "." if match[0].endswith(".") and _SENTENCE_END.match(match.string, match.end()) else ""


def sub(spoken: Spoken, pattern: re.Pattern[str], say: Callable[[re.Match[str]], str]) -> Spoken:
    """Replace matches by what `say` makes of them, leaving those as they are for which it raises Unsayable."""

    def say_or_leave(match: re.Match[str]) -> str:
        try:
            return say(match)
        except Unsayable:
            return match[0]

    return spoken.sub(pattern, say_or_leave)


@lru_cache(maxsize=64)
def _patterns(r: Reader) -> dict[str, re.Pattern[str]]:
    n, lexicon = r.number, r.lexicon
    fractions = "|".join(map(re.escape, lexicon.fractions)) or "(?!)"
    sources = {
        "long": rf"(?<!\w)\+?(?:0\d{{5,}}|\d{{10,}}|\(?\d{{3}}\)?[ -]\d{{3}}-\d{{4}}|(?:1-\d{{3}}-)?\d{{3}}-\d{{4}}"
        rf"|\+\d{{1,3}}(?:[ -]\(?\d{{2,5}}\)?){{2,5}}){r.end}",
        "version": r"(?<![\w.,])(v)?(\d{1,5}(?:\.\d{1,5}){2,4})(?![\w])(?!\.\d)",
        "fraction": rf"(?<![\w/.,])(?:(\d{{1,6}}) ?)?(?:({fractions})(?![\w/])|([½⅓⅔¼¾⅕⅛]))",
        "range": rf"{r.begin}(?<!\d-)({n})(?: ?[–—] ?|-)(?={n}(?:{r.end}(?!-)| ?[^\W\d]))",
        "ordinal": rf"{r.begin}(\d{{1,9}})({lexicon.ordinal_marks or '(?!)'})(?!\w)",
        "year": rf"{r.begin}(1[1-9]\d\d|20\d\d){r.end}",
        "decade": rf"(?:{r.begin}(1[1-9]\d|20\d)|(?<!\w)['’]([2-9]))0['’]?s(?!\w)",
        "dotted": rf"(?<!\w)({'|'.join(lexicon.dotted_ordinals) or '(?!)'}) (\d{{1,3}})\.(?=\s+[^\W\d_a-zäöü])",
        "number": rf"(?:(?<![\w)\]%])([-−+])(?=\d))?{r.begin}({n}){r.end}",
        "glued": r"(?<=[A-Za-z])(\d{1,4})(?![\w.,]?\d)|(?<!\w)(\d{1,4})(?=[A-Za-z])",
    }
    return {name: re.compile(source) for name, source in sources.items()}


def read_numbers(spoken: Spoken, r: Reader) -> Spoken:
    """Say every number that nothing before this made part of something else."""
    lexicon, patterns = r.lexicon, _patterns(r)

    def ordinal(match: re.Match[str]) -> str:
        return r.ordinal(int(match[1]), lexicon.ordinal_genders.get(match[2], "m"))

    def dotted(match: re.Match[str]) -> str:
        return f"{match[1]} {r.ordinal(int(match[2]))}{lexicon.dotted_ordinals[match[1]]}"

    def number(match: re.Match[str]) -> str:
        sign = {"-": lexicon.minus, "−": lexicon.minus, "+": lexicon.signs.get("+", "")}.get(match[1] or "", "")
        if match[1] and not sign:
            raise Unsayable
        return f"{sign} {r.say(match[2])}" if sign else r.say(match[2])

    def glued(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        words = r.cardinal(int(digits)) if len(digits) < 4 and digits[0] != "0" else r.digits(digits)
        after = " " if match.string[match.end() : match.end() + 1].isalpha() else ""
        return f"{' ' if match[1] else ''}{words}{after}"

    if lexicon.dotted_ordinals:
        spoken = sub(spoken, patterns["dotted"], dotted)
    if lexicon.ordinal_marks:
        spoken = sub(spoken, patterns["ordinal"], ordinal)
    if lexicon.reads_years:
        spoken = sub(spoken, patterns["year"], lambda match: r.year(int(match[1])))
    spoken = sub(spoken, patterns["number"], number)
    return sub(spoken, patterns["glued"], glued) if lexicon.point else spoken


def read_codes(spoken: Spoken, r: Reader) -> Spoken:
    """Telephone numbers and other long runs of digits, digit by digit; versions (1.2.3); in English also the 1960s."""
    lexicon, patterns = r.lexicon, _patterns(r)

    def version(match: re.Match[str]) -> str:
        if not lexicon.point or re.fullmatch(r.number, match[2]):  # 1.234.567 is a number in most of Europe
            raise Unsayable
        dot = lexicon.web.get(".", lexicon.point)
        parts = f" {dot} ".join(r.cardinal(int(part)) for part in match[2].split("."))
        return f"{match[1]} {parts}" if match[1] else parts

    def decade(match: re.Match[str]) -> str:
        words = r.year(int(match[1]) * 10) if match[1] else r.cardinal(int(match[2]) * 10)
        return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"

    spoken = sub(spoken, patterns["long"], lambda match: r.digits(match[0]))
    spoken = sub(spoken, patterns["version"], version)
    if lexicon.code != "en":
        return spoken
    return sub(spoken, patterns["decade"], decade)


def read_ranges(spoken: Spoken, r: Reader) -> Spoken:
    """10-15 -> 10 to 15, and 2½ in words; before units and prices, which belong to the second number."""
    lexicon, patterns = r.lexicon, _patterns(r)

    def fraction(match: re.Match[str]) -> str:
        words = lexicon.fractions.get(match[2] or _FRACTION_SIGNS[match[3]])
        if words is None:
            raise Unsayable
        return f"{r.cardinal(int(match[1]))} {lexicon.half_joint}{words}" if match[1] else words

    if lexicon.to:
        spoken = sub(spoken, patterns["range"], lambda match: f"{match[1]} {lexicon.to} ")
    return sub(spoken, patterns["fraction"], fraction) if lexicon.fractions else spoken


_FRACTION_SIGNS = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}

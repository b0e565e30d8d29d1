"""Money, percentages, temperatures and units in words."""

import re
from functools import lru_cache

from chatterbox_plus.text.lexicon import Currency
from chatterbox_plus.text.numbers import Reader, closing_dot, sub
from chatterbox_plus.text.spans import Spoken

_SHORT_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "bn": "billion", "B": "billion"}
_SIGN = r"(?:(?<![\w)\]])[-−](?=[^\s]))?"


@lru_cache(maxsize=64)
def _patterns(r: Reader) -> dict[str, re.Pattern[str]]:
    lexicon, n = r.lexicon, r.number
    money = "|".join(re.escape(symbol) for symbol in sorted(lexicon.currencies, key=len, reverse=True)) or "(?!)"
    scales = [*lexicon.scales, *(_SHORT_SCALES if lexicon.code == "en" else ())]
    scale = rf"(?:(?:\s|-)?({'|'.join(scales) or '(?!)'})(?!\w))?"
    units = "|".join(re.escape(symbol) for symbol in sorted(lexicon.units, key=len, reverse=True)) or "(?!)"
    to = rf"(?:( {re.escape(lexicon.to or '~')} |[-–])(?:{money})?({n}))?"
    sources = {
        "money first": rf"(?<!\w)({_SIGN})({money})\s?({n}){to}{scale}(?!\w|[.,]\d)",
        "money last": rf"(?:(?<![\w)\]])([-−])(?=\d))?{r.begin}({n}){to}{scale}\s?({money})(?!\w)",
        "percent": rf"(?:(?<![\w)\]])([-−])(?=\d))?{r.begin}({n})\s?%",
        "degree": rf"(?:(?<![\w)\]])([-−])(?=\d))?{r.begin}({n})\s?°(?:\s?([CFK])(?!\w))?",
        "unit": rf"(?:(?<![\w)\]])([-−])(?=\d))?{r.begin}({n})(\s|-)?({units})(?![\w²³°]|/\w)",
        "feet": r"(?<![\w.,])(\d{1,3})['′](?:\s?(\d{1,2})[\"″])?(?!\w)",
    }
    return {name: re.compile(source) for name, source in sources.items()}


def read_money(spoken: Spoken, r: Reader) -> Spoken:
    """$3.50, 3,50 €, £1.2 million, $5-10, 100 USD."""
    lexicon = r.lexicon
    if not lexicon.currencies:
        return spoken
    patterns = _patterns(r)

    def say(sign: str, first: str, to: str, second: str, scale: str, currency: Currency) -> str:
        amount = second or first
        begin = f"{lexicon.minus} " if sign else ""
        if second:
            begin += f"{r.say(first, currency.major.gender)} {lexicon.to} "
        if scale:
            scale = _SHORT_SCALES.get(scale, scale)
            whole, decimals = r.split(amount)
            many = currency.major.forms[_many(currency, r)]
            return lexicon.contract(f"{begin}{r.say(amount, 'm')} {scale} {lexicon.scale_of}{many}")
        whole, decimals = r.split(amount)
        if currency.minor is None or len(decimals) != 2:
            return begin + r.amount(amount, currency.major)
        hundredths = int(decimals)
        if not hundredths:
            return begin + r.count(whole, currency.major)
        cents = r.count(hundredths, currency.minor)
        if not whole:
            return begin + cents
        if not lexicon.names_cents:
            cents = r.cardinal(hundredths)
        return f"{begin}{r.count(whole, currency.major)}{lexicon.cents}{cents}"

    def first(match: re.Match[str]) -> str:
        return say(match[1], match[3], match[4], match[5], match[6], lexicon.currencies[match[2]])

    def last(match: re.Match[str]) -> str:
        return say(match[1], match[2], match[3], match[4], match[5], lexicon.currencies[match[6]]) + closing_dot(match)

    return sub(sub(spoken, patterns["money first"], first), patterns["money last"], last)


def _many(currency: Currency, r: Reader) -> int:
    """The form after a million: the plural, in Slavic languages that of many."""
    return min(len(currency.major.forms) - 1, r.lexicon.plural(1_000_000))


def read_units(spoken: Spoken, r: Reader) -> Spoken:
    """5 km, 20 °C, 12 %, 5'10"; a symbol the lexicon does not have stays for the engine."""
    lexicon = r.lexicon
    patterns = _patterns(r)

    def sign(match: re.Match[str]) -> str:
        return f"{lexicon.minus} " if match[1] else ""

    def degree(match: re.Match[str]) -> str:
        assert lexicon.degree is not None
        scale = {"C": " Celsius", "F": " Fahrenheit", "K": " Kelvin"}.get(match[3] or "", "")
        return sign(match) + r.amount(match[2], lexicon.degree) + scale

    def feet(match: re.Match[str]) -> str:
        words = r.amount(match[1], lexicon.units["ft"])
        return f"{words} {r.amount(match[2], lexicon.units['inch'])}" if match[2] else words

    if lexicon.percent is not None:
        percent = lexicon.percent
        spoken = sub(spoken, patterns["percent"], lambda match: sign(match) + r.amount(match[2], percent))
    if lexicon.degree is not None:
        spoken = sub(spoken, patterns["degree"], degree)
    if lexicon.code == "en":
        spoken = sub(spoken, patterns["feet"], feet)
    if lexicon.units:
        units = lexicon.units

        def unit(match: re.Match[str]) -> str:
            if match[3] == "-" and lexicon.code == "en":  # a 10-km run
                return f"{r.say(match[2])} {units[match[4]].forms[0]}"
            return sign(match) + r.amount(match[2], units[match[4]]) + closing_dot(match)

        spoken = sub(spoken, patterns["unit"], unit)
    return spoken

"""What is written short and said long: abbreviations, signs, web and e-mail addresses."""

import re
from functools import lru_cache

from chatterbox_plus.text.numbers import SENTENCE_END, Reader
from chatterbox_plus.text.spans import Spoken

_ADDRESS = re.compile(
    r"(?<![\w@/.])(?:"
    r"(?P<mail>[A-Za-z0-9_%+-]{1,64}(?:\.[A-Za-z0-9_%+-]{1,64}){0,8}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8})"
    r"|https?://(?P<url>[^\s<>\"'“”()\[\]]{1,2000}[\w/])"
    r"|(?P<bare>www\.[^\s<>\"'“”()\[\]]{1,2000}[\w/]"
    r"|[A-Za-z0-9][A-Za-z0-9-]{0,62}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.(?:com|org|net|io|edu|gov|info|dev|app|co\.uk|de|fr|es"
    r"|it|pt|nl|pl|ru|eu|uk|us)(?:/[^\s<>\"'“”()\[\]]{0,2000}[\w/])?)"
    r")(?!\w)"
)


_NAME_NEXT = re.compile(r"\s[A-Z]")


@lru_cache(maxsize=64)
def _abbreviations(r: Reader) -> re.Pattern[str]:
    lexicon = r.lexicon
    plain = "|".join(map(re.escape, sorted(lexicon.abbreviations, key=len, reverse=True))) or "(?!)"
    numbered = "|".join(map(re.escape, sorted(lexicon.numbered, key=len, reverse=True))) or "(?!)"
    return re.compile(rf"(?<![\w.])(?:({plain})(?!\w)({SENTENCE_END})?|({numbered})\s?(?=\d))")


_SIGN = re.compile(
    r"(?<=[\w)])(?:\s?(?P<between>[&+=×÷±≈])\s?|\s(?P<apart>@)\s)(?=[\w(])"
    r"|(?<=\d)(?P<after>\+)(?![\w+])"
    r"|(?<!\w)(?P<before>[#~≈±§])\s?(?=\d)"
    r"|(?<=\d)(?P<inside>[/:])(?=\d)"
)


def read_addresses(spoken: Spoken, r: Reader) -> Spoken:
    """https://example.com/a -> example dot com slash a; the scheme is not said."""
    web = r.lexicon.web
    if not web:
        return spoken

    def replace(match: re.Match[str]) -> str:
        address = match["mail"] or match["url"] or match["bare"]
        words = "".join(f" {web[sign]} " if sign in web else sign for sign in address.rstrip("/"))
        return " ".join(words.replace("www", "w w w").split())

    return spoken.sub(_ADDRESS, replace)


def read_abbreviations(spoken: Spoken, r: Reader) -> Spoken:
    """Dr. -> Doctor. The dot stays where it ends the sentence as well ("etc.")."""
    lexicon = r.lexicon

    def replace(match: re.Match[str]) -> str:
        if match[3]:
            return f"{lexicon.numbered[match[3]]} "
        ends = match[2] is not None and match[1] in lexicon.closing
        words = lexicon.abbreviations[match[1]]
        if match[1] == "St." and lexicon.code == "en" and (ends or not _NAME_NEXT.match(match.string, match.end())):
            words = "Street"
        return words + ("." if ends else "")

    return spoken.sub(_abbreviations(r), replace) if lexicon.abbreviations else spoken


def read_signs(spoken: Spoken, r: Reader) -> Spoken:
    """ "R&D" -> "R and D", "2+2" -> "2 plus 2", "18+" -> "18 plus", "#5" -> "number 5", "16:9" -> "16 to 9"."""
    signs = r.lexicon.signs

    def replace(match: re.Match[str]) -> str:
        word = {"/": r.lexicon.web["/"], ":": r.lexicon.to}.get(match[0]) or signs.get(match[match.lastgroup or 0])
        if word is None:
            return match[0]
        before = "" if match["before"] else " "
        return f"{before}{word}" if match["after"] else f"{before}{word} "

    return spoken.sub(_SIGN, replace) if signs else spoken


_ROMAN = r"(?=[IVXL])(XL|L?X{0,3})(IX|IV|V?I{0,3})(?!\w)"
_NUMBERED = re.compile(
    rf"(?<!\w)((?:Chapter|Part|Volume|Book|Act|Scene|Section|Appendix|Phase|World War|Super Bowl) ){_ROMAN}"
)
_CROWNED = re.compile(
    r"(?<!\w)((?:Henry|Louis|George|Charles|Edward|Richard|James|William|Elizabeth|Philip|Francis|Frederick|Napoleon"
    r"|Nicholas|Alexander|Catherine|Leo|Pius|Benedict|Gregory|Clement|John|Paul|Ramses|Mary) )"
    rf"(?!I\s[a-z]|[XVL](?!\w)){_ROMAN}"  # "with Mary I went", "Malcolm X"
)
_TENS = {"": 0, "X": 10, "XX": 20, "XXX": 30, "XL": 40, "L": 50, "LX": 60, "LXX": 70, "LXXX": 80}
_ONES = {"": 0, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9}


def read_roman(spoken: Spoken, r: Reader) -> Spoken:
    """English, and only after what announces them: "Chapter IV" is four, "Henry VIII" the eighth."""
    if r.lexicon.code != "en":
        return spoken

    def value(match: re.Match[str]) -> int:
        return _TENS[match[2]] + _ONES[match[3]]

    spoken = spoken.sub(_NUMBERED, lambda match: match[1] + r.cardinal(value(match)))
    return spoken.sub(_CROWNED, lambda match: f"{match[1]}the {r.ordinal(value(match))}")

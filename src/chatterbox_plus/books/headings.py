"""Lines that are headings by what they say: "Chapter 1", "CHAPITRE PREMIER", "Erster Teil", "Prologue", "第一章"."""

import re
from dataclasses import dataclass
from functools import cache

from num2words import num2words

_PARTS = (
    "part|book|volume|vol|act|teil|buch|band|partie|livre|tome|parte|libro|livro|tomo|deel|boek|część|księga|"
    "часть|книга|том|del|bok|díl|část|kniha"
)
_CHAPTERS = (
    "chapter|chap|canto|stave|letter|scene|kapitel|chapitre|capítulo|capitulo|capitolo|hoofdstuk|rozdział|глава|"
    "kapitola|kapittel|luku|fejezet|bölüm|κεφάλαιο|розділ"
)
_ALONE = (
    "prologue|epilogue|preface|foreword|introduction|afterword|conclusion|dedication|acknowledge?ments|"
    "author['’]s note|prolog|epilog|vorwort|nachwort|einleitung|einführung|danksagung|préface|avant-propos|épilogue|"
    "introducción|prólogo|prefacio|epílogo|conclusión|prologo|epilogo|prefazione|introduzione|prefácio|introdução|"
    "proloog|epiloog|voorwoord|nawoord|inleiding|wstęp|przedmowa|пролог|эпилог|предисловие|введение|послесловие"
)
_CONTENTS = (
    "contents|table of contents|inhalt|inhaltsverzeichnis|table des matières|sommaire|índice|indice|sommario|sumário|"
    "inhoud|inhoudsopgave|spis treści|содержание|оглавление"
)
_NUMBER = r"\d{1,3}|[ivxlc]{1,8}"
_NUMBERED = re.compile(
    rf"(?P<kind>{_PARTS}|{_CHAPTERS})\s+(?:the\s+)?(?:(?P<number>{_NUMBER})(?![\w'’])|(?=\w))", re.IGNORECASE
)
_ORDINAL = re.compile(
    r"(?:(?:the|der|die|das|la|le)\s+)?(?P<word>[^\W\d_]+(?:-[^\W\d_]+)?|\d{1,3}\.)\s+"
    rf"(?P<kind>{_PARTS}|{_CHAPTERS})(?!\w)",
    re.IGNORECASE,
)
_UNNUMBERED = re.compile(rf"(?P<word>{_ALONE})(?:\s*[.:–—-]+\s*(?P<marked>.*))?", re.IGNORECASE)
_CHINESE = re.compile(
    r"(?P<word>第\s*[〇零一二三四五六七八九十百千\d]{1,7}\s*(?P<kind>[章回节節話话部卷编編]))(?:\s*\S.*)?"
)
_CHINESE_PARTS = frozenset("部卷编編")
_MOST_CHARS = 100
_LANGUAGES = "en", "de", "fr", "es", "it", "pt", "nl"
_HIGHEST = 60  # books with more chapters count them in digits


@dataclass(frozen=True)
class Heading:
    """level: 1 for parts, 2 for chapters. key: what it is without its title, to be found again ("chapter 4")."""

    level: int
    key: str


def heading(line: str) -> Heading | None:
    """None for a line that is no heading."""
    line = " ".join(line.split()).strip("*#=_ ")
    if not line or len(line) > _MOST_CHARS:
        return None
    if found := _CHINESE.fullmatch(line):
        return Heading(1 if found["kind"] in _CHINESE_PARTS else 2, found["word"])
    if found := _UNNUMBERED.fullmatch(line):
        return Heading(2, found["word"].lower())
    return _numbered(line) or _ordinal(line)


def is_contents(line: str) -> bool:
    """Whether it is the heading of a table of contents."""
    return re.fullmatch(_CONTENTS, line.strip(" \t.:*#=_"), re.IGNORECASE) is not None


def _numbered(line: str) -> Heading | None:
    """As in "Chapter 4", "CHAPTER IV. The Storm", "Chapter Four: The Storm", "Livre premier"."""
    found = _NUMBERED.match(line)
    if found is None:
        return None
    kind, number, title = found["kind"].lower(), found["number"], line[found.end() :]
    if not number:
        number, title = _leading_words(title)
    return Heading(_level(kind), f"{kind} {number.lower()}") if number and _is_title(title) else None


def _ordinal(line: str) -> Heading | None:
    """As in "Erstes Kapitel", "The Second Part: Home"."""
    found = _ORDINAL.match(line)
    if found is None or not (found["word"].lower() in _number_words() or found["word"][:1].isdigit()):
        return None
    kind = found["kind"].lower()
    title = line[found.end("kind") :]
    return Heading(_level(kind), f"{kind} {found['word'].lower()}") if _is_title(title) else None


def _level(kind: str) -> int:
    return 1 if re.fullmatch(_PARTS, kind) else 2


def _leading_words(rest: str) -> tuple[str, str]:
    """The longest number in words that a text begins with, and what follows it."""
    words = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", rest[:40])[:4]
    for count in range(len(words), 0, -1):
        spelt = " ".join(words[:count])
        if rest.lower().startswith(spelt.lower()) and spelt.lower() in _number_words():
            return spelt.lower(), rest[len(spelt) :]
    return "", ""


def _is_title(rest: str) -> bool:
    """What may follow the number: nothing, anything behind a mark, or words like a title, not like a sentence."""
    if not rest or re.match(r"\s*[.:–—-]", rest):
        return True
    title = rest.strip()
    return rest[0].isspace() and not title[:1].islower() and title[-1:] not in ".,;"


@cache
def _number_words() -> frozenset[str]:
    """Cardinals and ordinals in seven languages, with the endings they take before or behind "chapter" and "part"."""
    found = {"premier", "première", "second", "seconde", "last"}
    for language in _LANGUAGES:
        for number in range(1, _HIGHEST + 1):
            found.add(num2words(number, lang=language))
            ordinal = num2words(number, lang=language, to="ordinal")
            found.add(ordinal)
            if language == "de":
                found |= {ordinal + "r", ordinal + "s"}
            elif language in ("es", "it", "pt") and ordinal.endswith("o"):
                found |= {ordinal[:-1] + "a", ordinal[:-2] if ordinal.endswith("ero") else ordinal}
    return frozenset(word.lower() for word in found)

"""Polish."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _plural(count: int) -> int:
    if count == 1:
        return 0
    return 1 if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else 2


def _agree(words: str, gender: str) -> str:
    """jeden godzina -> jedna godzina, dwie godziny; only one itself has a gender, two has in every compound."""
    if words == "jeden":
        return {"f": "jedna", "n": "jedno"}.get(gender, words)
    return re.sub(r"\bdwa$", "dwie", words) if gender == "f" else words


def _ordinal(words: str, gender: str) -> str:
    return re.sub(r"i\b", "ia", re.sub(r"y\b", "a", words)) if gender == "f" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{numbers.ordinal(day)} {month}"
    return words if year is None else f"{words} {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = "zero" if hour == 0 else numbers.ordinal(hour, "f")
    return f"{words} {numbers.cardinal(minute)}" if minute else words


POLISH = Lexicon(
    code="pl",
    thousands=" .\u00a0\u202f",
    point="przecinek",
    minus="minus",
    to="do",
    and_="i",
    percent=noun("procent/procent/procent/procenta"),
    degree=noun("stopień/stopnie/stopni/stopnia"),
    plural=_plural,
    fraction_form=3,
    agree=_agree,
    ordinal=_ordinal,
    months=(
        ("stycznia",),
        ("lutego",),
        ("marca",),
        ("kwietnia",),
        ("maja",),
        ("czerwca",),
        ("lipca",),
        ("sierpnia",),
        ("września",),
        ("października",),
        ("listopada",),
        ("grudnia",),
    ),
    numeric_date=".",
    date=_date,
    clock=_clock,
    currencies=currencies("""
        zł PLN | złoty/złote/złotych/złotego | grosz/grosze/groszy/grosza
        € EUR | euro @n | cent/centy/centów/centa
        $ USD | dolar/dolary/dolarów/dolara | cent/centy/centów/centa
        £ GBP | funt/funty/funtów/funta | pens/pensy/pensów/pensa
    """),
    cents=" ",
    scales=("tys\\.", "mln", "mld", "milionów", "miliony", "milion", "miliardów", "miliardy", "miliard"),
    units=nouns("""
        km kilometr/kilometry/kilometrów/kilometra
        m metr/metry/metrów/metra
        cm centymetr/centymetry/centymetrów/centymetra
        mm milimetr/milimetry/milimetrów/milimetra
        m² metr kwadratowy/metry kwadratowe/metrów kwadratowych/metra kwadratowego
        kg kilogram/kilogramy/kilogramów/kilograma
        g gram/gramy/gramów/grama
        l litr/litry/litrów/litra
        ml mililitr/mililitry/mililitrów/mililitra
        km/h kilometr na godzinę/kilometry na godzinę/kilometrów na godzinę/kilometra na godzinę
        h godzina/godziny/godzin/godziny @f
        godz. godzina/godziny/godzin/godziny @f
        min minuta/minuty/minut/minuty @f
        s sekunda/sekundy/sekund/sekundy @f
        MB megabajt/megabajty/megabajtów/megabajta
        GB gigabajt/gigabajty/gigabajtów/gigabajta
        V wolt/wolty/woltów/wolta
        W wat/waty/watów/wata
        kW kilowat/kilowaty/kilowatów/kilowata
    """),
    fractions=pairs("""
        1/2 = jedna druga
        1/3 = jedna trzecia
        2/3 = dwie trzecie
        1/4 = jedna czwarta
        3/4 = trzy czwarte
    """),
    half_joint="i ",
    abbreviations=pairs("""
        np. = na przykład
        itd. = i tak dalej
        itp. = i tym podobne
        tzn. = to znaczy
        tj. = to jest
        m.in. = między innymi
        dr = doktor
        dr. = doktor
        prof. = profesor
        ul. = ulica
        al. = aleja
        ok. = około
        tys. = tysięcy
        mln = milionów
        mld = miliardów
    """),
    numbered=pairs("""
        nr = numer
        Nr = numer
        str. = strona
        s. = strona
        rozdz. = rozdział
    """),
    closing=frozenset(["itd.", "itp.", "tys."]),
    signs=pairs("""
        & = i
        + = plus
        × = razy
        ~ = około
        @ = małpa
        # = numer
    """)
    | {"=": "równa się"},
    web={".": "kropka", "/": "ukośnik", "@": "małpa", "-": "myślnik", "_": "podkreślnik"},
)

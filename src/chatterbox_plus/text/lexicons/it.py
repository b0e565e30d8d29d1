"""Italian."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _agree(words: str, gender: str) -> str:
    """uno chilometro -> un chilometro, una tonnellata; ventun, but not ventuna."""
    if words == "uno":
        return "una" if gender == "f" else "un"
    return re.sub(r"uno$", "un", words)


def _ordinal(words: str, gender: str) -> str:
    return re.sub(r"o$", "a", words) if gender == "f" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{'primo' if day == 1 else numbers.cardinal(day)} {month}"
    return words if year is None else f"{words} {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    hours = "una" if hour == 1 else numbers.cardinal(hour)
    return f"{hours} e {numbers.cardinal(minute)}" if minute else f"{hours} in punto"


ITALIAN = Lexicon(
    code="it",
    point="virgola",
    minus="meno",
    to="a",
    and_="e",
    percent=noun("per cento"),
    degree=noun("grado/gradi"),
    agree=_agree,
    contract=lambda words: re.sub(r"\buna (?=[aeiou])", "un'", words),
    ordinal_marks="[º°ª]",
    ordinal_genders={"ª": "f"},
    ordinal=_ordinal,
    months=(
        ("gennaio",),
        ("febbraio",),
        ("marzo",),
        ("aprile",),
        ("maggio",),
        ("giugno",),
        ("luglio",),
        ("agosto",),
        ("settembre",),
        ("ottobre",),
        ("novembre",),
        ("dicembre",),
    ),
    numeric_date="/",
    date=_date,
    clock=_clock,
    currencies=currencies("""
        € EUR | euro | centesimo/centesimi
        $ USD | dollaro/dollari | centesimo/centesimi
        £ GBP | sterlina/sterline @f | penny/pence
        ¥ JPY | yen
        CHF | franco svizzero/franchi svizzeri | centesimo/centesimi
    """),
    cents=" e ",
    scales=("milione", "milioni", "miliardo", "miliardi"),
    scale_of="di ",
    units=nouns("""
        km chilometro/chilometri
        m metro/metri
        cm centimetro/centimetri
        mm millimetro/millimetri
        km² chilometro quadrato/chilometri quadrati
        m² metro quadrato/metri quadrati
        m³ metro cubo/metri cubi
        ha ettaro/ettari
        kg chilogrammo/chilogrammi
        g grammo/grammi
        mg milligrammo/milligrammi
        t tonnellata/tonnellate @f
        l litro/litri
        L litro/litri
        ml millilitro/millilitri
        km/h chilometro all'ora/chilometri all'ora
        m/s metro al secondo/metri al secondo
        h ora/ore @f
        min minuto/minuti
        s secondo/secondi
        ms millisecondo/millisecondi
        kB kilobyte
        MB megabyte
        GB gigabyte
        TB terabyte
        Hz hertz
        kHz kilohertz
        MHz megahertz
        GHz gigahertz
        V volt
        W watt
        kW kilowatt
        kWh kilowattora
        dB decibel
    """),
    fractions=pairs("""
        1/2 = un mezzo
        1/3 = un terzo
        2/3 = due terzi
        1/4 = un quarto
        3/4 = tre quarti
    """),
    half_joint="e ",
    abbreviations=pairs("""
        Sig. = Signor
        Sig.ra = Signora
        Sig.na = Signorina
        Dott. = Dottor
        Dott.ssa = Dottoressa
        Dr. = Dottor
        Prof. = Professor
        Prof.ssa = Professoressa
        Ing. = Ingegner
        Avv. = Avvocato
        ecc. = eccetera
        es. = esempio
        a.C. = avanti Cristo
        d.C. = dopo Cristo
    """),
    numbered=pairs("""
        n. = numero
        n° = numero
        N. = numero
        pag. = pagina
        p. = pagina
        cap. = capitolo
        vol. = volume
    """),
    closing=frozenset(["ecc.", "a.C.", "d.C."]),
    signs=pairs("""
        & = e
        + = più
        × = per
        ± = più o meno
        ≈ = circa
        ~ = circa
        @ = chiocciola
        # = numero
    """)
    | {"=": "uguale a"},
    web={".": "punto", "/": "barra", "@": "chiocciola", "-": "trattino", "_": "trattino basso"},
)

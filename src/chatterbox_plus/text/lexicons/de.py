"""German."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs

_DATIVE = frozenset(["am", "vom", "zum", "dem", "ab", "den", "bis", "seit", "beim"])


def _agree(words: str, gender: str) -> str:
    """eins Kilometer -> ein Kilometer, eine Stunde."""
    return re.sub(r"eins$", "eine" if gender == "f" else "ein", words)


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    ordinal = numbers.ordinal(day)
    words = f"{ordinal}{'n' if before in _DATIVE else '' if before in ('der', 'das') else 'r'} {month}"
    return words if year is None else f"{words} {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = f"{'ein' if hour == 1 else numbers.cardinal(hour)} Uhr"
    return f"{words} {numbers.cardinal(minute)}" if minute else words


GERMAN = Lexicon(
    code="de",
    point="Komma",
    minus="minus",
    to="bis",
    and_="und",
    percent=noun("Prozent"),
    degree=noun("Grad"),
    agree=_agree,
    reads_years=True,
    dotted_ordinals=dict.fromkeys(("der", "die", "das", "Der", "Die", "Das"), "")
    | dict.fromkeys(("dem", "den", "des", "im", "am", "vom", "zum", "zur", "beim", "Im", "Am", "Zum"), "n"),
    months=(
        ("Januar", "Jänner", "Jan."),
        ("Februar", "Feb."),
        ("März",),
        ("April", "Apr."),
        ("Mai",),
        ("Juni",),
        ("Juli",),
        ("August", "Aug."),
        ("September", "Sept.", "Sep."),
        ("Oktober", "Okt."),
        ("November", "Nov."),
        ("Dezember", "Dez."),
    ),
    numeric_date=".",
    day_dot=True,
    date=_date,
    clock=_clock,
    clock_tail="Uhr",
    currencies=currencies("""
        € EUR Euro | Euro | Cent @m
        $ USD US-Dollar | Dollar | Cent
        £ GBP | Pfund @n | Penny/Pence
        ¥ JPY | Yen
        CHF Franken | Franken | Rappen
    """),
    cents=" ",
    names_cents=False,
    scales=("Tausend", "Millionen", "Million", "Milliarden", "Milliarde", "Billionen"),
    units=nouns("""
        km Kilometer
        m Meter
        cm Zentimeter
        mm Millimeter
        km² Quadratkilometer
        m² Quadratmeter
        m³ Kubikmeter
        ha Hektar
        kg Kilogramm @n
        g Gramm @n
        mg Milligramm @n
        t Tonne/Tonnen @f
        l Liter
        L Liter
        ml Milliliter
        km/h Kilometer pro Stunde
        m/s Meter pro Sekunde
        h Stunde/Stunden @f
        Std. Stunde/Stunden @f
        min Minute/Minuten @f
        Min. Minute/Minuten @f
        s Sekunde/Sekunden @f
        ms Millisekunde/Millisekunden @f
        kB Kilobyte @n
        MB Megabyte @n
        GB Gigabyte @n
        TB Terabyte @n
        Hz Hertz
        kHz Kilohertz
        MHz Megahertz
        GHz Gigahertz
        V Volt
        W Watt
        kW Kilowatt
        kWh Kilowattstunde/Kilowattstunden @f
        dB Dezibel
    """),
    fractions=pairs("""
        1/2 = ein halb
        1/3 = ein Drittel
        2/3 = zwei Drittel
        1/4 = ein Viertel
        3/4 = drei Viertel
    """),
    half_joint="und ",
    abbreviations=pairs("""
        z. B. = zum Beispiel
        z.B. = zum Beispiel
        d. h. = das heißt
        d.h. = das heißt
        u. a. = unter anderem
        u.a. = unter anderem
        usw. = und so weiter
        bzw. = beziehungsweise
        ca. = circa
        Dr. = Doktor
        Prof. = Professor
        Hr. = Herr
        Fr. = Frau
        St. = Sankt
        Str. = Straße
        evtl. = eventuell
        ggf. = gegebenenfalls
        inkl. = inklusive
        vgl. = vergleiche
        Mio. = Millionen
        Mrd. = Milliarden
        Tel. = Telefon
    """),
    numbered=pairs("""
        Nr. = Nummer
        S. = Seite
        Abb. = Abbildung
        Kap. = Kapitel
        Bd. = Band
    """),
    closing=frozenset(["usw.", "Str."]),
    signs=pairs("""
        & = und
        + = plus
        × = mal
        ± = plus minus
        ≈ = ungefähr
        ~ = ungefähr
        @ = at
        # = Nummer
        § = Paragraf
    """)
    | {"=": "gleich"},
    web={".": "Punkt", "/": "Schrägstrich", "@": "at", "-": "Bindestrich", "_": "Unterstrich"},
)

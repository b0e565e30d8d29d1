"""French."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _agree(words: str, gender: str) -> str:
    """un heure -> une heure."""
    return re.sub(r"\bun$", "une", words) if gender == "f" else words


def _ordinal(words: str, gender: str) -> str:
    return "première" if gender == "f" and words == "premier" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{'premier' if day == 1 else numbers.cardinal(day)} {month}"
    return words if year is None else f"{words} {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = numbers.count(hour, noun("heure/heures @f"))
    return f"{words} {numbers.cardinal(minute)}" if minute else words


FRENCH = Lexicon(
    code="fr",
    thousands=" .\u00a0\u202f",
    point="virgule",
    minus="moins",
    to="à",
    and_="et",
    percent=noun("pour cent"),
    degree=noun("degré/degrés"),
    plural=lambda n: int(n > 1),
    fraction_form=None,
    agree=_agree,
    contract=lambda words: re.sub(r"\bde (?=[aeiouyéè])", "d'", words),
    ordinal_marks="er|re|ère|e|ème|nde?",
    ordinal_genders={"re": "f", "ère": "f"},
    ordinal=_ordinal,
    months=(
        ("janvier", "janv."),
        ("février", "févr."),
        ("mars",),
        ("avril",),
        ("mai",),
        ("juin",),
        ("juillet", "juil."),
        ("août",),
        ("septembre", "sept."),
        ("octobre", "oct."),
        ("novembre", "nov."),
        ("décembre", "déc."),
    ),
    numeric_date="/",
    date=_date,
    clock=_clock,
    clock_marks=r":|\s?h\s?",
    clock_tail="h|heures?",
    currencies=currencies("""
        € EUR | euro/euros | centime/centimes
        $ USD | dollar/dollars | cent/cents
        £ GBP | livre/livres @f | penny/pence
        ¥ JPY | yen/yens
        CHF | franc/francs | centime/centimes
    """),
    cents=" ",
    names_cents=False,
    scales=("millions?", "milliards?"),
    scale_of="de ",
    units=nouns("""
        km kilomètre/kilomètres
        m mètre/mètres
        cm centimètre/centimètres
        mm millimètre/millimètres
        km² kilomètre carré/kilomètres carrés
        m² mètre carré/mètres carrés
        m³ mètre cube/mètres cubes
        ha hectare/hectares
        kg kilogramme/kilogrammes
        g gramme/grammes
        mg milligramme/milligrammes
        t tonne/tonnes @f
        l litre/litres
        L litre/litres
        ml millilitre/millilitres
        km/h kilomètre par heure/kilomètres par heure
        m/s mètre par seconde/mètres par seconde
        min minute/minutes @f
        s seconde/secondes @f
        ms milliseconde/millisecondes @f
        ko kilo-octet/kilo-octets
        Mo mégaoctet/mégaoctets
        Go gigaoctet/gigaoctets
        To téraoctet/téraoctets
        Hz hertz
        kHz kilohertz
        MHz mégahertz
        GHz gigahertz
        V volt/volts
        W watt/watts
        kW kilowatt/kilowatts
        kWh kilowattheure/kilowattheures
        dB décibel/décibels
    """),
    fractions=pairs("""
        1/2 = un demi
        1/3 = un tiers
        2/3 = deux tiers
        1/4 = un quart
        3/4 = trois quarts
    """),
    half_joint="et ",
    abbreviations=pairs("""
        M. = Monsieur
        MM. = Messieurs
        Mme = Madame
        Mmes = Mesdames
        Mlle = Mademoiselle
        Dr = Docteur
        Dr. = Docteur
        Pr. = Professeur
        etc. = et cetera
        p. ex. = par exemple
        c.-à-d. = c'est-à-dire
        av. = avenue
        env. = environ
        J.-C. = Jésus-Christ
    """),
    numbered=pairs("""
        n° = numéro
        N° = numéro
        p. = page
        chap. = chapitre
        vol. = volume
        fig. = figure
    """),
    closing=frozenset(["etc.", "J.-C."]),
    signs=pairs("""
        & = et
        + = plus
        × = fois
        ± = plus ou moins
        ≈ = environ
        ~ = environ
        @ = arobase
        # = numéro
        § = paragraphe
    """)
    | {"=": "égale"},
    web={".": "point", "/": "barre oblique", "@": "arobase", "-": "tiret", "_": "tiret bas"},
)

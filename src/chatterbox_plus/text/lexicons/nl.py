"""Dutch."""

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{numbers.cardinal(day)} {month}"
    return words if year is None else f"{words} {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = f"{numbers.cardinal(hour)} uur"
    return f"{words} {numbers.cardinal(minute)}" if minute else words


DUTCH = Lexicon(
    code="nl",
    point="komma",
    minus="min",
    to="tot",
    and_="en",
    percent=noun("procent"),
    degree=noun("graad/graden"),
    reads_years=True,
    ordinal_marks="e|de|ste",
    months=(
        ("januari", "jan."),
        ("februari", "feb."),
        ("maart",),
        ("april", "apr."),
        ("mei",),
        ("juni",),
        ("juli",),
        ("augustus", "aug."),
        ("september", "sept."),
        ("oktober", "okt."),
        ("november", "nov."),
        ("december", "dec."),
    ),
    numeric_date="-",
    date=_date,
    clock=_clock,
    clock_marks="[:.](?=[0-5][0-9]\\s?(?:uur|u))|:",
    clock_tail="uur|u",
    currencies=currencies("""
        € EUR | euro | cent
        $ USD | dollar | cent
        £ GBP | pond | penny/pence
        ¥ JPY | yen
    """),
    cents=" ",
    names_cents=False,
    scales=("duizend", "miljoen", "miljard"),
    units=nouns("""
        km kilometer
        m meter
        cm centimeter
        mm millimeter
        km² vierkante kilometer
        m² vierkante meter
        m³ kubieke meter
        ha hectare
        kg kilogram
        g gram
        mg milligram
        t ton
        l liter
        L liter
        ml milliliter
        km/h kilometer per uur
        km/u kilometer per uur
        m/s meter per seconde
        min minuut/minuten
        s seconde/seconden
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
        kWh kilowattuur
        dB decibel
    """),
    fractions=pairs("""
        1/2 = een half
        1/3 = een derde
        2/3 = twee derde
        1/4 = een kwart
        3/4 = drie kwart
    """),
    half_joint="en ",
    abbreviations=pairs("""
        dhr. = de heer
        mevr. = mevrouw
        dr. = dokter
        Dr. = Dokter
        prof. = professor
        Prof. = Professor
        bijv. = bijvoorbeeld
        d.w.z. = dat wil zeggen
        enz. = enzovoort
        o.a. = onder andere
        ca. = circa
        m.b.t. = met betrekking tot
        t.o.v. = ten opzichte van
    """),
    numbered=pairs("""
        nr. = nummer
        Nr. = nummer
        blz. = bladzijde
        hfst. = hoofdstuk
    """),
    closing=frozenset(["enz."]),
    signs=pairs("""
        & = en
        + = plus
        × = maal
        ≈ = ongeveer
        ~ = ongeveer
        @ = apenstaartje
        # = nummer
    """)
    | {"=": "is"},
    web={".": "punt", "/": "schuine streep", "@": "apenstaartje", "-": "streepje", "_": "laag streepje"},
)

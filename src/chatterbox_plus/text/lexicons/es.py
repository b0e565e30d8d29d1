"""Spanish."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _agree(words: str, gender: str) -> str:
    """uno kilómetro -> un kilómetro, una hora; veintiún; doscientas."""
    if gender == "f":
        return re.sub(r"uno$", "una", re.sub(r"cientos\b(?! mil)", "cientas", words))
    return re.sub(r"uno$", "un", re.sub(r"veintiuno$", "veintiún", words))


def _ordinal(words: str, gender: str) -> str:
    return re.sub(r"o\b", "a", words) if gender == "f" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{'primero' if day == 1 else numbers.cardinal(day)} de {month}"
    return words if year is None else f"{words} de {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    hours = numbers.cardinal(hour, "f")
    return f"{hours} y {numbers.cardinal(minute)}" if minute else f"{hours} en punto"


SPANISH = Lexicon(
    code="es",
    point="coma",
    minus="menos",
    to="a",
    and_="y",
    percent=noun("por ciento"),
    degree=noun("grado/grados"),
    agree=_agree,
    ordinal_marks="\\.?[ºª°]|er(?=\\s)",
    ordinal_genders={".ª": "f", "ª": "f"},
    ordinal=_ordinal,
    months=(
        ("enero",),
        ("febrero",),
        ("marzo",),
        ("abril",),
        ("mayo",),
        ("junio",),
        ("julio",),
        ("agosto",),
        ("septiembre", "setiembre"),
        ("octubre",),
        ("noviembre",),
        ("diciembre",),
    ),
    numeric_date="/",
    date=_date,
    clock=_clock,
    currencies=currencies("""
        € EUR | euro/euros | céntimo/céntimos
        $ USD US$ | dólar/dólares | centavo/centavos
        £ GBP | libra/libras @f | penique/peniques
        ¥ JPY | yen/yenes
        MXN | peso/pesos | centavo/centavos
        CHF | franco suizo/francos suizos | céntimo/céntimos
    """),
    cents=" con ",
    scales=("millón", "millones", "mil millones", "billones"),
    scale_of="de ",
    units=nouns("""
        km kilómetro/kilómetros
        m metro/metros
        cm centímetro/centímetros
        mm milímetro/milímetros
        km² kilómetro cuadrado/kilómetros cuadrados
        m² metro cuadrado/metros cuadrados
        m³ metro cúbico/metros cúbicos
        ha hectárea/hectáreas @f
        kg kilogramo/kilogramos
        g gramo/gramos
        mg miligramo/miligramos
        t tonelada/toneladas @f
        l litro/litros
        L litro/litros
        ml mililitro/mililitros
        km/h kilómetro por hora/kilómetros por hora
        m/s metro por segundo/metros por segundo
        h hora/horas @f
        min minuto/minutos
        s segundo/segundos
        ms milisegundo/milisegundos
        kB kilobyte/kilobytes
        MB megabyte/megabytes
        GB gigabyte/gigabytes
        TB terabyte/terabytes
        Hz hercio/hercios
        kHz kilohercio/kilohercios
        MHz megahercio/megahercios
        GHz gigahercio/gigahercios
        V voltio/voltios
        W vatio/vatios
        kW kilovatio/kilovatios
        kWh kilovatio hora/kilovatios hora
        dB decibelio/decibelios
    """),
    fractions=pairs("""
        1/2 = un medio
        1/3 = un tercio
        2/3 = dos tercios
        1/4 = un cuarto
        3/4 = tres cuartos
    """),
    half_joint="y ",
    abbreviations=pairs("""
        Sr. = Señor
        Sra. = Señora
        Srta. = Señorita
        Dr. = Doctor
        Dra. = Doctora
        D. = Don
        Dña. = Doña
        Prof. = Profesor
        Ud. = usted
        Uds. = ustedes
        etc. = etcétera
        p. ej. = por ejemplo
        EE. UU. = Estados Unidos
        EE.UU. = Estados Unidos
        Avda. = Avenida
        aprox. = aproximadamente
    """),
    numbered=pairs("""
        n.º = número
        N.º = número
        nº = número
        Nº = número
        núm. = número
        pág. = página
        cap. = capítulo
        vol. = volumen
    """),
    closing=frozenset(["etc.", "EE. UU.", "EE.UU.", "Ud.", "Uds."]),
    signs=pairs("""
        & = y
        + = más
        × = por
        ± = más o menos
        ≈ = aproximadamente
        ~ = aproximadamente
        @ = arroba
        # = número
    """)
    | {"=": "igual a"},
    web={".": "punto", "/": "barra", "@": "arroba", "-": "guion", "_": "guion bajo"},
)

"""Portuguese, of Portugal and Brazil."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _agree(words: str, gender: str) -> str:
    """um hora -> uma hora, duas, duzentas."""
    if gender != "f":
        return words
    words = re.sub(r"entos\b(?! mil)", "entas", words)
    return re.sub(r"\bdois$", "duas", re.sub(r"\bum$", "uma", words))


def _ordinal(words: str, gender: str) -> str:
    return re.sub(r"o\b", "a", words) if gender == "f" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{'primeiro' if day == 1 else numbers.cardinal(day)} de {month}"
    return words if year is None else f"{words} de {numbers.year(year)}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = numbers.count(hour, noun("hora/horas @f"))
    return f"{words} e {numbers.cardinal(minute)}" if minute else words


PORTUGUESE = Lexicon(
    code="pt",
    point="vírgula",
    minus="menos",
    to="a",
    and_="e",
    percent=noun("por cento"),
    degree=noun("grau/graus"),
    plural=lambda n: int(n > 1),
    fraction_form=None,
    agree=_agree,
    ordinal_marks="\\.?[ºª°]",
    ordinal_genders={".ª": "f", "ª": "f"},
    ordinal=_ordinal,
    months=(
        ("janeiro",),
        ("fevereiro",),
        ("março",),
        ("abril",),
        ("maio",),
        ("junho",),
        ("julho",),
        ("agosto",),
        ("setembro",),
        ("outubro",),
        ("novembro",),
        ("dezembro",),
    ),
    numeric_date="/",
    date=_date,
    clock=_clock,
    clock_marks=":|h",
    clock_tail="h",
    currencies=currencies("""
        € EUR | euro/euros | cêntimo/cêntimos
        R$ BRL | real/reais | centavo/centavos
        $ USD US$ | dólar/dólares | cêntimo/cêntimos
        £ GBP | libra/libras @f | péni/pence
        ¥ JPY | iene/ienes
    """),
    cents=" e ",
    scales=("milhão", "milhões", "bilhões", "mil milhões"),
    scale_of="de ",
    units=nouns("""
        km quilômetro/quilômetros
        m metro/metros
        cm centímetro/centímetros
        mm milímetro/milímetros
        km² quilômetro quadrado/quilômetros quadrados
        m² metro quadrado/metros quadrados
        m³ metro cúbico/metros cúbicos
        ha hectare/hectares
        kg quilograma/quilogramas
        g grama/gramas
        mg miligrama/miligramas
        t tonelada/toneladas @f
        l litro/litros
        L litro/litros
        ml mililitro/mililitros
        km/h quilômetro por hora/quilômetros por hora
        m/s metro por segundo/metros por segundo
        min minuto/minutos
        s segundo/segundos
        ms milissegundo/milissegundos
        kB quilobyte/quilobytes
        MB megabyte/megabytes
        GB gigabyte/gigabytes
        TB terabyte/terabytes
        Hz hertz
        kHz quilohertz
        MHz megahertz
        GHz gigahertz
        V volt/volts
        W watt/watts
        kW quilowatt/quilowatts
        kWh quilowatt-hora/quilowatts-hora
        dB decibel/decibéis
    """),
    fractions=pairs("""
        1/2 = um meio
        1/3 = um terço
        2/3 = dois terços
        1/4 = um quarto
        3/4 = três quartos
    """),
    half_joint="e ",
    abbreviations=pairs("""
        Sr. = Senhor
        Sra. = Senhora
        Srta. = Senhorita
        Dr. = Doutor
        Dra. = Doutora
        Prof. = Professor
        Profa. = Professora
        Exmo. = Excelentíssimo
        etc. = et cetera
        p. ex. = por exemplo
        Av. = Avenida
        aprox. = aproximadamente
        a.C. = antes de Cristo
        d.C. = depois de Cristo
    """),
    numbered=pairs("""
        n.º = número
        N.º = número
        nº = número
        Nº = número
        pág. = página
        p. = página
        cap. = capítulo
        vol. = volume
    """),
    closing=frozenset(["etc.", "a.C.", "d.C."]),
    signs=pairs("""
        & = e
        + = mais
        × = vezes
        ± = mais ou menos
        ≈ = cerca de
        ~ = cerca de
        @ = arroba
        # = número
    """)
    | {"=": "igual a"},
    web={".": "ponto", "/": "barra", "@": "arroba", "-": "hífen", "_": "sublinhado"},
)

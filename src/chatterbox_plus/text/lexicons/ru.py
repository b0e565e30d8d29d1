"""Russian."""

import re

from chatterbox_plus.text.lexicon import Lexicon, Numbers, currencies, noun, nouns, pairs


def _plural(count: int) -> int:
    if count % 10 == 1 and count % 100 != 11:
        return 0
    return 1 if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else 2


def _agree(words: str, gender: str) -> str:
    """один минута -> одна минута, две минуты."""
    if gender == "n":
        return re.sub(r"\bодин$", "одно", words)
    return re.sub(r"\bдва$", "две", re.sub(r"\bодин$", "одна", words)) if gender == "f" else words


def _date(numbers: Numbers, day: int, month: str, year: int | None, before: str) -> str:
    words = f"{numbers.ordinal(day, gender='n')} {month}"
    return words if year is None else f"{words} {numbers.ordinal(year, case='g')}"


def _clock(numbers: Numbers, hour: int, minute: int) -> str:
    words = numbers.count(hour, noun("час/часа/часов"))
    return f"{words} {numbers.count(minute, noun('минута/минуты/минут @f'))}" if minute else words


RUSSIAN = Lexicon(
    code="ru",
    thousands=" .\u00a0\u202f",
    point="",  # num2words says it the Russian way: "три целых четырнадцать сотых"
    minus="минус",
    to="до",
    and_="и",
    percent=noun("процент/процента/процентов/процента"),
    degree=noun("градус/градуса/градусов/градуса"),
    plural=_plural,
    fraction_form=1,
    agree=_agree,
    num2words_has_genders=True,
    ordinal_marks="-(?:й|ый|ий|я|ая|е|ое)",
    ordinal_genders={"-я": "f", "-ая": "f", "-е": "n", "-ое": "n"},
    months=(
        ("января",),
        ("февраля",),
        ("марта",),
        ("апреля",),
        ("мая",),
        ("июня",),
        ("июля",),
        ("августа",),
        ("сентября",),
        ("октября",),
        ("ноября",),
        ("декабря",),
    ),
    numeric_date=".",
    date=_date,
    clock=_clock,
    currencies=currencies("""
        ₽ RUB руб. | рубль/рубля/рублей | копейка/копейки/копеек @f
        $ USD | доллар/доллара/долларов | цент/цента/центов
        € EUR | евро @m | цент/цента/центов
        £ GBP | фунт/фунта/фунтов | пенс/пенса/пенсов
    """),
    cents=" ",
    scales=("тысяч", "миллионов", "миллиона", "миллион", "миллиардов", "миллиарда", "миллиард"),
    units=nouns("""
        км километр/километра/километров
        м метр/метра/метров
        см сантиметр/сантиметра/сантиметров
        мм миллиметр/миллиметра/миллиметров
        кг килограмм/килограмма/килограммов
        г грамм/грамма/граммов
        л литр/литра/литров
        мл миллилитр/миллилитра/миллилитров
        км/ч километр в час/километра в час/километров в час
        ч час/часа/часов
        мин минута/минуты/минут @f
        сек секунда/секунды/секунд @f
        с секунда/секунды/секунд @f
        МБ мегабайт/мегабайта/мегабайт
        ГБ гигабайт/гигабайта/гигабайт
        кг килограмм/килограмма/килограммов
        В вольт/вольта/вольт
        Вт ватт/ватта/ватт
        кВт киловатт/киловатта/киловатт
    """),
    fractions=pairs("""
        1/2 = одна вторая
        1/3 = одна треть
        2/3 = две трети
        1/4 = одна четверть
        3/4 = три четверти
    """),
    half_joint="и ",
    abbreviations=pairs("""
        т. е. = то есть
        т.е. = то есть
        т. д. = так далее
        т.д. = так далее
        т. п. = тому подобное
        т.п. = тому подобное
        напр. = например
        др. = другие
        г-н = господин
        г-жа = госпожа
        ул. = улица
        тыс. = тысяч
        млн = миллионов
        млрд = миллиардов
    """),
    numbered=pairs("""
        № = номер
        стр. = страница
        гл. = глава
    """),
    closing=frozenset(["т. д.", "т.д.", "т. п.", "т.п.", "др.", "тыс."]),
    signs=pairs("""
        & = и
        + = плюс
        × = умножить на
        ~ = примерно
        @ = собака
        # = номер
    """)
    | {"=": "равно"},
    web={".": "точка", "/": "слэш", "@": "собака", "-": "дефис", "_": "подчёркивание"},
)

"""What a text is read as. The cases are lines of the files beside this one: `written => spoken`."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.lexicons import LEXICONS
from chatterbox_plus.text.normalize import TextRules, finish, normalize
from chatterbox_plus.text.spans import Spoken
from tests.text.rules import ALL

HERE = Path(__file__).parent
CASED = replace(ALL, to_lowercase=False)


def cases() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(HERE.glob("spoken_*.txt")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        found += [(path.stem.removeprefix("spoken_"), *line.split(" => ")) for line in lines]
    return found


def said(text: str, language: str = "en", rules: TextRules = CASED) -> str:
    return finish(normalize(Spoken.of(text), rules, language), rules, language).text


@pytest.mark.parametrize(("language", "written", "spoken"), cases())
def test_is_read_aloud_as(language: str, written: str, spoken: str):
    assert said(written, language) == spoken


def test_every_language_with_a_lexicon_has_cases():
    assert {language for language, _, _ in cases()} == set(LEXICONS)


@pytest.mark.parametrize(
    ("rule", "written", "kept", "changed"),
    [
        ("to_lowercase", "Hello", "Hello", "hello"),
        ("normalize_spacing", "a  b", "a  b", "a b"),
        ("fix_dot_letters", "the u.s.a. won", "the u.s.a. won", "the u s a won"),
        ("remove_reference_numbers", "so.[1] then", "so.[one] then", "so. then"),
        ("normalize_numbers", "5 km", "5 km", "five kilometers"),
    ],
)
def test_each_rule_can_be_turned_off(rule: str, written: str, kept: str, changed: str):
    assert said(written, rules=replace(ALL, **{rule: False})) == kept
    assert said(written, rules=ALL) == changed


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("In the US, the IT team", "in the u s, the i t team"),
        ("a PDF on NASA's TV", "a p d f on nasa's t v"),
        ("TELL US ABOUT IT", "tell us about it"),
        ("let us do it", "let us do it"),
    ],
)
def test_lower_case_does_not_turn_letters_into_words(written: str, spoken: str):
    assert said(written, rules=ALL) == spoken


def test_sound_words_go_first():
    rules = replace(ALL, sound_words=(("SQL", "sequel"), ("km", "klicks")))
    assert said("SQL and 5 km", rules=rules) == "sequel and five klicks"


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("pt-br", "1.234.567", "um milhão duzentos e trinta e quatro mil quinhentos e sessenta e sete"),
        ("PT_BR", "2", "dois"),
        ("en-GB", "2", "two"),
        ("nb", "2", "to"),
        ("sv", "3 katter, 3,5", "tre katter, tre komma fem"),
        ("ja", "3月", "三月"),
        ("zh", "3月 5 km", "3月 5 km"),
        ("xx", "5 km $3 1.5", "5 km $3 1.5"),
        ("vi", "-5 và 5", "-5 và năm"),
        ("sv", "5 km", "fem km"),
        ("am", "999999999", "999999999"),  # num2words would never return
    ],
)
def test_what_a_language_does_not_know_is_left_to_the_engine(language: str, written: str, spoken: str):
    assert said(written, language) == spoken


def test_a_number_too_long_for_words_is_said_digit_by_digit():
    assert said("9" * 31) == " ".join(["nine"] * 31)


def test_words_stand_for_what_was_written():
    text = "Dr. Lee paid $3.50 on 5/23/2026 at 3:30 pm [1]."
    spoken = normalize(Spoken.of(text), CASED, "en")
    for words, written in [
        ("Doctor", "Dr."),
        ("dollars", "$3.50"),
        ("cents", "$3.50"),
        ("twenty-third", "5/23/2026"),
        ("thirty", "3:30 pm"),
    ]:
        at = spoken.text.index(words)
        start, end = spoken.span(at, at + len(words))
        assert text[start:end] == written


@given(
    st.text(alphabet="0123456789 .,:/-–$€%°'\"()[]+#@&=½aAkm\u00a0", max_size=60),
    st.sampled_from([*LEXICONS, "sv", "ja", "ar", "tr", "cs", "vi", "th", "ko", "fa", "he"]),
)
def test_any_jumble_is_read_without_an_error(text: str, language: str):
    spoken = normalize(Spoken.of(text), CASED, language)
    assert all(0 <= start <= end <= len(text) for start, end in (spoken.span(i, i + 1) for i in range(len(spoken))))


@given(st.text(alphabet="abc ,;!?…", max_size=60), st.sampled_from(list(LEXICONS)))
def test_text_without_shorthand_stays_as_it_is(text: str, language: str):
    assert normalize(Spoken.of(text), CASED, language).text == text

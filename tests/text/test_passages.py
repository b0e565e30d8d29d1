"""Passages are short enough, keep together what belongs together, and lose nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.passages import (
    BATCH_CHARS,
    CLAUSE_PAUSE_S,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    WORD_PAUSE_S,
    Grouping,
    grapheme_break,
    passages,
)
from chatterbox_plus.text.spans import Spoken
from tests.text.rules import ALL, NONE


def said(text: str, grouping: Grouping = "each", language: str = "en", max_chars: int = 300) -> list[str]:
    found = passages(Spoken.of(text), language, grouping=grouping, rules=NONE, max_chars=max_chars)
    return [passage.spoken.text for passage in found]


def pauses(text: str, max_chars: int = 300) -> list[float]:
    return [p.pause_s for p in passages(Spoken.of(text), "en", grouping="each", rules=NONE, max_chars=max_chars)]


def squeezed(text: str) -> str:
    return "".join(text.split())


SENTENCE = "This is a sentence of thirty-nine chars."


def test_each_says_a_sentence_at_a_time():
    assert said("Hi. No. Go!") == ["Hi.", "No.", "Go!"]


def test_smart_joins_short_sentences_until_a_hundred_characters():
    assert said(" ".join([SENTENCE] * 4), "smart") == [" ".join([SENTENCE] * 3), SENTENCE]


def test_batch_fills_four_hundred_characters():
    found = said(" ".join([SENTENCE] * 12), "batch")
    assert [len(text) for text in found] == [len(" ".join([SENTENCE] * 9)), len(" ".join([SENTENCE] * 3))]
    assert len(found[0]) <= BATCH_CHARS


@pytest.mark.parametrize("grouping", ["smart", "batch"])
def test_nothing_is_grouped_across_paragraphs(grouping: Grouping):
    assert said("Hi.\n\nNo. Go!", grouping) == ["Hi.", "No. Go!"]


@pytest.mark.parametrize("grouping", ["smart", "batch"])
def test_headings_and_items_of_a_list_are_not_run_together(grouping: Grouping):
    assert said("Shopping\n- milk\n- eggs\nDone. Bye.", grouping) == ["Shopping", "- milk", "- eggs", "Done. Bye."]


def test_scripts_without_blanks_are_joined_without():
    assert said("你好。我们走吧！", "smart", "zh") == ["你好。我们走吧！"]


def test_a_long_sentence_is_cut_after_a_clause_then_at_a_blank_then_anywhere():
    assert said("one two three, four five six", max_chars=20) == ["one two three,", "four five six"]
    assert said("one two three four five six", max_chars=20) == ["one two three four", "five six"]
    assert said("x" * 45, max_chars=20) == ["x" * 20, "x" * 20, "x" * 5]
    assert said("costs 1,000,000,000 a year", max_chars=20) == ["costs 1,000,000,000", "a year"]


def test_pauses_tell_what_follows():
    text = "One. Two.\n\n" + "a" * 8 + ", " + "b" * 15 + "."
    assert pauses(text, max_chars=10) == [
        SENTENCE_PAUSE_S,
        PARAGRAPH_PAUSE_S,
        CLAUSE_PAUSE_S,
        WORD_PAUSE_S,
        0.0,
    ]


@pytest.mark.parametrize(
    "cluster", ["👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "e\u0301", "각", "กำ", "🏴\U000e0067\U000e0062\U000e007f", "❤️", "\r\n"]
)
def test_what_is_one_character_to_a_reader_stays_whole(cluster: str):
    text = cluster * 3
    breaks = [at for at in range(1, len(text)) if grapheme_break(text, at)]
    assert breaks == [len(cluster), 2 * len(cluster)]


def test_joined_emoji_survive_a_cut():
    family = "👩‍👩‍👧‍👦"
    assert said(family * 9, max_chars=20) == [family * 2] * 4 + [family]


@pytest.mark.parametrize("text", ["...", "🙂", "—", "?!", "Hi.", "No.", "ไทย", "x" * 650, "สวัสดี" * 100])
@pytest.mark.parametrize("grouping", ["each", "smart", "batch"])
def test_nothing_is_dropped(text: str, grouping: Grouping):
    assert "".join(said(text, grouping)) == text


def test_only_white_space_has_no_passages():
    assert said(" \n ") == []


def test_words_know_their_place_in_the_text_as_sent():
    text = "  Hello   World.\n\nThe U.S.A. wins."
    first, second = passages(Spoken.of(text), "en", grouping="smart", rules=ALL)
    assert first.spoken.text == "hello world."
    start, end = first.spoken.span(6, 11)
    assert text[start:end] == "World"
    at = second.spoken.text.index("u s a")
    start, end = second.spoken.span(at, at + 5)
    assert text[start:end].startswith("U.S.A")


@given(
    st.text(alphabet="aB1 .!?\n\r,;“”'(…。，ก\u0301🙂\u200d🇩", max_size=120),
    st.sampled_from(["each", "smart", "batch"]),
    st.sampled_from(["en", "de", "th"]),
    st.integers(min_value=1, max_value=30),
)
def test_passages_are_short_and_joined_they_are_the_text(text: str, grouping: Grouping, language: str, max_chars: int):
    found = said(text, grouping, language, max_chars)
    assert squeezed("".join(found)).lower() == squeezed(text).lower()
    assert all(0 < len(passage) <= (BATCH_CHARS if grouping == "batch" else max_chars) for passage in found)


BOMBS = {
    "blanks": "a" + " " * 9998 + "b",
    "breaks": "a" + "\n" * 9998 + "b",
    "one letter": "a" * 10_000,
    "one digit": "1" * 10_000,
    "brackets": "(" * 10_000,
    "ones": "1 " * 5_000,
    "ones and commas": "1," * 5_000,
    "ones and dots": "1." * 5_000,
    "ones and dashes": "1-" * 5_000,
    "ones and slashes": "1/" * 5_000,
    "ones and colons": "1:" * 5_000,
    "dots": "." * 10_000,
    "letters and dots": "a." * 5_000,
    "money": "$" * 10_000,
    "prices": "$1 " * 3_333,
    "at": "a@" * 5_000,
    "addresses": "http://" * 1_400,
    "emoji": "👩‍👩‍👧" * 2_000,
    "marks": "e" + "\u0301" * 9_999,
    "directions": "abc אבג " * 1_250,
    "references": "[1]" * 3_333,
    "shouting": "ABC " * 2_500,
    "quotes": '."' * 5_000,
}


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("name", BOMBS)
def test_no_text_makes_a_rule_blow_up(name: str, language: str):
    """Every rule is linear: 10 000 hostile characters come through, where backtracking would take for ever."""
    assert passages(Spoken.of(BOMBS[name]), language, rules=ALL)
    assert squeezed("".join(said(BOMBS[name], language=language))) == squeezed(BOMBS[name])


def test_a_sentence_after_another_begins_with_a_capital_so_that_engines_hear_the_end_before_it():
    (passage,) = passages(Spoken.of('Hello there. How are you? "fine," she said.'), "en", grouping="smart", rules=ALL)
    assert passage.spoken.text == 'hello there. How are you? "Fine," she said.'
    start = passage.spoken.text.index("How")
    assert passage.spoken.span(start, start + 3) == (13, 16)

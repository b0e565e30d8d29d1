"""Sound words are the user's own: literal, whole words, any case."""

import pytest

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.text.sound_words import apply, parse
from chatterbox_plus.text.spans import Spoken


def said(text: str, field: str) -> str:
    return apply(Spoken.of(text), parse(field)).text


def test_a_line_is_a_rule_and_comments_are_not():
    assert parse("# mine\n\n SQL => sequel \r\num=>\n") == (("SQL", "sequel"), ("um", ""))


@pytest.mark.parametrize(("field", "line"), [("a=>b\nnonsense", 2), ("=>b", 1), ("\n\n#x\n => y", 4)])
def test_a_malformed_line_is_named(field: str, line: int):
    with pytest.raises(InvalidOption, match=f"line {line} ") as caught:
        parse(field)
    assert caught.value.param == "sound_words_field"


@pytest.mark.parametrize(
    ("text", "field", "spoken"),
    [
        ("SQL, sql and MySQL", "sql=>sequel", "sequel, sequel and MySQL"),
        ("New York and New", "new=>old\nNew York=>NYC", "NYC and old"),
        ("a.b axb", "a.b=>dot", "dot axb"),
        ("C++ & C", "C++=>see plus plus\n&=>and", "see plus plus and C"),
        ("um, yes", "um,=>", " yes"),
        ("x", r"x=>\1 $0", r"\1 $0"),
        ("one two", "one=>two\ntwo=>three", "two three"),
        ("a => b", "a=>b=>c", "b=>c => b"),
    ],
)
def test_whole_words_in_any_case_literally_and_once(text: str, field: str, spoken: str):
    assert said(text, field) == spoken


def test_no_rules_change_nothing():
    assert said("as is", "") == "as is"


def test_no_rule_makes_a_text_without_end():
    rules = parse("a=>" + "b " * 5000)
    assert len(apply(Spoken.of("a a"), rules)) > 10_000
    with pytest.raises(InvalidOption, match="split it") as caught:
        apply(Spoken.of("a " * 5000), rules)
    assert caught.value.param == "sound_words_field"
    assert said("a " * 5000, "a=>five") == "five " * 5000

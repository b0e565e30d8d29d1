"""Text that was rewritten still knows where in the original it came from."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.spans import Spoken


def source(spoken: Spoken, part: str, original: str) -> str:
    at = spoken.text.index(part)
    start, end = spoken.span(at, at + len(part))
    return original[start:end]


def test_the_original_stands_for_itself():
    assert Spoken.of("héllo").span(1, 3) == (1, 3)


def test_a_replacement_stands_for_the_whole_match():
    original = "He paid $3 today"
    spoken = Spoken.of(original).sub(re.compile(r"\$3"), "three dollars")
    assert spoken.text == "He paid three dollars today"
    assert source(spoken, "three", original) == "$3"
    assert source(spoken, "dollars", original) == "$3"
    assert source(spoken, "today", original) == "today"


def test_what_a_replacement_keeps_stays_exact():
    original = "pages 10-15"
    spoken = Spoken.of(original).sub(re.compile(r"(\d+)-(\d+)"), lambda m: f"{m[1]} to {m[2]}")
    assert [source(spoken, part, original) for part in ("10", " to ", "15")] == ["10", "-", "15"]


def test_only_whole_words_are_kept():
    original = "the 1st."
    spoken = Spoken.of(original).sub(re.compile(r"1st\."), "first.")
    assert [source(spoken, part, original) for part in ("fir", "st", ".")] == ["1st", "1st", "."]


def test_an_insertion_stands_for_its_match():
    original = "say 5"
    spoken = Spoken.of(original).sub(re.compile(r"5"), "5 times")
    assert source(spoken, "times", original) == "5"


def test_rewriting_twice_still_finds_the_original():
    original = "On 3 kg."
    spoken = Spoken.of(original).sub(re.compile(r"kg"), "kilos").sub(re.compile(r"3 kilos"), "three kilos").lower()
    assert source(spoken, "three", original) == "3"
    assert source(spoken, "kilos", original) == "kg"


def test_a_deletion_leaves_its_neighbours_in_place():
    original = "End.[1] Next"
    spoken = Spoken.of(original).sub(re.compile(r"\[1\]"), "")
    assert spoken.text == "End. Next"
    assert source(spoken, "End. Next", original) == original
    assert spoken.span(4, 4) == (7, 7)


def test_a_replacement_is_literal():
    assert Spoken.of("a").sub(re.compile("(a)"), r"\1\g<1>").text == r"\1\g<1>"


def test_letters_that_become_two_still_stand_for_one():
    original = "İZMİR ΟΔΟΣ"
    spoken = Spoken.of(original).lower()
    assert spoken.text == original.lower()
    assert source(spoken, "z", original) == "Z"
    assert spoken.span(0, 2) == (0, 1)


def test_a_separator_stands_for_what_lies_between():
    whole = Spoken.of("One.  Two.")
    joined = Spoken.join([whole[:4], whole[6:]], " ")
    assert joined.text == "One. Two."
    assert joined.span(4, 5) == (4, 6)
    assert joined.span(5, 9) == (6, 10)


def test_strip_and_slices_keep_their_places():
    assert Spoken.of("  ab ").strip().span(0, 2) == (2, 4)
    assert Spoken.of(" ").strip() == Spoken.of("")
    assert Spoken.of("").span(0, 0) == (0, 0)


def test_a_range_outside_the_text_is_refused():
    with pytest.raises(IndexError):
        Spoken.of("ab").span(1, 3)
    with pytest.raises(ValueError):
        Spoken.of("ab")[::2]


@given(st.text(max_size=60), st.text(max_size=4), st.sampled_from([r"\w+", r"[aeiou]", r"\s", r"..", r"$", r"(?=a)"]))
def test_places_never_run_backwards_nor_outside(original: str, replacement: str, pattern: str):
    spoken = Spoken.of(original).sub(re.compile(pattern), replacement).lower().strip()
    spans = [spoken.span(i, i + 1) for i in range(len(spoken))]
    assert spans == sorted(spans)
    assert all(0 <= start <= end <= len(original) for start, end in spans)
    assert [end for _, end in spans] == sorted(end for _, end in spans)

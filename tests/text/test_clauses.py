"""Text that is still being written is cut where a listener would not mind, however it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.clauses import FIRST_CHARS, MOST_CHARS, Clause, ClauseSplitter
from chatterbox_plus.text.passages import CLAUSE_PAUSE_S, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S

WORDS = st.sampled_from(
    ["Dr.", "e.g.", "3.14", "1,000", "[laugh]", "a", "Word", "said", "wait...", "no!", "“Why?”", "x,", "this;", "1.",
     "https://a.example/b,c.d?e=f.", "ok", "—", "–", "它。", "真的？", "好，", ".", ",", "U.S.", "ß", "e\u0301"]
)  # fmt: skip
GAPS = st.sampled_from([" ", "", "  ", "\n", "\n\n", "\t", "\u2029"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=25).map(lambda parts: "".join(word + gap for word, gap in parts))


def cut(*pieces: str, language: str = "en") -> tuple[list[Clause], str]:
    """What comes of a text in these pieces, and what is left of it."""
    splitter = ClauseSplitter(language)
    found = [clause for piece in pieces for clause in splitter.push(piece)]
    return [*found, *splitter.flush()], splitter.rest


def texts(text: str, language: str = "en") -> list[str]:
    return [clause.text.strip() for clause in cut(text, language=language)[0]]


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1))
def test_however_it_is_cut_the_pieces_are_the_same(text: str, sizes: list[int]) -> None:
    pieces, at = [], 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert cut(*pieces) == cut(text)


@given(TEXTS)
def test_joined_they_are_the_text(text: str) -> None:
    clauses, rest = cut(text)
    assert "".join(clause.text for clause in clauses) + rest == text
    assert not rest.strip()
    assert all(clause.text == text[clause.start :][: len(clause.text)] for clause in clauses)
    assert all(clause.text == clause.text.rstrip() for clause in clauses)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi. And then", ["Hi.", "And then"]),
        ("Dr. Smith paid $3.14 on Monday. He left.", ["Dr. Smith paid $3.14 on Monday.", "He left."]),
        ("It is 1,000 metres, e.g. from here.", ["It is 1,000 metres,", "e.g. from here."]),
        ("It was on March 3, 2024, I think.", ["It was on March 3, 2024, I think."]),
        ("1. Go home. 2. Sleep.", ["1. Go home.", "2. Sleep."]),
        ("[clear throat] Well. [laugh] No.", ["[clear throat] Well.", "[laugh] No."]),
        ("See https://a.example/b,c. Then go.", ["See https://a.example/b,c.", "Then go."]),
        ("“Why?” he said.", ["“Why?”", "he said."]),
        ("Things to buy\n- eggs\n- milk", ["Things to buy", "- eggs", "- milk"]),
        ("a line that somebody\nwrapped here", ["a line that somebody\nwrapped here"]),
        ("Wait... what", ["Wait...", "what"]),
        ("... !", ["... !"]),
        ("", []),
    ],
)
def test_it_is_cut_where_something_ends(text: str, said: list[str]) -> None:
    assert texts(text) == said


def test_a_language_without_blanks_is_cut_behind_its_marks() -> None:
    assert texts("我们去看电影吧。「真的？」他说。", "zh") == ["我们去看电影吧。", "「真的？」", "他说。"]


def test_a_blank_is_all_that_a_sentence_waits_for() -> None:
    splitter = ClauseSplitter("en")
    assert splitter.push("I said so.") == []
    assert [clause.text for clause in splitter.push(" ")] == ["I said so."]


def test_the_first_clause_may_be_short_and_later_ones_may_not() -> None:
    first, second, *rest = texts("So here we are now, and so on, and this one is long enough to be said, yes.")
    assert len(first) == len("So here we are now,") > FIRST_CHARS
    assert second == "and so on, and this one is long enough to be said,"
    assert rest == ["yes."]


def test_pauses_go_by_what_ended() -> None:
    clauses, _ = cut("So here we are now, in a house. Nice.\n\nIs it not")
    assert [clause.pause_s for clause in clauses] == [
        CLAUSE_PAUSE_S,
        SENTENCE_PAUSE_S,
        SENTENCE_PAUSE_S,
        CLAUSE_PAUSE_S,
    ]
    assert [clause.lead_s for clause in clauses] == [0, 0, 0, PARAGRAPH_PAUSE_S - SENTENCE_PAUSE_S]


@pytest.mark.parametrize("text", ["word " * 300, "w" * 1500, "字" * 1500])
def test_a_text_without_marks_is_not_kept_forever(text: str) -> None:
    clauses, _ = cut(text)
    assert max(len(clause.text) for clause in clauses) <= MOST_CHARS

"""Subtitles show every word once, in its time, and break where a reader would."""

import re
import time
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.subtitle_units import columns
from chatterbox_plus.text.subtitles import Cue, cues, to_srt, to_vtt


@dataclass(frozen=True)
class Word:
    text: str
    start_s: float
    end_s: float
    char_start: int
    char_end: int


def spoken(source: str, *, pattern: str = r"[\w'’]+", word_s: float = 0.3) -> list[Word]:
    """Every word takes as long, one after the other; half a second passes after a sentence."""
    words: list[Word] = []
    now = 0.0
    for found in re.finditer(pattern, source):
        if words and re.search(r"[.!?。]", source[words[-1].char_end : found.start()]):
            now += 0.5
        words.append(Word(found[0], now, now + word_s, *found.span()))
        now += word_s
    return words


def shown(source: str, **how: str) -> list[str]:
    return [cue.text.replace("\n", "|") for cue in cues(spoken(source, **how), source)]


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("Hello.", ["Hello."]),
        ("“Why?” she asked. (Really.)", ["“Why?” she asked. (Really.)"]),
        ("CHAPTER ONE\n\nIt was a bright day.", ["CHAPTER ONE", "It was a bright day."]),
        (
            "It was a bright cold day in April, and the clocks were striking thirteen. He slipped quickly inside.",
            ["It was a bright cold day in April,|and the clocks were striking thirteen.", "He slipped quickly inside."],
        ),
        (
            "He slipped through the glass doors of the old Mansions, though not quickly enough to keep the dust out.",
            [
                "He slipped through the glass|doors of the old Mansions,",
                "though not quickly enough|to keep the dust out.",
            ],
        ),
        ("A poem on two lines\nHas its break where it was put", ["A poem on two lines|Has its break where it was put"]),
        (
            "This text was wrapped in the middle\nof its sentence",
            ["This text was wrapped in|the middle of its sentence"],
        ),
        ("« Bonjour », dit-il : « ça va ? »", ["« Bonjour », dit-il : « ça va ? »"]),
        ("—Oui.\n— Merci bien, madame, dit-elle en riant.", ["—Oui.|— Merci bien, madame, dit-elle en riant."]),
        ("¿Qué? ¡Nada! It’s 3.5 °C, isn't it…", ["¿Qué? ¡Nada! It’s 3.5 °C, isn't it…"]),
        ("See Dr. Smith, who is only in on Mondays today", ["See Dr. Smith,|who is only in on Mondays today"]),
        ("a" * 50, ["a" * 25 + "|" + "a" * 25]),
        ("1 < 2   &  [        ] 3 --> 4", ["1 < 2 & [ ] 3 --> 4"]),
    ],
)
def test_a_text_is_shown_as(source: str, texts: list[str]) -> None:
    assert shown(source) == texts


@pytest.mark.parametrize("pattern", [r"\w", r"\w{1,4}", r".+"])
def test_japanese_breaks_at_its_marks_whatever_its_words_are(pattern: str) -> None:
    source = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    found = shown(source, pattern=pattern)
    assert "".join(found).replace("|", "") == source
    assert re.split(r"\|", "|".join(found))[-1] == "どこで生れたかとんと見当がつかぬ。"
    assert all(columns(line) <= 42 for text in found for line in text.split("|"))


def test_thai_in_one_word_is_cut_between_what_a_reader_sees_as_characters() -> None:
    source = "กาลครั้งหนึ่งนานมาแล้วมีชายคนหนึ่งอาศัยอยู่ในป่าใหญ่กับภรรยาและลูกสาวสามคนของเขา"
    (text,) = shown(source, pattern=".+")
    first, second = text.split("|")
    assert first + second == source
    assert abs(len(first) - len(second)) < 12
    assert "ก" <= second[0] <= "ฮ" or "เ" <= second[0] <= "ไ"


def test_words_count_in_columns_where_letters_are_wide() -> None:
    assert [columns(text) for text in ("abc", "äß", "猫", "ｶ", "１")] == [3, 2, 2, 1, 2]


def test_a_cue_knows_where_in_the_text_it_stands() -> None:
    source = "  “One,”  two\n— three (four)!  "
    (cue,) = cues(spoken(source), source)
    assert source[cue.char_start : cue.char_end] == "“One,”  two\n— three (four)!"


def test_a_cue_stands_as_long_as_its_words_sound() -> None:
    source = "One two three four. Five six seven eight nine ten eleven twelve, thirteen and so on, and so on."
    first, second = cues(spoken(source), source)
    assert (first.start_s, first.end_s) == (0, 1.2)
    assert (second.start_s, second.end_s) == (1.7, 6.2)


def test_a_small_gap_is_closed_and_a_short_cue_stands_longer_where_it_can() -> None:
    source = "One.\n\nTwo.\n\nThree.\n\nFour."
    starts = [0, 0.45, 3, 3.6]
    words = [
        Word("", start, start + 0.4, *found.span())
        for start, found in zip(starts, re.finditer(r"\w+", source), strict=True)
    ]
    assert [(cue.start_s, cue.end_s) for cue in cues(words, source)] == [(0, 0.45), (0.45, 1.45), (3, 3.6), (3.6, 4.6)]


def test_nothing_stands_through_a_long_silence_and_nothing_too_long() -> None:
    words = [Word("a", 0, 1, 0, 1), Word("b", 3, 4, 2, 3), Word("c", 4, 30, 4, 5)]
    assert [(cue.text, cue.start_s, cue.end_s) for cue in cues(words, "a b c")] == [
        ("a", 0, 1),
        ("b", 3, 4),
        ("c", 4, 11),
    ]


def test_what_was_not_timed_is_not_lost() -> None:
    source = "One (and a half) two"
    words = [Word("One", 0, 1, 0, 3), Word("two", 1, 2, 17, 20)]
    assert [cue.text for cue in cues(words, source)] == [source]


def test_words_over_the_same_letters_are_shown_once() -> None:
    """Engines say "10-15" as three words, and the first and second may both stand for all of it."""
    words = [Word("", 0, 1, 0, 5), Word("", 1, 2, 0, 5), Word("", 2, 3, 3, 8)]
    (cue,) = cues(words, "10-15 km")
    assert (cue.text, cue.start_s, cue.end_s) == ("10-15 km", 0, 3)


def test_no_words_have_no_subtitles() -> None:
    assert cues([], "unspoken") == ()
    assert (to_srt([]), to_vtt([])) == ("", "WEBVTT\n\n")


@pytest.mark.parametrize("limits", [{"max_chars": 3}, {"max_lines": 0}, {"min_s": 8}, {"min_s": -1}])
def test_limits_that_cannot_be_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no subtitles"):
        cues([], "", **limits)  # type: ignore[arg-type]


def test_a_word_outside_the_text_is_refused() -> None:
    with pytest.raises(ValueError, match="of 3 characters"):
        cues([Word("", 0, 1, 2, 4)], "abc")


def test_subrip() -> None:
    said = [Cue(0, 1.5, "Fish & <chips>\nat 3 --> 4", 0, 0), Cue(1.5, 3600 * 123 + 61.007, "End", 0, 0)]
    assert to_srt(said) == (
        "1\n00:00:00,000 --> 00:00:01,500\nFish & <chips>\nat 3 → 4\n\n2\n00:00:01,500 --> 123:01:01,007\nEnd\n\n"
    )


def test_webvtt() -> None:
    said = [Cue(0, 1.5, "Fish & <chips>\n\n \nat 3 --> 4", 0, 0), Cue(3599.9995, 3601, "&lt;", 0, 0)]
    assert to_vtt(said) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.500\nFish &amp; &lt;chips&gt;\nat 3 --&gt; 4\n\n"
        "01:00:00.000 --> 01:00:01.000\n&amp;lt;\n\n"
    )


@st.composite
def timed(draw: st.DrawFn) -> tuple[str, list[Word]]:
    """Any text, any parts of it as words, times that touch, wait or stand still."""
    letters = st.sampled_from("aBé1 \n.,!?…;—-–“”\"'()«»&<>猫ヤー、。「」ก\u0e31\u0301🙂\u200d\r\t\u2028")
    source = draw(st.text(letters, max_size=120))
    cuts = sorted(draw(st.lists(st.integers(0, len(source)), max_size=40)))
    words = []
    now = 0.0
    for start, end in list(pairwise(cuts))[:: draw(st.sampled_from([1, 2]))]:
        now += draw(st.sampled_from([0, 0, 0, 0.05, 0.3, 2.0]))
        end_s = now + draw(st.sampled_from([0, 0.0004, 0.1, 0.4, 3.0, 9.0]))
        words.append(Word(source[start:end], now, end_s, start, end))
        now = draw(st.sampled_from([now, end_s]))
    return source, words


@given(timed(), st.sampled_from([4, 10, 42]), st.integers(1, 3), st.sampled_from([(1.0, 7.0), (0.0, 2.0), (2.0, 2.0)]))
def test_every_word_is_shown_once_and_cues_follow_each_other(
    spoken: tuple[str, list[Word]], max_chars: int, max_lines: int, times: tuple[float, float]
) -> None:
    source, words = spoken
    min_s, max_s = times
    found = cues(words, source, max_chars=max_chars, max_lines=max_lines, min_s=min_s, max_s=max_s)
    for cue in found:
        assert 0 <= cue.start_s < cue.end_s <= cue.start_s + max_s + 1e-9
        assert cue.text.split()
        assert "".join(cue.text.split()) == "".join(source[cue.char_start : cue.char_end].split())
        assert len(cue.text.split("\n")) <= max_lines
        assert all(columns(line) <= max_chars for line in cue.text.split("\n"))
    for left, right in pairwise(found):
        assert left.end_s <= right.start_s
        assert left.char_end <= right.char_start
        gap_s = right.start_s - left.end_s
        assert gap_s == 0 or gap_s > 0.0999 or left.end_s - left.start_s > max_s - 0.001
    for word in words:
        for at in range(word.char_start, word.char_end):
            times_shown = sum(cue.char_start <= at < cue.char_end for cue in found)
            assert times_shown == 1 or (source[at].isspace() and times_shown == 0)


@given(timed())
def test_both_formats_have_a_block_for_each_cue(spoken: tuple[str, list[Word]]) -> None:
    found = cues(spoken[1], spoken[0])
    srt, vtt = to_srt(found), to_vtt(found)
    assert srt.count("-->") == vtt.count("-->") == srt.count("\n\n") == vtt.count("\n\n") - 1 == len(found)


def test_a_long_book_takes_seconds() -> None:
    source = "It was a bright cold day in April, and the clocks were striking thirteen, or so they said. " * 500
    begun = time.perf_counter()
    assert len(cues(spoken(source), source)) >= 500
    assert time.perf_counter() - begun < 10

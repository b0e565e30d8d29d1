"""Sounds written into a text, such as [laugh]: whole for the models that perform them, told of where none does."""

import pytest

from chatterbox_plus.engines.base import EngineInfo
from chatterbox_plus.engines.chatterbox.families import describe
from chatterbox_plus.engines.chatterbox.languages import TAGS
from chatterbox_plus.engines.chatterbox.words import estimate_words
from chatterbox_plus.synthesis.notes import text_notes
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.pipeline import TimedWord
from chatterbox_plus.synthesis.plan import Plan, make_plan
from chatterbox_plus.synthesis.voices import Speaker
from chatterbox_plus.text.subtitles import cues
from tests.fakes import TONE


def info(family: str) -> EngineInfo:
    return describe(family, family, ("en",), revision="1", has_voice=True, marks_audio=False)


def plan(text: str, **fields: object) -> Plan:
    return make_plan(SpeechOptions.model_validate({"text": text, **fields}), Speaker("default"), info("turbo"), 1)


def said(text: str, **fields: object) -> list[str]:
    return [planned.passage.text for planned in plan(text, **fields).passages]


EACH = {"smart_batch_short_sentences": False}
ROWS = [
    ("[laugh] That is funny.", {}, ["[laugh] that is funny."]),
    ("That is funny [laugh]. Really.", {}, ["that is funny [laugh]. Really."]),
    ("No! [gasp] [clear throat] really?", {}, ["no! [gasp] [clear throat] Really?"]),
    ("No way.[sigh] Yes.", {}, ["no way.[sigh] Yes."]),
    ("[Laugh] STOP. [CLEAR THROAT] Go.", {}, ["[laugh] stop. [clear throat] Go."]),
    ("[Laugh] STOP.", {"to_lowercase": False}, ["[laugh] STOP."]),
    ("He left.[1] [laugh] He came back.[2]", EACH, ["he left.", "[laugh] he came back."]),
    ("He left. [sigh] [cough]! He came back.", EACH, ["he left. [sigh] [cough]!", "he came back."]),
    ("It is cold. [laugh]\nNext line.", {}, ["it is cold. [laugh] Next line."]),
    ("It is cold.\n[laugh]\nA heading", {}, ["it is cold. [laugh]", "a heading"]),
    ("[sigh]\n\nHello.", {}, ["[sigh]", "hello."]),
    ("[sigh]", {}, ["[sigh]"]),
    ("I laugh. [laugh]", {"sound_words_field": "laugh=>giggle"}, ["i giggle. [laugh]"]),
    ("Stop. [laugh]", {"sound_words_field": "[laugh]=>ha ha"}, ["stop. Ha ha"]),
]


@pytest.mark.parametrize(("text", "fields", "passages"), ROWS)
def test_a_sound_stays_whole_and_with_its_sentence(text: str, fields: dict[str, object], passages: list[str]) -> None:
    assert said(text, **fields) == passages


@pytest.mark.parametrize("before", range(270, 301))
def test_a_long_sentence_is_not_cut_inside_a_sound(before: int) -> None:
    text = ("word " * 60)[:before].rstrip() + " [clear throat] and on it goes"
    passages = said(text)
    assert " ".join(passages).count("[clear throat]") == 1
    assert sum(passage.count("[clear throat]") for passage in passages) == 1
    assert max(map(len, passages)) <= 300


def test_every_sound_is_known_in_any_case() -> None:
    for tag in TAGS:
        assert said(f"Well. {tag.upper()} then.") == [f"well. {tag} Then."]


def test_a_sound_is_one_word_of_the_times_and_of_the_subtitles() -> None:
    text = "Well. [clear throat] This is the longest sentence that I have said today, and there is more of it. [laugh]"
    found = plan(text)
    words = [
        TimedWord(text[start:end], word.start_s, word.end_s, start, end)
        for planned in found.passages
        for word in estimate_words(planned.passage.text, 8.0)
        for start, end in [planned.origin(word)]
    ]
    assert [word.text for word in words[:3]] == ["Well", "[clear throat]", "This"]
    assert words[-1].text == "[laugh]"
    lines = [line for cue in cues(words, text) for line in cue.text.splitlines()]
    assert sum("[clear throat]" in line for line in lines) == 1
    assert lines[-1].endswith("[laugh]")


def test_what_no_model_knows_is_left_as_it_was() -> None:
    assert said("Well. [sings] [La La] yes.") == ["well. [Sings] [la la] yes."]


def test_an_engine_without_sounds_reads_them_and_says_so() -> None:
    for engine in (info("english"), info("multilingual"), TONE):
        (note,) = text_notes("Oh. [Laugh] [clear throat] yes.", "en", engine)
        assert note.startswith("[clear throat], [laugh] will be read out as words: the ")
    assert text_notes("Oh. [Laugh] yes.", "en", info("nano")) == []
    assert text_notes("Oh. (laugh) yes.", "en", TONE) == []

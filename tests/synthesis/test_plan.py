"""From a request's text to passages: nothing lost, everything traceable, seeds far apart."""

import pytest

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.synthesis.options import MAX_SEED, SpeechOptions
from chatterbox_plus.synthesis.plan import make_plan, new_seed, passage_seed
from chatterbox_plus.synthesis.voices import Speaker
from tests.fakes import TONE


def plan(text="Hello there.", speaker=None, **fields):
    return make_plan(SpeechOptions(text=text, **fields), speaker or Speaker("default"), TONE)


def test_a_given_seed_is_kept_and_zero_becomes_a_new_one():
    assert plan(seed=42).seed == 42
    assert 1 <= plan(seed=0).seed <= MAX_SEED
    assert len({new_seed() for _ in range(50)}) == 50


def test_passages_get_different_seeds_and_the_same_ones_every_time():
    seeds = [passage_seed(7, f"sentence {i}") for i in range(1000)]
    assert len(set(seeds)) == 1000
    assert seeds == [passage_seed(7, f"sentence {i}") for i in range(1000)]
    assert passage_seed(8, "a") != passage_seed(7, "a") != passage_seed(7, "a", 1)


def test_the_language_is_the_requests_then_the_voices_then_english():
    german = Speaker("de", stock="de", language="de")
    assert plan(language="fr", speaker=german).language == "fr"
    assert plan(speaker=german).language == "de"
    assert plan().language == "en"


def test_a_language_nobody_speaks_is_refused():
    with pytest.raises(InvalidOption) as caught:
        plan(language="xx-klingon")
    assert caught.value.param == "language"


def test_only_options_that_the_engine_uses_reach_it():
    (passage,) = plan(temperature=0.5, cfg_weight=0.3).passages
    assert passage.passage.options == {"temperature": 0.5}


def test_an_option_nobody_set_is_left_to_the_model():
    (passage,) = plan().passages
    assert passage.passage.options == {}


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"smart_batch_short_sentences": False}, 6),
        ({"smart_batch_short_sentences": True}, 2),
        ({"enable_batching": True}, 1),
    ],
)
def test_sentences_are_grouped_as_asked(fields, count):
    assert len(plan("A sentence of thirty letters. " * 6, **fields).passages) == count


@pytest.mark.parametrize("text", ["Hi.", "No.", "warmup", "x" * 650, "สวัสดีครับ ยินดีที่ได้รู้จัก", "😀", "a😀b. Hi. No."])
def test_every_letter_is_spoken(text):
    planned = plan(text, to_lowercase=False, normalize_numbers=False)
    said = "".join(p.passage.text for p in planned.passages)
    assert "".join(said.split()) == "".join(text.split())


def test_characters_of_a_passage_are_traced_to_the_text_as_sent():
    text = "First.   THE   Dog paid $3."
    for part in plan(text).passages:
        for a in range(len(part.passage.text)):
            start, end = part.spoken.span(a, a + 1)
            assert 0 <= start < end <= len(text)


def test_a_text_of_which_nothing_is_left_is_refused():
    with pytest.raises(InvalidOption) as caught:
        plan("hm", sound_words_field="hm=>")
    assert caught.value.param == "text"

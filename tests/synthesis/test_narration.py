"""Marks change who speaks and when, and every word keeps its place in the text."""

from collections.abc import Iterator

import numpy as np
import pytest

from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.errors import InvalidOption, NotFound
from chatterbox_plus.synthesis.narration import BREAK_S, TURN_S, Narration
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import Edit
from chatterbox_plus.synthesis.studio import Studio
from tests.synthesis.houses import ListeningHost, never, tone_house

PLAIN = SpeechOptions(text="-", to_lowercase=False, smart_batch_short_sentences=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Studio, ListeningHost]]:
    with tone_house(tmp_path_factory.mktemp("house")) as made:
        yield made


def narration(house: tuple[Studio, ListeningHost], text: str, **edits: Edit) -> Narration:
    numbered = {int(name[1:]): edit for name, edit in edits.items()}
    return house[0].narrate(PLAIN, text, cancel=never(), seed=1, edits=numbered)


def heard(spoken: Narration) -> np.ndarray:
    return np.concatenate(list(spoken.blocks()))


def test_a_pause_is_as_long_as_it_says(house: tuple[Studio, ListeningHost]) -> None:
    without, with_pause = (heard(narration(house, text)) for text in ("One two.", "One two. [pause: 1.5s]"))
    assert len(with_pause) - len(without) == 1.5 * SPEECH_RATE


def test_words_keep_their_places_around_marks(house: tuple[Studio, ListeningHost]) -> None:
    text = "Alpha one. [pause: 500ms] [voice: de] Beta two. [/voice]\n\nGamma three."
    spoken = narration(house, text)
    list(spoken.blocks())
    assert [text[w.char_start : w.char_end].strip(".") for w in spoken.words] == [
        "Alpha", "one", "Beta", "two", "Gamma", "three",
    ]  # fmt: skip
    starts = [w.start_s for w in spoken.words]
    assert starts == sorted(starts)
    # ten characters at 10 ms, the pause, and the next voice
    assert starts[2] == pytest.approx(0.10 + 0.5, abs=0.002)


def test_another_voice_begins_after_a_breath(house: tuple[Studio, ListeningHost]) -> None:
    spoken = narration(house, "One. [voice: de] Two.")
    list(spoken.blocks())
    assert spoken.words[1].start_s == pytest.approx(0.04 + TURN_S, abs=0.002)


def test_what_cannot_be_said_is_a_break(house: tuple[Studio, ListeningHost]) -> None:
    assert len(heard(narration(house, "* * *"))) == round(BREAK_S * SPEECH_RATE)


def test_a_voice_that_is_not_there_is_known_before_anything_is_said(house: tuple[Studio, ListeningHost]) -> None:
    with pytest.raises(NotFound, match="nobody"):
        narration(house, "One. [voice: nobody] Two.")
    with pytest.raises(InvalidOption, match="pause"):
        narration(house, "One. [pause: soon] Two.")


def test_the_key_changes_with_what_is_heard_and_with_nothing_else(house: tuple[Studio, ListeningHost]) -> None:
    key = narration(house, "One. Two.").key
    assert narration(house, "One.  Two.").key == key
    assert len({key, *(narration(house, t).key for t in ("One. Too.", "One. [pause: 1s] Two.", "Two. One."))}) == 4


def test_an_edit_replaces_its_passage_and_moves_the_words_behind_it(house: tuple[Studio, ListeningHost]) -> None:
    text = "One is. Two is. [pause: 1s] Three is."
    spoken = narration(house, text, _1=Edit(text="Two was not. Really."))
    list(spoken.blocks())
    assert spoken.text == "One is. Two was not. Really. [pause: 1s] Three is."
    assert spoken.count == 3
    assert spoken.texts == ["One is.", "Two was not.", "Really.", "Three is."]
    assert [spoken.text[w.char_start : w.char_end].strip(".") for w in spoken.words] == [
        "One", "is", "Two", "was", "not", "Really", "Three", "is",
    ]  # fmt: skip


def test_an_edit_behind_a_mark_finds_its_passage(house: tuple[Studio, ListeningHost]) -> None:
    spoken = narration(house, "One is. [voice: de] Two is. Three is.", _2=Edit(text="Four."))
    assert spoken.texts == ["One is.", "Two is.", "Four."]
    assert spoken.text == "One is. [voice: de] Two is. Four."

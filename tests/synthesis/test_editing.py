"""A text is edited passage by passage: what was not touched stays as it was spoken."""

from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from chatterbox_plus.errors import NotFound
from chatterbox_plus.synthesis.editing import Script
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import Edit, Edits
from chatterbox_plus.synthesis.studio import Studio
from tests.synthesis.houses import ListeningHost, commission, never, tone_house

TEXT = "One is. Two is. Three is."


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Studio, ListeningHost]]:
    with tone_house(tmp_path) as made:
        yield made


def options(**more: object) -> SpeechOptions:
    return SpeechOptions.model_validate(
        {"text": TEXT, "export_formats": ["wav"], "smart_batch_short_sentences": False, **more}
    )


def script(studio: Studio, edits: Edits | None = None) -> Script:
    return Script.of_speech(studio, options(), 7, edits or {})


def test_passages_tell_where_they_stand_and_what_is_kept(house: tuple[Studio, ListeningHost]) -> None:
    found = script(house[0]).passages()
    assert [TEXT[view.char_start : view.char_end] for view in found] == ["One is.", "Two is.", "Three is."]
    assert [view.kept for view in found] == [False] * 3
    house[0].speak(options(), cancel=never(), commission=commission())
    assert [view.kept for view in script(house[0]).passages()] == [True] * 3


def test_an_edit_that_makes_two_of_one_still_counts_as_one(house: tuple[Studio, ListeningHost]) -> None:
    found = script(house[0], {1: Edit(text="Two was. It was two.")}).passages()
    assert [view.text for view in found] == ["One is.", "Two was. It was two.", "Three is."]
    assert [view.number for view in found] == [0, 1, 2]


def test_one_passage_is_heard_alone(house: tuple[Studio, ListeningHost]) -> None:
    wav, seconds = script(house[0]).wav(1, cancel=never())
    assert wav[:4] == b"RIFF"
    assert seconds == pytest.approx(0.07, abs=0.001)  # seven characters
    with pytest.raises(NotFound):
        script(house[0]).wav(3, cancel=never())
    assert house[0].busy == 0


def test_what_is_made_of_edits_speaks_only_them(house: tuple[Studio, ListeningHost], tmp_path: Path) -> None:
    house[0].speak(options(), cancel=never(), commission=commission())
    house[1].asked.clear()
    edits = {1: Edit(text="Two was not.")}
    made = house[0].speak(options(), cancel=never(), commission=commission("task_2", edits=edits))
    assert house[1].asked == ["two was not."]
    path = house[0].library.outputs.root / made.files[0].path
    assert house[0].library.outputs.read_sidecar(path)["parameters"]["text"] == "One is. Two was not. Three is."
    with av.open(str(path)) as audio:
        assert audio.duration is not None


def test_a_seed_of_its_own_changes_the_seed_of_that_passage_only(house: tuple[Studio, ListeningHost]) -> None:
    plain, edited = (script(house[0], edits).passages() for edits in ({}, {1: Edit(seed=99)}))
    assert [a.seed == b.seed for a, b in zip(plain, edited, strict=True)] == [True, False, True]

"""A text that is still being written is spoken as one stream, whatever pieces it comes in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.errors import Cancelled, InvalidOption, NotFound, TextTooLong
from chatterbox_plus.synthesis.dictation import FRAME_BYTES, Begun, Dictation, Happening, Said, Sound, Started
from chatterbox_plus.synthesis.manuscript import Manuscript, Sign
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.text.passages import CLAUSE_PAUSE_S, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from tests.fakes import CHARACTER_S
from tests.synthesis.fragments import FragmentHost
from tests.synthesis.houses import never, tone_house

TEXT = "Here we are at last, as it were. The first sentence!\n\nAnd Dr. No has another one, of 3.14 words"
CLAUSES = ("Here we are at last,", "as it were.", "The first sentence!", "And Dr. No has another one, of 3.14 words")


@contextmanager
def house(data: Path, fragments: FragmentHost) -> Iterator[Studio]:
    with tone_house(data) as (studio, host):
        host.speak_live, host.speak = fragments.speak_live, fragments.speak  # type: ignore[method-assign, assignment]
        yield studio


def written(*pieces: str) -> Manuscript:
    manuscript = Manuscript(10_000)
    for piece in pieces:
        manuscript.write(piece)
    manuscript.end()
    return manuscript


def dictation(studio: Studio, manuscript: Manuscript, speed: float | None = None, **fields: Any) -> Dictation:
    asked = {"normalize_numbers": False, "to_lowercase": False, **fields}
    options = SpeechOptions.model_validate({"text": "-", **asked})
    return studio.dictate(options, manuscript, cancel=never(), format="pcm", speed=speed)


def sound(happenings: list[Happening]) -> bytes:
    return b"".join(item.data for item in happenings if isinstance(item, Sound))


@pytest.mark.parametrize("speed", [1.0, 1.3])
def test_any_pieces_make_the_same_stream(speed: float, tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        whole = list(dictation(studio, written(TEXT), speed))
        for pieces in (list(TEXT), [TEXT[at : at + 7] for at in range(0, len(TEXT), 7)]):
            again = list(dictation(studio, written(*pieces), speed, seed=1))
            assert sound(again) == sound(whole)
            assert [item for item in again if isinstance(item, Said)] == [i for i in whole if isinstance(i, Said)]


def test_every_clause_is_told_with_its_place_and_times(tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        happenings = list(dictation(studio, written(TEXT)))
    said = [item for item in happenings if isinstance(item, Said)]
    assert [item.text for item in said] == list(CLAUSES)
    assert [TEXT[item.char_start : item.char_end] for item in said] == list(CLAUSES)
    at, pauses = 0.0, [CLAUSE_PAUSE_S, SENTENCE_PAUSE_S, PARAGRAPH_PAUSE_S, CLAUSE_PAUSE_S]
    for item, pause_s in zip(said, pauses, strict=True):
        assert (item.start_s, item.end_s) == pytest.approx((at, at + len(item.text) * CHARACTER_S), abs=2e-3)
        at = item.end_s + pause_s
    words = [word for item in said for word in item.words]
    assert [word.text for word in words] == TEXT.split()
    assert [TEXT[word.char_start : word.char_end] for word in words] == TEXT.split()
    last = [item for item in happenings if isinstance(item, Sound)][-1]
    assert last.until_s == pytest.approx(at, abs=2e-3)


def test_another_speed_moves_the_words_along(tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        plain, fast = (list(dictation(studio, written(TEXT), speed)) for speed in (1.0, 2.0))
    ends = [[item.end_s for item in items if isinstance(item, Said)] for items in (plain, fast)]
    assert ends[1] == pytest.approx([end / 2 for end in ends[0]], abs=5e-3)
    assert len(sound(fast)) == pytest.approx(len(sound(plain)) / 2, abs=100)


def test_a_clause_sounds_while_the_next_one_is_still_to_come(tmp_path: Path) -> None:
    manuscript, fragments = Manuscript(1000), FragmentHost(0.05)
    with house(tmp_path, fragments) as studio:
        happenings = iter(dictation(studio, manuscript, speed=1.2))
        assert isinstance(next(happenings), Started)
        manuscript.write("This is complete. This is n")
        heard_s = 0.0
        while heard_s < (17 * CHARACTER_S + SENTENCE_PAUSE_S) / 1.2 - 1e-3:  # to the last sample
            item = next(happenings)
            heard_s = item.until_s if isinstance(item, Sound) else heard_s
        assert [texts for _, texts, _ in fragments.asked] == [["This is complete."]]
        manuscript.write("ot.")
        manuscript.end()
        assert [item.text for item in happenings if isinstance(item, Said)] == ["This is not."]


def test_fragments_leave_before_their_clause_is_whole_unless_it_is_to_be_exact(tmp_path: Path) -> None:
    for streaming, early in (("live", True), ("exact", False)):
        fragments = FragmentHost(0.05)
        with house(tmp_path, fragments) as studio:
            for item in dictation(studio, written("a sentence of some length"), streaming=streaming):
                if isinstance(item, Sound):
                    break
            assert (fragments.made_s < 0.1) is early


def test_frames_are_small_enough_for_any_client_and_joined_nothing_is_missing(tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost(10.0)) as studio:
        happenings = list(dictation(studio, written("x" * 250)))
        frames = [item for item in happenings if isinstance(item, Sound)]
    assert max(len(frame.data) for frame in frames) <= FRAME_BYTES
    assert [frame.until_s for frame in frames] == sorted({frame.until_s for frame in frames})
    samples = np.frombuffer(sound(happenings), "<i2")
    assert len(samples) == round((250 * CHARACTER_S + CLAUSE_PAUSE_S) * SPEECH_RATE)


def test_a_flush_says_what_there_is(tmp_path: Path) -> None:
    manuscript = Manuscript(1000)
    with house(tmp_path, FragmentHost()) as studio:
        manuscript.write("No mark")
        manuscript.flush()
        manuscript.flush()
        manuscript.write(" here")
        manuscript.end()
        said = [item.text for item in dictation(studio, manuscript) if isinstance(item, Said)]
    assert said == ["No mark", "here"]


def test_what_cannot_be_said_is_left_out(tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        happenings = list(dictation(studio, written("... — !\n\n* * *\n\n")))
        assert [item for item in happenings if isinstance(item, Begun | Said | Sound)] == []
        assert list(dictation(studio, written()))[1:] == []
        assert studio.busy == 0


def test_called_off_it_ends_and_leaves_the_house(tmp_path: Path) -> None:
    fragments = FragmentHost()
    with house(tmp_path, fragments) as studio:
        cancel = threading.Event()
        options = SpeechOptions(text="-")
        happenings = iter(studio.dictate(options, written(TEXT), cancel=cancel, format="mp3"))
        while not isinstance(next(happenings), Begun):
            pass
        assert studio.busy == 1
        cancel.set()
        with pytest.raises(Cancelled):
            list(happenings)
        assert (studio.busy, fragments.closed) == (0, 1)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"reference_audio_filename": "nobody"}, NotFound),
        ({"language": "xx-none"}, InvalidOption),
        ({"sound_words_field": "no arrow"}, InvalidOption),
    ],
)
def test_what_is_wrong_shows_before_anything_is_said(fields: dict[str, Any], error: type, tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        with pytest.raises(error):
            dictation(studio, written(TEXT), **fields)
        assert studio.busy == 0


def test_what_needs_all_of_the_speech_is_told_to_have_no_effect(tmp_path: Path) -> None:
    with house(tmp_path, FragmentHost()) as studio:
        started = next(iter(dictation(studio, written(), trim=True)))
    assert isinstance(started, Started)
    assert started.notes == ("trim had no effect: it needs all of the speech",)


def test_a_text_has_an_end() -> None:
    manuscript = Manuscript(10)
    manuscript.write("123456")
    with pytest.raises(TextTooLong):
        manuscript.write("78901")
    manuscript.write("7890")
    read = [manuscript.read(never(), wait=False) for _ in range(3)]
    assert read == ["123456", "7890", None]


def test_who_reads_waits_for_more_and_hears_when_there_is_none() -> None:
    manuscript = Manuscript(10_000)
    manuscript.write("a" * 500)
    manuscript.end()
    read: list[object] = []
    while not read or read[-1] is not Sign.END:
        read.append(manuscript.read(never(), wait=True))
    assert "".join(map(str, read[:-1])) == "a" * 500
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        manuscript.read(cancel, wait=True)

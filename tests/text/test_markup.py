"""Marks in a text: pauses and voices are found, and every other character stays where and what it was."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.errors import InvalidOption
from chatterbox_plus.text.markup import Pause, Speech, has_marks, parse, voices
from chatterbox_plus.text.spans import Spoken


@pytest.mark.parametrize(
    ("mark", "ms"),
    [
        ("[pause: 800ms]", 800),
        ("[pause:1.5s]", 1500),
        ("[ PAUSE :  2 S ]", 2000),
        ("[pause: 0,5 s]", 500),
        ("[pause: .25s]", 250),
        ("[pause: 3 seconds]", 3000),
        ("[pause: 50ms]", 50),
        ("[pause: 60s]", 60_000),
    ],
)
def test_a_pause_has_a_length(mark: str, ms: int):
    text = f"One. {mark} Two."
    end = 5 + len(mark)
    assert parse(text) == (Speech("One. ", None, 0), Pause(ms, 5, end), Speech(" Two.", None, end))


def test_a_voice_holds_until_the_next_mark():
    text = "[voice: Ann]Hi.[voice: bob.wav]Ho.[/voice]So.[Voice: Ann]Yes.[voice]End."
    said = [(part.text, part.voice) for part in parse(text) if isinstance(part, Speech)]
    assert said == [("Hi.", "Ann"), ("Ho.", "bob.wav"), ("So.", None), ("Yes.", "Ann"), ("End.", None)]
    assert voices(parse(text)) == ("Ann", "bob.wav")


def test_a_voice_outlasts_a_pause():
    assert [getattr(part, "voice", "-") for part in parse("[voice: A]x[pause: 1s]y")] == ["A", "-", "A"]


def test_words_can_be_found_again_in_the_original():
    text = "One [pause: 1s] two [voice: x] three"
    last = parse(text)[-1]
    assert isinstance(last, Speech)
    spoken = Spoken.of(text)[last.start : last.end]
    start, end = spoken.span(1, 6)
    assert text[start:end] == "three"


@pytest.mark.parametrize(
    "mark",
    [
        "[pause: soon]",
        "[pause: ]",
        "[pause:]",
        "[pause: 800]",
        "[pause: 49ms]",
        "[pause: 61s]",
        "[pause: -1s]",
        "[pause: ١s]",
        "[pause 800ms]",
        "[pause  .8s]",
        "[pause=1s]",
        "[voice: ]",
        "[voice:]",
        "[voice=Ann]",
        f"[voice: {'x' * 201}]",
        "[pause: 1s",
        "[voice: Ann\n]",
    ],
)
def test_a_mark_that_was_meant_but_cannot_be_read_is_named(mark: str):
    assert has_marks(mark)
    with pytest.raises(InvalidOption, match=re.escape(mark.partition("\n")[0][:20])) as caught:
        parse(f"One. {mark}")
    assert caught.value.param == "text"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "[sic] [pause] [pauses: 1] [voices: x] [/pause] [...]",
        "a[i] = b",
        "[[]",
        "[pause for effect] [voice 2]",
    ],
)
def test_other_brackets_are_plain_text(text: str):
    assert not has_marks(text)
    assert parse(text) == ((Speech(text, None, 0),) if text else ())


@pytest.mark.parametrize("piece", ["[", "[ ", "[pause", "[pause ", "[voice \t", "[/ ", "[\n"])
def test_long_nonsense_takes_no_time(piece: str):
    began = time.perf_counter()
    assert "".join(part.text for part in parse(piece * 100_000) if isinstance(part, Speech)) == piece * 100_000
    assert not has_marks("[" + " " * 300_000)
    assert not has_marks("[pause" + " " * 300_000)
    assert time.perf_counter() - began < 3


PIECES = st.sampled_from(
    ["[pause: 1s]", "[ PAUSE: 80 ms ]", "[voice: A]", "[/voice]", "[voice]", "[", "]", "[1]", " ", "\n", "word", "é😀"]
)
VOICE_MARK = re.compile(r"\[voice: A\]|\[/voice\]|\[voice\]")


@given(st.lists(PIECES | st.text(alphabet="ab[] \n/", max_size=5), max_size=12).map("".join))
def test_put_together_the_parts_are_the_text_without_its_voice_marks(text: str):
    parts = parse(text)
    assert all(text[part.start : part.end] == part.text for part in parts if isinstance(part, Speech))
    assert "".join(text[part.start : part.end] for part in parts) == VOICE_MARK.sub("", text)
    assert all(part.start < part.end for part in parts)
    assert has_marks(text) or len(parts) <= 1

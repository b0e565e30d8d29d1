"""What a task is about, in a line: short, without control characters, without secrets."""

import pytest

from chatterbox_plus.jobs.about import MOST_CHARS, about
from chatterbox_plus.jobs.states import Kind


@pytest.mark.parametrize(
    "text, line",
    [
        ("Hello there.", "Hello there."),
        ("  One\nand\ttwo. ", "One and two."),
        ("no\x00thing\x1b[2J", "no thing [2J"),
        ("\x00", None),
        ("half \ud800 a pair", "half a pair"),
        ("\N{MAN}\u200d\N{WOMAN}", "\N{MAN}\u200d\N{WOMAN}"),
    ],
)
def test_a_speech_is_about_how_it_begins(text: str, line: str | None) -> None:
    """A NUL is no text for PostgreSQL, half a surrogate pair none for any database."""
    assert about(Kind.TTS, {"options": {"text": text}}) == line


def test_it_is_one_line_however_long_the_text() -> None:
    line = about(Kind.TTS, {"options": {"text": "many words " * 10_000}})
    assert line is not None
    assert (len(line) <= MOST_CHARS, line[-1]) == (True, "…")


@pytest.mark.parametrize(
    "source, shown",
    [
        ("https://a.example/in/talk.wav?signature=secret", "talk.wav"),
        ("https://ana:secret@a.example", "a.example"),
        ("https://a.example/#secret", "a.example"),
        ("talks/what?.wav", "what?.wav"),
    ],
)
def test_what_is_secret_in_an_address_stays_so(source: str, shown: str) -> None:
    options = {"input_audio_source": source, "target_voice_source": "x/ana.wav"}
    assert about(Kind.VC, {"options": options}) == f"{shown} → ana.wav"

"""Where sentences end, in many scripts; nothing is ever lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.text.sentences import sentences
from chatterbox_plus.text.spans import Spoken


def cut(text: str, language: str = "en") -> list[str]:
    return [sentence.text for sentence in sentences(Spoken.of(text), language)]


@pytest.mark.parametrize(
    ("language", "marked"),
    [
        ("en", "Hi."),
        ("en", "No."),
        ("en", "Hi. |No. |Go!"),
        ("en", "It is cold. |Put on a hat. |See fig. 3 and vol. II."),
        ("en", "Dr. Smith met the U.S. economy team. |He paid 3.5 dollars, e.g. to Bob. |OK?"),
        ("en", "“Why?” she asked. |(Really.) |Then… we left."),
        ("en", "A heading\n\n|The text begins. |It ends.\n|Next line."),
        ("en", "- milk\n|- eggs\n|- bread"),
        ("en", "A wrapped\nline goes on. |Done."),
        ("en", "A long line of a mail that was wrapped at about seventy by John\nSmith. |Done."),
        ("en", "First.\r\n|Second."),
        ("de", "Am 3. Mai kam Dr. Müller z. B. nach Berlin. |Er blieb. |Das ist der 1. Test."),
        ("fr", "M. Dupont est là. |Il part. |J. R. Tolkien est né."),
        ("ja", "こんにちは。|元気？|はい！"),
        ("zh", "你好。|我们走吧！|好吗？"),
        ("ar", "كيف حالك؟ |أنا بخير."),
        ("hi", "नमस्ते। |आप कैसे हैं? |ठीक।"),
        ("th", "สวัสดีครับ ผมชื่อสมชาย"),
        ("xx", "Hello. |There."),
        ("pt-BR", "Olá. |Tudo bem?"),
        ("en", "  lead. |Tail.  "),
        ("en", "🙂🙂"),
        ("en", "..."),
    ],
)
def test_sentences_end_at(language: str, marked: str):
    assert cut(marked.replace("|", ""), language) == marked.split("|")


def test_nothing_has_no_sentences():
    assert cut("") == []


@given(st.text(alphabet="aB1 .!?\n\r,“”\"'(…。ก\u0301🙂\u200d", max_size=80), st.sampled_from(["en", "de", "ja", "th"]))
def test_joined_they_are_the_text(text: str, language: str):
    assert "".join(cut(text, language)) == text

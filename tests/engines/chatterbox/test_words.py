"""Guessed times: every word once, in order, within the passage; how well they fit, against a voice that knows."""

from itertools import pairwise

import numpy as np
import pytest

from chatterbox_plus.engines.base import Passage, Word
from chatterbox_plus.engines.builtin.engine import BuiltinEngine
from chatterbox_plus.engines.chatterbox.words import estimate_words


def texts(text: str, words: tuple[Word, ...]) -> list[str]:
    return [text[word.char_start : word.char_end] for word in words]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, wide world!", ["Hello", "wide", "world"]),
        ("“Don't,” she said — twice.", ["Don't", "she", "said", "twice"]),
        ("Well [clear throat] yes[laugh], [ok", ["Well", "[clear throat]", "yes", "[laugh]", "ok"]),
        ("你好，world再见。", ["你", "好", "world", "再", "见"]),
        ("きょうはコーヒー", ["きょ", "う", "は", "コー", "ヒー"]),
        ("안녕하세요, 여러분.", ["안녕하세요", "여러분"]),
        ("ไปเที่ยว", ["ไป", "เที่", "ย", "ว"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
        ("… ?!", []),
        ("", []),
    ],
)
def test_words_are_what_a_reader_points_at(text: str, expected: list[str]) -> None:
    assert texts(text, estimate_words(text, 2.0)) == expected


@pytest.mark.parametrize("duration_s", [0.01, 0.5, 3.0, 60.0])
@pytest.mark.parametrize("text", ["One, two [laugh] three. Four!", "今天天气很好，我们走吧。", "a"])
def test_times_go_forward_and_stay_inside(text: str, duration_s: float) -> None:
    words = estimate_words(text, duration_s)
    assert all(0 <= word.start_s < word.end_s < duration_s for word in words)
    assert all(a.end_s <= b.start_s and a.char_end <= b.char_start for a, b in pairwise(words))


def test_no_time_has_no_words() -> None:
    assert estimate_words("Hello", 0.0) == ()


def test_longer_words_take_longer_and_sentences_are_followed_by_a_pause() -> None:
    a, extraordinary, now, then = estimate_words("A extraordinary now. Then", 3.0)
    assert extraordinary.end_s - extraordinary.start_s > 2 * (a.end_s - a.start_s)
    assert extraordinary.end_s == now.start_s
    assert then.start_s - now.end_s > 0.3


def test_the_guess_is_close_to_a_voice_that_knows() -> None:
    text = (
        "The boy had never seen so much water, and he stood quite still. After a while, extraordinarily quiet, "
        "his grandfather laughed and said that it was only a lake."
    )
    piece = BuiltinEngine().speak(Passage(0, text, "en", seed=1), None, lambda: False)
    guessed = {word.char_start: word.start_s for word in estimate_words(text, piece.clip.duration_s)}
    off = [abs(guessed[word.char_start] - word.start_s) for word in piece.words]
    assert len(off) == 29
    assert np.mean(off) < 0.1
    assert max(off) < 0.25

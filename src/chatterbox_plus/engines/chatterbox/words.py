"""When the words of a spoken passage sound, guessed from how they are written: the models say nothing about it."""

import re
import unicodedata
from collections.abc import Iterator

from chatterbox_plus.engines.base import Word

_TOKEN = re.compile(r"\[[A-Za-z][A-Za-z ]*\]|[^\s\[]+|\[")  # tags such as [clear throat], and what blanks keep apart
# Scripts written without blanks: every character is a word, with the vowels, marks and small kana that belong to it.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff]"
)
_FOLLOWS, _LEADS = frozenset("ぁぃぅぇぉゃゅょゎァィゥェォャュョヮーะาำະາຳ"), frozenset("เแโใไເແໂໃໄ")
# Seconds at an ordinary pace. All of them are stretched to how long the passage is: only how they compare matters.
_LEAD_S, _TAIL_S = 0.03, 0.08  # of silence around a passage (see `ends`)
_TAG_S, _WORD_S, _LETTER_S, _DIGIT_S = 0.8, 0.08, 0.055, 0.3
_SYLLABLES_S = {"CJK": 0.21, "HANGUL": 0.18, "HIRAGANA": 0.13, "KATAKANA": 0.13}  # by the first word of Unicode's name
_PAUSES_S = dict.fromkeys(",;:–—、，；：،؛", 0.2) | dict.fromkeys(".!?…。！？؟।", 0.4)


def estimate_words(text: str, duration_s: float) -> tuple[Word, ...]:
    """The words of `text` as it is spoken within duration_s, in order, apart or touching; none if it has no letters.

    A word's share goes by its letters and syllables, with pauses after punctuation; spans leave punctuation out.
    """
    spans: list[tuple[int, int]] = []
    begins, ends, at = [], [], _LEAD_S
    for start, end in _pieces(text):
        letters = [i for i in range(start, end) if text[i].isalnum()]
        tag = text[start] == "[" and bool(letters)
        last = letters[-1] + 1 if letters else start
        if letters:
            while last < end and unicodedata.category(text[last])[0] == "M":
                last += 1  # vowel signs, as of Thai and Hindi, are no letters but part of the word
            spans.append((start, end) if tag else (letters[0], last))
            begins.append(at)
            at += _TAG_S if tag else _spoken_s(text[letters[0] : last])
            ends.append(at)
        if not tag:
            at += max((_PAUSES_S.get(c, 0.0) for c in text[last:end]), default=0.0)
    if not spans or duration_s <= 0:
        return ()
    scale = duration_s / (ends[-1] + _TAIL_S)
    return tuple(Word(begin * scale, end * scale, *span) for span, begin, end in zip(spans, begins, ends, strict=True))


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if token.group()[0] != "[" and _UNSPACED.search(token.group()):
            for i in range(start + 1, end):
                belongs = not text[i].isalnum() or text[i] in _FOLLOWS or text[i - 1] in _LEADS
                if not belongs and (_UNSPACED.match(text[i]) or _UNSPACED.search(text, start, i)):
                    yield start, i
                    start = i
        yield start, end


def _spoken_s(word: str) -> float:
    total = _WORD_S if not _UNSPACED.match(word) else 0.0
    for c in word:
        if c.isdecimal():
            total += _DIGIT_S
        elif c.isalnum():
            total += _SYLLABLES_S.get(unicodedata.name(c, "").split(" ")[0], _LETTER_S)
    return total

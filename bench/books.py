"""A whole book: how fast it is made, in how much memory, and what one new sentence costs."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event

from bench.measure import Bench, Figure, PeakMemory, Setting, studio
from chatterbox_plus.synthesis.audiobook import Audiobook, BookProgress, BookResult
from chatterbox_plus.synthesis.book_order import BookOrder, BookText, ChapterText
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.studio import Studio

WORDS, FULL_WORDS = 10_000, 100_000
CHAPTER_WORDS = 3_300
_PROSE = (
    "the quick brown fox jumps over lazy dogs while many people in London talked about three things and paid five "
    "pounds for it because nobody knew where the old house had been before winter came to its narrow streets"
)
_VOCABULARY = _PROSE.split()


def books(setting: Setting) -> Iterator[Figure]:
    """A book of 10 000 words (--full: 100 000) to m4b with subtitles, and again with one sentence changed."""
    words = FULL_WORDS if setting.full else WORDS
    chapters = _chapters(words)
    with studio(setting) as made, PeakMemory() as memory:
        began = time.perf_counter()
        result = _make(made, chapters, "first")
        took_s = time.perf_counter() - began
        extra = {"words": words, "audio_s": round(result.duration_s), "passages": result.passages}
        yield Figure("book_x_realtime", result.duration_s / took_s, "x", extra)
        yield Figure("book_s", took_s, "s", extra)
        yield Figure("book_peak_memory_mb", memory.peak_mb, "MB", {"all_processes": True})
        chapters[1] = chapters[1].model_copy(update={"text": chapters[1].text.replace(".", ", and more.", 1)})
        began = time.perf_counter()
        _make(made, chapters, "second")
        yield Figure("book_one_sentence_changed_s", time.perf_counter() - began, "s", extra)


def _make(studio: Studio, chapters: list[ChapterText], name: str) -> BookResult:
    book = BookText(title=f"The {name} book", author="Nobody", language="en", chapters=tuple(chapters))
    order = BookOrder(book, SpeechOptions(text="-"))
    commission = Commission(f"task_{name}", datetime.now(UTC), 7)
    return Audiobook(studio, order, cancel=Event(), commission=commission, progress=BookProgress()).make()


def _chapters(words: int) -> list[ChapterText]:
    chance = random.Random(1)
    chapters = []
    while words > 0:
        text, left = [f"Chapter {len(chapters) + 1}"], min(words, CHAPTER_WORDS)
        words -= left
        while left > 0:
            paragraph = [_sentence(chance) for _ in range(5)]
            left -= sum(len(sentence.split()) for sentence in paragraph)
            text.append(" ".join(paragraph))
        chapters.append(ChapterText(title=text[0], text="\n\n".join(text)))
    return chapters


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choice(_VOCABULARY) for _ in range(chance.randint(8, 24))).capitalize() + "."


BENCHES: dict[str, Bench] = {"books": books}

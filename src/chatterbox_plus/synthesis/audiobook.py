"""A book as files: chapters spoken side by side, each kept by its content, then one m4b, or an mp3 for each.

What is done once is not done again: passages are takes, and a chapter that nothing in has changed comes out of the same
store as it was encoded. So a book that was broken off goes on, and one with a new sentence costs its chapter.
"""

import base64
import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from chatterbox_plus.audio.aac_segments import LEAD_SAMPLES, SegmentWriter
from chatterbox_plus.audio.audiobook import chapter_level, first_gain, is_level, limiter
from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.formats import SPEECH_RATE
from chatterbox_plus.audio.loudness import LoudnessMeter
from chatterbox_plus.audio.m4b import ChapterMark, write_m4b
from chatterbox_plus.audio.stage import closing_after, through
from chatterbox_plus.audio.stretch import Stretch
from chatterbox_plus.audio.tagged_mp3 import write_tagged_mp3
from chatterbox_plus.library import changes
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.library.library import Temporary
from chatterbox_plus.library.naming import output_name
from chatterbox_plus.library.records import Generation
from chatterbox_plus.library.writing import Reservation
from chatterbox_plus.synthesis.book_order import BookOrder
from chatterbox_plus.synthesis.cancelling import PartEvent
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.export import MadeFile
from chatterbox_plus.synthesis.job import Clock
from chatterbox_plus.synthesis.narration import Narration
from chatterbox_plus.synthesis.pipeline import TimedWord
from chatterbox_plus.synthesis.studio import Studio
from chatterbox_plus.synthesis.tape import Tape
from chatterbox_plus.text.markup import without_marks
from chatterbox_plus.text.subtitles import Cue, cues, to_srt, to_vtt

AT_ONCE = 2  # chapters under way: one speaks while another is levelled and encoded
REVISION = "1"  # of how a chapter is finished: another one, and kept chapters are made anew
_COPIED_BYTES = 2**20
_WRITERS: dict[str, Callable[[Sequence[Cue]], str]] = {"srt": to_srt, "vtt": to_vtt}


@dataclass(frozen=True)
class BookResult:
    """files: what was made, in order. duration_s: of all of it. models: those that spoke."""

    files: tuple[MadeFile, ...]
    subtitles: tuple[MadeFile, ...]
    chapters: tuple[dict[str, Any], ...]
    duration_s: float
    processing_s: float
    passages: int
    models: tuple[str, ...]


@dataclass
class BookProgress:
    """How far a book is. Thread-safe. tell: passages done, passages in all, seconds of speech so far; chapter: its
    index, from 0, when it is done."""

    tell: Callable[[int, int, float], None] = lambda done, total, seconds: None
    chapter: Callable[[int], None] = lambda index: None
    total: int = 0
    _done: dict[int, tuple[int, float]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def note(self, index: int, done: int, seconds: float) -> None:
        with self._guard:
            self._done[index] = (done, seconds)
            told = sum(done for done, _ in self._done.values()), sum(s for _, s in self._done.values())
            self.tell(told[0], self.total, told[1])


@dataclass(frozen=True)
class _Chapter:
    """A chapter, spoken and encoded. samples: what it takes up in the book; lead: before its first sample."""

    path: Path
    samples: int
    lead: int
    words: tuple[TimedWord, ...]
    text: str = ""  # with its marks and edits


class Audiobook:
    """One book being made; `make` may be called once."""

    def __init__(
        self, studio: Studio, order: BookOrder, *, cancel: Event, commission: Commission, progress: BookProgress
    ) -> None:
        """commission: see `Studio.speak`; what was made for it before is taken up."""
        self._studio, self._order, self._commission, self._progress = studio, order, commission, progress
        self._cancel = PartEvent(cancel)
        self._models: tuple[str, ...] = ()
        self._first: list[int] = []  # the number of each chapter's first passage, before any edit
        self._clock = Clock(commission.when)
        self._cover = base64.b64decode(order.book.cover) if order.book.cover else None

    def check(self) -> list[int]:
        """How many passages each chapter has. Raises what would be wrong while it is made: marks, voices, language."""
        counts, models = [], dict[str, None]()
        self._first = [0]
        for index in range(len(self._order.book.chapters)):
            narration = self.narration(index)
            counts.append(narration.passages)
            models |= dict.fromkeys(narration.models)
            self._first.append(self._first[-1] + narration.count)
        self._models = tuple(models)
        return counts

    def make(self) -> BookResult:
        """All files, or none. Raises what `Studio.speak` raises."""
        passages = self.check()
        self._progress.total = sum(passages)
        library = self._studio.library
        with library.temporary() as files:
            chapters = list(self._chapters(files, passages))
            made, subtitles = self._published(chapters)
        seconds = [chapter.samples / SPEECH_RATE for chapter in chapters]
        told = [
            {"title": text.title, "start_seconds": round(sum(seconds[:n]), 3), "duration_seconds": round(seconds[n], 3)}
            for n, text in enumerate(self._order.book.chapters)
        ]
        return BookResult(
            made, subtitles, tuple(told), sum(seconds), self._clock.elapsed_s, sum(passages), self._models
        )

    # Chapters

    def _chapters(self, files: Temporary, passages: Sequence[int]) -> Iterator[_Chapter]:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="chapter") as pool:
            futures = [pool.submit(self._chapter, index, files, count) for index, count in enumerate(passages)]
            try:
                for future in futures:
                    yield future.result()
            except BaseException:
                self._cancel.set()  # the others need not go on
                for future in futures:
                    future.cancel()
                raise

    def narration(self, index: int) -> Narration:
        """A chapter, ready to be spoken; those before it have been looked at by `check`."""
        chapter, order = self._order.book.chapters[index], self._order
        options = order.options
        if chapter.voice is not None:
            options = options.model_copy(update={"reference_audio_filename": chapter.voice})
        commission, first = self._commission, self._first[index]
        return self._studio.narrate(
            options,
            chapter.text,
            cancel=self._cancel,
            seed=commission.seed,
            language=order.book.language,
            lane=commission.lane,
            edits={number - first: edit for number, edit in commission.edits.items() if number >= first},
        )

    def _chapter(self, index: int, files: Temporary, passages: int) -> _Chapter:
        narration = self.narration(index)
        path = files.path(".part")
        store = self._studio.takes.store if self._studio.takes else None
        key = self._key(index, narration)
        kept = _load(store, key, path)
        if kept is None:
            kept = self._spoken(index, narration, path, files.folder)
            _keep(store, key, kept)
        self._progress.note(index, passages, kept.samples / SPEECH_RATE)
        self._progress.chapter(index)
        return replace(kept, text=narration.text)

    def _spoken(self, index: int, narration: Narration, path: Path, folder: Path) -> _Chapter:
        stretch = Stretch(SPEECH_RATE, self._order.options.speed_factor)
        with Tape(folder) as tape:

            def note(done: float, _: float | None) -> None:
                self._progress.note(index, int(done), len(tape) / SPEECH_RATE)

            with closing_after(blocks := through(stretch, narration.blocks(note))):
                tape.record(blocks)

            def play() -> Iterator[Samples]:
                for block in tape.play():
                    self._cancel.check()
                    yield block

            gain_db, samples = first_gain(play(), SPEECH_RATE), None
            if gain_db is not None:
                samples = self._encoded(index, path, through(limiter(gain_db, SPEECH_RATE), play()), check=True)
            if samples is None:
                stage = chapter_level(play, SPEECH_RATE).stage(SPEECH_RATE, 1)
                samples = self._encoded(index, path, through(stage, play()), check=False)

        def at(spoken_s: float) -> float:
            return round(stretch.map_time(spoken_s), 4)  # as it is kept, so that a kept chapter has the same subtitles

        words = [TimedWord(w.text, at(w.start_s), at(w.end_s), w.char_start, w.char_end) for w in narration.words]
        lead = LEAD_SAMPLES if self._order.format == "m4b" else 0
        return _Chapter(path, samples or 0, lead, tuple(words))

    def _encoded(self, index: int, path: Path, sound: Iterator[Samples], *, check: bool) -> int | None:
        """The samples that the chapter takes up; with check None if it is not as loud as it should be."""
        meter = LoudnessMeter(SPEECH_RATE)
        samples = 0

        def metered() -> Iterator[Samples]:
            nonlocal samples
            for block in sound:
                if check:
                    meter.push(block)
                samples += len(block)
                yield block

        with closing_after(sound), path.open("wb") as file:
            if self._order.format == "m4b":
                writer = SegmentWriter(file, rate=SPEECH_RATE)
                for block in metered():
                    writer.push(block)
                samples = writer.finish().samples
            else:
                write_tagged_mp3(file, metered(), rate=SPEECH_RATE, **self._tags(index))
        return samples if not check or is_level(meter.finish()) else None

    def _key(self, index: int, narration: Narration) -> str:
        told: list[Any] = [REVISION, narration.key, self._order.options.speed_factor, self._order.format]
        if self._order.format == "mp3":
            tags = {**self._tags(index), "cover": self._order.book.cover}
            told.append(tags)
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def _tags(self, index: int) -> dict[str, Any]:
        book = self._order.book
        return {
            "title": book.chapters[index].title,
            "album": book.title,
            "author": book.author,
            "track": index + 1,
            "tracks": len(book.chapters),
            "language": book.language,
            "cover": self._cover,
        }

    # Files

    def _published(self, chapters: Sequence[_Chapter]) -> tuple[tuple[MadeFile, ...], tuple[MadeFile, ...]]:
        folder, stem = self._order.options.subfolder, output_name(self._order.book.title or "book")
        if self._order.format == "m4b":
            with self._reserve(folder, self._commission.name or stem, ".m4b") as place:
                return self._m4b(place, chapters)
        made: list[MadeFile] = []
        subtitles: list[MadeFile] = []
        inside = f"{folder}/{stem}" if folder else stem
        digits = max(2, len(str(len(chapters))))
        try:
            for index, chapter in enumerate(chapters):
                title = output_name(f"{index + 1:0{digits}d} {self._order.book.chapters[index].title}")
                with self._reserve(inside, title, ".mp3") as place:
                    with chapter.path.open("rb") as source:
                        shutil.copyfileobj(source, place.open(".mp3"), _COPIED_BYTES)
                    self._write_subtitles(place, list(self._cues(chapter, 0.0)))
                    audio, texts = self._commit(place, ".mp3", chapter.samples / SPEECH_RATE)
                made.append(audio)
                subtitles += texts
        except BaseException:
            outputs = self._studio.library.outputs
            changes.delete(outputs, [path for file in made if (path := outputs.known(file.path)) is not None])
            raise
        return tuple(made), tuple(subtitles)

    def _m4b(
        self, place: Reservation, chapters: Sequence[_Chapter]
    ) -> tuple[tuple[MadeFile, ...], tuple[MadeFile, ...]]:
        book, at = self._order.book, 0
        marks, shown = [], []
        for index, chapter in enumerate(chapters):
            marks.append(ChapterMark(book.chapters[index].title, at, at + chapter.samples))
            shown += list(self._cues(chapter, (at + chapter.lead) / SPEECH_RATE))
            at += chapter.samples
        write_m4b(
            place.open(".m4b"),
            [chapter.path for chapter in chapters],
            marks,
            rate=SPEECH_RATE,
            title=book.title,
            author=book.author,
            language=book.language,
            cover=self._cover,
        )
        self._write_subtitles(place, shown)
        audio, subtitles = self._commit(place, ".m4b", at / SPEECH_RATE)
        return (audio,), subtitles

    def _reserve(self, folder: str, stem: str, suffix: str) -> Reservation:
        endings = (suffix, *(f".{name}" for name in self._order.subtitles))
        return self._studio.library.outputs.reserve(folder, stem, endings, owner=self._commission.id)

    def _cues(self, chapter: _Chapter, start_s: float) -> Iterator[Cue]:
        if not self._order.subtitles:
            return
        for cue in cues(chapter.words, without_marks(chapter.text)):
            yield Cue(cue.start_s + start_s, cue.end_s + start_s, cue.text, cue.char_start, cue.char_end)

    def _write_subtitles(self, place: Reservation, shown: Sequence[Cue]) -> None:
        for name in self._order.subtitles:
            place.open(f".{name}").write(_WRITERS[name](shown).encode())

    def _commit(self, place: Reservation, suffix: str, seconds: float) -> tuple[MadeFile, tuple[MadeFile, ...]]:
        outputs, book = self._studio.library.outputs, self._order.book
        sent = self._order.options.model_dump(mode="json", exclude_unset=True, exclude={"text"})
        info = {
            "duration_seconds": round(seconds, 3),
            "seed_used": self._commission.seed,
            "models": list(self._models),
        }
        about = {"title": book.title, "author": book.author, "chapters": [c.title for c in book.chapters]}
        name = suffix.removeprefix(".")
        sidecar = Generation("book", sent, info, {name: place.name(suffix)}, {"book": about}, self._clock.when)
        place.write_json(sidecar.as_json())
        placed = place.commit()
        files = {
            ending: MadeFile(ending.removeprefix("."), outputs.relative(path), path.stat().st_size, outputs.prefix)
            for ending, path in placed.items()
            if ending != ".json"
        }
        return files[suffix], tuple(file for ending, file in files.items() if ending != suffix)


def check_order(studio: Studio, order: BookOrder) -> list[int]:
    """How many passages each chapter will have. Raises what would be wrong with the book: marks, voices, language."""
    commission = Commission("", datetime.now(), 1)
    return Audiobook(studio, order, cancel=Event(), commission=commission, progress=BookProgress()).check()


def passages_of(studio: Studio, order: BookOrder, text: str) -> list[str]:
    """What the book's voice would say of a text in one go each, as it stands in the text."""
    return studio.narrate(order.options, text, cancel=Event(), seed=1, language=order.book.language).texts


def _load(store: ContentStore | None, key: str, path: Path) -> _Chapter | None:
    data = store.read(key) if store else None
    if data is None:
        return None
    head, _, encoded = data.partition(b"\n")
    told = json.loads(head)
    path.write_bytes(encoded)
    return _Chapter(path, told["samples"], told["lead"], tuple(TimedWord(*word) for word in told["words"]))


def _keep(store: ContentStore | None, key: str, chapter: _Chapter) -> None:
    if store is None:
        return
    words = [(w.text, w.start_s, w.end_s, w.char_start, w.char_end) for w in chapter.words]
    head = {"samples": chapter.samples, "lead": chapter.lead, "words": words}
    store.write(key, json.dumps(head, separators=(",", ":")).encode() + b"\n" + chapter.path.read_bytes())

"""A book is whole or not there, a new sentence costs one sentence, and every word is shown when it is heard."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import av
import pytest

from chatterbox_plus.errors import Cancelled, GenerationError, NotFound
from chatterbox_plus.synthesis.audiobook import Audiobook, BookProgress, BookResult, check_order, passages_of
from chatterbox_plus.synthesis.book_order import BookOrder, BookText, ChapterText
from chatterbox_plus.synthesis.commission import Commission
from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import Edit
from chatterbox_plus.synthesis.studio import Studio
from tests.synthesis.houses import ListeningHost, commission, never, tone_house

House = tuple[Studio, ListeningHost]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with tone_house(tmp_path) as made:
        yield made


def order(*chapters: str, **more: object) -> BookOrder:
    texts = tuple(ChapterText(title=f"Chapter {n}", text=text) for n, text in enumerate(chapters, 1))
    book = BookText(title="A Book", author="Nobody", language="en", chapters=texts)
    made = BookOrder(book, SpeechOptions(text="-", to_lowercase=False, smart_batch_short_sentences=False))
    return replace(made, **more)  # type: ignore[arg-type]


THREE = ("The first one. It is short.", "The second one. [pause: 2s] It has a pause.", "The third one. It ends.")


def make(house: House, wanted: BookOrder, made_for: Commission | None = None, **more: object) -> BookResult:
    progress = more.pop("progress", BookProgress())
    assert isinstance(progress, BookProgress)
    cancel = more.pop("cancel", never())
    assert isinstance(cancel, Event)
    return Audiobook(house[0], wanted, cancel=cancel, commission=made_for or commission(), progress=progress).make()


def outputs(house: House) -> dict[str, bytes]:
    root = house[0].library.outputs.root
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_book_has_its_chapters_and_its_names(house: House) -> None:
    made = make(house, order(*THREE))
    assert [file.path for file in made.files] == ["A Book.m4b"]
    with av.open(str(house[0].library.outputs.root / "A Book.m4b")) as book:
        assert [chapter["metadata"]["title"] for chapter in book.chapters()] == ["Chapter 1", "Chapter 2", "Chapter 3"]
        assert (book.metadata["title"], book.metadata["artist"]) == ("A Book", "Nobody")
        assert book.duration / 1_000_000 == pytest.approx(made.duration_s, abs=0.01)
    assert [c["start_seconds"] for c in made.chapters] == sorted(c["start_seconds"] for c in made.chapters)
    assert made.passages == 6


def test_the_same_book_gives_the_same_bytes(house: House) -> None:
    make(house, order(*THREE))
    first = outputs(house)
    for path in list(house[0].library.outputs.root.iterdir()):
        path.unlink()
    make(house, order(*THREE))
    assert outputs(house) == first


def test_a_changed_sentence_is_the_only_one_spoken(house: House) -> None:
    make(house, order(*THREE))
    house[1].asked.clear()
    changed = (THREE[0], THREE[1].replace("It has", "It had"), THREE[2])
    make(house, order(*changed), commission("task_2"))
    assert house[1].asked == ["It had a pause."]


def test_a_sentence_put_in_leaves_the_others_as_they_were(house: House) -> None:
    make(house, order(*THREE))
    house[1].asked.clear()
    make(house, order("A new one. " + THREE[0], *THREE[1:]), commission("task_2"))
    assert house[1].asked == ["A new one."]


def test_a_second_attempt_takes_the_same_names(house: House) -> None:
    make(house, order(*THREE))
    make(house, order(*THREE))  # as after a crash between the files and the last word
    assert [name for name in outputs(house) if name.endswith(".m4b")] == ["A Book.m4b"]
    make(house, order(*THREE), commission("task_2"))  # somebody else's never takes them
    assert [name for name in outputs(house) if name.endswith(".m4b")] == ["A Book.m4b", "A Book_2.m4b"]


def test_as_mp3_every_chapter_is_a_file(house: House) -> None:
    made = make(house, order(*THREE, format="mp3", subtitles=("srt",)))
    assert [file.path for file in made.files] == [f"A Book/0{n} Chapter {n}.mp3" for n in (1, 2, 3)]
    with av.open(str(house[0].library.outputs.root / made.files[1].path)) as chapter:
        assert chapter.metadata["track"] == "2/3"
        assert chapter.metadata["album"] == "A Book"
    assert [file.path for file in made.subtitles] == [f"A Book/0{n} Chapter {n}.srt" for n in (1, 2, 3)]


def test_subtitles_are_shown_when_their_words_are_heard(house: House) -> None:
    make(house, order(*THREE))
    text = (house[0].library.outputs.root / "A Book.srt").read_text()
    shown = re.findall(r"(\d\d):(\d\d):(\d\d),(\d{3}) --> [^\n]+\n(.*?)\n\n", text + "\n", re.S)
    starts = [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms, _ in shown]
    words = " ".join(line.replace("\n", " ") for *_, line in shown)
    assert (
        re.sub(r"\s+", " ", words)
        == "The first one. It is short. The second one. It has a pause. The third one. It ends."
    )
    pause = next(start for start, (*_, line) in zip(starts, shown, strict=True) if "It has a pause" in line)
    second = next(start for start, (*_, line) in zip(starts, shown, strict=True) if "The second" in line)
    assert pause - second == pytest.approx(0.15 + 2, abs=0.05)  # fifteen characters, and the pause


def test_an_edited_passage_is_heard_and_shown(house: House) -> None:
    make(house, order(*THREE), commission(edits={2: Edit(text="The other one.")}))
    text = (house[0].library.outputs.root / "A Book.vtt").read_text()
    assert "The other one." in text
    assert "The second one." not in text


def test_a_book_that_fails_or_is_called_off_leaves_nothing(house: House) -> None:
    with pytest.raises(NotFound, match="nobody"):
        make(house, order(THREE[0], "[voice: nobody] Hello."))
    gone = Event()
    gone.set()
    with pytest.raises(Cancelled):
        make(house, order(*THREE), cancel=gone)
    assert outputs(house) == {}
    assert not list(house[0].library.temp.iterdir())


def test_a_chapter_that_fails_ends_the_others(tmp_path: Path) -> None:
    from chatterbox_plus.engines.host import EngineHost
    from chatterbox_plus.engines.registry import Engines
    from tests.fakes import TONE

    with tone_house(tmp_path) as (studio, _):
        studio.engines.close()
        studio.engines = Engines("tone", engines={"tone": EngineHost(TONE, "tests.fakes:MoodyEngine", workers=2)})
        waits = f"until {tmp_path / 'never'}"
        with pytest.raises(GenerationError):
            make((studio, None), order("die", waits, waits))  # type: ignore[arg-type]


def test_progress_counts_every_passage_once(house: House) -> None:
    told: list[tuple[int, int]] = []
    ended: list[int] = []
    progress = BookProgress(lambda done, total, _: told.append((done, total)), ended.append)
    make(house, order(*THREE), progress=progress)
    assert told[-1] == (6, 6)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert sorted(ended) == [0, 1, 2]


def test_a_book_can_be_looked_at_before_it_is_spoken(house: House) -> None:
    wanted = order(*THREE)
    assert check_order(house[0], wanted) == [2, 2, 2]
    assert passages_of(house[0], wanted, "One is. Two  is.") == ["One is.", "Two  is."]
    assert house[1].asked == []

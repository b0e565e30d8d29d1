"""Takes are the engine's own samples, and what is kept is not spoken again."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.engines.base import Passage, Piece, Reference, Word
from chatterbox_plus.engines.host import EngineHost
from chatterbox_plus.library.content import ContentStore
from chatterbox_plus.synthesis.takes import Takes, pack, take_key, unpack
from tests.jobs.engines import COUNTING, SPOKEN_LOG

FLOATS = st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), max_size=50)
INTEGERS = st.lists(st.integers(-32767, 32767), max_size=50)
TEXTS = ("One line.", "Another line.", "The last one.")


def same(one: Piece, other: Piece) -> bool:
    return one.clip.samples.tobytes() == other.clip.samples.tobytes() and one.clip.rate == other.clip.rate


@given(FLOATS)
def test_any_samples_come_back_to_the_bit(values: list[float]) -> None:
    piece = Piece(0, Clip(np.array(values, np.float32), 24_000))
    assert same(unpack(pack(piece)), piece)


@given(INTEGERS)
def test_16_bit_samples_take_two_bytes_each_and_come_back(values: list[int]) -> None:
    piece = Piece(0, Clip(np.array(values, np.float32) / np.float32(32768), 22_050))
    packed = pack(piece)
    assert same(unpack(packed), piece)
    assert len(packed.partition(b"\n")[2]) == 2 * len(values)


def test_words_come_back() -> None:
    words = (Word(0.1, 0.25, 0, 5), Word(1 / 3, 0.5, 6, 9))
    assert unpack(pack(Piece(0, Clip(np.zeros(3, np.float32), 24_000), words))).words == words


def test_the_key_holds_all_that_is_heard_and_nothing_else() -> None:
    passage = Passage(0, "Hello.", "en", 7, "en", {"temperature": 0.5, "a": 1.0})
    seeded = replace(COUNTING, seeded=True)
    reference = Reference("d1", Clip(np.zeros(9, np.float32), 24_000))
    key = take_key(seeded, passage, None)
    assert take_key(seeded, replace(passage, index=9, options={"a": 1.0, "temperature": 0.5}), None) == key
    others = [
        take_key(seeded, replace(passage, text="Hello!"), None),
        take_key(seeded, replace(passage, language="de"), None),
        take_key(seeded, replace(passage, seed=8), None),
        take_key(seeded, replace(passage, voice=None), None),
        take_key(seeded, replace(passage, options={}), None),
        take_key(seeded, passage, reference),
        take_key(replace(seeded, revision="2"), passage, None),
        take_key(replace(seeded, name="x"), passage, None),
    ]
    assert len({key, *others}) == 1 + len(others)
    assert take_key(COUNTING, replace(passage, seed=8), None) == take_key(COUNTING, passage, None)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spoken") / "log"


@pytest.fixture(scope="module")
def host(log: Path) -> Iterator[EngineHost]:
    os.environ[SPOKEN_LOG] = str(log)
    engine = EngineHost(COUNTING, "tests.jobs.engines:CountingEngine", workers=1)
    yield engine
    engine.close()
    del os.environ[SPOKEN_LOG]


class Room:
    """Takes in a folder of their own, and what was spoken for them."""

    def __init__(self, folder: Path, host: EngineHost, log: Path) -> None:
        self.store = ContentStore(folder, 10**8)
        self.folder, self.host, self.log = folder, host, log

    def say(self, *texts: str, ahead: int | None) -> tuple[list[Piece], list[str]]:
        """The pieces, and the passages that were spoken anew."""
        self.log.write_text("")
        passages = [Passage(n, text, "en", n, "en") for n, text in enumerate(texts)]
        takes = Takes(self.store)
        pieces = list(takes.speak(self.host, passages, None, cancel=threading.Event(), timeout_s=20, ahead=ahead))
        return pieces, [line.partition("\t")[0] for line in self.log.read_text().splitlines()]

    def kept(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def room(tmp_path: Path, host: EngineHost, log: Path) -> Room:
    return Room(tmp_path / "takes", host, log)


@pytest.mark.parametrize("ahead", [None, 1])
def test_what_was_said_is_not_said_again(room: Room, ahead: int | None) -> None:
    first, spoken = room.say(*TEXTS, ahead=ahead)
    again, silent = room.say(*TEXTS, ahead=ahead)
    assert (spoken, silent) == (list(TEXTS), [])
    assert [piece.index for piece in again] == [0, 1, 2]
    assert all(same(one, other) and one.words == other.words for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("ahead", [None, 1])
def test_a_changed_sentence_is_the_only_one_spoken(room: Room, ahead: int | None) -> None:
    room.say(*TEXTS, ahead=ahead)
    pieces, spoken = room.say(TEXTS[0], "A new one.", TEXTS[1], TEXTS[2], ahead=ahead)
    assert spoken == ["A new one."]
    assert [piece.clip.samples.size // 240 for piece in pieces] == [9, 10, 13, 13]


@pytest.mark.parametrize("ahead", [None, 1])
def test_a_take_that_is_damaged_or_gone_is_spoken_again(room: Room, ahead: int | None) -> None:
    first, _ = room.say(*TEXTS, ahead=ahead)
    one, another, _ = room.kept()
    one.write_bytes(one.read_bytes()[:-1] + b"?")
    another.unlink()
    again, spoken = room.say(*TEXTS, ahead=ahead)
    assert len(spoken) == 2
    assert all(same(was, now) for was, now in zip(first, again, strict=True))
    assert room.say(*TEXTS, ahead=ahead)[1] == []


def test_a_piece_that_was_thrown_out_meanwhile_is_spoken_out_of_turn(room: Room) -> None:
    """It was there when the work began."""
    room.say(*TEXTS[1:], ahead=None)
    passages = [Passage(n, text, "en", n, "en") for n, text in enumerate(TEXTS)]
    pieces = Takes(room.store).speak(room.host, passages, None, cancel=threading.Event(), timeout_s=20)
    got = [next(pieces)]
    for path in room.kept():
        path.unlink()
    got += list(pieces)
    assert [piece.clip.samples.size // 240 for piece in got] == [9, 13, 13]


def test_before_the_next_passage_is_begun_the_last_one_is_kept(room: Room) -> None:
    """So a crash costs one passage."""
    passages = [Passage(n, text, "en", n, "en") for n, text in enumerate(TEXTS)]
    room.log.write_text("")
    pieces = Takes(room.store).speak(room.host, passages, None, cancel=threading.Event(), timeout_s=20, ahead=1)
    for number, _ in enumerate(pieces, 1):
        assert len(room.kept()) == number
        assert len(room.log.read_text().splitlines()) == number

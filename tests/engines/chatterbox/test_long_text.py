"""A long text is said whole: every sentence, once, in order."""

import threading
from pathlib import Path

from chatterbox_plus.synthesis.options import SpeechOptions
from chatterbox_plus.synthesis.plan import make_plan
from chatterbox_plus.synthesis.voices import Speaker
from tests.engines.chatterbox.making import PATIENCE_S, hosting, shelved

SUBJECTS = ("The old sailor", "A grey cat", "My neighbour's daughter", "Nobody in the village", "The tall gardener")
DOINGS = ("looked at the sea", "opened the green door", "counted the stars", "kept very quiet", "walked home slowly")


def long_text(characters: int) -> list[str]:
    """Different sentences, together of so many characters or more."""
    sentences: list[str] = []
    while len(" ".join(sentences)) < characters:
        number = len(sentences)
        subject, doing = SUBJECTS[number % 5], DOINGS[number // 5 % 5]
        sentences.append(f"{subject} {doing}, and it was evening number {number + 1}.")
    return sentences


def test_every_sentence_of_a_long_text_is_said_once_and_in_order(tmp_path: Path) -> None:
    sentences = long_text(10_000)
    asked = SpeechOptions(text=" ".join(sentences), normalize_numbers=False, seed=1)
    with hosting(shelved(tmp_path, "nano"), tmp_path) as host:
        passages = [planned.passage for planned in make_plan(asked, Speaker("default"), host.info).passages]
        pieces = list(host.speak(passages, None, cancel=threading.Event(), timeout_s=PATIENCE_S))
    assert len(passages) > 60
    said = " ".join(passage.text for passage in passages)
    assert said.lower() == " ".join(sentences).lower()
    assert [piece.index for piece in pieces] == list(range(len(passages)))
    for piece, passage in zip(pieces, passages, strict=True):
        assert piece.clip.samples.any()
        assert len(piece.words) == len(passage.text.split())

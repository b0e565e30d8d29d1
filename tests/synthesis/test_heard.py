"""What was heard of speech that came faster than it is played."""

from collections.abc import Iterator

import pytest

from chatterbox_plus.synthesis.heard import Heard
from chatterbox_plus.synthesis.pipeline import TimedWord

TEXT = "One two. Three four."
FIRST = (TimedWord("One", 0.0, 0.5, 0, 3), TimedWord("two", 0.5, 1.0, 4, 7))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    return Clock()


def heard(clock: Clock) -> Heard:
    """The first sentence was sent, a second of it."""
    account = Heard(clock)
    account.write(TEXT)
    account.begin(0, 8, 0.0)
    account.finish(FIRST, 0, 8, 0.0, 1.0)
    account.send(1.0)
    return account


@pytest.mark.parametrize(
    ("played_s", "text", "words"),
    [(0.0, "", 0), (0.49, "", 0), (0.5, "One", 1), (0.99, "One", 1), (1.0, "One two", 2), (9.0, "One two", 2)],
)
def test_a_word_was_heard_once_it_is_over(played_s: float, text: str, words: int, clock: Clock) -> None:
    account = heard(clock).by(played_s)
    assert (account.text, account.words, account.estimated) == (text, words, False)
    assert account.played_s == min(played_s, 1.0)


def test_without_a_word_of_the_listener_time_is_counted_from_the_first_sound(clock: Clock) -> None:
    account = heard(clock)
    clock.now += 0.6
    assert account.by().words == 1
    clock.now += 5.0
    assert account.by().played_s == 1.0


def test_a_listener_who_had_to_wait_goes_on_where_they_were(clock: Clock) -> None:
    account = heard(clock)
    clock.now += 3.0  # for two seconds there was nothing to play
    account.send(2.0)
    clock.now += 0.25
    assert account.by().played_s == 1.25


def test_before_the_first_sound_nothing_was_heard(clock: Clock) -> None:
    account = Heard(clock)
    account.write(TEXT)
    clock.now += 5.0
    assert (account.by().text, account.by().words, account.by(3.0).played_s) == ("", 0, 0.0)


def test_words_of_a_passage_that_was_cut_off_are_guessed_from_its_pace(clock: Clock) -> None:
    account = heard(clock)
    account.begin(9, 20, 1.2)  # at eight characters a second it takes 1.4 s
    account.send(2.3)
    told = account.by(2.2)
    assert (told.text, told.words, told.estimated) == ("One two. Three", 3, True)

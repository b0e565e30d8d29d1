"""The guard: what it lets pass, and what it ends."""

import itertools
from collections.abc import Iterable

import pytest

from chatterbox_plus.engines.chatterbox.guard import (
    CEILING,
    FASTEST,
    TOKENS_PER_SECOND,
    Guard,
    Runaway,
    derived_seed,
    token_limit,
)

SENTENCE = "The quick brown fox jumps over the lazy dog, and nobody minds."
SIL = 4299
VOICED = [7, 300, 12, 3000, 5, 77, 420, 9, 1000, 6000, 17]  # no loop: longer than the longest period


def ended_after(tokens: Iterable[int], guard: Guard) -> int:
    for count, token in enumerate(tokens, 1):
        if guard.push(token):
            return count
    raise AssertionError("the guard let all of it pass")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Hi.", 0.4),
        (SENTENCE, 4.5),
        ("快速的棕色狐狸跳过了懒狗。", 2.6),
        ("素早い茶色の狐はのろまな犬を飛び越えます。", 3.5),
        ("빠른 갈색 여우가 게으른 개를 뛰어넘습니다.", 3.5),
        ("الثعلب البني السريع يقفز فوق الكلب الكسول", 3.5),
        ("1984", 1.6),
        ("USA, NATO & HIV", 2.2),
    ],
)
def test_a_text_may_take_twice_as_long_as_it_ordinarily_does(text: str, seconds: float) -> None:
    assert token_limit(text) >= 2 * seconds * TOKENS_PER_SECOND


def test_no_text_may_take_more_than_the_model_can() -> None:
    assert token_limit("word " * 500) == CEILING == 1000
    assert token_limit("word " * 500, 200) == 200


def test_a_longer_text_may_take_longer() -> None:
    limits = [token_limit(SENTENCE[:length]) for length in range(len(SENTENCE) + 1)]
    assert limits == sorted(limits)
    assert limits[-1] < CEILING / 2


def test_varied_speech_passes_until_the_limit() -> None:
    guard = Guard(SENTENCE)
    assert ended_after(itertools.cycle(VOICED), guard) == guard.limit
    assert guard.problem(VOICED) is Runaway.ENDLESS


def test_speech_that_ended_by_itself_is_no_problem() -> None:
    guard = Guard(SENTENCE)
    assert not any(guard.push(token) for token in VOICED * 5)
    assert guard.problem(VOICED * 5) is None


@pytest.mark.parametrize("period", range(1, 9))
def test_a_short_loop_ends_within_two_seconds(period: int) -> None:
    guard = Guard(SENTENCE)
    count = ended_after(itertools.chain(VOICED, itertools.cycle(range(period))), guard) - len(VOICED)
    assert 1.5 < count / TOKENS_PER_SECOND < 2
    assert guard.problem(VOICED) is Runaway.LOOP


def test_a_loop_with_silence_in_it_is_a_loop() -> None:
    guard = Guard(SENTENCE)
    ended_after(itertools.cycle([5, 6, SIL, SIL]), guard)
    assert guard.runaway is Runaway.LOOP


def test_a_sound_held_for_a_second_passes() -> None:
    assert not any(map(Guard(SENTENCE).push, VOICED + [40] * 25 + VOICED))


@pytest.mark.parametrize("silence", [[4299], [4218], [4218, 4299]])
def test_a_pause_of_almost_two_seconds_passes_and_a_longer_one_does_not(silence: list[int]) -> None:
    pause, guard = list(itertools.islice(itertools.cycle(silence), 50)), Guard(SENTENCE)
    assert not any(map(guard.push, VOICED + pause + VOICED))
    ended_after(itertools.cycle(silence), guard)
    assert guard.runaway is Runaway.SILENT


@pytest.mark.parametrize("tokens", [[], [SIL] * 10])
def test_nothing_but_silence_is_a_problem(tokens: list[int]) -> None:
    assert Guard(SENTENCE).problem(tokens) is Runaway.NOTHING


def test_the_first_attempt_has_the_seed_and_the_others_one_of_their_own() -> None:
    seeds = [derived_seed(42, attempt) for attempt in range(5)]
    assert seeds[0] == 42
    assert len(set(seeds)) == 5
    assert seeds == [derived_seed(42, attempt) for attempt in range(5)]
    assert derived_seed(43, 1) != seeds[1]
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_text_said_faster_than_anybody_speaks_has_words_left_out() -> None:
    text = "Forty letters take one second at the very least."
    letters = sum(map(str.isalnum, text))
    tokens = list(range(round(letters / FASTEST * TOKENS_PER_SECOND)))
    assert Guard(text).problem(tokens[:-2]) is Runaway.HURRIED
    assert Guard(text).problem([*tokens, 1]) is None


def test_a_word_or_two_may_be_short() -> None:
    assert Guard("Yes, please.").problem([1, 2]) is None

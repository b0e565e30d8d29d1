"""Rows decoded in a pool: the tokens are the plain decoder's, whoever else is there and however late they are read."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from chatterbox_plus.engines.chatterbox.decoding import Decoder, Generated
from chatterbox_plus.engines.chatterbox.graphs import Graphs, Step
from chatterbox_plus.engines.chatterbox.guard import Guard, Runaway
from chatterbox_plus.engines.chatterbox.pool import Pool, Shape
from chatterbox_plus.engines.chatterbox.pooled import PooledDecoder, PooledUtterance
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.t3 import BOS, STOP, T3
from chatterbox_plus.errors import Cancelled, GenerationError
from tests.engines.chatterbox.recording import Device, recorded
from tests.engines.chatterbox.test_t3 import GREEDY, TEXT, VARIED, script, seeded, tiny, voice

CPU = torch.device("cpu")
VOICES = [voice(prompt) for prompt in (12, 3, 0)]
GUIDED = replace(GREEDY, cfg_weight=0.5)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(params=["llama", "gpt2"])
def t3(request: pytest.FixtureRequest) -> T3:
    return settled(request.param)


def settled(family: str) -> T3:
    made = tiny(family)
    made.settle()
    return made


def pooled(t3: T3, **given: Any) -> PooledDecoder:
    """With short lengths, so that there are many kinds of step."""
    return PooledDecoder(t3, **{"lengths": 16, "graphs": Graphs(CPU, capture=recorded), **given})


def one(number: int) -> dict[str, Any]:
    """Another voice, text, options, seed and limit for each number."""
    options = [GREEDY, VARIED, GUIDED, replace(VARIED, cfg_weight=0.5, temperature=1.5, top_p=1.0, top_k=0)][number % 4]
    text = torch.arange(3 + number % 5) + number
    return {"voice": VOICES[number % 3], "text_tokens": text, "options": options, "limit": 5 + 7 * number % 23}


def said(decoder: Decoder, number: int) -> list[int]:
    return decoder.generate(**one(number), generator=seeded(number)).tokens


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_likeliest_tokens_are_those_of_the_plain_decoder(t3: T3, weight: float) -> None:
    options = replace(GREEDY, cfg_weight=weight)
    expected = Decoder(t3).generate(voice(), TEXT, options, seeded(), 30)
    assert pooled(t3).generate(voice(), TEXT, options, seeded(), 30) == expected
    assert len(set(expected.tokens)) > 5


def test_recomputing_everything_gives_the_same_draws(t3: T3) -> None:
    """At a temperature where the plain decoder's random numbers cannot matter: only one token is left."""
    options = replace(VARIED, top_k=1, min_p=1.0, cfg_weight=0.5)
    expected = Decoder(t3).generate(voice(), TEXT, options, seeded(), 30).tokens
    assert pooled(t3).generate(voice(), TEXT, options, seeded(), 30).tokens == expected


@pytest.mark.parametrize("late", [0, 4])
def test_random_arrivals_and_departures_change_nobodys_tokens(t3: T3, late: int) -> None:
    alone = [said(pooled(t3), number) for number in range(12)]
    plain = Decoder(t3)
    for number in (0, 2, 4, 6, 8, 10):
        assert alone[number] == said(plain, number)  # the likeliest
    decoder, chance = pooled(t3, late=late), random.Random(1)
    inside: dict[int, PooledUtterance] = {}
    ended = dropped = crowd = 0
    for ticket in range(40):
        while len(inside) > 9 or (inside and chance.random() < 0.7):
            if chance.random() < 0.04:
                inside.pop(chance.choice(list(inside))).drop()
                dropped += 1
                continue
            some = [u for u in inside.values() if chance.random() < 0.8]  # as if others had to wait
            decoder.step(some)
            crowd = max(crowd, decoder.rows)
            for number in [number for number, utterance in inside.items() if utterance.over]:
                assert inside.pop(number).tokens == alone[number % 12]
                ended += 1
        inside[ticket] = decoder.begin(**one(ticket % 12), generator=seeded(ticket % 12))
    for utterance in inside.values():
        utterance.drop()
    decoder.step([])
    assert decoder.rows == 0
    assert ended > 20
    assert dropped > 1
    assert crowd > 8


@pytest.mark.parametrize("given", [{"late": 4}, {"lengths": 7}, {"lengths": 1000}])
def test_neither_lateness_nor_lengths_change_tokens(t3: T3, given: dict[str, int]) -> None:
    for number in range(4):
        assert said(pooled(t3, **given), number) == said(pooled(t3), number)


def test_a_row_that_has_ended_makes_room(t3: T3) -> None:
    decoder = pooled(t3)
    for number in range(3):
        utterances = [decoder.begin(**one(number), generator=seeded()) for _ in range(4)]
        assert decoder.rows == 4
        while not all(utterance.over for utterance in utterances):
            decoder.step(utterances)
        assert decoder.rows == 0
    assert decoder._pool.rows == 4


def test_a_pool_that_grows_forgets_what_was_recorded(t3: T3) -> None:
    graphs = Graphs(CPU, capture=recorded)
    decoder = pooled(t3, graphs=graphs)
    expected = said(decoder, 1)
    assert len(graphs) > 0
    for number in range(5):
        decoder.begin(**one(number), generator=seeded())
    assert len(graphs) == 0
    assert said(decoder, 1) == expected


def test_each_kind_of_step_is_recorded_once(t3: T3) -> None:
    steps: list[Step] = []

    def record(step: Step) -> Step:
        steps.append(step)
        return step

    decoder = pooled(t3, graphs=Graphs(CPU, capture=record))
    said(decoder, 1)
    count = len(steps)
    for _ in range(3):
        said(decoder, 1)
    assert len(steps) == count < len(said(decoder, 1))


@pytest.mark.parametrize("ranked", [False, True])
def test_a_step_asks_the_host_for_nothing(t3: T3, ranked: bool) -> None:
    decoder = pooled(t3)
    utterances = [decoder.begin(**one(number), generator=seeded()) for number in range(3)]
    decoder.step(utterances)
    for lanes in (1, decoder._pool.lanes):
        with Device():
            decoder._pool.step(Shape(4, lanes, 32, ranked))


def test_a_pool_has_no_more_rows_than_are_wanted_twice(t3: T3) -> None:
    pool = Pool(t3, torch.float32)
    moved = [pool.make_room(rows, 100) for rows in range(1, 10)]
    assert moved == [True, False, False, False, True, False, False, False, True]
    assert (pool.rows, pool.positions) == (16, 256)


def test_keys_and_values_may_be_halved(t3: T3) -> None:
    halved = pooled(t3, dtype=torch.bfloat16).generate(voice(), TEXT, GREEDY, seeded(), 30)
    assert halved.tokens[0] == Decoder(t3).generate(voice(), TEXT, GREEDY, seeded(), 1).tokens[0]


def test_a_seed_says_the_same_again_and_another_something_else(t3: T3) -> None:
    first, again, other = (pooled(t3).generate(voice(), TEXT, VARIED, seeded(seed), 20).tokens for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("late", [0, 4])
@pytest.mark.parametrize("tokens", [[4, 5, 6], []])
def test_the_stop_ends_speech_and_is_no_part_of_it(t3: T3, tokens: list[int], late: int) -> None:
    said = pooled(t3, late=late).generate(voice(), TEXT, VARIED, seeded(), 20, on_logits=script([*tokens, STOP, 7, 8]))
    assert said == Generated(tokens, True)


def test_what_was_said_after_a_stop_that_was_seen_late_is_thrown_away(t3: T3) -> None:
    for part in t3.speech_head.parameters():
        part[20:] = 0
    likely = said(pooled(t3), 0)[3]
    for part in t3.speech_head.parameters():
        part[STOP] = part[likely]
    ends = []
    for seed in range(6):
        early, late = (pooled(t3, late=late).generate(voice(), TEXT, VARIED, seeded(seed), 20) for late in (0, 4))
        assert early == late
        ends.append(early.stopped)
    assert any(ends)


def test_the_limit_ends_speech(t3: T3) -> None:
    for limit in (1, 2, 3):
        assert len(pooled(t3, late=4).generate(voice(), TEXT, VARIED, seeded(), limit).tokens) == limit


def test_speech_ends_where_the_model_has_no_more_places(t3: T3) -> None:
    said = pooled(t3).generate(voice(), TEXT, VARIED, seeded(), 1000)
    assert len(said.tokens) == (60 if t3.llama else 80 - t3.inputs(voice(), TEXT).shape[1] + 1)


def test_a_call_that_is_called_off_gives_its_row_back(t3: T3) -> None:
    decoder, asked = pooled(t3), iter([False, False, True])
    with pytest.raises(Cancelled):
        decoder.generate(voice(), TEXT, VARIED, seeded(), 30, lambda: next(asked))
    decoder.step([])
    assert decoder.rows == 0


def test_logits_that_are_no_numbers_are_an_error_of_that_text_alone(t3: T3) -> None:
    decoder = pooled(t3)
    good = decoder.begin(voice(), TEXT, GREEDY, seeded(), 9)
    bad = decoder.begin(voice(), TEXT, GREEDY, seeded(), 9, on_logits=lambda step, x: x * torch.nan if step > 3 else x)
    while not (good.over and bad.over):
        decoder.step([good, bad])
    assert isinstance(bad.error, GenerationError)
    assert len(bad.tokens) == 4
    assert good.error is None
    assert good.tokens == Decoder(t3).generate(voice(), TEXT, GREEDY, seeded(), 9).tokens


def test_a_device_without_memory_for_another_text_refuses_that_text(t3: T3, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = pooled(t3)
    first = decoder.begin(**one(0), generator=seeded())

    def full(rows: int, positions: int) -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(decoder._pool, "make_room", full)
        with pytest.raises(GenerationError, match="memory"):
            decoder.begin(**one(1), generator=seeded())
    while not first.over:
        decoder.step([first])
    assert first.tokens == said(pooled(t3), 0)


def test_nothing_is_left_of_whoever_was_in_a_row_before(t3: T3) -> None:
    decoder = pooled(t3)
    expected = [said(decoder, number) for number in range(4)]
    decoder._pool._kept.fill_(torch.nan)
    decoder._pool._said.fill_(True)
    assert [said(decoder, number) for number in range(4)] == expected


def test_a_guard_ends_a_loop_long_before_the_limit(t3: T3) -> None:
    guard = Guard("A text of some length, which takes a while to say.")
    looping = [1, 2, 3, *[10, 11] * 30]
    said = pooled(t3).generate(voice(), TEXT, VARIED, seeded(), guard.limit, watcher=guard, on_logits=script(looping))
    assert not said.stopped
    assert len(said.tokens) < 60 < guard.limit
    assert guard.problem(said.tokens) is Runaway.LOOP


def test_a_late_end_is_heard_only_when_it_is_asked_for(t3: T3) -> None:
    """Whoever drives the decoder looks at those it has passed, and at no others."""
    decoder = pooled(t3, late=2)
    short, long = (decoder.begin(voice(), TEXT, GREEDY, seeded(), limit) for limit in (2, 20))
    for _ in range(2):
        decoder.step([short, long])
    for _ in range(4):
        decoder.step([long])
    assert not short.over
    decoder.step([short])
    assert short.over
    assert len(short.tokens) == 2


def test_gpt2_penalises_the_beginning_only_until_something_was_said() -> None:
    flat = Sampling(temperature=0, repetition_penalty=2.0)

    def say(_: int, logits: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(logits).index_fill(0, torch.tensor(BOS), 3.0).index_fill(0, torch.tensor(7), 2.0)

    for family in ("gpt2", "llama"):
        assert pooled(settled(family)).generate(voice(), TEXT, flat, seeded(), 2, on_logits=say).tokens == [7, BOS]

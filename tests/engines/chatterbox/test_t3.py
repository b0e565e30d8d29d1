"""T3: what it makes of a voice and a text, and how it ends. Against upstream: test_references, and `make parity`."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.decoding import Decoder, Generated
from chatterbox_plus.engines.chatterbox.guard import Guard, Runaway
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.t3 import BOS, SIZES, STOP, T3, T3Sizes, T3Voice
from chatterbox_plus.errors import Cancelled, GenerationError

TINY = {
    "llama": T3Sizes("llama", 300, 6600, 32, 2, 4, hidden=48, text_positions=40, speech_positions=60, speaker=8),
    "gpt2": T3Sizes("gpt2", 300, 6563, 32, 2, 4, positions=80, speaker=8),
}
TEXT = torch.tensor([5, 9, 2, 7, 30])
GREEDY = Sampling(temperature=0, repetition_penalty=1.2)
VARIED = Sampling(temperature=0.8, top_k=1000, top_p=0.95, min_p=0.05, repetition_penalty=1.2)


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(params=["llama", "gpt2"])
def t3(request: pytest.FixtureRequest) -> T3:
    return tiny(request.param)


def tiny(family: str) -> T3:
    made, generator = T3(TINY[family]), torch.Generator().manual_seed(1)
    for name, weight in made.named_parameters():
        weight.normal_(1.0 if "ln" in name or "norm" in name else 0.0, 0.3, generator=generator)
    made.speech_head.weight[STOP] = 0  # almost never
    return made


def voice(prompt: int = 12) -> T3Voice:
    generator = torch.Generator().manual_seed(3)
    return T3Voice(torch.randn(8, generator=generator), torch.randint(0, 6561, (prompt,), generator=generator))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def script(tokens: list[int]) -> Callable[[int, Tensor], Tensor]:
    """Logits that leave no choice."""

    def say(step: int, logits: Tensor) -> Tensor:
        return torch.full_like(logits, -1e4).index_fill(0, torch.tensor(tokens[step]), 1e4)

    return say


@pytest.mark.parametrize(
    ("variant", "tensors", "millions"),
    [("english", 290, 531.6), ("multilingual", 290, 533.4), ("turbo", 297, 375.9), ("nano", 153, 140.3)],
)
def test_only_the_weights_that_speak_are_there(variant: str, tensors: int, millions: float) -> None:
    with torch.device("meta"):
        weights = T3(SIZES[variant]).state_dict()
    assert len(weights) == tensors
    assert sum(weight.numel() for weight in weights.values()) / 1e6 == pytest.approx(millions, abs=0.1)
    assert not {"text_head.weight", "tfmr.wte.weight", "tfmr.embed_tokens.weight"} & set(weights)


def test_a_voice_is_34_vectors_for_llama_and_grows_with_its_prompt_for_gpt2() -> None:
    assert [tiny("llama").condition(voice(n)).shape for n in (5, 40)] == [(1, 34, 32)] * 2
    assert [tiny("gpt2").condition(voice(n)).shape for n in (5, 40)] == [(1, 6, 32), (1, 41, 32)]


def test_a_voice_may_have_no_prompt(t3: T3) -> None:
    assert t3.condition(voice(0)).shape == (1, 2 if t3.llama else 1, 32)


def test_another_prompt_is_heard_though_the_voice_was_used_before(t3: T3) -> None:
    """Upstream keeps the embedded prompt in the voice, and hears the old one (engine notes, bug 7)."""
    once = voice()
    t3.condition(once)
    other = replace(once, prompt_tokens=once.prompt_tokens + 1)
    assert not torch.equal(t3.condition(other), t3.condition(once))


def test_exaggeration_moves_llamas_last_vector_alone() -> None:
    t3 = tiny("llama")
    calm, wild = t3.condition(voice(), 0.0), t3.condition(voice(), 1.0)
    assert torch.equal(calm[:, :-1], wild[:, :-1])
    torch.testing.assert_close(wild[0, -1] - calm[0, -1], t3.cond_enc.emotion_adv_fc.weight[:, 0])


def test_text_is_framed_and_speech_begun_twice_for_llama_only() -> None:
    llama, gpt2 = tiny("llama"), tiny("gpt2")
    spoken = llama.inputs(voice(), TEXT)
    assert spoken.shape == (1, 34 + len(TEXT) + 2 + 2, 32)
    assert torch.equal(spoken[:, -1], spoken[:, -2])
    assert gpt2.inputs(voice(), TEXT).shape == (1, 13 + len(TEXT) + 1, 32)


def test_the_row_without_text_knows_only_its_length() -> None:
    t3 = tiny("llama")
    one, other = t3.inputs(voice(), TEXT, guided=True), t3.inputs(voice(), TEXT + 1, guided=True)
    assert torch.equal(one[1], other[1])
    assert not torch.equal(one[0], other[0])


def test_the_cache_changes_the_speed_never_the_tokens(t3: T3) -> None:
    """Recomputing everything at every token is the definition."""
    options = replace(GREEDY, cfg_weight=0.5, repetition_penalty=1)
    inputs, slow = t3.inputs(voice(), TEXT, guided=t3.llama), list[int]()
    for _ in range(20):
        logits = t3.logits(inputs, torch.tensor(slow, dtype=torch.long))[:, -1]
        slow.append(int((1.5 * logits[0] - 0.5 * logits[1] if t3.llama else logits[0]).argmax()))
    assert Decoder(t3).generate(voice(), TEXT, options, seeded(), 20) == Generated(slow, False)
    assert len(set(slow)) > 1


def test_without_guidance_the_model_runs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's English stops with an error at cfg_weight 0, its multilingual runs two (engine notes, bug 1)."""
    t3, rows = tiny("llama"), list[int]()
    forward = t3.tfmr.forward

    def spy(x: Tensor, *rest: object) -> Tensor:
        rows.append(len(x))
        return forward(x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(t3.tfmr, "forward", spy)
    decoder, known = Decoder(t3), voice()
    decoder.generate(known, TEXT, replace(VARIED, cfg_weight=0), seeded(), 3)
    decoder.generate(known, TEXT, replace(VARIED, cfg_weight=0.5), seeded(), 3)
    # The voice, the text, two tokens; then the text, the row without it, two tokens.
    assert rows == [1, 1, 1, 1, 1, 1, 2, 2]


def test_a_seed_says_the_same_again_and_another_something_else(t3: T3) -> None:
    first, again, other = (Decoder(t3).generate(voice(), TEXT, VARIED, seeded(seed), 20).tokens for seed in (1, 1, 2))
    assert first == again != other


def test_every_token_takes_one_draw_the_stop_too(t3: T3) -> None:
    generator, plain = seeded(), seeded()
    Decoder(t3).generate(voice(), TEXT, VARIED, generator, 20, on_logits=script([4, 5, STOP]))
    for _ in range(3):
        torch.ones(t3.sizes.speech_vocab).multinomial(1, generator=plain)
    assert torch.equal(generator.get_state(), plain.get_state())


@pytest.mark.parametrize("tokens", [[4, 5, 6], []])
def test_the_stop_ends_speech_and_is_no_part_of_it(t3: T3, tokens: list[int]) -> None:
    """Also as the first token: there upstream's Turbo speaks on."""
    said = Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), 20, on_logits=script([*tokens, STOP, 7, 8]))
    assert said == Generated(tokens, True)


def test_the_limit_ends_speech(t3: T3) -> None:
    assert Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), 3, on_logits=script([4, 5, 6, 7])) == Generated(
        [4, 5, 6], False
    )


def test_speech_ends_where_the_model_has_no_more_places(t3: T3) -> None:
    said = Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), 1000)
    assert len(said.tokens) == (60 if t3.llama else 80 - t3.inputs(voice(), TEXT).shape[1] + 1)


@pytest.mark.parametrize(("family", "length"), [("llama", 39), ("gpt2", 70)])
def test_more_text_than_places_is_refused(family: str, length: int) -> None:
    with pytest.raises(ValueError, match="no places"):
        Decoder(tiny(family)).generate(voice(), torch.full((length,), 3), VARIED, seeded(), 10)


def test_a_call_that_is_called_off_ends_soon(t3: T3) -> None:
    asked = iter([False, False, True])
    seen: list[int] = []

    def note(step: int, logits: Tensor) -> Tensor:
        seen.append(step)
        return logits

    with pytest.raises(Cancelled):
        Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), 30, lambda: next(asked), on_logits=note)
    assert seen == [0, 1]


def test_logits_that_are_no_numbers_are_an_error(t3: T3) -> None:
    with pytest.raises(GenerationError):
        Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), 30, on_logits=lambda _, logits: logits * torch.nan)


def test_a_guard_ends_a_loop_long_before_the_limit(t3: T3) -> None:
    guard = Guard("A text of some length, which takes a while to say.")
    looping = [1, 2, 3, *[10, 11] * 30]
    said = Decoder(t3).generate(voice(), TEXT, VARIED, seeded(), guard.limit, watcher=guard, on_logits=script(looping))
    assert not said.stopped
    assert len(said.tokens) < 60 < guard.limit
    assert guard.problem(said.tokens) is Runaway.LOOP


def test_gpt2_penalises_the_beginning_only_until_something_was_said() -> None:
    """Upstream's habit, kept for the same tokens; Llama penalises it throughout."""
    flat = Sampling(temperature=0, repetition_penalty=2.0)

    def say(_: int, logits: Tensor) -> Tensor:
        return torch.zeros_like(logits).index_fill(0, torch.tensor(BOS), 3.0).index_fill(0, torch.tensor(7), 2.0)

    assert Decoder(tiny("gpt2")).generate(voice(), TEXT, flat, seeded(), 2, on_logits=say).tokens == [7, BOS]
    assert Decoder(tiny("llama")).generate(voice(), TEXT, flat, seeded(), 2, on_logits=say).tokens == [7, BOS]

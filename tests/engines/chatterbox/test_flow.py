"""Tokens to mel: steps, guidance, prompt, noise and batches, with an estimator of a few numbers."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox.flow import GUIDANCE, Flow, FlowPrompt, NoiseTape, draw_noise


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


def tiny(*, meanflow: bool = False) -> Flow:
    made = Flow(
        meanflow=meanflow,
        vocabulary=50,
        xvector=6,
        size=16,
        mels=4,
        encoder={"heads": 2, "inner": 32, "layers": 1, "up_layers": 1},
        estimator={"size": 16, "heads": 2, "head_size": 4, "blocks": 1, "mid_stages": 1},
    ).eval()
    for name, weight in made.named_parameters():
        if "pos_bias" in name:  # the only ones without a start of their own
            weight.normal_()
    return made


def prompt(tokens: int = 5, frames: int | None = None) -> FlowPrompt:
    mel = torch.randn(2 * tokens if frames is None else frames, 4)
    return FlowPrompt(torch.randint(50, (tokens,)), mel, torch.randn(6))


def spoken(tokens: int, before: int = 5) -> tuple[Tensor, FlowPrompt, Tensor]:
    return torch.randint(50, (tokens,)), prompt(before), torch.randn(4, 2 * (tokens + before))


@pytest.mark.parametrize("meanflow", [False, True])
def test_only_what_is_new_comes_back(meanflow: bool) -> None:
    mel = tiny(meanflow=meanflow).mel(*spoken(7))
    assert mel.shape == (4, 14)
    assert mel.isfinite().all()


@pytest.mark.parametrize("meanflow", [False, True])
def test_each_of_a_batch_is_what_it_is_alone(meanflow: bool) -> None:
    flow, batch = tiny(meanflow=meanflow), [spoken(7), spoken(2, 9), spoken(1)]
    for one, found in zip(batch, flow.mel_batch(batch), strict=True):
        torch.testing.assert_close(found, flow.mel(*one), atol=1e-5, rtol=1e-5)


def test_a_step_is_waited_for_each_time_and_the_mels_come_back() -> None:
    flow, batch = tiny(), [spoken(3), spoken(5)]
    decoding, waits = flow.decoding(batch, 4), 0
    while True:
        try:
            next(decoding)
        except StopIteration as end:
            mels = end.value
            break
        waits += 1
    assert waits == 4
    assert all(torch.equal(one, other) for one, other in zip(mels, flow.mel_batch(batch, 4), strict=True))


def test_what_is_raised_before_a_step_ends_the_work() -> None:
    asked = []

    def enough() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        tiny().mel(*spoken(3), before_step=enough)
    assert len(asked) == 2


@pytest.mark.parametrize("steps", [[400], [10, 11, 200, 400], [77, 30, 400]])
def test_noise_on_tape_is_the_same_however_it_is_asked_for(steps: list[int]) -> None:
    tape = NoiseTape(torch.Generator().manual_seed(3), 4, 10)
    found = [tape.frames(count) for count in steps]
    whole = NoiseTape(torch.Generator().manual_seed(3), 4, 10).frames(400)
    for count, one in zip(steps, found, strict=True):
        assert torch.equal(one, whole[:, :count])
    assert abs(whole.mean()) < 0.1
    assert abs(whole.std() - 1) < 0.1


def test_one_step_follows_the_velocity_to_the_end() -> None:
    flow, (tokens, voice, noise) = tiny(meanflow=True), spoken(3)
    mu = flow.encode(tokens, voice)
    known = (flow.speaker([voice]), flow.condition([voice], mu))
    velocity = flow.velocity(noise[None], mu, torch.zeros(1), torch.ones(1), *known)
    torch.testing.assert_close(flow.mel(tokens, voice, noise, steps=1), (noise + velocity[0])[:, 10:])


def test_guidance_goes_further_where_conditions_make_a_difference() -> None:
    flow, (tokens, voice, noise) = tiny(), spoken(3)
    mu, t = flow.encode(tokens, voice), torch.tensor([0.5])
    known = (mu, flow.speaker([voice]), flow.condition([voice], mu))
    estimate = flow.decoder["estimator"]

    def alone(mu: Tensor, speaker: Tensor, cond: Tensor) -> Tensor:
        done: Tensor = estimate(noise[None], mu, t, None, speaker, cond)
        return done

    told, untold = alone(*known), alone(*(torch.zeros_like(part) for part in known))
    mu, speaker, cond = known
    found = flow.velocity(noise[None], mu, t, torch.ones(1), speaker, cond)
    torch.testing.assert_close(found, told + GUIDANCE * (told - untold), atol=1e-5, rtol=1e-5)


def test_the_ordinary_model_begins_with_short_steps() -> None:
    times = tiny().schedule()
    assert len(times) == 11
    torch.testing.assert_close(times[[0, 5, 10]], torch.tensor([0, 1 - 0.5**0.5, 1]))
    assert (times.diff().diff() > 0).all()


def test_the_meanflow_model_takes_two_equal_steps() -> None:
    assert tiny(meanflow=True).schedule().tolist() == [0, 0.5, 1]


def test_a_number_of_steps_can_be_asked_for() -> None:
    assert len(tiny().schedule(3)) == 4


@pytest.mark.parametrize("bad", [50, -1])
def test_ids_outside_the_vocabulary_are_refused(bad: int) -> None:
    with pytest.raises(ValueError, match="50 exist"):
        tiny().mel(torch.tensor([3, bad]), prompt(), torch.randn(4, 14))


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(ValueError, match="no speech tokens"):
        tiny().mel(torch.tensor([], dtype=torch.long), prompt(), torch.randn(4, 10))


def test_noise_for_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="14 frames"):
        tiny().mel(torch.tensor([3, 4]), prompt(), torch.randn(4, 4))


def test_a_prompt_with_a_frame_too_many_hides_one_of_ours() -> None:
    # Upstream keeps the last frame of a recording that ends within a token.
    flow, (tokens, _, noise) = tiny(), spoken(3)
    assert flow.mel(tokens, prompt(5, frames=11), noise).shape == (4, 5)


def test_how_loud_an_xvector_is_does_not_matter() -> None:
    flow, voice = tiny(), prompt()
    louder = FlowPrompt(voice.tokens, voice.mel, 3 * voice.xvector)
    torch.testing.assert_close(flow.speaker([voice]), flow.speaker([louder]))


@pytest.mark.parametrize("meanflow", [False, True])
def test_noise_is_drawn_in_upstreams_order(meanflow: bool) -> None:
    found = draw_noise(torch.Generator().manual_seed(3), 4, 6, meanflow)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        own = torch.randn(1, 80, 8) if meanflow else None
        expected = torch.randn(1, 80, 20)
    if own is not None:
        expected[..., 12:] = own
    assert torch.equal(found, expected[0])

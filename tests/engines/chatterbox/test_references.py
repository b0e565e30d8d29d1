"""Our networks give upstream's recorded answers, without upstream (`make parity` compares with the real one)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import features
from chatterbox_plus.engines.chatterbox.checkpoint import Weights, fill
from chatterbox_plus.engines.chatterbox.decoding import Decoder
from chatterbox_plus.engines.chatterbox.families import FAMILIES
from chatterbox_plus.engines.chatterbox.flow import GUIDANCE, Flow, FlowPrompt, draw_noise
from chatterbox_plus.engines.chatterbox.flow_modes import lower
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.t3 import SIZES, T3, T3Voice
from chatterbox_plus.engines.chatterbox.vocoder import draw_source
from parity import official, ours, references, weights
from parity.references import EXAGGERATION, SAMPLED, SEED, SHALLOW, STEPS, Case
from parity.results import LIMIT, Result, relative_error, same_ids
from tests.engines.chatterbox import checkpoints

LLAMA, GPT2 = ("english", "multilingual"), ("turbo", "nano")


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def nano() -> Model:
    """At its official size, from files, through the loader that the program uses."""
    return ours.load("nano", checkpoints.full_nano())


@cache
def answers(variant: str) -> dict[str, dict[str, Any]]:
    return references.read(variant)


def agree(variant: str, stage: str, value: Tensor) -> None:
    assert references.difference(value, answers(variant)[stage]) <= LIMIT, f"{variant}: {stage}"


def shallow(variant: str) -> T3:
    """With the official sizes but for the number of layers."""
    with torch.device("meta"):
        network = T3(replace(SIZES[variant], layers=SHALLOW[variant]))
    known = official.names(f"t3_{variant}")
    made = {name: torch.from_numpy(weights.tensor(name, known[name])) for name in network.state_dict()}
    network.load_state_dict(made, assign=True)
    return network.requires_grad_(False).eval()


def speaks_like_upstream(network: T3, case: Case) -> None:
    voice = T3Voice(case.speaker, case.t3_prompt)
    agree(case.variant, "t3 conditioning", network.condition(voice, EXAGGERATION))
    inputs = network.inputs(voice, case.text, EXAGGERATION, guided=case.guided)
    agree(case.variant, "t3 logits", network.logits(inputs, case.forced))
    defaults = FAMILIES[case.variant].defaults
    chosen: dict[str, Any] = {name: defaults[name] for name in Sampling.__dataclass_fields__ if name in defaults}
    options = Sampling(**chosen | {"exaggeration": EXAGGERATION})
    spoken = Decoder(network).generate(voice, case.text, options, torch.Generator().manual_seed(SEED), SAMPLED)
    agree(case.variant, "seeded sampling", torch.tensor(spoken.tokens))


@pytest.mark.parametrize("variant", ["english", "multilingual", "turbo"])
def test_a_shallow_token_model_says_upstreams_tokens(variant: str) -> None:
    speaks_like_upstream(shallow(variant), references.case(variant))


def test_nano_at_full_size_says_upstreams_tokens(nano: Model) -> None:
    speaks_like_upstream(nano.t3, references.case("nano"))


def test_nano_hears_a_voice_as_upstream_does(nano: Model) -> None:
    case = references.case("nano")
    agree("nano", "prompt mel", features.prompt_mel(case.wave24))
    agree("nano", "x-vector", nano.speaker_encoder.embed(case.wave16))
    agree("nano", "s3 tokens", nano.s3_tokenizer.encode(case.wave16))
    agree("nano", "t3 prompt", nano.s3_tokenizer.encode(case.wave16, 25))
    agree("nano", "voice encoder", nano.voice_encoder.embed(case.wave16))


def test_nano_makes_upstreams_mel_in_two_steps(nano: Model) -> None:
    flows_like_upstream(nano.flow, references.case("nano"))


def test_nano_makes_upstreams_wave(nano: Model) -> None:
    case = references.case("nano")
    agree("nano", "f0", nano.vocoder.f0(case.mel))
    phase, noise = draw_source(torch.Generator().manual_seed(SEED), case.f0.shape[1])
    agree("nano", "source", nano.vocoder.source(case.f0, phase[None], noise[None]))
    agree("nano", "wav", nano.vocoder.decode(case.mel, case.source))


def test_the_other_decoder_makes_upstreams_mel_in_guided_steps(nano: Model) -> None:
    with torch.device("meta"):
        flow = Flow()
    # The same names have the same weights; the distilled decoder has a layer more.
    fill(flow, Weights(nano.path("s3gen")), "flow.", device=nano.device, dtype=torch.float32)
    lower(flow, "exact")
    flows_like_upstream(flow, references.case("vc"))


def flows_like_upstream(flow: Flow, case: Case) -> None:
    prompt = FlowPrompt(case.prompt, case.prompt_mel, case.xvector)
    mu = flow.encode(case.tokens, prompt)
    agree(case.variant, "flow encoder", mu)
    x = noise = draw_noise(torch.Generator().manual_seed(SEED), len(case.tokens), len(case.prompt), flow.meanflow)[None]
    known = (mu, flow.speaker([prompt]), flow.condition([prompt], mu))
    estimator, times = flow.decoder["estimator"], flow.schedule(STEPS)
    for i, (t, r) in enumerate(zip(times[:-1, None], times[1:, None], strict=True), 1):
        mu, speaker, cond = known if flow.meanflow else (torch.cat([part, torch.zeros_like(part)]) for part in known)
        velocity = estimator(x.expand(len(mu), -1, -1), mu, t, r if flow.meanflow else None, speaker, cond, None)
        agree(case.variant, f"estimator step {i}", velocity)
        if not flow.meanflow:
            velocity = (1 + GUIDANCE) * velocity[:1] - GUIDANCE * velocity[1:]
        x = x + (r - t) * velocity
    agree(case.variant, "mel", flow.mel(case.tokens, prompt, noise[0], STEPS))


def test_a_weight_that_is_a_tenth_larger_is_noticed(nano: Model) -> None:
    case = references.case("nano")
    prompt = FlowPrompt(case.prompt, case.prompt_mel, case.xvector)
    true = nano.flow.encoder_proj.weight
    nano.flow.encoder_proj.weight = torch.nn.Parameter(true * 1.1, requires_grad=False)
    changed = nano.flow.encode(case.tokens, prompt)
    nano.flow.encoder_proj.weight = true
    assert references.difference(changed, answers("nano")["flow encoder"]) > 100 * LIMIT


@pytest.mark.parametrize(
    ("error", "ok"), [(1e-6, True), (LIMIT, True), (2e-4, False), (float("nan"), False), (True, True), (False, False)]
)
def test_only_what_is_within_its_limit_is_ok(error: float | bool, ok: bool) -> None:
    line = json.loads(Result("nano", "mel", error).line())
    assert (line["variant"], line["stage"], line["ok"]) == ("nano", "mel", ok)
    assert ("ids_equal" in line) is isinstance(error, bool)


def test_an_error_is_a_part_of_the_largest_number() -> None:
    assert relative_error(torch.tensor([4.0, 1.0]), torch.tensor([4.0, 2.0])) == 0.25
    assert relative_error(torch.zeros(3), torch.zeros(4)) == float("inf")
    assert same_ids([1, 2], torch.tensor([1, 2]))
    assert not same_ids([1, 2], torch.tensor([1, 2, 3]))


def test_a_difference_is_noticed() -> None:
    kept = references.summary(torch.linspace(-1, 2, 500))
    assert references.difference(torch.linspace(-1, 2, 500), kept) < 1e-6
    assert references.difference(torch.linspace(-1, 2.001, 500), kept) > LIMIT
    assert references.difference(torch.linspace(-1, 2, 501), kept) > LIMIT
    assert references.difference(torch.full((500,), torch.nan), kept) != references.difference(torch.zeros(500), kept)
    assert references.difference(torch.tensor([1, 2]), references.summary(torch.tensor([1, 3]))) > LIMIT

"""The modes of the flow and the vocoder: how far each is from the exact one, and what it takes."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import lowered
from chatterbox_plus.engines.chatterbox.flow import Flow, FlowPrompt
from chatterbox_plus.engines.chatterbox.flow_modes import MODES, flow_modes, lower
from chatterbox_plus.engines.chatterbox.vocoder import Snake, Vocoder, WaveStream, draw_source

CPU = torch.device("cpu")
LIMITS = {"exact": 1e-5, "fast": 0.03, "int8": 0.06}  # root mean square of the difference, of what it should be


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.manual_seed(1)
    with torch.inference_mode():
        yield


@pytest.fixture(params=[mode for mode in MODES if mode in flow_modes(CPU)])
def mode(request: pytest.FixtureRequest) -> str:
    asked: str = request.param
    return asked


def flow(*, meanflow: bool) -> Flow:
    made = Flow(
        meanflow=meanflow,
        vocabulary=50,
        xvector=6,
        size=64,
        mels=16,
        encoder={"heads": 2, "inner": 128, "layers": 1, "up_layers": 1},
        estimator={"size": 64, "heads": 2, "head_size": 32, "blocks": 1, "mid_stages": 1},
    ).eval()
    for name, weight in made.named_parameters():
        if "pos_bias" in name:  # the only ones without a start of their own
            weight.normal_()
    return made


def vocoder() -> Vocoder:
    made = Vocoder(size=64, pitch_size=8).eval()
    for module in made.modules():
        if isinstance(module, Snake):
            module.alpha.uniform_(0.5, 2)
    return made


def spoken(tokens: int, before: int = 5) -> tuple[Tensor, FlowPrompt, Tensor]:
    voice = FlowPrompt(torch.randint(50, (before,)), torch.randn(2 * before, 16), torch.randn(6))
    return torch.randint(50, (tokens,)), voice, torch.randn(16, 2 * (tokens + before))


def far(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


@pytest.mark.parametrize("meanflow", [False, True])
def test_a_mel_is_as_near_as_its_mode_says(mode: str, meanflow: bool) -> None:
    exact = flow(meanflow=meanflow)
    other, batch = copy.deepcopy(exact), [spoken(40), spoken(9, 30), spoken(1)]
    lower(other, mode)
    for found, expected in zip(other.mel_batch(batch), exact.mel_batch(batch), strict=True):
        assert found.dtype == torch.float32
        assert far(found, expected) <= LIMITS[mode]


@pytest.mark.parametrize("meanflow", [False, True])
def test_each_of_a_batch_is_what_it_is_alone(mode: str, meanflow: bool) -> None:
    made, batch = flow(meanflow=meanflow), [spoken(40), spoken(9, 30), spoken(1)]
    lower(made, mode)
    for one, found in zip(batch, made.mel_batch(batch), strict=True):
        assert torch.equal(found, made.mel(*one))


@pytest.mark.parametrize("meanflow", [False, True])
def test_a_batch_that_goes_through_as_one_is_what_each_is_alone(mode: str, meanflow: bool) -> None:
    made, batch = flow(meanflow=meanflow), [spoken(40), spoken(9, 30), spoken(1)]
    lower(made, mode)
    made.together = True
    for one, found in zip(batch, made.mel_batch(batch), strict=True):
        # 8 bits have one scale for all rows of a call.
        assert far(found, made.mel(*one)) <= LIMITS[mode]


def test_a_wave_is_as_near_as_its_mode_says(mode: str) -> None:
    exact, mel = vocoder(), torch.randn(80, 30)
    other, drawn = copy.deepcopy(exact), draw_source(torch.Generator().manual_seed(1), 30)
    lower(other, mode)
    assert torch.allclose(other.f0(mel[None]), exact.f0(mel[None]), atol=1e-5, rtol=1e-5)
    found = other.wave(mel, *drawn)
    assert found.dtype == torch.float32
    assert far(found, exact.wave(mel, *drawn)) <= LIMITS[mode]


def test_a_stream_is_the_same_to_the_bit_however_it_is_cut(mode: str) -> None:
    made, mel = vocoder(), torch.randn(80, 57)
    lower(made, mode)
    whole = WaveStream(made, torch.Generator().manual_seed(3)).push(mel, last=True)
    stream, parts = WaveStream(made, torch.Generator().manual_seed(3)), mel.split(8, dim=1)
    found = [stream.push(part, last=i == len(parts) - 1) for i, part in enumerate(parts)]
    assert torch.equal(torch.cat(found), whole)


@pytest.mark.skipif(not lowered.packs(), reason="nothing is laid out anew here")
def test_weights_are_not_kept_twice(mode: str) -> None:
    made = flow(meanflow=True)
    lower(made, mode)
    kept = {name.split(".")[-2] for name, weight in made.named_parameters() if weight.dim() > 1}
    small = {"input_embedding", "spk_embed_affine_layer", "encoder_proj", "linear_1", "linear_2", "linear_pos"}
    assert kept <= small | {"time_embed_mixer", "1", "self_attn"}  # 1: of `mlp`


def test_a_mode_that_does_not_differ_is_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(lowered, "multiplies_int8", lambda: False)
    assert flow_modes(CPU) == ("exact",)
    exact, one = flow(meanflow=True), spoken(9)
    other = copy.deepcopy(exact)
    lower(other, "int8")
    torch.testing.assert_close(other.mel(*one), exact.mel(*one), atol=1e-5, rtol=1e-5)


def test_without_packing_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowered, "packs", lambda: False)
    exact, one = flow(meanflow=True), spoken(9)
    other = copy.deepcopy(exact)
    lower(other, "fast")
    assert torch.equal(other.mel(*one), exact.mel(*one))


def test_no_other_mode_is_known() -> None:
    with pytest.raises(ValueError, match="exact, fast, int8"):
        lower(vocoder(), "quick")


@pytest.mark.parametrize("known", [False, True])
def test_a_gpu_is_fast_where_it_knows_bfloat16(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: known)
    assert flow_modes(torch.device("cuda")) == (("exact", "fast") if known else ("exact",))
    assert flow_modes(torch.device("mps")) == ("exact",)


def test_a_gpus_layers_fit_together() -> None:
    """Its bfloat16 is made of PyTorch's own layers: what runs there runs here."""
    from chatterbox_plus.engines.chatterbox import flow_modes as room

    exact, one = flow(meanflow=False), spoken(9)
    other = copy.deepcopy(exact)
    room._to_bfloat16(other)
    found = other.mel(*one)
    assert found.dtype == torch.float32
    assert far(found, exact.mel(*one)) <= LIMITS["fast"]
    exact_vocoder, mel = vocoder(), torch.randn(80, 30)
    other_vocoder, drawn = copy.deepcopy(exact_vocoder), draw_source(torch.Generator().manual_seed(1), 30)
    room._to_bfloat16(other_vocoder)
    assert far(other_vocoder.wave(mel, *drawn), exact_vocoder.wave(mel, *drawn)) <= LIMITS["fast"]

"""Upstream's answers to the cases of `parity.references`, for tests that run without it."""

# mypy: disable-error-code="import-not-found"
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from chatterbox.models.s3gen import S3Gen
from chatterbox.models.t3 import T3
from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.models.voice_encoder import VoiceEncoder
from torch import Tensor

from parity import official, references, weights
from parity.ours import GPT2
from parity.references import EXAGGERATION, SAMPLED, SEED, SHALLOW, STEPS, Case
from parity.upstream import SMALL, Heard, Upstream


def recordings() -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Variant, and stage -> answer."""
    for variant in ("english", "multilingual", "turbo", "nano"):
        case = references.case(variant)
        parts: dict[str, Any] = {"t3": _t3(variant)}
        if variant == "nano":
            parts |= {"ve": _filled(VoiceEncoder(), "ve"), "s3gen": _filled(S3Gen(meanflow=True), "s3gen_meanflow")}
        upstream = Upstream(variant, SimpleNamespace(**parts))
        with torch.inference_mode():
            answers = _token_model(upstream, case)
            if variant == "nano":
                answers |= _reference(upstream, case) | _decoder(upstream, case)
        yield variant, answers
    case, upstream = references.case("vc"), Upstream("vc", SimpleNamespace(s3gen=_filled(S3Gen(), "s3gen")))
    with torch.inference_mode():
        yield "vc", {"s3 tokens": upstream.tokens_of(case.wave16)} | _flow(upstream, case)


def _t3(variant: str) -> T3:
    """With as few layers as SHALLOW has, and as the loaders of upstream set it up."""
    if variant in GPT2:
        config = T3Config(text_tokens_dict_size=50276)
        config.llama_config_name, config.speech_tokens_dict_size = "GPT2_medium", 6563
        config.input_pos_emb, config.use_perceiver_resampler, config.emotion_adv = None, False, False
        sizes = {**(SMALL if variant == "nano" else {}), "n_layer": SHALLOW[variant]}
    else:
        config = T3Config.multilingual() if variant == "multilingual" else T3Config.english_only()
        sizes = {"num_hidden_layers": SHALLOW[variant]}
    name = config.llama_config_name
    with mock.patch.dict(LLAMA_CONFIGS, {name: LLAMA_CONFIGS[name] | sizes}):
        return _filled(T3(config), f"t3_{variant}")


def _filled(network: Any, table: str) -> Any:
    """With the weights of an official table, as far as the network has layers for them."""
    known = official.names(table)
    own: Mapping[str, Tensor] = network.state_dict()
    assert all(known[name] == tuple(tensor.shape) for name, tensor in own.items())
    network.load_state_dict({name: torch.from_numpy(weights.tensor(name, known[name])) for name in own}, assign=True)
    return network.eval()


def _heard(case: Case) -> Heard:
    """What S3Gen and T3 are told of the voice; the waves it would come from are not looked at."""
    nothing = torch.zeros(0)
    return Heard(
        nothing, nothing, nothing, case.speaker, case.t3_prompt, nothing, case.prompt_mel, case.xvector, case.prompt
    )


def _token_model(upstream: Upstream, case: Case) -> dict[str, Tensor]:
    heard = _heard(case)
    return {
        "t3 conditioning": upstream.condition(heard, EXAGGERATION),
        "t3 logits": upstream.logits(heard, case.text, case.forced, EXAGGERATION),
        "seeded sampling": torch.tensor(upstream.sample(heard, case.text, SAMPLED, SEED, EXAGGERATION)),
    }


def _reference(upstream: Upstream, case: Case) -> dict[str, Tensor]:
    s3gen = upstream.s3gen
    speaker = upstream.model.ve.embeds_from_wavs([case.wave16.numpy()], sample_rate=16_000).mean(0)
    return {
        "prompt mel": s3gen.mel_extractor(case.wave24[None])[0].T,
        "x-vector": s3gen.speaker_encoder.inference(case.wave16[None])[0],
        "s3 tokens": upstream.tokens_of(case.wave16),
        "t3 prompt": s3gen.tokenizer.forward([case.wave16], max_len=25)[0][0],
        "voice encoder": torch.from_numpy(speaker),
    }


def _flow(upstream: Upstream, case: Case) -> dict[str, Tensor]:
    spoken = upstream.speak(case.tokens, _heard(case), SEED, STEPS)
    steps = {f"estimator step {i}": velocity for i, (_, velocity) in enumerate(spoken.steps, 1)}
    return {"flow encoder": spoken.mu, **steps, "mel": spoken.mel}


def _decoder(upstream: Upstream, case: Case) -> dict[str, Tensor]:
    vocoder: Any = upstream.s3gen.mel2wav
    torch.manual_seed(SEED)
    source, _, _ = vocoder.m_source(vocoder.f0_upsamp(case.f0[:, None]).transpose(1, 2))
    return _flow(upstream, case) | {
        "f0": vocoder.f0_predictor(case.mel),
        "source": source.transpose(1, 2),
        "wav": vocoder.decode(x=case.mel, s=case.source),
    }

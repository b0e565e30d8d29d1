"""How far each precision is from `exact`, in tokens, mel and sound: `python -m parity modes`.

Both are given the same: every token as `exact` would have said it, the same draws, the same noise. With random weights
the likelihoods of tokens lie closer together than a trained model's, so a rounded number changes more of the draws.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import features, matrices
from chatterbox_plus.engines.chatterbox.flow import FlowPrompt, draw_noise
from chatterbox_plus.engines.chatterbox.flow_modes import flow_modes
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.sampling import Sampling, choose, gpt2_scores, guided, llama_scores
from chatterbox_plus.engines.chatterbox.t3 import BOS, T3Voice
from chatterbox_plus.engines.chatterbox.vocoder import draw_source
from parity.checkpoints import random_tokens
from parity.ours import GPT2, load

TEXTS = {"multilingual": ("fr", "Le port dormait sous un ciel pâle, et personne ne parlait beaucoup.")}
ENGLISH = ("en", "The harbour lay quiet under a pale morning sky; nobody spoke much.")
TOKENS = 200  # drawn
SPOKEN, PROMPT = 100, 250  # tokens: 4 s to be said in a voice known for 10 s
SEED = 7


@dataclass(frozen=True)
class Distance:
    """One figure of a mode; `exact` itself would have 1 or 0."""

    variant: str
    mode: str
    figure: str
    value: float
    unit: str

    def line(self) -> str:
        return json.dumps({**vars(self), "value": float(f"{self.value:.4g}")})


def compare(variant: str, folder: Path, device: str = "cpu") -> Iterator[Distance]:
    """All modes that a device has. folder: a checkpoint of `checkpoints.write`."""
    at = torch.device(device)
    with torch.inference_mode():
        exact = _answers(load(variant, folder, device, "exact"), variant)
        for mode in dict.fromkeys((*matrices.modes(at), *flow_modes(at))):
            if mode != "exact":
                yield from _distances(variant, mode, exact, _answers(load(variant, folder, device, mode), variant))


def _distances(variant: str, mode: str, exact: dict[str, Tensor], other: dict[str, Tensor]) -> Iterator[Distance]:
    if "logits" in exact:
        apart = (other["logits"] - exact["logits"]).norm() / exact["logits"].norm()
        yield Distance(variant, mode, "logits_error", float(apart), "relative")
        yield Distance(variant, mode, "token_match", _share(exact["drawn"], other["drawn"]), "share")
        yield Distance(variant, mode, "likeliest_match", _share(exact["likeliest"], other["likeliest"]), "share")
    yield Distance(variant, mode, "mel_distance", _decibels(exact["mel"], other["mel"]), "dB")
    levels = [features.prompt_mel(answers["wave"]) for answers in (exact, other)]
    yield Distance(variant, mode, "wave_distance", _decibels(*levels), "dB")


def _answers(model: Model, variant: str) -> dict[str, Tensor]:
    answers: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(SEED)
    if variant != "vc":
        answers |= _drawn(model, variant, generator)
    known = random_tokens("voice", PROMPT)
    mel = torch.randn(2 * PROMPT, 80, generator=torch.Generator().manual_seed(SEED)) - 6
    xvector = torch.randn(192, generator=torch.Generator().manual_seed(SEED + 1))
    prompt = FlowPrompt(*(part.to(model.device) for part in (known, mel, xvector)))
    noise = draw_noise(torch.Generator().manual_seed(SEED), SPOKEN, PROMPT, model.family.meanflow)
    answers["mel"] = model.flow.mel(random_tokens("said", SPOKEN), prompt, noise)
    # A vocoder is given what belongs to speech; the random decoder's mel is nothing like it.
    frames = torch.arange(2 * SPOKEN)
    likely = (-5 + 2 * torch.sin(frames / 7) + torch.randn(80, 2 * SPOKEN, generator=generator)).to(model.device)
    phase, source = draw_source(torch.Generator().manual_seed(SEED), 2 * SPOKEN)
    answers["wave"] = model.vocoder.wave(likely, phase.to(model.device), source.to(model.device))
    return {name: value.float().cpu() for name, value in answers.items()}


def _drawn(model: Model, variant: str, generator: torch.Generator) -> dict[str, Tensor]:
    """What would be said after each of the same tokens: logits (n, v), and ids drawn and likeliest (n,)."""
    defaults = model.family.defaults
    chosen: dict[str, Any] = {key: defaults[key] for key in Sampling.__dataclass_fields__ if key in defaults}
    options = Sampling(**chosen)
    voice = T3Voice(
        torch.randn(256, generator=generator).to(model.device),
        random_tokens("t3 voice", model.family.prompt_tokens).to(model.device),
    )
    language, written = TEXTS.get(variant, ENGLISH)
    text = torch.tensor(model.reader.encode(written, language), device=model.device)
    forced = random_tokens("teacher", TOKENS)
    inputs = model.t3.inputs(voice, text, guided=variant not in GPT2)
    logits = model.t3.logits(inputs, forced.to(model.device)).float().cpu()
    said, scores_of = torch.cat([torch.tensor([BOS]), forced]), gpt2_scores if variant in GPT2 else llama_scores
    drawn = []
    for i in range(TOKENS):
        scores = scores_of(guided(logits[:, i], options.cfg_weight), said[: i + 1], options)
        drawn.append(choose(scores, options, torch.Generator().manual_seed(i)))
    return {"logits": logits, "drawn": torch.tensor(drawn), "likeliest": logits[0].argmax(-1)}


def _share(one: Tensor, other: Tensor) -> float:
    return float((one == other).float().mean())


def _decibels(one: Tensor, other: Tensor) -> float:
    """Of two spectra in natural logarithms of amplitudes, the mean distance."""
    return float((one - other).abs().mean()) * 8.686

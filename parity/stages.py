"""Both sides beside each other, stage by stage, each fed what upstream's stage before it made."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import features
from chatterbox_plus.engines.chatterbox.flow import FlowPrompt, draw_noise
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.t3 import T3Voice
from chatterbox_plus.engines.chatterbox.vocoder import draw_source, fade_in
from parity.checkpoints import random_tokens
from parity.ours import GPT2
from parity.results import Result, relative_error, same_ids
from parity.upstream import Heard, Spoken, Upstream

TEXTS = {
    "english": ("en", "The harbour lay quiet under a pale morning sky; nobody spoke much"),
    "multilingual": ("fr", "Le port dormait sous un ciel pâle, et personne ne parlait beaucoup."),
    "turbo": ("en", "The harbour lay quiet [sigh] under a pale morning sky; nobody spoke much"),
    "nano": ("en", "The harbour lay quiet [laugh] under a pale morning sky; nobody spoke much"),
}
TEACHER_FORCED = 200  # tokens
SAMPLED = {"english": 100, "multilingual": 100, "turbo": 200, "nano": 200}  # tokens
PROMPT_TOKENS, SPOKEN_TOKENS = 75, 50  # what S3Gen is given: 3 s of a voice, and 2 s to say
SEED, EXAGGERATION = 20_250, 0.7


def compare(
    upstream: Upstream, ours: Model, recordings: list[Path], long_recording: Path | None = None
) -> Iterator[Result]:
    """All stages of a variant. recordings: voices, 5 s and more; the first is the one to speak in.

    long_recording: a wav of over 30 s to convert, which S3's tokenizer hears in windows.
    """
    variant = upstream.variant
    with torch.inference_mode():
        heard = [upstream.hear(recording) for recording in recordings]
        for recording, one in zip(recordings, heard, strict=True):
            yield from _reference(variant, ours, one, recording.stem)
        if long_recording is not None:
            wave16 = upstream.hear(long_recording).wave16
            same = same_ids(ours.s3_tokenizer.encode(wave16), upstream.tokens_of(wave16))
            yield Result(variant, f"s3 tokenizer ids, {len(wave16) / 16_000:.0f} s", same)
        if upstream.t3 is not None:
            yield from _token_model(upstream, ours, heard[0])
        prompt = replace(heard[0], tokens=heard[0].tokens[:PROMPT_TOKENS], mel=heard[0].mel[: 2 * PROMPT_TOKENS])
        tokens = random_tokens("said", SPOKEN_TOKENS) if upstream.t3 is not None else heard[0].tokens[-SPOKEN_TOKENS:]
        spoken = upstream.speak(tokens, prompt, SEED)
        yield from _decoder(variant, ours, tokens, prompt, spoken)


def _reference(variant: str, ours: Model, heard: Heard, name: str) -> Iterator[Result]:
    """What is derived from a recording."""

    def close(stage: str, mine: Tensor, theirs: Tensor) -> Result:
        return Result(variant, f"{stage}, {name}", relative_error(mine, theirs))

    clip24 = heard.clip24.to(ours.device)
    yield close("resampling", features.resample(clip24, 24_000, 16_000), heard.clip16)
    yield close("prompt mel", features.prompt_mel(clip24), heard.mel)
    yield close("x-vector", ours.speaker_encoder.embed(heard.clip16), heard.xvector)
    tokens = ours.s3_tokenizer.encode(heard.clip16)[: len(heard.mel) // 2]
    yield Result(variant, f"s3 tokenizer ids, {name}", same_ids(tokens, heard.tokens))
    if heard.speaker is not None and heard.t3_tokens is not None:
        yield close("voice encoder", ours.voice_encoder.embed(heard.wave16), heard.speaker)
        tokens = ours.s3_tokenizer.encode(heard.t3_wave16, ours.family.prompt_tokens)
        yield Result(variant, f"t3 prompt ids, {name}", same_ids(tokens, heard.t3_tokens))


def _token_model(upstream: Upstream, ours: Model, heard: Heard) -> Iterator[Result]:
    """From text to speech tokens."""
    variant = upstream.variant
    language, written = TEXTS[variant]
    text = upstream.read(written, language)
    yield Result(variant, "text ids", same_ids(ours.reader.encode(written, language), text))

    assert heard.speaker is not None
    assert heard.t3_tokens is not None
    at = ours.device
    voice = T3Voice(heard.speaker.to(at), heard.t3_tokens.to(at))
    condition = ours.t3.condition(voice, EXAGGERATION)
    yield Result(variant, "t3 conditioning", relative_error(condition, upstream.condition(heard, EXAGGERATION)))

    tokens = random_tokens("teacher", TEACHER_FORCED)
    inputs = ours.t3.inputs(voice, text.to(at), EXAGGERATION, guided=variant not in GPT2)
    theirs = upstream.logits(heard, text, tokens, EXAGGERATION)
    yield Result(variant, "t3 logits", relative_error(ours.t3.logits(inputs, tokens.to(at)), theirs))

    drawn = upstream.sample(heard, text, SAMPLED[variant], SEED, EXAGGERATION)
    defaults = ours.family.defaults
    chosen: dict[str, Any] = {key: defaults[key] for key in Sampling.__dataclass_fields__ if key in defaults}
    options = Sampling(**chosen | {"exaggeration": EXAGGERATION})
    generator = torch.Generator().manual_seed(SEED)
    mine = ours.decoder.generate(voice, text, options, generator, SAMPLED[variant])
    yield Result(variant, f"seeded sampling, {len(drawn)} tokens", same_ids(mine.tokens, drawn))


def _decoder(variant: str, ours: Model, tokens: Tensor, heard: Heard, spoken: Spoken) -> Iterator[Result]:
    """From speech tokens to the wave."""

    def close(stage: str, mine: Tensor, theirs: Tensor) -> Result:
        return Result(variant, stage, relative_error(mine, theirs))

    flow, vocoder, at = ours.flow, ours.vocoder, ours.device
    prompt = FlowPrompt(heard.tokens.to(at), heard.mel.to(at), heard.xvector.to(at))
    yield close("flow encoder", flow.encode(tokens, prompt), spoken.mu)
    for i, (call, velocity) in enumerate(spoken.steps, 1):
        asked = {name: None if value is None else value.to(at) for name, value in call.items()}
        until = asked["r"] if flow.meanflow else None
        mine = flow.decoder["estimator"](asked["x"], asked["mu"], asked["t"], until, asked["spks"], asked["cond"], None)
        yield close(f"estimator step {i}", mine, velocity)
    generator = torch.Generator().manual_seed(SEED)
    noise = draw_noise(generator, len(tokens), len(prompt.tokens), flow.meanflow)
    yield close("mel", flow.mel(tokens, prompt, noise.to(at)), spoken.mel)
    phase, hiss = draw_source(generator, spoken.mel.shape[1])
    mel = spoken.mel[None].to(at)
    yield close("f0", vocoder.f0(mel), spoken.f0)
    source = vocoder.source(spoken.f0.to(at), phase[None].to(at), hiss[None].to(at))
    yield close("source", source, spoken.source)
    wave = vocoder.decode(mel, spoken.source.to(at))[0]
    fade = fade_in(wave.device)
    wave[: len(fade)] *= fade
    yield close("wav", wave, spoken.wave)

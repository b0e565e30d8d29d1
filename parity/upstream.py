"""Upstream, stage by stage: what each of its parts makes of which input. Runs in upstream's environment only."""

# mypy: disable-error-code="import-not-found"
import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["HF_HUB_OFFLINE"] = "1"  # everything is in the folder; before the imports below read it
warnings.filterwarnings("ignore")  # upstream's packages deprecate each other

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from chatterbox.models.s3gen import S3GEN_SR  # noqa: E402
from chatterbox.models.s3gen.s3gen import get_resampler  # noqa: E402
from chatterbox.models.s3tokenizer import S3_SR  # noqa: E402
from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS  # noqa: E402
from chatterbox.models.t3.modules.cond_enc import T3Cond  # noqa: E402
from chatterbox.models.t3.modules.t3_config import T3Config  # noqa: E402
from chatterbox.mtl_tts import ChatterboxMultilingualTTS  # noqa: E402
from chatterbox.tts import ChatterboxTTS  # noqa: E402
from chatterbox.tts_turbo import ChatterboxTurboTTS  # noqa: E402
from chatterbox.vc import ChatterboxVC  # noqa: E402
from torch import Tensor  # noqa: E402

GPT2 = ("turbo", "nano")
SMALL = {"n_embd": 768, "hidden_size": 768, "n_head": 12, "n_layer": 12}
"""Nano is Turbo on GPT-2 small; upstream 0.1.7 does not know it yet."""


@dataclass(frozen=True)
class Heard:
    """What upstream derives from a recording, and what each part was fed. Waves are (n,) float32."""

    wave16: Tensor  # the whole, for the voice encoder and T3's prompt
    clip24: Tensor  # the first ten seconds, for S3Gen
    clip16: Tensor  # the same at 16 kHz, through torchaudio's resampler
    speaker: Tensor | None  # (256,)
    t3_tokens: Tensor | None  # (<= 150 or 375,)
    t3_wave16: Tensor  # what those were made of
    mel: Tensor  # (frames, 80)
    xvector: Tensor  # (192,)
    tokens: Tensor  # (frames / 2,)

    @property
    def gen(self) -> dict[str, Any]:
        """As S3Gen takes it."""
        return {
            "prompt_token": self.tokens[None],
            "prompt_token_len": torch.tensor([len(self.tokens)]),
            "prompt_feat": self.mel[None],
            "prompt_feat_len": None,
            "embedding": self.xvector[None],
        }


@dataclass(frozen=True)
class Spoken:
    """What S3Gen makes of tokens, and everything on the way."""

    mu: Tensor  # (1, 80, frames): the encoder's, of prompt and tokens
    steps: list[tuple[dict[str, Tensor | None], Tensor]]  # the estimator's calls, and what it answered
    mel: Tensor  # (80, frames)
    f0: Tensor  # (1, frames)
    source: Tensor  # (1, 1, samples)
    wave: Tensor  # (samples,)


class Upstream:
    """One variant."""

    def __init__(self, variant: str, model: Any) -> None:
        """model: of `load`, or anything with the parts that are asked for."""
        self.variant = variant
        self.model = model
        self.s3gen: Any = getattr(model, "s3gen", None)
        self.t3: Any = getattr(model, "t3", None)

    def hear(self, recording: Path) -> Heard:
        """Everything `prepare_conditionals` derives from a file."""
        wave24, _ = librosa.load(recording, sr=S3GEN_SR)
        if self.variant in GPT2:
            wave24 = self.model.norm_loudness(wave24, S3GEN_SR).astype(np.float32)
        wave16 = librosa.resample(wave24, orig_sr=S3GEN_SR, target_sr=S3_SR)
        clip24 = wave24[: self.model.DEC_COND_LEN]
        with torch.inference_mode():
            gen = self.s3gen.embed_ref(clip24, S3GEN_SR, device="cpu")
            clip16 = get_resampler(S3GEN_SR, S3_SR, "cpu")(torch.from_numpy(clip24)[None])[0]
            speaker = tokens = None
            prompt = wave16[: getattr(self.model, "ENC_COND_LEN", 0)]
            if self.t3 is not None:
                tokens, _ = self.s3gen.tokenizer.forward([prompt], max_len=self.t3.hp.speech_cond_prompt_len)
                speaker = torch.from_numpy(self.model.ve.embeds_from_wavs([wave16], sample_rate=S3_SR).mean(0))
        return Heard(
            wave16=torch.from_numpy(wave16),
            clip24=torch.from_numpy(clip24),
            clip16=clip16,
            speaker=speaker,
            t3_tokens=None if tokens is None else tokens[0],
            t3_wave16=torch.from_numpy(prompt),
            mel=gen["prompt_feat"][0],
            xvector=gen["embedding"][0],
            tokens=gen["prompt_token"][0],
        )

    def tokens_of(self, wave16: Tensor) -> Tensor:
        """(n,) at 16 kHz -> (tokens,): a recording to convert, of any length."""
        with torch.inference_mode():
            tokens, _ = self.s3gen.tokenizer(wave16[None])
        return tokens[0]  # type: ignore[no-any-return]

    def read(self, text: str, language: str) -> Tensor:
        """The ids of a text, without start and stop, after upstream's own change of the punctuation. (n,)"""
        module = __import__(type(self.model).__module__, fromlist=["punc_norm"])
        text = module.punc_norm(text)
        if self.variant in GPT2:
            return self.model.tokenizer(text, return_tensors="pt").input_ids[0]  # type: ignore[no-any-return]
        how = {"language_id": language} if self.variant == "multilingual" else {}
        return self.model.tokenizer.text_to_tokens(text, **how)[0].long()  # type: ignore[no-any-return]

    def condition(self, heard: Heard, exaggeration: float) -> Tensor:
        """What T3 sees of the voice: (1, 34 or 376, width)."""
        with torch.inference_mode():
            return self.t3.prepare_conditioning(self._conditions(heard, exaggeration))  # type: ignore[no-any-return]

    def logits(self, heard: Heard, text: Tensor, tokens: Tensor, exaggeration: float) -> Tensor:
        """After the start token and after each of `tokens`: (2 or 1, tokens + 1, ids); row 1 is without the text."""
        t3, gpt2 = self.t3, self.variant in GPT2
        start = torch.tensor([[t3.hp.start_speech_token]])
        with torch.inference_mode():
            embeds, _ = t3.prepare_input_embeds(
                t3_cond=self._conditions(heard, exaggeration),
                text_tokens=self._framed(text),
                speech_tokens=start if gpt2 else start.expand(2, 1),
                cfg_weight=0.0 if gpt2 else 0.5,
            )
            following = t3.speech_emb(tokens[None])
            if not gpt2:  # the start token once more, and a place for each token
                following = torch.cat([t3.speech_emb(start), following], dim=1)
                places = [t3.speech_pos_emb.get_fixed_embedding(i) for i in range(following.shape[1])]
                following = (following + torch.cat(places, dim=1)).expand(2, -1, -1)
            hidden = t3.tfmr(inputs_embeds=torch.cat([embeds, following], dim=1))[0]
            return t3.speech_head(hidden[:, -len(tokens) - 1 :])  # type: ignore[no-any-return]

    def sample(self, heard: Heard, text: Tensor, count: int, seed: int, exaggeration: float) -> list[int]:
        """At most `count` tokens drawn with the defaults of upstream's newest version, the stop left out.

        The Multilingual is sampled without the analyser of its attention, which that version no longer has.
        """
        torch.manual_seed(seed)
        conditions = self._conditions(heard, exaggeration)
        if self.variant in GPT2:
            tokens = self.t3.inference_turbo(conditions, text[None], max_gen_len=count - 1)
        else:
            with mock.patch.object(T3Config, "is_multilingual", False):
                tokens = self.t3.inference(
                    t3_cond=conditions, text_tokens=self._framed(text), max_new_tokens=count, top_p=1.0
                )
        ids: list[int] = tokens[0].tolist()
        return ids[:-1] if ids[-1] == self.t3.hp.stop_speech_token else ids

    def speak(self, tokens: Tensor, heard: Heard, seed: int, steps_count: int | None = None) -> Spoken:
        """S3Gen's way from tokens to a wave, with torch's global generator seeded before it.

        steps_count: of the flow; None for the variant's own number.
        """
        steps: list[tuple[dict[str, Tensor | None], Tensor]] = []
        seen: dict[str, Tensor] = {}
        estimator, vocoder = self.s3gen.flow.decoder.estimator, self.s3gen.mel2wav
        forward = estimator.forward

        def recorded(*args: Tensor, **kwargs: Tensor | None) -> Tensor:
            inputs = dict(zip(("x", "mask", "mu", "t", "spks", "cond", "r"), args, strict=False)) | kwargs
            kept = {name: None if value is None else value.clone() for name, value in inputs.items()}
            velocity: Tensor = forward(**inputs)
            steps.append((kept, velocity.clone()))
            return velocity

        with contextlib.ExitStack() as stack, torch.inference_mode():
            stack.enter_context(mock.patch.object(estimator, "forward", recorded))
            for module, keep in (
                (self.s3gen.flow.decoder, lambda _, args, kwargs, out: seen.update(mu=kwargs["mu"])),
                (vocoder.f0_predictor, lambda _, args, kwargs, out: seen.update(f0=out)),
            ):
                stack.callback(module.register_forward_hook(keep, with_kwargs=True).remove)
            torch.manual_seed(seed)
            mel = self.s3gen.flow_inference(
                tokens[None], ref_dict=dict(heard.gen), n_cfm_timesteps=steps_count, finalize=True
            )
            wave, source = self.s3gen.hift_inference(mel)
            fade = self.s3gen.trim_fade
            wave[:, : len(fade)] *= fade
        return Spoken(seen["mu"], steps, mel[0], seen["f0"], source, wave[0])

    def _conditions(self, heard: Heard, exaggeration: float) -> T3Cond:
        """A new one each time: upstream writes into it."""
        assert heard.speaker is not None
        assert heard.t3_tokens is not None
        return T3Cond(
            speaker_emb=heard.speaker[None],
            cond_prompt_speech_tokens=heard.t3_tokens[None],
            emotion_adv=exaggeration * torch.ones(1, 1, 1),
        )

    def _framed(self, text: Tensor) -> Tensor:
        """Between start and stop, and twice, for guidance; as it is for GPT-2."""
        if self.variant in GPT2:
            return text[None]
        start, stop = torch.tensor([self.t3.hp.start_text_token]), torch.tensor([self.t3.hp.stop_text_token])
        return torch.cat([start, text, stop]).expand(2, -1)


def load(variant: str, folder: Path) -> Any:
    """A variant's own class, from a folder as its users load it."""
    if variant == "english":
        return ChatterboxTTS.from_local(folder, "cpu")
    if variant == "multilingual":
        return ChatterboxMultilingualTTS.from_local(folder, "cpu")
    if variant == "vc":
        return ChatterboxVC.from_local(folder, "cpu")
    if variant == "turbo":
        return ChatterboxTurboTTS.from_local(folder, "cpu")
    with _as_turbo(folder) as renamed, mock.patch.dict(LLAMA_CONFIGS, GPT2_medium=LLAMA_CONFIGS["GPT2_medium"] | SMALL):
        return ChatterboxTurboTTS.from_local(renamed, "cpu")


@contextlib.contextmanager
def _as_turbo(folder: Path) -> Iterator[Path]:
    """Nano's folder under the names that Turbo's class looks for."""
    with tempfile.TemporaryDirectory() as made:
        for file in folder.iterdir():
            (Path(made) / file.name.replace("nano", "turbo")).symlink_to(file.resolve())
        yield Path(made)

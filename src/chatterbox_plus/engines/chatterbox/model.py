"""A model's parts out of its files, each loaded when it is first needed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from chatterbox_plus.audio.clip import Clip
from chatterbox_plus.audio.loudness import integrated_lufs
from chatterbox_plus.audio.resample import resample
from chatterbox_plus.engines.chatterbox import features
from chatterbox_plus.engines.chatterbox.checkpoint import Weights, fill
from chatterbox_plus.engines.chatterbox.decoding import Decoder
from chatterbox_plus.engines.chatterbox.families import FAMILIES, RATE
from chatterbox_plus.engines.chatterbox.flow import Flow
from chatterbox_plus.engines.chatterbox.flow_modes import lower
from chatterbox_plus.engines.chatterbox.matrices import EXACT
from chatterbox_plus.engines.chatterbox.padded import pad
from chatterbox_plus.engines.chatterbox.pooled import PooledDecoder
from chatterbox_plus.engines.chatterbox.prints import VoicePrint, bundled, flow_prompt
from chatterbox_plus.engines.chatterbox.reading import TextReader, open_reader
from chatterbox_plus.engines.chatterbox.s3_tokenizer import S3Tokenizer
from chatterbox_plus.engines.chatterbox.t3 import SIZES, T3, T3Voice
from chatterbox_plus.engines.chatterbox.vocoder import Vocoder
from chatterbox_plus.engines.chatterbox.voice_encoder import VoiceEncoder
from chatterbox_plus.engines.chatterbox.windows import HEARING_RATE
from chatterbox_plus.engines.chatterbox.xvector import CamPPlus
from chatterbox_plus.errors import InvalidAudio, ModelLoadError

SIZES_FILE = "sizes.json"
"""In a folder of weights of other than the official sizes: part -> arguments of its class. Our tests have such."""
_SILENT = 1e-4  # of full scale, -80 dB
_FLOW_PROMPT_S = 10  # of a reference, that the decoder hears

AnyModule = TypeVar("AnyModule", bound=nn.Module)
AnySound = TypeVar("AnySound", Flow, Vocoder)


class _Undrawn(TorchFunctionMode):
    """Leaves out the numbers that new modules are filled with: nobody reads them, and to draw normal ones on the meta
    device, PyTorch imports its compiler first: seconds, and 100 MB."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == nn.init.__name__:
            return (*args, *(kwargs or {}).values())[0]
        return func(*args, **(kwargs or {}))


class Model:
    """The parts of one model. Callers hold `torch.inference_mode()`."""

    def __init__(self, family: str, files: Mapping[str, Path], device: torch.device, mode: str = EXACT) -> None:
        """family: one of FAMILIES. files: by role, as `models.catalog` names them. mode: one of `matrices.modes`."""
        self.family = FAMILIES[family]
        self.device, self.dtype, self.mode = device, torch.float32, mode
        self._files = files
        sizes = files["t3"].parent / SIZES_FILE
        self._sizes: dict[str, Any] = json.loads(sizes.read_text("utf-8")) if sizes.is_file() else {}

    @cached_property
    def t3(self) -> T3:
        weights = self._weights("t3", "tfmr.")
        sizes = replace(SIZES[self.family.name], **self._sizes.get("t3", {}))
        shape = weights.shapes.get("text_emb.weight")
        if shape is not None:
            sizes = replace(sizes, text_vocab=shape[0])  # packs for one language may bring their own vocabulary
        if self.reader.largest_id >= sizes.text_vocab:
            raise ModelLoadError(
                f"the tokenizer has {self.reader.largest_id + 1} tokens, {weights.name} only {sizes.text_vocab}: "
                "they belong to different models"
            )
        t3 = self._filled(lambda: T3(sizes), weights)
        with torch.inference_mode(False), torch.no_grad():
            t3.settle(self.mode)
        return t3

    @cached_property
    def decoder(self) -> Decoder:
        if self.device.type == "cuda":
            return PooledDecoder(self.t3, torch.float32 if self.mode == EXACT else torch.bfloat16)
        return Decoder(self.t3)

    @cached_property
    def reader(self) -> TextReader:
        return open_reader(self.family.name, self._files["tokenizer"].parent)

    @cached_property
    def voice_encoder(self) -> VoiceEncoder:
        encoder = self._filled(lambda: VoiceEncoder(**self._sizes.get("voice_encoder", {})), self._weights("ve"))
        with torch.inference_mode(False), torch.no_grad():
            encoder.lstm.flatten_parameters()  # into one block, as cuDNN wants them; nothing on other devices
        return encoder

    @cached_property
    def s3_tokenizer(self) -> S3Tokenizer:
        return self._filled(lambda: S3Tokenizer(**self._sizes.get("s3_tokenizer", {})), self._s3gen, "tokenizer.")

    @cached_property
    def speaker_encoder(self) -> CamPPlus:
        return self._filled(lambda: CamPPlus(**self._sizes.get("speaker_encoder", {})), self._s3gen, "speaker_encoder.")

    @cached_property
    def flow(self) -> Flow:
        sizes = self._sizes.get("flow", {})
        weights = self._weights("s3gen", "flow.")  # copies: they are laid out anew
        flow = self._filled(lambda: Flow(meanflow=self.family.meanflow, **sizes), weights, "flow.")
        flow = self._lowered(flow)
        if self.device.type == "cuda":
            pad(flow.estimator)
        return flow

    @cached_property
    def vocoder(self) -> Vocoder:
        weights = self._weights("s3gen", "mel2wav.")
        return self._lowered(self._filled(lambda: Vocoder(**self._sizes.get("vocoder", {})), weights, "mel2wav."))

    @cached_property
    def default_voice(self) -> VoicePrint | None:
        """The voice that came with the model, if one did."""
        return bundled(self._weights("conds")).to(self.device) if "conds" in self._files else None

    @cached_property
    def _s3gen(self) -> Weights:
        return self._weights("s3gen")

    def load(self, tasks: frozenset[str]) -> None:
        """All parts that tasks need ("tts", "vc"). Raises ModelLoadError, naming file and key."""
        parts = ["s3_tokenizer", "speaker_encoder", "voice_encoder", "flow", "vocoder"]
        for part in parts + (["reader", "t3", "default_voice"] if "tts" in tasks else []):
            getattr(self, part)

    def listen(self, clip: Clip) -> VoicePrint:
        """A voice print of a recording, mono at any rate. Raises InvalidAudio for what no voice can be learnt from."""
        samples = resample(clip.samples, clip.rate, RATE)
        if np.abs(samples).max(initial=0.0) < _SILENT:
            raise InvalidAudio("the reference recording is silent")
        if self.family.lufs is not None:
            gain_db = self.family.lufs - integrated_lufs(Clip(samples, RATE))
            samples = samples * np.float32(10 ** (gain_db / 20)) if np.isfinite(gain_db) else samples
        wave = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
        heard = torch.from_numpy(resample(samples, RATE, HEARING_RATE))
        start = heard[: round(self.family.prompt_s * HEARING_RATE)]
        speaker = self.voice_encoder.embed(heard.to(self.device))
        spoken = self.s3_tokenizer.encode(start.to(self.device), self.family.prompt_tokens)
        prompt = wave[: _FLOW_PROMPT_S * RATE]
        again = features.resample(prompt, RATE, HEARING_RATE).to(self.device)
        flow = flow_prompt(
            self.s3_tokenizer.encode(again),
            features.prompt_mel(prompt.to(self.device)),
            self.speaker_encoder.embed(again),
        )
        return VoicePrint(T3Voice(speaker, spoken), flow)

    def speech_tokens(self, wave: Tensor) -> Tensor:
        """A recording (n,) at 16 kHz -> its speech tokens (t,)."""
        return self.s3_tokenizer.encode(wave.to(self.device))

    def path(self, role: str) -> Path:
        """The file for a role. Raises ModelLoadError."""
        if role not in self._files:
            raise ModelLoadError(f"this model has no file for {role}: fetch or copy it again")
        return self._files[role]

    def _weights(self, role: str, copied: str | None = None) -> Weights:
        return Weights(self.path(role), copied=copied)

    def _lowered(self, part: AnySound) -> AnySound:
        with torch.inference_mode(False), torch.no_grad():
            lower(part, self.mode)
        return part

    def _filled(self, make: Callable[[], AnyModule], weights: Weights, prefix: str = "") -> AnyModule:
        with torch.inference_mode(False), torch.no_grad():  # ordinary tensors: libraries may want to lay them out anew
            with torch.device("meta"), _Undrawn():
                module = make()
            fill(module, weights, prefix, device=self.device, dtype=self.dtype)
        return module

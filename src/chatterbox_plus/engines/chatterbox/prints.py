"""What a model knows of a voice: computed once from a recording, kept in memory and on disk."""

import contextlib
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from chatterbox_plus.engines.chatterbox.checkpoint import Weights
from chatterbox_plus.engines.chatterbox.flow import FlowPrompt
from chatterbox_plus.engines.chatterbox.t3 import T3Voice
from chatterbox_plus.errors import ModelLoadError

CODES = 6561  # speech tokens that have a sound; those above are marks
_IN_MEMORY = 64  # prints of some 200 KB
_KEPT_DAYS = 30  # on disk, after the last use
_DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class VoicePrint:
    """t3: for the token model. flow: for the decoder."""

    t3: T3Voice
    flow: FlowPrompt

    def to(self, device: torch.device) -> "VoicePrint":
        return VoicePrint(
            T3Voice(self.t3.speaker.to(device), self.t3.prompt_tokens.to(device)),
            FlowPrompt(self.flow.tokens.to(device), self.flow.mel.to(device), self.flow.xvector.to(device)),
        )


def bundled(weights: Weights) -> VoicePrint:
    """The voice in a `conds.pt`. Raises ModelLoadError naming the file and what is wrong in it."""
    speaker, heard = weights["t3.speaker_emb"].float().flatten(), weights["t3.cond_prompt_speech_tokens"].flatten()
    tokens, mel, xvector = (weights[f"gen.{name}"] for name in ("prompt_token", "prompt_feat", "embedding"))
    known = all(ids.numel() and ids.min() >= 0 and ids.max() < CODES for ids in (heard, tokens))
    if not known or len(speaker) != 256 or xvector.numel() != 192 or mel.shape[-1:] != (80,):
        raise ModelLoadError(f"the model's file {weights.name} holds no voice of this model")
    return VoicePrint(T3Voice(speaker, heard.long()), flow_prompt(tokens.flatten(), mel.reshape(-1, 80), xvector))


def flow_prompt(tokens: Tensor, mel: Tensor, xvector: Tensor) -> FlowPrompt:
    """Tokens (t,) and mel frames (f, 80) of one recording, brought to the same length: two frames a token."""
    count = min(len(tokens), len(mel) // 2)
    return FlowPrompt(tokens[:count].long(), mel[: 2 * count].float(), xvector.float().reshape(-1))


class PrintStore:
    """Prints of one model by the recording's digest. One thread at a time; several processes may share the folder."""

    def __init__(self, root: Path, model: str, device: torch.device) -> None:
        """root: of all models' prints, and nothing else. model: another one whenever prints come out otherwise."""
        self._folder, self._device = root / model, device
        self._known: OrderedDict[str, VoicePrint] = OrderedDict()
        _tidy(root)

    def get(self, digest: str, compute: Callable[[], VoicePrint]) -> VoicePrint:
        """From memory, else from disk, else computed and kept."""
        found = self._known.pop(digest, None) or self._load(digest)
        if found is None:
            found = compute()
            self._save(digest, found)
            found = found.to(self._device)
        self._known[digest] = found  # the latest used is the last
        if len(self._known) > _IN_MEMORY:
            self._known.popitem(last=False)
        return found

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.safetensors"

    def _load(self, digest: str) -> VoicePrint | None:
        path = self._path(digest)
        try:
            stored = load_file(path)
            flow = FlowPrompt(stored["flow.tokens"], stored["flow.mel"], stored["flow.xvector"])
            found = VoicePrint(T3Voice(stored["t3.speaker"], stored["t3.prompt_tokens"]), flow).to(self._device)
        except (SafetensorError, OSError, KeyError):
            return None  # not there, or a disk has eaten it: it is computed again, which gives the same
        with contextlib.suppress(OSError):
            os.utime(path)
        return found

    def _save(self, digest: str, found: VoicePrint) -> None:
        stored = {
            "t3.speaker": found.t3.speaker,
            "t3.prompt_tokens": found.t3.prompt_tokens,
            "flow.tokens": found.flow.tokens,
            "flow.mel": found.flow.mel,
            "flow.xvector": found.flow.xvector,
        }
        with contextlib.suppress(OSError, SafetensorError):  # a full disk costs time next time, nothing else
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
            os.close(handle)
            try:
                save_file({key: value.cpu().contiguous() for key, value in stored.items()}, name)
                Path(name).replace(self._path(digest))
            finally:
                Path(name).unlink(missing_ok=True)


def _tidy(root: Path) -> None:
    """A voice that nobody has used for long leaves nothing of itself behind, nor does a model that is gone."""
    oldest = time.time() - _KEPT_DAYS * _DAY_S
    found: list[Path] = []
    with contextlib.suppress(OSError):  # another process tidies at the same time
        found = [*root.glob("*/*.safetensors"), *root.glob("*/*.part")]
    for path in found:
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                path.parent.rmdir()  # refuses while others are there

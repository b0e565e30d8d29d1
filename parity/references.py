"""What is recorded of upstream, and how ours is held against it where upstream is not at hand: `references/*.json`.

Both sides work on the inputs made here, with the weights of `parity.weights`. Of a tensor its shape, its largest number
and some of its numbers are kept, evenly spaced; of ids all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parity import sounds, weights
from parity.checkpoints import random_tokens
from parity.environment import ROOT

FOLDER = ROOT / "tests" / "engines" / "chatterbox" / "references"
KEPT = 40  # numbers of a tensor
SEED, EXAGGERATION = 20_250, 0.7
SHALLOW = {"english": 2, "multilingual": 2, "turbo": 2, "nano": 12}
"""Layers of T3; all other sizes are the official ones."""
FORCED, SAMPLED = 20, 40  # tokens of T3
PROMPT_TOKENS, SPOKEN_TOKENS, STEPS = 20, 15, 2  # of S3Gen; both decoders take as many steps as the distilled one needs
FRAMES = 20  # of the vocoder's mel
VOICE_S = 2.0


@dataclass(frozen=True)
class Case:
    """What a variant is fed, all of it made up. wave24 (n,) at 24 kHz and wave16 at 16 kHz are not the same sound."""

    variant: str
    wave24: Tensor
    wave16: Tensor
    speaker: Tensor  # (256,)
    t3_prompt: Tensor  # (30,)
    text: Tensor  # (12,) ids
    forced: Tensor  # (20,) speech tokens
    prompt: Tensor  # (20,) speech tokens of the voice
    prompt_mel: Tensor  # (40, 80)
    xvector: Tensor  # (192,)
    tokens: Tensor  # (15,) speech tokens to say
    mel: Tensor  # (1, 80, 20), for the vocoder
    f0: Tensor  # (1, 20) Hz, some of it unvoiced
    source: Tensor  # (1, 1, 9600)

    @property
    def guided(self) -> bool:
        return self.variant in ("english", "multilingual")


def case(variant: str) -> Case:
    """The inputs of a variant; always the same."""

    def made(name: str, *shape: int) -> Tensor:
        return torch.from_numpy(weights.tensor(f"conds.{name}", shape))

    speaker = made("speaker", 256).abs()
    return Case(
        variant=variant,
        wave24=torch.from_numpy(sounds.voice(VOICE_S)),
        wave16=torch.from_numpy(sounds.voice(VOICE_S, seed=2)),
        speaker=speaker / speaker.norm(),
        t3_prompt=random_tokens("t3 prompt", 30),
        text=random_tokens("text", 12) % 250 + 1,
        forced=random_tokens("forced", FORCED),
        prompt=random_tokens("prompt", PROMPT_TOKENS),
        prompt_mel=made("mel", 2 * PROMPT_TOKENS, 80) * 2 - 6,
        xvector=made("xvector", 192),
        tokens=random_tokens("tokens", SPOKEN_TOKENS),
        mel=made("vocoder mel", 1, 80, FRAMES) * 2 - 6,
        f0=(made("f0", 1, FRAMES) * 60 + 100).clamp_min(0),
        source=made("source", 1, 1, FRAMES * 480) * 0.1,
    )


def summary(value: Tensor) -> dict[str, Any]:
    """What is kept of a tensor, ready for JSON."""
    if not value.is_floating_point():
        return {"ids": value.flatten().tolist()}
    flat = value.detach().flatten().double()
    return {
        "shape": list(value.shape),
        "max": _short(flat.abs().max()),
        "values": [_short(x) for x in flat[_places(len(flat))]],
    }


def _places(count: int) -> Tensor:
    """Of so many numbers, those that are kept: from the first to the last."""
    return torch.linspace(0, count - 1, min(count, KEPT), dtype=torch.float64).round().long()


def _short(value: Tensor) -> float:
    return float(f"{float(value):.8g}")


def difference(value: Tensor, kept: Mapping[str, Any]) -> float:
    """max|ours - upstream's| / max|upstream's| of the kept numbers and the largest. Ids: 0 if equal, else infinite."""
    if "ids" in kept:
        return 0.0 if value.flatten().tolist() == kept["ids"] else float("inf")
    if list(value.shape) != kept["shape"]:
        return float("inf")
    flat = value.detach().cpu().flatten().double()
    theirs = torch.tensor([*kept["values"], kept["max"]], dtype=torch.float64)
    ours = torch.cat([flat[_places(len(flat))], flat.abs().max()[None]])
    return float((ours - theirs).abs().max() / kept["max"])


def write(variant: str, recorded: Mapping[str, Tensor]) -> Path:
    """Keep upstream's answers, one line a stage."""
    lines = [f"{json.dumps(stage)}: {json.dumps(summary(value))}" for stage, value in recorded.items()]
    path = FOLDER / f"{variant}.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return path


def read(variant: str) -> dict[str, dict[str, Any]]:
    """Stage -> what was kept."""
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{variant}.json").read_text(encoding="utf-8"))
    return found

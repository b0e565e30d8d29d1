"""`python -m parity gpu`: a GPU against the CPU, recorded steps against steps as they are written, and how fast it is.

For the machine with a GPU that somebody has for an hour: all that is made for GPUs has been written without one. On the
CPU it runs too, where nothing is recorded, and shows that the command itself is whole.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from chatterbox_plus.engines.chatterbox import matrices
from chatterbox_plus.engines.chatterbox.decoding import Decoder
from chatterbox_plus.engines.chatterbox.devices import choose
from chatterbox_plus.engines.chatterbox.estimator import Estimator
from chatterbox_plus.engines.chatterbox.flow import draw_noise
from chatterbox_plus.engines.chatterbox.graphs import Graphs
from chatterbox_plus.engines.chatterbox.model import Model
from chatterbox_plus.engines.chatterbox.padded import Padded
from chatterbox_plus.engines.chatterbox.pooled import PooledDecoder
from chatterbox_plus.engines.chatterbox.prints import VoicePrint
from chatterbox_plus.engines.chatterbox.sampling import Sampling
from chatterbox_plus.engines.chatterbox.vocoder import draw_source
from chatterbox_plus.errors import ModelLoadError
from parity import checkpoints, modes, ours
from parity.checkpoints import random_tokens
from parity.modes import ENGLISH, TEXTS, Distance
from parity.results import Result, relative_error, same_ids

ROUNDS = 3  # of a timing; the least counts
SEED = 7
# Of fast layers: bfloat16 has 8 bits, and what is added up in another order differs by its last ones.
_CLOSE = 0.05


@dataclass(frozen=True)
class Work:
    """tokens: that are said, and decoded. rows: how many texts at once. batch: how many mels at once."""

    tokens: int = 100
    rows: tuple[int, ...] = (1, 8, 32)
    batch: tuple[int, ...] = (1, 8)


@dataclass(frozen=True)
class Near(Result):
    """As Result, for numbers of 16 bits."""

    @property
    def ok(self) -> bool:
        return self.error if isinstance(self.error, bool) else self.error <= _CLOSE


def main(variants: Sequence[str], cache: Path, device: str, *, tiny: bool = False) -> int:
    """Print a line of JSON for every comparison and figure. Gives 1 if any is off, 2 for a device that is not here."""
    sizes, work = ("tiny", Work(12, (1, 3), (1, 2))) if tiny else ("full", Work())
    good = True
    try:
        choose(device)
    except ModelLoadError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for variant in variants:
        kept = cache / ("tiny" if tiny else "")
        folder = checkpoints.write(variant, kept / variant, sizes=sizes, share=kept / "shared")
        for line in check(variant, folder, device, work):
            sys.stdout.write(line.line() + "\n")
            sys.stdout.flush()
            good = good and (not isinstance(line, Result) or line.ok)
    return 0 if good else 1


def check(variant: str, folder: Path, device: str, work: Work) -> Iterator[Result | Distance]:
    """All there is to say of a variant. folder: a checkpoint of `checkpoints.write`. Raises ModelLoadError."""
    torch.backends.cudnn.allow_tf32 = False  # as the engine has it
    at = torch.device(device)
    with torch.inference_mode():
        exact = ours.load(variant, folder, device)
        yield from _like_the_cpu(variant, ours.load(variant, folder), exact, work)
        for mode in dict.fromkeys(("exact", matrices.choose("fast", at))):
            model = exact if mode == "exact" else ours.load(variant, folder, device, mode)
            yield from _recorded(variant, mode, model, work)
            yield from _timings(variant, mode, model, work)
            del model
    yield from modes.compare(variant, folder, device)


def _like_the_cpu(variant: str, cpu: Model, gpu: Model, work: Work) -> Iterator[Result]:
    """In `exact`, what the device makes is what the CPU makes."""
    options = _options(cpu, temperature=0.0)
    one, other = (Decoder(model.t3) for model in (cpu, gpu))
    expected = _say(one, cpu, options, work)
    yield Result(variant, "likeliest tokens, plain decoder", same_ids(_say(other, gpu, options, work), expected))
    pooled = PooledDecoder(gpu.t3)
    yield Result(variant, "likeliest tokens, pool", same_ids(_say(pooled, gpu, options, work), expected))
    mels = [_mel(model, work.tokens) for model in (gpu, cpu)]
    yield Result(variant, "mel", relative_error(*mels))
    waves = [_wave(model, mels[1]) for model in (gpu, cpu)]
    yield Result(variant, "wave", relative_error(*waves))


def _recorded(variant: str, mode: str, model: Model, work: Work) -> Iterator[Result]:
    """What is recorded, batched, padded and read late is what it is otherwise."""
    at, kind = model.device, Result if mode == "exact" else Near
    options = _options(model)
    with_graphs, without = (PooledDecoder(model.t3, _kept(mode), late, graphs=g) for late, g in _ways(at))
    said = [_say(decoder, model, options, work) for decoder in (with_graphs, without)]
    yield Result(variant, f"{mode}: drawn tokens, recorded and not", same_ids(*said))
    crowd = [_crowd(decoder, model, options, work, max(work.rows)) for decoder in (with_graphs, without)]
    yield Result(variant, f"{mode}: drawn tokens of a crowd, recorded and not", crowd[0] == crowd[1])
    estimator = model.flow.estimator
    plain = partial(Estimator.forward, estimator)
    asked = _asked(model, work)
    (_, recorder), (_, bare) = _ways(at)
    recorded, padded = Padded(plain, recorder), Padded(plain, bare)
    for _ in range(2):  # the second is a replay
        found = recorded(*asked)
    yield kind(variant, f"{mode}: estimator, recorded and not", relative_error(found, padded(*asked)))
    yield kind(variant, f"{mode}: estimator, padded and not", relative_error(found, plain(*asked)))
    together = model.flow.mel_batch([_spoken(model, count) for count in (work.tokens, work.tokens // 2 + 1)])
    alone = _mel(model, work.tokens // 2 + 1)
    yield kind(variant, f"{mode}: a mel in a batch and alone", relative_error(together[1], alone))
    if at.type == "cuda":
        yield Result(variant, f"{mode}: steps can be recorded", recorder.able)


def _timings(variant: str, mode: str, model: Model, work: Work) -> Iterator[Distance]:
    """In the least of some rounds, the first of which also records. Tokens: taking in the texts included."""
    options, audio_s = _options(model), work.tokens / 25
    for (late, graphs), way in zip(_ways(model.device), ("graphs", "eager"), strict=True):
        for rows in work.rows:
            decoder = PooledDecoder(model.t3, _kept(mode), late, graphs=graphs)
            seconds = _least(model, partial(_crowd, decoder, model, options, work, rows))
            yield Distance(variant, mode, f"tokens_per_s, {rows} rows, {way}", rows * work.tokens / seconds, "1/s")
            graphs.clear()
    plain = Decoder(model.t3)
    seconds = _least(model, lambda: _say(plain, model, options, work))
    yield Distance(variant, mode, "tokens_per_s, plain decoder", work.tokens / seconds, "1/s")
    for count in work.batch:
        batch = [_spoken(model, work.tokens)] * count
        seconds = _least(model, partial(model.flow.mel_batch, batch))
        yield Distance(variant, mode, f"flow_rtf, {count} at once", seconds / (audio_s * count), "s/s")
    mel = _mel(model, work.tokens)
    yield Distance(variant, mode, "vocoder_rtf", _least(model, lambda: _wave(model, mel)) / audio_s, "s/s")


def _ways(device: torch.device) -> list[tuple[int, Graphs]]:
    """Recorded and read late, and neither."""
    return [(4, Graphs(device)), (0, Graphs(device, capture=lambda step: step))]


def _kept(mode: str) -> torch.dtype:
    return torch.float32 if mode == "exact" else torch.bfloat16


def _options(model: Model, **given: float) -> Sampling:
    chosen = {**model.family.defaults, **given}
    return Sampling(**{name: value for name, value in chosen.items() if name in Sampling.__dataclass_fields__})  # type: ignore[arg-type]


def _voice(model: Model) -> VoicePrint:
    voice = model.default_voice
    assert voice is not None
    return voice


def _text(model: Model) -> Tensor:
    language, written = TEXTS.get(model.family.name, ENGLISH)
    return torch.tensor(model.reader.encode(written, language))


def _say(decoder: Decoder, model: Model, options: Sampling, work: Work) -> list[int]:
    """Random weights hardly ever stop, so the limit ends it."""
    generator = torch.Generator().manual_seed(SEED)
    return decoder.generate(_voice(model).t3, _text(model), options, generator, work.tokens).tokens


def _crowd(decoder: Decoder, model: Model, options: Sampling, work: Work, rows: int) -> list[list[int]]:
    said = []
    for row in range(rows):
        generator = torch.Generator().manual_seed(SEED + row)
        said.append(decoder.begin(_voice(model).t3, _text(model), options, generator, work.tokens))
    while not all(utterance.over for utterance in said):
        decoder.step(said)
    return [utterance.tokens for utterance in said]


def _spoken(model: Model, count: int) -> tuple[Tensor, object, Tensor]:
    prompt = _voice(model).flow
    noise = draw_noise(torch.Generator().manual_seed(SEED), count, len(prompt.tokens), model.family.meanflow)
    return random_tokens("said", count).to(model.device), prompt, noise.to(model.device)


def _mel(model: Model, count: int) -> Tensor:
    return model.flow.mel(*_spoken(model, count))  # type: ignore[arg-type]


def _wave(model: Model, mel: Tensor) -> Tensor:
    phase, noise = draw_source(torch.Generator().manual_seed(SEED), mel.shape[1])
    at = model.device
    return model.vocoder.wave(mel.to(at), phase.to(at), noise.to(at))


def _asked(model: Model, work: Work) -> Sequence[Tensor | None]:
    """What the estimator is asked in the first step: three rows of different lengths."""
    frames, generator = 2 * work.tokens + 1, torch.Generator().manual_seed(SEED)
    x, mu, cond = (torch.randn(3, 80, frames, generator=generator).to(model.device) for _ in range(3))
    speaker = torch.randn(3, 80, generator=generator).to(model.device)
    mask = torch.arange(frames) < torch.tensor([[frames], [frames // 2], [frames - 1]])
    t = torch.tensor([0.5], device=model.device)
    return x, mu, t, t + 0.5 if model.family.meanflow else None, speaker, cond, mask.to(model.device)


def _least(model: Model, call: Callable[[], object]) -> float:
    """Seconds."""
    took = []
    for _ in range(ROUNDS):
        _wait(model.device)
        began = time.perf_counter()
        call()
        _wait(model.device)
        took.append(time.perf_counter() - began)
    return min(took)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

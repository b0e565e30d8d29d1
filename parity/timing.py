"""Upstream's side of `make bench-engine`, a process of its own: `python -m parity.timing`, in upstream's environment.

It is talked to as ours is (`chatterbox_plus.engines.chatterbox.timing.protocol`). The first line names variant, folder
and the voice's recording. Speech is made as upstream's `generate` makes it, with the voice prepared once and without
the watermark; the stop is forced as ours is, and texts are ours.
"""

# mypy: disable-error-code="import-not-found"
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chatterbox_plus.engines.chatterbox.prints import CODES
from chatterbox_plus.engines.chatterbox.t3 import STOP
from chatterbox_plus.engines.chatterbox.timing.material import SENTENCE, forced_length, long_text, seconds, sentence
from chatterbox_plus.engines.chatterbox.timing.protocol import Measured, Measures, answer, peak_memory

SEED = 1
EXAGGERATION = 0.5
SILENCE = 4299  # upstream's S3GEN_SIL, three of which end what Turbo and Nano say
_NEVER, _ALWAYS = -1e4, 1e4  # logits
_WARM_LETTERS = 20


@contextmanager
def forced(head: nn.Module, length: int) -> Iterator[None]:
    """Within, the model that has this speech head stops after so many tokens, all of which have a sound.

    Nothing is infinite: guidance takes differences.
    """
    calls = 0

    def force(_: nn.Module, __: object, logits: Tensor) -> None:
        nonlocal calls
        if calls < length:
            logits[..., CODES:] = _NEVER
        else:
            logits.fill_(_NEVER)
            logits[..., STOP] = _ALWAYS
        calls += 1

    hook = head.register_forward_hook(force)
    try:
        yield
    finally:
        hook.remove()


class Timed:
    """One variant; `Upstream` with a clock."""

    def __init__(self, variant: str, folder: Path, voice: Path) -> None:
        from parity.upstream import Upstream, load

        self._side = Upstream(variant, load(variant, folder))
        self._heard = self._side.hear(voice)

    @property
    def measures(self) -> Measures:
        return {
            "warm": self.warm,
            "sentence": self.sentence,
            "long": self.long,
            "convert": self.convert,
            "memory": peak_memory,
        }

    def warm(self, tasks: list[str]) -> Measured:
        """Do everything once."""
        if "tts" in tasks:
            self._say(sentence(_WARM_LETTERS))
        else:
            self._sound(torch.arange(12))
        return Measured({})

    def sentence(self) -> Measured:
        tokens_s, flow_s, vocoder_s, total_s = self._say(SENTENCE)
        length_s = seconds([SENTENCE])
        return Measured(
            {
                "first_audio_s": total_s,  # nothing of it is there before all of it is
                "long_text_x": length_s / total_s,  # a long text is one sentence after the other
                "total_rtf": total_s / length_s,
                "tokens_per_s": forced_length(SENTENCE) / tokens_s,
                "flow_rtf": flow_s / length_s,
                "vocoder_rtf": vocoder_s / length_s,
            }
        )

    def long(self, sentences: int) -> Measured:
        """One after the other, as everybody who has a long text must call it."""
        texts = long_text(sentences)
        taken = sum(self._say(text)[-1] for text in texts)
        return Measured({"long_text_x": seconds(texts) / taken})

    def convert(self, recording: str) -> Measured:
        """All of it in one go, as upstream does it."""
        import librosa

        began = time.monotonic()
        wave16, _ = librosa.load(recording, sr=16_000)
        tokens = self._side.tokens_of(torch.from_numpy(wave16))
        flow_s, vocoder_s = self._sound(tokens)
        total_s, length_s = time.monotonic() - began, len(wave16) / 16_000
        figures = {"total_rtf": total_s, "flow_rtf": flow_s, "vocoder_rtf": vocoder_s}
        return Measured({name: value / length_s for name, value in figures.items()})

    def _say(self, text: str) -> tuple[float, float, float, float]:
        """Seconds in T3, in the flow, in the vocoder, and in all."""
        side, length, said = self._side, forced_length(text), list[int]()
        began = time.monotonic()
        ids = side.read(text, "en")

        def sample() -> None:
            said.extend(side.sample(self._heard, ids, length + 1, SEED, EXAGGERATION))

        with forced(side.t3.speech_head, length):
            tokens_s = _seconds(sample)
        if len(said) != length:
            raise RuntimeError(f"upstream said {len(said)} tokens, not {length}")
        tail = [SILENCE] * 3 if hasattr(side.model, "norm_loudness") else []
        flow_s, vocoder_s = self._sound(torch.tensor([*said, *tail]))
        return tokens_s, flow_s, vocoder_s, time.monotonic() - began

    def _sound(self, tokens: Tensor) -> tuple[float, float]:
        """Seconds in the flow, and in the vocoder."""
        s3gen, made = self._side.s3gen, dict[str, Tensor]()

        def flow() -> None:
            made["mel"] = s3gen.flow_inference(tokens[None], ref_dict=dict(self._heard.gen), finalize=True)

        return _seconds(flow), _seconds(lambda: s3gen.hift_inference(made["mel"]))


def _seconds(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    def open_model(setup: dict[str, str]) -> Measures:
        return Timed(setup["variant"], Path(setup["folder"]), Path(setup["voice"])).measures

    with torch.inference_mode():
        answer(open_model)


if __name__ == "__main__":
    main()

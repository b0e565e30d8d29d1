"""One side of `make bench-engine` in a process of its own: told a stage on stdin, it does it and says how long.


`python -m parity.timing ours|upstream VARIANT FOLDER RECORDING`. Stages: "load" (the first), "voice", "tokens", "mel",
"wave"; "memory" asks for the peak of this process in MB. Replies are lines of JSON: {"value": 1.5, "unit": "s"}.
"""

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from parity.checkpoints import random_tokens

TEXT = "The harbour lay quiet under a pale morning sky, and nobody spoke much."
VOICE_S = 10  # of the recording: what S3Gen hears at most
GENERATED = 50  # speech tokens that T3 is asked for: 2 s
SPOKEN = 75  # speech tokens that S3Gen is given: 3 s
SEED = 1
STAGES = ("voice", "tokens", "mel", "wave")

Stages = dict[str, Callable[[], Any]]


def ours(variant: str, folder: Path, recording: Path) -> Stages:
    """The stages of our side, loaded."""
    import wave

    import numpy as np

    from chatterbox_plus.audio.clip import Clip
    from chatterbox_plus.engines.chatterbox.flow import draw_noise
    from chatterbox_plus.engines.chatterbox.sampling import Sampling
    from chatterbox_plus.engines.chatterbox.vocoder import draw_source
    from parity.ours import load

    model = load(variant, folder)
    with wave.open(str(recording)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
    clip, kept = Clip(samples, 24_000), dict[str, Any]()
    chosen: dict[str, Any] = {k: v for k, v in model.family.defaults.items() if k in Sampling.__dataclass_fields__}

    def voice() -> None:
        if variant == "vc":
            kept["flow"] = _target(model, samples)
        else:
            print_ = model.listen(clip)
            kept.update(t3=print_.t3, flow=print_.flow)

    def tokens() -> None:
        text = torch.tensor(model.reader.encode(TEXT, "en"))
        model.t3.generate(kept["t3"], text, Sampling(**chosen), torch.Generator().manual_seed(SEED), GENERATED)

    def mel() -> None:
        spoken = random_tokens("said", SPOKEN)
        generator = torch.Generator().manual_seed(SEED)
        noise = draw_noise(generator, SPOKEN, len(kept["flow"].tokens), model.flow.meanflow)
        kept["mel"] = model.flow.mel(spoken, kept["flow"], noise)

    def wave_() -> None:
        phase, noise = draw_source(torch.Generator().manual_seed(SEED), kept["mel"].shape[1])
        model.vocoder.wave(kept["mel"], phase, noise)

    if variant == "vc":
        assert model.s3_tokenizer
        assert model.speaker_encoder
        assert model.flow
        assert model.vocoder
        return {"voice": voice, "mel": mel, "wave": wave_}
    model.load(frozenset({"tts", "vc"}))
    return {"voice": voice, "tokens": tokens, "mel": mel, "wave": wave_}


def _target(model: Any, samples: Any) -> Any:
    """What conversion needs of a voice; S3Gen alone has no voice encoder."""
    from chatterbox_plus.engines.chatterbox import features
    from chatterbox_plus.engines.chatterbox.prints import flow_prompt

    wave24 = torch.from_numpy(samples)
    wave16 = features.resample(wave24, 24_000, 16_000)
    mel = features.prompt_mel(wave24)
    return flow_prompt(model.s3_tokenizer.encode(wave16), mel, model.speaker_encoder.embed(wave16))


def upstream(variant: str, folder: Path, recording: Path) -> Stages:
    """The stages of upstream, loaded."""
    from parity.upstream import Upstream, load

    side, kept = Upstream(variant, load(variant, folder)), dict[str, Any]()

    def voice() -> None:
        kept["heard"] = side.hear(recording)

    def tokens() -> None:
        side.sample(kept["heard"], side.read(TEXT, "en"), GENERATED, SEED, 0.5)

    def mel() -> None:
        torch.manual_seed(SEED)
        spoken = random_tokens("said", SPOKEN)[None]
        kept["mel"] = side.s3gen.flow_inference(spoken, ref_dict=dict(kept["heard"].gen), finalize=True)

    def wave() -> None:
        side.s3gen.hift_inference(kept["mel"])

    with_t3: Stages = {"tokens": tokens} if side.t3 is not None else {}
    return {"voice": voice, **with_t3, "mel": mel, "wave": wave}


def main() -> None:
    side, variant, folder, recording = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    replies = sys.stdout
    stages: Stages = {}
    with contextlib.redirect_stdout(sys.stderr), torch.inference_mode():  # upstream prints
        for line in sys.stdin:
            stage = line.strip()
            if stage == "memory":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                reply = {"value": peak / (2**20 if sys.platform == "darwin" else 2**10), "unit": "MB"}
            else:
                began = time.perf_counter()
                if stage == "load":
                    stages = {"ours": ours, "upstream": upstream}[side](variant, folder, recording)
                else:
                    stages[stage]()
                reply = {"value": time.perf_counter() - began, "unit": "s"}
            replies.write(json.dumps(reply) + "\n")
            replies.flush()


if __name__ == "__main__":
    main()

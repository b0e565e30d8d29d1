"""Random weights for the official names: the same numbers on every machine, and sane activations all the way through.

Each tensor has a Philox stream of its own, keyed by its name, so tensors of one name and shape are equal in every
variant, whatever is written before them. The numbers are uniform, not normal: `Generator.random` is a shift and a
product of the raw stream, which no version of NumPy will change.
"""

import hashlib
import math
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parity.official import Shape

Array = NDArray[np.float32] | NDArray[np.int64]
_Rule = Callable[[str, Shape], tuple[float, float]]  # name, shape -> (mean, standard deviation)


def tensor(name: str, shape: Shape) -> Array:
    """The weights of one name, as float32 (counters: int64), of any shape."""
    if name.endswith("num_batches_tracked"):
        return np.full(shape, 1000, np.int64)
    if name in _FIXED:
        return _FIXED[name]()
    mean, deviation = next(rule(name, shape) for pattern, rule in _RULES if pattern.search(name))
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    values = np.empty(shape, np.float32)
    np.random.Generator(np.random.Philox(key=key)).random(dtype=np.float32, out=values)
    values -= np.float32(0.5)
    values *= np.float32(deviation * math.sqrt(12))  # a uniform variable one wide deviates by 1 / sqrt(12)
    values += np.float32(mean)
    if name == "mel2wav.conv_post.bias":
        values[: len(values) // 2] -= np.float32(
            2
        )  # magnitudes are the exponentials of these: keeps the wave off its limit
    return values


def mel_filters(rate: int = 16_000, n_fft: int = 400, bands: int = 128) -> NDArray[np.float32]:
    """Slaney's mel filter bank as librosa computes it, (bands, n_fft // 2 + 1): what `tokenizer._mel_filters` holds."""

    def to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:  # linear to 1 kHz, 27 steps an octave-ish above it
        return np.where(mel >= 15, 1000 * np.exp(math.log(6.4) / 27 * (mel - 15)), 200 / 3 * mel)

    top = 15 + math.log(rate / 2 / 1000) / (math.log(6.4) / 27)
    edges = to_hz(np.linspace(0, top, bands + 2))
    bins = np.fft.rfftfreq(n_fft, 1 / rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    filters: NDArray[np.float32] = (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)
    return filters


def _hann() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)).astype(np.float32)


_FIXED: dict[str, Callable[[], NDArray[np.float32]]] = {
    "tokenizer._mel_filters": mel_filters,
    "tokenizer.window": _hann,
}
"""What a checkpoint holds though it is computed: random numbers there would only try the random numbers."""


def _constant(mean: float, deviation: float) -> _Rule:
    return lambda name, shape: (mean, deviation)


def _fan_in(gain: float, axes: slice = slice(1, None)) -> _Rule:
    """Outputs deviate `gain` times as much as inputs. axes: those of the shape that are summed over."""
    return lambda name, shape: (0.0, gain / math.sqrt(math.prod(shape[axes])))


def _weight_norm_of_transposed(name: str, shape: Shape) -> tuple[float, float]:
    """Of a transposed convolution, g is by input channel: an output sums (inputs × kernel / stride) products."""
    gain = math.sqrt({0: 8, 1: 5, 2: 3}[int(name.split(".")[2])] / 2)
    return gain, 0.1 * gain


_RULES: list[tuple[re.Pattern[str], _Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in [
        (r"^conds\.", _constant(0.0, 1.0)),
        # The vocoder. f0 mostly between 20 and 220 Hz, with some frames below the 10 Hz that count as voiced.
        (r"f0_predictor\.classifier\.weight", _fan_in(250.0)),
        (r"f0_predictor\.classifier\.bias", _constant(120.0, 0.0)),
        (r"mel2wav\.ups\.\d\.parametrizations\.weight\.original0", _weight_norm_of_transposed),
        (r"mel2wav\.conv_post\..*original0", _constant(0.5, 0.05)),
        (r"convs2\..*original0", _constant(0.4, 0.04)),
        (r"condnet\..*original0", _constant(1.4, 0.1)),
        (r"original0$", _constant(1.0, 0.1)),
        (r"original1$", _constant(0.0, 1.0)),
        (r"alpha$", _constant(1.0, 0.2)),
        (r"m_source\.l_linear\.weight", _fan_in(3.0)),
        # Norms and biases.
        (r"running_mean$", _constant(0.0, 0.1)),
        (r"running_var$", _constant(1.0, 0.1)),
        (r"similarity_|pos_bias_", _constant(0.0, 0.1)),
        (
            r"(norm[\w]*|_layernorm|_ln|\bln_\w|bn\d?|batchnorm|shortcut\.1|block\.2|out\.1)\.weight$",
            _constant(1.0, 0.1),
        ),
        (r"bias(_\w+)?$", _constant(0.0, 0.05)),
        # Tables, and what reads vectors of length one.
        (r"(text|speech)_emb\.weight$|input_embedding", _constant(0.0, 0.5)),
        (r"pos_emb|\bw[tp]e\.", _constant(0.0, 0.2)),
        (r"pre_attention_query", _constant(0.0, 1.0)),
        (r"spkr_enc\.weight", lambda name, shape: (0.0, 0.5)),
        (r"spk_embed_affine_layer\.weight", lambda name, shape: (0.0, 0.5)),
        # Heads whose outputs must spread, and branches that must not drown the stream they are added to.
        (r"speech_head\.weight", _fan_in(3.0)),
        (r"tfmr\.h\..*c_proj\.weight", _fan_in(0.3, slice(0, 1))),
        (r"tfmr\.h\..*weight", _fan_in(1.0, slice(0, 1))),
        (r"(o_proj|down_proj|proj_out|attn\.out|mlp\.2|linear_out|w_2|to_out\.0|ff\.net\.2)\.weight", _fan_in(0.3)),
        (r"fsmn_block", _fan_in(0.5)),
        (r"(q_proj|k_proj|to_[qk]|query|key|linear_[qk])\.weight", _fan_in(1.4)),
        (r"speaker_encoder|condnet", _fan_in(1.4)),
        (r"", _fan_in(1.0)),
    ]
]

"""What is said and heard when a model is timed: texts of known length, a voice that is made up. Needs NumPy only."""

import wave
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.engines.chatterbox.guard import TOKENS_PER_SECOND

RATE = 24_000  # Hz
_PACE = 15  # characters a second, as people speak
_WORDS = (
    "the harbour lay quiet under a pale morning sky and nobody spoke much while three boats came in before dawn with "
    "their nets still wet and later on the market would open for everybody who had walked down from the old town"
)
_LENGTHS = (80, 60, 100, 40, 120, 70, 90, 80, 50, 110, 80, 60, 100, 40, 120, 70, 90, 80, 110, 50)
"""Characters of the sentences of a long text: 80 on average, those of the first eight too."""


def forced_length(text: str) -> int:
    """Speech tokens after which a text's stop is forced: as many as it takes to say it at an ordinary pace."""
    return round(len(text) * TOKENS_PER_SECOND / _PACE)


def seconds(texts: Sequence[str]) -> float:
    """Of speech that is made of texts. Silence that is cut off the ends counts: it has to be made, too."""
    return sum(map(forced_length, texts)) / TOKENS_PER_SECOND


def sentence(length: int, first: int = 0) -> str:
    """So many characters, at least ten. first: another sentence for each."""
    words = islice(cycle(_WORDS.split()), first, None)
    text = next(words).capitalize()
    while len(text) < length:
        text += f" {next(words)}"
    return text[: length - 1].rstrip().ljust(length - 1, "s") + "."


SENTENCE = sentence(90)
"""6 s."""


def long_text(count: int) -> list[str]:
    """Sentences of 40 to 120 characters."""
    return [sentence(length, 7 * i) for i, length in enumerate(islice(cycle(_LENGTHS), count))]


def made_up_voice(length_s: float) -> Samples:
    """A gliding buzz in syllables with pauses, and noise: (n,) at RATE. The same for the same length."""
    t = np.arange(round(length_s * RATE)) / RATE
    phase = 2 * np.pi * (120 * t + 6 * np.sin(2 * np.pi * 0.4 * t))
    buzz = sum(np.sin(n * phase) / n for n in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * t), 0, None) ** 0.5 * (np.sin(2 * np.pi * 0.25 * t) > -0.8)
    noise = np.random.default_rng(0).standard_normal(len(t))
    samples: Samples = (0.2 * buzz * syllables + 0.002 * noise).astype(np.float32)
    return samples


def write_voice(path: Path, length_s: float) -> Path:
    """The same as a file, wav of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((made_up_voice(length_s).clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_voice(path: Path) -> Clip:
    """What `write_voice` has written. Raises OSError."""
    with wave.open(str(path)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return Clip(frames.astype(np.float32) / np.float32(32768), file.getframerate())

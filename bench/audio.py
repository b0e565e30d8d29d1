"""The audio core: speed changes, encoding, decoding."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from bench.measure import Bench, Figure, Setting, best_of, voice_like, write_audio
from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.decode import Decoder
from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import FORMATS, SPEECH_RATE
from chatterbox_plus.audio.stretch import Stretch

_SECONDS = 300
_BLOCK = SPEECH_RATE


def speed(setting: Setting) -> Iterator[Figure]:
    """Five minutes at 1.3 times the speed, pitch kept, in blocks of a second."""
    blocks = _blocks(np.tile(voice_like(60), _SECONDS // 60))

    def stretch() -> None:
        stage = Stretch(SPEECH_RATE, 1.3)
        for block in blocks:
            stage.push(block)
        stage.finish()

    yield Figure("speed_change_x_realtime", _SECONDS / best_of(3, stretch), "x")


def encoding(setting: Setting) -> Iterator[Figure]:
    """Five minutes into each format."""
    blocks = _blocks(np.tile(voice_like(60), _SECONDS // 60))
    for name in FORMATS:
        yield Figure(f"encode_{name}_x_realtime", _SECONDS / best_of(2, partial(_encode, name, blocks)), "x")


def decoding(setting: Setting) -> Iterator[Figure]:
    """Five minutes of each format through the confined decoder, to mono at 24 kHz."""
    decoder = Decoder()
    try:
        decoder.warm_up()
        for name in (name for name, format in FORMATS.items() if format.container):
            path = write_audio(setting.folder / f"sound.{name}", np.tile(voice_like(60), _SECONDS // 60))
            seconds = best_of(2, partial(_read, decoder, path))
            yield Figure(f"decode_{name}_x_realtime", _SECONDS / seconds, "x")
    finally:
        decoder.close()


def _encode(name: str, blocks: list[Samples]) -> None:
    encoder = Encoder(name, rate=SPEECH_RATE)
    for block in blocks:
        encoder.push(block)
    encoder.finish()


def _read(decoder: Decoder, path: Path) -> None:
    with decoder.stream(path, rate=SPEECH_RATE, channels=1) as stream:
        for _ in stream:
            pass


def _blocks(samples: Samples) -> list[Samples]:
    return np.array_split(samples, len(samples) // _BLOCK)


BENCHES: dict[str, Bench] = {"speed": speed, "encoding": encoding, "decoding": decoding}

"""Files, stdout and players: each fed the same samples while they are made."""

import errno
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import Protocol

import numpy as np

from chatterbox_plus.audio.clip import Samples
from chatterbox_plus.audio.encode import WAV_HEADER, Encoder
from chatterbox_plus.commands.output import Target
from chatterbox_plus.commands.player import Player, PlayerSink
from chatterbox_plus.errors import BadRequest, GenerationError, PlusError, StorageFull
from chatterbox_plus.library.writing import publish
from chatterbox_plus.synthesis.results import LiveAudio


class Sink(Protocol):
    """Somewhere for samples, (n,) or (channels, n), to go. Either `finish` and then `place`, or `abandon`, ends it."""

    def push(self, samples: Samples) -> None: ...

    def finish(self) -> None:
        """All that still has to be written; nothing has its name yet."""

    def place(self) -> None:
        """Gives what was written its name."""

    def abandon(self) -> None: ...


Opener = Callable[[int, int], Sink]
"""(rate in Hz, channels) -> Sink"""


def openers(targets: list[Target], stdout_format: str | None, player: Player | None, cancel: Event) -> list[Opener]:
    """stdout_format: None where stdout is not written to. cancel: stops the player."""
    found: list[Opener] = [partial(FileSink, target) for target in targets]
    if stdout_format:
        found.append(partial(StdoutSink, stdout_format))
    if player:
        found.append(partial(PlayerSink, player, cancel))
    return found


class FileSink:
    """A file that appears under its name when it is whole, and not at all otherwise."""

    def __init__(self, target: Target, rate: int, channels: int) -> None:
        self._target, self._placed = target, False
        self._part = target.path.with_name(f".{target.path.name}.{secrets.token_hex(4)}.part")
        try:
            self._file = self._part.open("xb")
        except OSError as error:
            raise _unwritable(target.path, error) from None
        self._encoder = Encoder(target.format, rate=rate, channels=channels, sink=self._file)

    def push(self, samples: Samples) -> None:
        try:
            self._encoder.push(samples)
        except OSError as error:
            raise _unwritable(self._target.path, error) from None

    def finish(self) -> None:
        try:
            self._encoder.finish()
            self._file.close()
        except OSError as error:
            raise _unwritable(self._target.path, error) from None

    def place(self) -> None:
        try:
            if self._target.replace:
                self._part.replace(self._target.path)
            else:
                publish(self._part, self._target.path)
        except FileExistsError:
            raise self._target.taken() from None
        except OSError as error:
            raise _unwritable(self._target.path, error) from None
        self._placed = True

    def abandon(self) -> None:
        """Also of a file in its place already, unless it has replaced one that nothing could bring back."""
        with suppress(OSError):  # a full disk may refuse even the last flush; the file goes all the same
            self._file.close()
        self._part.unlink(missing_ok=True)
        if self._placed and not self._target.replace:
            self._target.path.unlink(missing_ok=True)


class StdoutSink:
    """Bytes as soon as they are ready. A reader that has gone is a BrokenPipeError."""

    def __init__(self, format: str, rate: int, channels: int) -> None:
        self._encoder = Encoder(format, rate=rate, channels=channels)

    def push(self, samples: Samples) -> None:
        self._write(self._encoder.push(samples))

    def finish(self) -> None:
        self._write(self._encoder.finish())

    def place(self) -> None: ...

    def abandon(self) -> None: ...

    def _write(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            sys.stdout = None  # else Python tries to flush it once more at exit, and fails
            raise StorageFull(f"stdout cannot be written: {error.strerror}") from None


def deliver(live: LiveAudio, targets: list[Opener], heard: Callable[[float], None] = lambda seconds: None) -> float:
    """Play the live wav into every target; all of them are finished, or all abandoned. Returns its seconds.

    heard: told the seconds so far. Raises what the audio raises, StorageFull and BadRequest for a file that cannot be
    written, FileExists for one whose name was taken meanwhile, BrokenPipeError for a stdout that nobody reads.
    """
    sinks: list[Sink] = []
    samples = 0
    with live:
        rate, channels, blocks = _samples(live)
        try:
            for target in targets:
                sinks.append(target(rate, channels))  # one by one: those opened must be abandoned if the next cannot be
            for block in blocks:
                samples += block.shape[-1]
                for sink in sinks:
                    sink.push(block)
                heard(samples / rate)
            for sink in sinks:
                sink.finish()
            for sink in sinks:
                sink.place()
        except BaseException:
            for sink in sinks:
                sink.abandon()
            raise
    return samples / rate


def _samples(live: LiveAudio) -> tuple[int, int, Iterator[Samples]]:
    """The samples in a live wav: (rate in Hz, channels, blocks). 16 bits say all there is to know of our own audio."""
    stream = iter(live)
    head = b""
    while len(head) < WAV_HEADER.size:
        head += next(stream, None) or _ended_early()
    riff, _, wave, _, _, _, channels, rate, _, _, bits, data, _ = WAV_HEADER.unpack_from(head)
    if (riff, wave, bits, data) != (b"RIFF", b"WAVE", 16, b"data"):
        raise GenerationError("the studio's live audio is not the wav it should be")

    def blocks() -> Iterator[Samples]:
        rest = head[WAV_HEADER.size :]
        whole = 2 * channels
        for data in stream:
            rest += data
            usable = len(rest) - len(rest) % whole
            if usable:
                yield _decoded(rest[:usable], channels)
                rest = rest[usable:]
        if rest:
            yield _decoded(rest[: len(rest) - len(rest) % whole], channels)

    return rate, channels, blocks()


def _ended_early() -> bytes:
    raise GenerationError("nothing was made")


def _decoded(data: bytes, channels: int) -> Samples:
    samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return samples if channels == 1 else np.ascontiguousarray(samples.reshape(-1, channels).T)


def _unwritable(path: Path, error: OSError) -> PlusError:
    if error.errno == errno.ENOSPC:
        return StorageFull(f"no room left to write {path.name}")
    return BadRequest(f"cannot write {path.name}: {error.strerror}")

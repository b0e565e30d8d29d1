"""Read untrusted files: what is in any container of INPUT_SUFFIXES becomes samples, in a confined child process.

What is decoded is what players play: encoder delay and padding are left out where the file tells of them, samples
beyond full scale are kept, and a few damaged packets are skipped. Refused as InvalidAudio are files that hold no sound,
that are damaged by more than a tenth or cut off by more than a tenth of the duration they declare, and samples that are
not numbers (NaN, infinite, beyond 65536 times full scale). One channel is the average of all; more than two become two,
each side averaged with everything that belongs to neither.
"""

import json
import stat
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

import numpy as np

from chatterbox_plus.audio.clip import Clip, Samples
from chatterbox_plus.audio.decode_child import END
from chatterbox_plus.audio.decode_process import DecodeLimits, DecodeProcess, ProcessGone, Watchdog
from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import Cancelled, FileTooLarge, InvalidAudio, NotFound, PlusError, UnsupportedFormat

__all__ = ["AudioInfo", "AudioStream", "DecodeLimits", "Decoder", "check_suffix"]

_POLL_S = 0.05


@dataclass(frozen=True)
class AudioInfo:
    """What a file is, whatever its name says."""

    duration_s: float
    rate: int  # Hz, as stored
    channels: int  # as stored
    format: str  # wav mp3 flac ogg mp4 webm aac: the container; opus is ogg, m4a is mp4


def check_suffix(name: str) -> None:
    """Raises UnsupportedFormat for a name that is none of an audio file we take."""
    if PurePath(name).suffix.lower() not in INPUT_SUFFIXES:
        accepted = ", ".join(suffix[1:] for suffix in INPUT_SUFFIXES)
        raise UnsupportedFormat(f"Not an audio file: {PurePath(name).name} (accepted: {accepted})")


class AudioStream:
    """The sound of one file in blocks of about a second: (n,), or (2, n). They can be walked through once.

    info: duration_s is what the file declares; rate, channels: of the blocks.
    Iterating raises as Decoder.read does; what came before is what the file holds, but it is not all.
    """

    def __init__(self, process: DecodeProcess, name: str) -> None:
        self._process, self._name = process, name
        _, payload = self._receive()
        about = json.loads(payload)
        self.rate: int = about.pop("to_rate")
        self.channels: int = about.pop("to_channels")
        self.info = AudioInfo(**about)
        self._ended = False
        self._samples = 0

    def __iter__(self) -> Iterator[Samples]:
        return self

    def __next__(self) -> Samples:
        if self._ended:
            raise StopIteration
        kind, payload = self._receive()
        if kind == END:
            self._ended = True
            raise StopIteration
        block = np.frombuffer(payload, np.float32)
        if self.channels > 1:
            block = block.reshape(self.channels, -1)
        self._samples += block.shape[-1]
        self._process.decoded(self._samples / self.rate)
        return block

    def _receive(self) -> tuple[bytes, bytearray]:
        try:
            return self._process.receive()
        except (InvalidAudio, NotFound) as error:
            raise type(error)(f"Cannot read {self._name}: {error.message}") from None


class Decoder:
    """A pool of confined children, started when first needed and kept.

    Any number of threads may call. `probe` and `read` work on `workers` files at a time, the others wait. A `stream`
    holds a child for as long as its caller likes, so it never waits for one: if all are taken it gets a further child,
    which ends when the pool has enough without it. So nobody can wait for a child that waits for him, however many
    streams one thread holds; how many there are at once is the caller's to bound.
    """

    def __init__(self, limits: DecodeLimits | None = None, workers: int = 2) -> None:
        self._limits = limits or DecodeLimits()
        self._workers = workers
        self._slots = threading.BoundedSemaphore(workers)
        self._watchdog = Watchdog()
        self._lock = threading.Lock()
        self._idle: list[DecodeProcess] = []
        self._closed = False
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def warm_up(self) -> None:
        """Start all workers, so that the first file need not wait for one (0.2 s). Raises PlusError if that fails."""
        processes: list[DecodeProcess] = []
        try:
            for _ in range(self._workers):
                processes.append(self._take())
            for process in processes:
                process.wait_until_ready()
        finally:
            for process in processes:
                self._give_back(process, usable=process.leave())

    def probe(
        self, path: Path, *, thorough: bool = False, cancel: threading.Event | None = None, name: str | None = None
    ) -> AudioInfo:
        """What the file is, its beginning decoded. thorough: all of it decoded, so that what passes here can be read;
        the duration is then what was heard, else what the file declares or its packets add up to.

        cancel, name, errors: see read.
        """
        request = _request("check" if thorough else "probe")
        with self._slot(cancel), self._open(path, request, cancel, name) as stream:
            return stream.info

    def read(
        self,
        path: Path,
        *,
        rate: int | None = None,
        channels: int | None = 1,
        max_s: float | None = None,
        cancel: threading.Event | None = None,
        name: str | None = None,
    ) -> Clip:
        """The whole file, or the first max_s seconds of it.

        rate: Hz, None for the file's own. channels: 1, 2, or None for the file's own, at most 2.
        cancel: when set, the call ends with Cancelled within 0.2 s.
        name: what errors call the file; by default its name without the folder.

        Raises InvalidAudio, AudioTooLong (longer than the limit, or dearer to decode), FileTooLarge, NotFound,
        Cancelled, and ValueError for channels that cannot be.
        """
        request = _request("read", rate, channels, max_s)
        with self._slot(cancel), self._open(path, request, cancel, name) as stream:
            blocks = list(stream)
            return Clip(np.concatenate(blocks, axis=-1), stream.rate)

    @contextmanager
    def stream(
        self,
        path: Path,
        *,
        rate: int | None = None,
        channels: int | None = 1,
        cancel: threading.Event | None = None,
        name: str | None = None,
    ) -> Iterator[AudioStream]:
        """The file block by block, decoded no faster than it is taken. Leaving early stops the work.

        Arguments and errors as read has them; errors of the content come while iterating.
        """
        with self._open(path, _request("read", rate, channels), cancel, name) as stream:
            yield stream

    def close(self) -> None:
        """End the idle children. Those at work end with their work."""
        with self._lock:
            self._closed = True
        self._finalizer()

    @contextmanager
    def _slot(self, cancel: threading.Event | None) -> Iterator[None]:
        while not self._slots.acquire(timeout=_POLL_S):
            if cancel is not None and cancel.is_set():
                raise Cancelled("the request was called off")
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def _open(
        self, path: Path, request: dict[str, Any], cancel: threading.Event | None, name: str | None
    ) -> Iterator[AudioStream]:
        shown = name or path.name
        self._check_file(path, shown)
        process = self._begin(request | {"path": str(path.absolute())}, cancel)
        try:
            yield AudioStream(process, shown)
        finally:
            self._give_back(process, usable=process.leave())

    def _check_file(self, path: Path, shown: str) -> None:
        try:
            status = path.stat()
        except (OSError, ValueError):
            raise NotFound(f"Audio file not found: {shown}") from None
        if not stat.S_ISREG(status.st_mode):
            raise InvalidAudio(f"Cannot read {shown}: it is not a file")
        if status.st_size == 0:
            raise InvalidAudio(f"Cannot read {shown}: it is empty")
        if status.st_size > self._limits.max_bytes:
            raise FileTooLarge(
                f"{shown} is larger than {self._limits.max_bytes / 1e6:g} MB, the largest this server takes"
            )

    def _begin(self, request: dict[str, Any], cancel: threading.Event | None) -> DecodeProcess:
        while True:
            process = self._take()
            try:
                process.wait_until_ready()
                process.begin(request, cancel)
            except ProcessGone:  # died while idle; a fresh one that dies as well raises PlusError
                self._give_back(process, usable=False)
            except PlusError:
                self._give_back(process, usable=False)
                raise
            else:
                return process

    def _take(self) -> DecodeProcess:
        with self._lock:
            if self._closed:
                raise PlusError("the audio decoder is closed")
            process = self._idle.pop() if self._idle else None
        try:
            process = process or DecodeProcess(self._limits)
        except OSError:
            raise PlusError("the audio decoder could not be started") from None
        self._watchdog.add(process)
        return process

    def _give_back(self, process: DecodeProcess, *, usable: bool) -> None:
        self._watchdog.remove(process)
        with self._lock:
            keep = usable and not self._closed and len(self._idle) < self._workers
            if keep:
                self._idle.append(process)
        if not keep:
            process.close()


def _request(
    task: str, rate: int | None = None, channels: int | None = None, max_s: float | None = None
) -> dict[str, Any]:
    if channels not in (None, 1, 2):
        raise ValueError(f"cannot decode to {channels} channels")
    return {"task": task, "rate": rate, "channels": channels, "max_s": max_s}


def _close_all(processes: list[DecodeProcess]) -> None:
    while processes:
        processes.pop().close()

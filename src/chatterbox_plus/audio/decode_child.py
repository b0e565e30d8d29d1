"""The confined child that decodes files nobody vouches for: `python -m chatterbox_plus.audio.decode_child BYTES`.

It takes one JSON object per line on stdin and answers each request with frames on stdout: a head (kind, payload length)
and the payload. INFO comes first, then BLOCKs of samples, and the last frame is END or ERROR, always. Backpressure is
the pipe itself: the child stands still until somebody reads.

FFmpeg only ever sees one open Python file without a name. It may not open others (no protocol but the pipe's is
allowed), nor try formats and codecs beyond our list, nor use more memory and time than the limits; the child cannot
write files.
"""

import contextlib
import itertools
import json
import math
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import Samples, samples_in
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.errors import AudioTooLong, InvalidAudio, NotFound, PlusError

HEAD = struct.Struct("<cI")  # kind, bytes of payload
READY, INFO, BLOCK, PROGRESS, END, ERROR = b"R", b"I", b"B", b"P", b"E", b"X"
SECONDS = struct.Struct("<d")  # the payload of PROGRESS: how much has been decoded

MIN_SPEED = 5  # times real time; slower is an attack (the slowest of our codecs makes 900)
GRACE_S = 10.0  # of processor time on top
_IDLE_BYTES = 512 << 20  # address space of a child with nothing to do (measured: 250 MiB) and room for its threads

_FORMATS = "wav,mp3,flac,ogg,aac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
_CODECS = (
    "pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,"
    "pcm_alaw,pcm_mulaw,adpcm_ms,adpcm_ima_wav,mp1,mp1float,mp2,mp2float,mp3,mp3float,flac,vorbis,libvorbis,opus,libopus,"
    "aac,alac,ac3,eac3,speex,libspeex"
)
_OPEN_OPTIONS = {
    "format_whitelist": _FORMATS,
    "codec_whitelist": _CODECS,
    "protocol_whitelist": "pipe",
    "max_size": "65536",  # bytes of PCM to a packet: 1 ms a minute instead of 5
    "max_probe_packets": "1",  # else it searches PCM for hidden DTS, for 80 ms with packets of this size
}
_FORMAT_NAMES = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "webm"}  # FFmpeg's names of demuxers: ours
_RATES = range(2_000, 768_001)  # Hz
_MOST_CHANNELS = 32
_LOUDEST = 65_536.0  # times full scale; also a file with 16-bit numbers in its floats passes, for others to level
_BLOCK_S = 1.0
_STREAMED_BYTES = 0x7FFF0000  # wav sizes from here on mean "not known": 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF are in use
_TOO_SHORT = 0.9  # of the declared duration, below which a file counts as cut off
_PADDING_S = 0.1  # of codecs, which declared durations count or not
_TOO_DAMAGED = 0.1  # of the packets


class _File:
    """What FFmpeg may see of a file: its bytes, not its name."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


class _Stopped(Exception):
    """Nobody wants the rest."""


class _Recording:
    """One file on its way through the decoder."""

    def __init__(self, file: BinaryIO, request: dict[str, Any], stopped: Callable[[], bool]) -> None:
        self._file, self._stopped = file, stopped
        self._max_duration_s: float = request["max_duration_s"]
        self._max_s: float | None = request["max_s"]
        self._container, self._stream = self._open()
        self.duration_s = self._declared_s()  # 0.0: only decoding will tell
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise InvalidAudio("there is no sound in it")
        self._frames = itertools.chain([first], frames)
        self._source = first.sample_rate, first.layout.nb_channels
        self.rate: int = request["rate"] or first.sample_rate
        self.channels: int = request["channels"] or min(2, first.layout.nb_channels)
        self.seconds = 0.0  # decoded so far

    def info(self) -> dict[str, Any]:
        name = self._container.format.name
        rate, channels = self._source
        about = {"duration_s": self.duration_s, "rate": rate, "channels": channels}
        return about | {"format": _FORMAT_NAMES.get(name, name), "to_rate": self.rate, "to_channels": self.channels}

    def blocks(self) -> Iterator[Samples]:
        """The sound at the wanted rate, (channels, n) blocks of about a second.

        Raises AudioTooLong, and InvalidAudio for what is damaged or cut off.
        """
        most = None if self._max_s is None else samples_in(self._max_s, self.rate)
        given = 0
        for block in self._resampled():
            part = block if most is None else block[:, : most - given]
            given += part.shape[1]
            if part.shape[1]:
                yield _sane(part)
            if given == most:
                return
        if given == 0:
            raise InvalidAudio("there is no sound in it")
        if self.seconds < _TOO_SHORT * self.duration_s - _PADDING_S:
            raise InvalidAudio(f"it is cut off: {self.seconds:.1f} s of {self.duration_s:.1f} s can be decoded")

    def _open(self) -> tuple[av.container.InputContainer, av.AudioStream]:
        self._file.seek(0)
        container = av.open(_File(self._file), "r", options=_OPEN_OPTIONS)
        stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
        if stream is None:
            raise InvalidAudio("there is no audio in it")
        return container, stream

    def _declared_s(self) -> float:
        """What the file says; where that is a guess (by size and bit rate), or nothing, what its packets add up to."""
        stream, container = self._stream, self._container
        seconds = 0.0
        if stream.duration is not None and stream.time_base is not None:
            seconds = float(stream.duration * stream.time_base)
        elif len(container.streams) == 1:
            seconds = (container.duration or 0) / av.time_base
        if container.format.name == "wav":
            seconds *= _missing_factor(self._file)  # FFmpeg believes the size of the file, not the header
        self._check_duration(seconds)
        if seconds <= 0 or container.format.name in ("mp3", "aac"):
            counted = self._counted_s()
            if abs(seconds - counted) > _PADDING_S:  # if not, the one declared knows better where the padding is
                seconds = counted
            self._container, self._stream = self._open()
        return seconds

    def _counted_s(self) -> float:
        base = float(self._stream.time_base or 0)
        total, first, end = 0, None, 0
        for packet in self._container.demux(self._stream):
            if self._stopped():
                raise _Stopped
            total += packet.duration or 0
            if packet.pts is not None:  # some packets know when they are, not how long
                first = packet.pts if first is None else first
                end = max(end, packet.pts - first + (packet.duration or 0))
            self._check_duration(max(total, end) * base)
        return max(total, end) * base

    def _check_duration(self, seconds: float) -> None:
        if seconds > self._max_duration_s:
            raise AudioTooLong(f"it is longer than {self._max_duration_s:g} s, the longest this server takes")

    def _decoded(self) -> Iterator[av.AudioFrame]:
        """Damaged packets are left out, as every player does, while they are few."""
        packets = damaged = 0
        for packet in self._container.demux(self._stream):
            if self._stopped():
                raise _Stopped
            packets += 1
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError as error:
                if isinstance(error, MemoryError):
                    raise
                damaged += 1
                continue
            for frame in frames:
                if frame.sample_rate not in _RATES or not 1 <= frame.layout.nb_channels <= _MOST_CHANNELS:
                    raise InvalidAudio("its sample rate or number of channels is out of the ordinary")
                yield frame
        if damaged > _TOO_DAMAGED * packets:
            raise InvalidAudio("too much of it is damaged")

    def _gathered(self) -> Iterator[tuple[int, Samples]]:
        """The rate and (source channels, n) samples, frames of one kind joined to about a second."""
        kind: tuple[int, int, str] | None = None
        waiting: list[av.AudioFrame] = []
        n = 0
        for frame in self._frames:
            kind_now = frame.sample_rate, frame.layout.nb_channels, frame.format.name
            if kind is not None and (kind_now != kind or n >= _BLOCK_S * kind[0]):
                yield kind[0], _floats(waiting)
                waiting, n = [], 0
            kind = kind_now
            waiting.append(frame)
            n += frame.samples
        if kind is not None:
            yield kind[0], _floats(waiting)

    def _resampled(self) -> Iterator[Samples]:
        """(channels, n) at the wanted rate. A file may change its own on the way (chained Ogg, joined mp3)."""
        resampler, rate = Resampler(self.rate, self.rate, self.channels), 0
        for source, samples in self._gathered():
            if source != rate:
                yield np.atleast_2d(resampler.finish())
                resampler, rate = Resampler(source, self.rate, self.channels), source
            self.seconds += samples.shape[1] / source
            self._check_duration(self.seconds)
            yield np.atleast_2d(resampler.push(_mixed(samples, self.channels)))
        yield np.atleast_2d(resampler.finish())


def _missing_factor(file: BinaryIO) -> float:
    """How many times longer a wav file should be by the size its data chunk declares; 1.0 if it declares none."""
    place = file.tell()  # FFmpeg is in the middle of it
    try:
        size = file.seek(0, os.SEEK_END)
        at = 12  # after RIFF, its size and WAVE
        while at + 8 < size:
            file.seek(at)
            name, declared = struct.unpack("<4sI", file.read(8))
            at += 8
            if name == b"data":
                return max(1.0, float(declared / (size - at))) if at < size and declared < _STREAMED_BYTES else 1.0
            at += declared + declared % 2
        return 1.0
    finally:
        file.seek(place)


def _floats(frames: list[av.AudioFrame]) -> Samples:
    """Frames of one kind -> (channels, n), full scale at 1."""
    raw: NDArray[Any] = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    if not frames[0].format.is_planar:
        raw = raw.reshape(-1, frames[0].layout.nb_channels).T
    samples: Samples = raw.astype(np.float32, copy=False)
    if raw.dtype.kind == "u":  # 8 bit
        samples = (samples - np.float32(128)) / np.float32(128)
    elif raw.dtype.kind == "i":
        samples = samples * np.float32(2.0 ** (1 - 8 * raw.dtype.itemsize))
    return samples


def _mixed(samples: Samples, channels: int) -> Samples:
    """(any, n) -> (channels, n). To one: the average. To two: each side with everything that belongs to neither."""
    have = samples.shape[0]
    mixed: Samples = samples
    if channels == 1 and have > 1:
        mixed = samples.mean(axis=0, keepdims=True)
    elif have == 1 and channels > 1:
        mixed = np.repeat(samples, channels, axis=0)
    elif have > 2:
        mixed = (samples[:2] + samples[2:].sum(axis=0)) / np.float32(have - 1)
    return mixed


def _sane(block: Samples) -> Samples:
    if not np.abs(block).max() <= _LOUDEST:  # NaN fails this too
        raise InvalidAudio("its samples are not numbers that could be sound")
    return block


class _Inbox:
    """Reads stdin in a thread of its own: a stop is heard in the middle of a file, and the parent's end at once."""

    def __init__(self) -> None:
        self.requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = -1
        threading.Thread(target=self._read, daemon=True).start()

    def stopped(self, request: int) -> bool:
        return self._stopped == request

    def _read(self) -> None:
        for line in sys.stdin.buffer:
            message = json.loads(line)
            if "stop" in message:
                self._stopped = message["stop"]
            else:
                self.requests.put(message)
        os._exit(0)


class _Outbox:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        try:
            self._file.write(HEAD.pack(kind, len(payload)))
            self._file.write(payload)
            self._file.flush()
        except OSError:
            os._exit(0)  # the parent is gone


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError:
        raise NotFound("the file is not there, or may not be read") from None


def _answer(request: dict[str, Any], out: _Outbox, stopped: Callable[[], bool]) -> None:
    """Everything about one file but the last frame."""
    with _opened(Path(request["path"])) as file:
        recording = _Recording(file, request, stopped)
        if request["task"] == "probe" and recording.duration_s > 0:
            out.send(INFO, json.dumps(recording.info()).encode())
            return
        if request["task"] == "read":
            out.send(INFO, json.dumps(recording.info()).encode())
        for block in recording.blocks():
            if request["task"] == "read":
                out.send(BLOCK, block.tobytes())
            else:
                out.send(PROGRESS, SECONDS.pack(recording.seconds))
        if request["task"] != "read":
            out.send(INFO, json.dumps(recording.info() | {"duration_s": recording.seconds}).encode())


def _reply(request: dict[str, Any], out: _Outbox, inbox: _Inbox) -> None:
    try:
        _limit_processor_time(request["max_duration_s"])
        _answer(request, out, lambda: inbox.stopped(request["id"]))
    except _Stopped:
        out.send(END)
    except PlusError as error:
        out.send(ERROR, json.dumps([type(error).__name__, error.message]).encode())
    except MemoryError:
        out.send(ERROR, json.dumps([AudioTooLong.__name__, "it takes too much memory to decode"]).encode())
    except (av.FFmpegError, ValueError, OSError, EOFError):
        out.send(ERROR, json.dumps([InvalidAudio.__name__, "it is not audio that can be decoded"]).encode())
    else:
        out.send(END)


def _confine(max_memory_bytes: int) -> None:
    """What the system can hold us to. The parent watches memory and time as well, for systems that cannot."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who may want to finish this file
    try:
        import resource
    except ImportError:
        return
    address_space = max_memory_bytes + _IDLE_BYTES
    for limit, value in (("RLIMIT_AS", address_space), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # macOS refuses some
            resource.setrlimit(getattr(resource, limit), (value, value))


def _limit_processor_time(max_duration_s: float) -> None:
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    budget = usage.ru_utime + usage.ru_stime + GRACE_S + max_duration_s / MIN_SPEED
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(budget), hard))


def main() -> None:
    file = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # nothing a library prints may get between the frames
    _confine(int(sys.argv[1]))
    out, inbox = _Outbox(file), _Inbox()
    out.send(READY, str(os.getpid()).encode())  # where Python is started by a launcher, it is another process's
    while True:
        _reply(inbox.requests.get(), out, inbox)


if __name__ == "__main__":
    main()

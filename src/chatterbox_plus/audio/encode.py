"""Sound to bytes, as it comes: for a listener who already waits, or into a file that is whole at the end.

Samples are clipped to [-1, 1]. The 16-bit formats (wav, flac, pcm) hold round(x * 32768), half to even, at most 32767:
what came from a 16-bit file goes back as the same numbers. Nothing is dithered, and no container holds a date, a random
serial number or a library's version: the same samples give the same bytes.
"""

import struct
from fractions import Fraction
from typing import BinaryIO, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from chatterbox_plus.audio.clip import LAYOUTS, Samples
from chatterbox_plus.audio.formats import FORMATS, OutputFormat
from chatterbox_plus.audio.resample import Resampler
from chatterbox_plus.errors import InvalidOption

_UNKNOWN_SIZE = 0xFFFFFFFF  # what OpenAI's API and ffmpeg write where the length of a stream is not known yet
WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF WAVE, a 16-byte fmt chunk, the head of the data chunk: all that stands before the samples of our wav."""

# LAME's quality 5 of 0..9: 160x real time on one core for mono at 24 kHz, where its default 3 makes 115x, 2 makes 47x
# and 7, which leaves the psychoacoustics out, 235x. Speech gets the highest bit rates, where 3 and 5 hardly differ.
_CODEC_OPTIONS = {"libmp3lame": {"compression_level": "5"}}
_SAMPLE_FORMATS = {"flac": "s16", "libopus": "flt", "libmp3lame": "fltp", "aac": "fltp"}
_LARGEST_OPUS_BIT_RATE = 256_000  # bit/s per channel; libopus refuses more

# LAME makes everything quieter, by 0.45 dB at 160 kbit/s and below (presets.c, abr_switch_map), to be sure of headroom.
# Loudness is decided elsewhere here, so it gets samples that are louder by as much.
_LAME_SCALES = {320_000: 1.0, 256_000: 1.0, 224_000: 0.98, 192_000: 0.97, 160_000: 0.95}  # bit/s: scale
_MUXER_OPTIONS = {"fflags": "+bitexact", "metadata_header_padding": "0"}  # flac would begin with 8 KiB of nothing
_LIVE_OPTIONS = {"flush_packets": "1"}  # else the muxer holds back up to 32 KiB, seconds of speech
_LIVE_OGG_OPTIONS = {"page_duration": "40000"}  # µs; else a page is a second


class Encoder:
    """A stream of samples to the bytes of one of FORMATS.

    Without a sink, `push` and `finish` give the bytes, which leave as soon as the codec lets go of them (about 0.1 s of
    audio). The length being unknown at the start, wav then says 0xFFFFFFFF for both its sizes, flac leaves its total
    open and mp3 has no Xing header, so that players hear LAME's delay of 1105 samples. With a sink all is right at the
    end.
    """

    def __init__(
        self,
        format: str,
        *,
        rate: int,
        channels: int = 1,
        sink: BinaryIO | None = None,
        bit_rate: int | None = None,
    ) -> None:
        """format: a name in FORMATS. rate: Hz of what will be pushed; where the codec has no such rate, the next above
        that it has is written, or its highest: see `self.rate`. channels: 1 or 2.
        sink: an empty, writable and seekable binary file, which stays open; its OSErrors come through as they are.
        bit_rate: bit/s, None for the format's own; lossless formats ignore it, and where a codec ends lower at this
        rate (mp3: 160k at 16 to 24 kHz, 64k below) its highest is taken.

        Raises InvalidOption for an unknown format, ValueError for a rate, channels or sink that cannot be.
        """
        if format not in FORMATS:
            raise InvalidOption(f"unknown output format: {format}")
        if channels not in LAYOUTS or rate < 1:
            raise ValueError(f"cannot encode {channels} channels at {rate} Hz")
        if sink is not None and not sink.seekable():
            raise ValueError("the sink must be seekable")
        self.format = FORMATS[format]
        self.rate = _nearest_rate(self.format.rates, rate)
        self._channels = channels
        self._resampler = Resampler(rate, self.rate, channels)
        self._out: _Pipe | _Sink = _Pipe() if sink is None else _Sink(sink)
        self._writer: _Writer
        if self.format.container is None:
            self._writer = _PcmWriter(self._out)
        elif self.format.container == "wav":
            self._writer = _WavWriter(self._out, self.rate, channels)
        else:
            self._writer = _MuxWriter(self._out, self.format, self.rate, channels, bit_rate)

    def push(self, samples: Samples) -> bytes:
        """Take float samples, (n,) or (channels, n), n >= 0; give the bytes that are ready (b"" with a sink).

        Raises ValueError for NaN or the wrong number of channels, InvalidOption for a wav file beyond 4 GiB.
        """
        block = np.atleast_2d(np.asarray(samples, np.float32))
        if block.shape[0] != self._channels:
            raise ValueError(f"expected {self._channels} channels, not {block.shape[0]}")
        self._write(self._resampler.push(block))
        return self._out.take()

    def finish(self) -> bytes:
        """The rest of the bytes; the encoder is spent."""
        self._write(self._resampler.finish())
        self._writer.finish()
        return self._out.take()

    def _write(self, block: Samples) -> None:
        clipped = np.clip(np.atleast_2d(block), -1.0, 1.0)
        if np.isnan(clipped.sum()):
            raise ValueError("the samples are not all numbers")
        if clipped.shape[1]:
            self._writer.write(clipped)


def _nearest_rate(rates: tuple[int, ...], rate: int) -> int:
    return min((r for r in rates if r >= rate), default=max(rates)) if rates else rate


def _to_s16(samples: Samples) -> NDArray[np.int16]:
    """(channels, n) in [-1, 1] -> (n, channels)."""
    scaled = np.rint(samples.T * np.float32(32768))
    whole: NDArray[np.int16] = np.minimum(scaled, np.float32(32767)).astype("<i2")
    return whole


class _Pipe:
    """Where bytes wait to be taken. Not seekable, so FFmpeg writes what it would write to a socket."""

    closed = True  # see _MuxWriter.finish

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


class _Sink:
    """The caller's file."""

    closed = True

    def __init__(self, file: BinaryIO) -> None:
        self.write, self.seek, self.tell = file.write, file.seek, file.tell

    def take(self) -> bytes:
        return b""


class _Writer(Protocol):
    """One way to put down (channels, n) float samples in [-1, 1] at the rate of the file."""

    def write(self, samples: Samples) -> None: ...

    def finish(self) -> None: ...


class _PcmWriter:
    def __init__(self, out: _Pipe | _Sink) -> None:
        self._out = out

    def write(self, samples: Samples) -> None:
        self._out.write(_to_s16(samples).tobytes())

    def finish(self) -> None: ...


class _WavWriter:
    """RIFF as Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (1991) has it, 16 bit."""

    def __init__(self, out: _Pipe | _Sink, rate: int, channels: int) -> None:
        self._out, self._rate, self._channels = out, rate, channels
        self._data_bytes = 0
        self._begun = False

    def write(self, samples: Samples) -> None:
        self._begin()
        data = _to_s16(samples).tobytes()
        self._data_bytes += len(data)
        if isinstance(self._out, _Sink) and self._data_bytes + WAV_HEADER.size > _UNKNOWN_SIZE:
            raise InvalidOption("a wav file holds at most 4 GiB; choose flac or mp3 for audio this long")
        self._out.write(data)

    def finish(self) -> None:
        self._begin()
        if isinstance(self._out, _Sink):
            self._out.seek(0)
            self._out.write(self._header(self._data_bytes + WAV_HEADER.size - 8, self._data_bytes))
            self._out.seek(0, 2)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._out.write(self._header(_UNKNOWN_SIZE, _UNKNOWN_SIZE))

    def _header(self, riff_bytes: int, data_bytes: int) -> bytes:
        frame_bytes = 2 * self._channels
        rates = self._rate, self._rate * frame_bytes, frame_bytes, 16
        fmt = b"fmt ", 16, 1, self._channels, *rates
        return WAV_HEADER.pack(b"RIFF", riff_bytes, b"WAVE", *fmt, b"data", data_bytes)


class _MuxWriter:
    """FFmpeg's encoders and muxers."""

    def __init__(
        self, out: _Pipe | _Sink, format: OutputFormat, rate: int, channels: int, bit_rate: int | None
    ) -> None:
        self._out, self._rate = out, rate
        self._layout, self._sample_format = LAYOUTS[channels], _SAMPLE_FORMATS[format.codec]
        live = isinstance(out, _Pipe)
        options = _MUXER_OPTIONS | (_LIVE_OPTIONS if live else {})
        if live and format.container == "ogg":
            options |= _LIVE_OGG_OPTIONS
        self._container = av.open(out, "w", format=format.container, container_options=options)
        codec_options = {"flags": "+bitexact"} | _CODEC_OPTIONS.get(format.codec, {})
        stream = self._container.add_stream(format.codec, rate=rate, options=codec_options)
        assert isinstance(stream, av.AudioStream)
        self._stream, context = stream, stream.codec_context
        context.layout, context.format = av.AudioLayout(self._layout), av.AudioFormat(self._sample_format)
        self._gain = np.float32(1)
        if format.codec == "libmp3lame":
            context.bit_rate = _mp3_bit_rate(bit_rate or format.bit_rate or 0, rate)
            self._gain = np.float32(1 / _LAME_SCALES[max(160_000, context.bit_rate)])
        elif format.codec == "libopus":
            context.bit_rate = min(bit_rate or format.bit_rate or 0, _LARGEST_OPUS_BIT_RATE * channels)
        elif format.bit_rate:
            context.bit_rate = bit_rate or format.bit_rate
        self._samples = 0

    def write(self, samples: Samples) -> None:
        packed: NDArray[np.int16] | NDArray[np.float32] = np.ascontiguousarray(samples)
        if self._sample_format == "s16":
            packed = _to_s16(samples).reshape(1, -1)
        elif self._sample_format == "flt":
            packed = samples.T.reshape(1, -1)
        elif self._gain != 1:
            packed = packed * self._gain
        frame = av.AudioFrame.from_ndarray(packed, self._sample_format, self._layout)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._samples
        self._samples += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self._container.start_encoding()  # the headers, should nothing have been written
        self._container.mux(self._stream.encode(None))
        # PyAV writes the trailer also when a container is merely dropped, unless its file is closed: an encoder given
        # up half way must not write into a file that is no longer its own.
        self._out.closed = False
        self._container.close()
        self._out.closed = True


def _mp3_bit_rate(asked: int, rate: int) -> int:
    """The step of ISO 11172-3 (from 32 kHz) or 13818-3 (below) at or under what is asked; LAME chooses below 160k."""
    most = min(asked, 320_000 if rate >= 32_000 else 160_000)
    return max((legal for legal in _LAME_SCALES if legal <= most), default=most)

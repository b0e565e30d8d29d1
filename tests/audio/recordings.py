"""Recordings made on the spot: tones, and the files that hold them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from chatterbox_plus.audio.clip import Samples

# suffix -> PyAV container, codec, sample format, a rate (Hz) it is usual at
CONTAINERS = {
    ".wav": ("wav", "pcm_s16le", "s16", 24_000),
    ".mp3": ("mp3", "libmp3lame", "fltp", 24_000),
    ".flac": ("flac", "flac", "s16", 44_100),
    ".ogg": ("ogg", "libopus", "flt", 48_000),
    ".opus": ("ogg", "libopus", "flt", 24_000),
    ".m4a": ("ipod", "aac", "fltp", 44_100),
    ".aac": ("adts", "aac", "fltp", 24_000),
    ".webm": ("webm", "libopus", "flt", 48_000),
    ".mp4": ("mp4", "aac", "fltp", 44_100),
}


_NO_RANDOM_NUMBERS = {"fflags": "+bitexact"}  # for serials and ids: the same recording is the same file


def sine(hz: float, seconds: float, rate: int) -> Samples:
    """(n,) at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def loudest_hz(samples: Samples, rate: int) -> float:
    """The frequency of a tone (n,), to a fraction of a hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 20))
    return float(np.argmax(spectrum) * rate / (1 << 20))


def record(path: Path, samples: Samples, *, kind: str = "", rate: int | None = None, codec: str | None = None) -> Path:
    """Write (n,) or (channels, n) as `kind` (a suffix in CONTAINERS, that of the path by default)."""
    container_name, usual_codec, sample_format, usual_rate = CONTAINERS[kind or path.suffix]
    rate = rate or usual_rate
    if codec is not None:
        usual_codec, sample_format = codec, {"pcm_f32le": "flt", "flac": "s16", "alac": "s16p"}[codec]
    planar = np.atleast_2d(samples)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[planar.shape[0]]
    with av.open(str(path), "w", format=container_name, options=_NO_RANDOM_NUMBERS) as container:
        stream = container.add_stream(usual_codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.format = layout, sample_format
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planar), "fltp", layout)
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def record_video(path: Path, *, audio: Samples | None = None) -> Path:
    """A second of grey film with or without a sound track at 48 kHz."""
    webm = path.suffix == ".webm"
    with av.open(str(path), "w", format="webm" if webm else "mp4", options=_NO_RANDOM_NUMBERS) as container:
        film = container.add_stream("libvpx" if webm else "mpeg4", rate=5)
        assert isinstance(film, av.VideoStream)
        film.width = film.height = 64
        film.pix_fmt = "yuv420p"
        sound = None
        if audio is not None:
            sound = container.add_stream("libopus" if webm else "aac", rate=48_000)
            assert isinstance(sound, av.AudioStream)
            sound.layout = "mono"
        for i in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * i, np.uint8), format="rgb24")
            container.mux(film.encode(picture))
        container.mux(film.encode(None))
        if sound is not None and audio is not None:
            frame = av.AudioFrame.from_ndarray(audio[np.newaxis], "fltp", "mono")
            frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path

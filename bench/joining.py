"""A hundred one-minute files joined, with levels and crossfades; the same beside it by Debian's ffmpeg."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event

from bench.measure import Bench, Figure, PeakMemory, Setting, studio, timed, voice_like, write_audio
from chatterbox_plus.synthesis.options import JoinOptions, UploadSegment

_FILES, _SECONDS, _CROSSFADE_MS = 100, 60, 100
_FFMPEG_DOES = (
    "volumedetect of every file first (counted), then decode, one gain a file, a chain of acrossfade, encode; "
    "no limit on true peaks"
)


def join(setting: Setting) -> Iterator[Figure]:
    """A hundred one-minute wav files to wav and to mp3, levels and 100 ms crossfades, and the memory that takes."""
    files = _files(setting.folder)
    uploads = [(path.name, path) for path in files]
    segments = tuple(UploadSegment(index=i) for i in range(len(files)))
    memory_mb = []
    with studio(setting) as house:
        short = JoinOptions(segments=segments[:2], crossfade_ms=_CROSSFADE_MS)
        house.join(short, cancel=Event(), uploads=uploads[:2])
        for format in ("wav", "mp3"):
            options = JoinOptions(segments=segments, crossfade_ms=_CROSSFADE_MS, export_formats=(format,))
            with PeakMemory() as memory:
                seconds = timed(partial(house.join, options, cancel=Event(), uploads=uploads))
            memory_mb.append(memory)
            yield Figure(f"join_100_{format}_x_realtime", _FILES * _SECONDS / seconds, "x")
    worst = max(memory_mb, key=lambda memory: memory.added_mb)
    yield Figure("join_peak_memory_mb", worst.added_mb, "MB", {"above_idle": True, "total_mb": round(worst.peak_mb)})


def ffmpeg(setting: Setting) -> Iterator[Figure]:
    """The same join by the ffmpeg command, where it is installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        return
    files = _files(setting.folder)
    for format, codec in (("wav", "pcm_s16le"), ("mp3", "libmp3lame")):
        out = setting.folder / f"joined.{format}"
        seconds = timed(partial(_ffmpeg_join, program, files, out, codec))
        out.unlink()
        yield Figure(f"join_100_{format}_ffmpeg_x_realtime", _FILES * _SECONDS / seconds, "x", {"does": _FFMPEG_DOES})


def _ffmpeg_join(program: str, files: list[Path], out: Path, codec: str) -> None:
    gains = [_ffmpeg_gain_db(program, path) for path in files]
    inputs = [word for path in files for word in ("-i", str(path))]
    levels = [f"[{i}:a]volume={gain:.2f}dB[v{i}]" for i, gain in enumerate(gains)]
    fades, last = [], "v0"
    for i in range(1, len(files)):
        fades.append(f"[{last}][v{i}]acrossfade=d={_CROSSFADE_MS / 1000}:c1=qsin:c2=qsin[x{i}]")
        last = f"x{i}"
    graph = ";".join(levels + fades)
    output = ["-filter_complex", graph, "-map", f"[{last}]", "-c:a", codec, "-b:a", "192k", str(out)]
    subprocess.run([program, "-nostdin", "-v", "error", *inputs, *output], check=True)


def _ffmpeg_gain_db(program: str, path: Path) -> float:
    """What brings a file to -20 dBFS RMS."""
    command = [program, "-nostdin", "-hide_banner", "-i", str(path), "-af", "volumedetect", "-f", "null", "-"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    mean_db = float(told.rpartition("mean_volume:")[2].split("dB")[0])
    return -20.0 - mean_db


def _files(folder: Path) -> list[Path]:
    """Ten different minutes, ten times over, at levels 12 dB apart."""
    made = []
    for i in range(10):
        sound = voice_like(_SECONDS, f0_hz=100 + 15 * i, seed=i) * 10 ** (-12 * (i % 3) / 2 / 20)
        made.append(write_audio(folder / f"minute_{i:03}.wav", sound.astype("float32")))
    for i in range(10, _FILES):
        made.append(Path(shutil.copyfile(made[i % 10], folder / f"minute_{i:03}.wav")))
    return made


BENCHES: dict[str, Bench] = {"join": join, "ffmpeg": ffmpeg}

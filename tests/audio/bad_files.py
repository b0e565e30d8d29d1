"""Files that must be refused, whoever sends them. Kept as data, so that the HTTP tests can send each of them too."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

from chatterbox_plus.audio.encode import Encoder
from chatterbox_plus.audio.formats import INPUT_SUFFIXES
from chatterbox_plus.errors import AudioTooLong, InvalidAudio, PlusError, UnsupportedFormat
from tests.audio.recordings import CONTAINERS, record, record_video, sine

BadFile = tuple[str, Path, type[PlusError]]
Content = tuple[str, str, bytes]  # what is wrong, the file's name, what is in it


def bad_files(folder: Path) -> list[BadFile]:
    """(what is wrong, the file, the error it must be answered with), written below an empty folder; all under 4 MB.

    Some name `readable.wav`, which lies beside them and must not be opened for them. One is itself a folder.
    """
    readable = record(folder / "readable.wav", sine(440, 0.5, 24_000))
    groups: list[tuple[list[Content], type[PlusError]]] = [
        (_odd_wavs(), InvalidAudio),
        (_cut_off(folder), InvalidAudio),
        (_playlists(readable), InvalidAudio),
        (_other_things(), InvalidAudio),
        (_noise(), InvalidAudio),
        (_films(folder), InvalidAudio),
        ([("hours of silence in few bytes", "bomb.flac", _bomb())], AudioTooLong),
        (_other_names(), UnsupportedFormat),
    ]
    directory = folder / "folder.wav"
    directory.mkdir()
    files: list[BadFile] = [("a folder", directory, InvalidAudio)]
    for contents, error in groups:
        for what, name, content in contents:
            path = folder / f"{len(files):02d}_{name}"
            path.write_bytes(content)
            files.append((what, path, error))
    return files


def wav(
    data: bytes, *, tag: int = 1, channels: int = 1, rate: int = 24_000, bits: int = 16, declared: int | None = None
) -> bytes:
    """A RIFF file of whatever is asked for. declared: the sizes it claims for data, those true by default."""
    size = len(data) if declared is None else declared
    frame = max(1, channels * bits // 8) & 0xFFFF
    fmt = struct.pack("<HHIIHH", tag, channels, rate, (rate * frame) & 0xFFFFFFFF, frame, bits)
    head = b"RIFF" + struct.pack("<I", (size + 36) & 0xFFFFFFFF) + b"WAVE" + b"fmt " + struct.pack("<I", 16) + fmt
    return head + b"data" + struct.pack("<I", size) + data


def _odd_wavs() -> list[Content]:
    tone = np.round(sine(440, 1, 24_000) * 32767).astype("<i2").tobytes()
    floats = sine(440, 1, 24_000)
    bad_number, endless, loud = floats.copy(), floats.copy(), floats.copy()
    bad_number[12_000], endless[12_000], loud[12_000] = np.nan, np.inf, 1e30
    return [
        ("nothing at all", "empty.wav", b""),
        ("one byte", "byte.wav", b"R"),
        ("four letters", "riff.wav", b"RIFF"),
        ("RIFF and no more", "riff_wave.wav", b"RIFF\x24\0\0\0WAVE"),
        ("no data chunk", "no_data.wav", wav(b"")[:36]),
        ("no samples", "no_samples.wav", wav(b"")),
        ("a second that claims to be an hour", "claims.wav", wav(tone, declared=3600 * 48_000)),
        ("half of it missing", "half.wav", wav(tone)[: 44 + len(tone) // 2]),
        ("0 Hz", "zero_rate.wav", wav(tone, rate=0)),
        ("4 GHz", "huge_rate.wav", wav(tone, rate=0xFFFFFFFF)),
        ("1 Hz", "one_hz.wav", wav(tone[:200], rate=1)),
        ("no channels", "no_channels.wav", wav(tone, channels=0)),
        ("65535 channels", "many_channels.wav", wav(tone * 4, channels=65_535)),
        ("0 bits", "no_bits.wav", wav(tone, bits=0)),
        ("an unknown codec", "codec.wav", wav(tone, tag=0xBEEF)),
        ("NaN", "nan.wav", wav(bad_number.tobytes(), tag=3, bits=32)),
        ("infinity", "infinity.wav", wav(endless.tobytes(), tag=3, bits=32)),
        ("far too loud", "loud.wav", wav(loud.tobytes(), tag=3, bits=32)),
    ]


def _cut_off(folder: Path) -> list[Content]:
    contents = []
    for suffix, (_, _, _, rate) in CONTAINERS.items():
        whole = record(folder / f"whole{suffix}", sine(440, 2, rate)).read_bytes()
        contents.append((f"the first 60 bytes of a {suffix}", f"begin{suffix}", whole[:60]))
        if suffix in (".flac", ".m4a", ".mp4", ".webm"):  # these tell how long they should be
            contents.append((f"half of a {suffix}", f"half{suffix}", whole[: len(whole) // 2]))
    return contents


def _playlists(readable: Path) -> list[Content]:
    """Texts that make FFmpeg open other files, if it is let."""
    near, far = readable.name, readable.as_posix()
    return [
        (
            "an HLS playlist",
            "hls.mp3",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{far}\n#EXT-X-ENDLIST\n".encode(),
        ),
        ("a concat script", "concat.wav", f"ffconcat version 1.0\nfile {near}\n".encode()),
        ("a concat script with a whole path", "concat.ogg", f"ffconcat version 1.0\nfile 'file:{far}'\n".encode()),
        ("a session description", "session.aac", b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"),
        ("a DASH manifest", "dash.mp4", f"<?xml version='1.0'?><MPD><BaseURL>{far}</BaseURL></MPD>".encode()),
        ("an address", "address.m4a", b"http://127.0.0.1:9/audio.wav"),
    ]


def _other_things() -> list[Content]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("tone.wav", wav(bytes(1000)))
    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    return [
        ("a page", "page.mp3", b"<!doctype html><title>404</title><h1>Not Found</h1>" * 20),
        ("an archive", "archive.ogg", archive.getvalue()),
        ("a picture", "picture.webm", png),
        ("text with a mark of its byte order", "text.aac", "\ufeffHello there.\n".encode() * 50),
        ("text in UTF-16", "text.flac", "Hello there.\n".encode("utf-16") * 50),
        ("JSON", "reply.opus", b'{"success": false, "error": "not found"}'),
        ("zeros", "zeros.mp3", bytes(20_000)),
        ("nothing but a tag", "tag.mp3", b"ID3\x04\0\0\0\0\x00\x0a" + bytes(10)),
        ("a tag that claims 256 MB", "tag_claims.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100)),
        ("a program", "program.wav", b"\x7fELF\x02\x01\x01" + bytes(500)),
        ("MIDI", "notes.m4a", b"MThd\0\0\0\x06\0\x01\0\x01\x01\xe0MTrk\0\0\0\x04\0\xff\x2f\0"),
    ]


def _noise() -> list[Content]:
    noise = np.random.default_rng(1).bytes(50_000)
    return [(f"noise called {suffix}", "noise" + suffix, noise) for suffix in INPUT_SUFFIXES]


def _films(folder: Path) -> list[Content]:
    films = record_video(folder / "film.mp4"), record_video(folder / "film.webm")
    return [(f"film without sound in {film.suffix}", film.name, film.read_bytes()) for film in films]


def _bomb() -> bytes:
    """A little more than four hours at 4 kHz, flac, whose head does not tell."""
    encoder = Encoder("flac", rate=4000)
    minute = np.zeros(60 * 4000, np.float32)
    return b"".join(encoder.push(minute) for _ in range(241)) + encoder.finish()


def _other_names() -> list[Content]:
    sound = wav(bytes(48_000))
    names = ("notes.txt", "audio.wav.exe", "audio", "audio.avi", "page.html")
    return [(f"a sound called {name}", name, sound) for name in names]
